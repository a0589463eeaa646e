#include "broker/app/server.hpp"

#include "broker/app/build_info.hpp"
#include "broker/app/memory_limit.hpp"
#include "broker/app/topology_setup.hpp"
#include "broker/base/log.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/net/connection.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/amqp_session.hpp"

#include <fmt/format.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <utility>

namespace linnet::app {

namespace {

constexpr log::context here{.domain = "broker"};

[[nodiscard]] std::uint16_t shard_count(const config& c) {
    const auto wanted = c.shards != 0 ? c.shards : std::max(1U, std::thread::hardware_concurrency());
    return static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, core::shards_max));
}

[[nodiscard]] session::amqp_settings amqp_settings_of(const config& c) {
    session::amqp_settings s;
    s.frame_max = c.limits.frame_bytes_max;
    s.channel_max = c.limits.channels;
    s.heartbeat_s = static_cast<std::uint16_t>(c.limits.heartbeat_s);
    s.message_bytes_max = c.limits.message_bytes_max;
    s.consumers_per_channel_max = c.limits.consumers_per_channel;
    s.handshake_timeout = c.limits.handshake_timeout_ms * ns_per_ms;
    s.consumer_timeout = static_cast<mono_ns>(c.limits.consumer_timeout_ms) * ns_per_ms;
    s.product = c.compat.product;
    s.version = c.compat.rabbitmq_version;
    s.platform = version_line();
    s.cluster_name = c.compat.cluster_name.empty() ? c.compat.node_name : c.compat.cluster_name;
    const auto offers = [&](auth_mechanism m) {
        return std::ranges::find(c.auth.mechanisms, m) != c.auth.mechanisms.end();
    };
    s.plain = offers(auth_mechanism::plain);
    s.amqplain = offers(auth_mechanism::amqplain);
    s.external = offers(auth_mechanism::external);
    return s;
}

[[nodiscard]] net::admission::limits admission_limits(const config& c) {
    return {c.limits.connections, c.limits.connections_per_address};
}

[[nodiscard]] core::broker_options broker_options_of(const config& c) {
    core::broker_options o;
    o.shards = shard_count(c);
    o.readers[static_cast<std::size_t>(core::protocol_tag::amqp091)] = &session::amqp_reader();
    o.memory_high_bytes = resolve(c.memory.high_watermark, memory_available_bytes());
    return o;
}

[[nodiscard]] core::topology_limits topology_limits_of(const config& c) {
    core::topology_limits l;
    if (c.limits.queues != 0) {
        l.queues_per_vhost = c.limits.queues;
    }
    return l;
}

[[nodiscard]] log::options log_options_of(const config& c) {
    return {c.log.level, c.log.format, c.log.file, c.log.file.empty() && log::journald_reads_stderr()};
}

// Those that steer us, until they are waited for. A peer that went away must not end us.
[[nodiscard]] sigset_t block_signals() {
    sigset_t set;
    sigemptyset(&set);
    for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR1}) {
        sigaddset(&set, s);
    }
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return set;
}

// As many descriptors as we may have: connections are what they are for.
void raise_descriptor_limit() {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = limit.rlim_max;
        static_cast<void>(::setrlimit(RLIMIT_NOFILE, &limit));
    }
}

// Runs `f` on the reactor's thread and waits until it has.
template <class F>
void run_on(net::reactor& r, F f) {
    std::promise<void> done;
    r.post([&] {
        f();
        done.set_value();
    });
    done.get_future().wait();
}

[[nodiscard]] std::string bracketed(const bind_address& a, std::uint16_t port) {
    return a.host.find(':') == std::string::npos ? fmt::format("{}:{}", a.host, port)
                                                 : fmt::format("[{}]:{}", a.host, port);
}

}  // namespace

server::server(loaded_config loaded, config_sources sources, const notifier& n)
    : signals_(block_signals()),
      loaded_(std::move(loaded)),
      sources_(std::move(sources)),
      notifier_(n),
      amqp_(amqp_settings_of(loaded_.values)),
      admission_(admission_limits(loaded_.values)),
      verifiers_(loaded_.values.users, clock_),
      broker_(std::make_unique<core::broker>(broker_options_of(loaded_.values), clock_)) {}

server::~server() {
    for (auto& s : shards_) {
        s.listeners.clear();
    }
    shards_.clear();
}

// ---- Opening -----------------------------------------------------------------------------------

std::vector<std::string> server::open() {
    raise_descriptor_limit();
    if (auto wrong = log::configure(log_options_of(loaded_.values)); !wrong.empty()) {
        return {std::move(wrong)};
    }
    auto tls = load_certificates(loaded_.values);
    if (!tls) {
        return {std::move(tls.error())};
    }
    if (auto wrong = set_up_topology(); !wrong.empty()) {
        return wrong;
    }
    for (std::uint16_t i = 0; i < broker_->shard_count(); ++i) {
        shard_parts s;
        s.reactor = std::make_unique<net::reactor>(*broker_, core::shard_id{i});
        s.desk = std::make_unique<login_desk>(*s.reactor, verifiers_);
        shards_.push_back(std::move(s));
    }
    if (auto wrong = open_listeners(*tls); !wrong.empty()) {
        return {std::move(wrong)};
    }
    const auto& c = loaded_.values;
    if (auto wrong = c.pid_file.empty() ? std::string{} : pid_file_.write(c.pid_file); !wrong.empty()) {
        return {std::move(wrong)};
    }
    if (auto wrong = c.ports_file.empty() ? std::string{} : write_file_atomically(c.ports_file, ports_json(bound_));
        !wrong.empty()) {
        return {std::move(wrong)};
    }
    return {};
}

std::vector<std::string> server::set_up_topology() {
    broker_->editor().set_limits(topology_limits_of(loaded_.values));
    auto wrong = apply_to_topology(broker_->editor(), config{}, loaded_.values).problems;
    broker_->publish_topology();
    return wrong;
}

result<server::tls_contexts, std::string> server::load_certificates(const config& c) {
    tls_contexts made;
    for (const auto& l : c.listeners) {
        if (!l.tls) {
            made.push_back(nullptr);
            continue;
        }
        net::tls_options o;
        o.certificate_file = l.tls->cert_file;
        o.key_file = l.tls->key_file;
        o.key_password = l.tls->key_password;
        o.ca_file = l.tls->ca_file;
        o.verify = l.tls->verify == tls_verify::none   ? net::peer_verification::none
                   : l.tls->verify == tls_verify::peer ? net::peer_verification::optional
                                                       : net::peer_verification::required;
        o.minimum_version = l.tls->min_version == tls_version::tls_1_3 ? "1.3" : "1.2";
        o.ciphers = l.tls->ciphers;
        o.name_from = l.tls->login_from == tls_login::common_name          ? net::certificate_user::common_name
                      : l.tls->login_from == tls_login::distinguished_name ? net::certificate_user::distinguished_name
                                                                           : net::certificate_user::alternative_name;
        auto context = net::tls_context::load(o);
        if (!context) {
            return fail(std::move(context.error()));
        }
        made.push_back(std::move(*context));
    }
    return made;
}

// Every reactor binds every address; where port 0 was asked for, the first one's port is taken by all.
std::string server::open_listeners(const tls_contexts& tls) {
    for (std::size_t i = 0; i < loaded_.values.listeners.size(); ++i) {
        const auto& l = loaded_.values.listeners[i];
        std::uint16_t port = l.bind.port;
        for (auto& s : shards_) {
            net::listener::options o;
            o.address = l.bind.host;
            o.port = port;
            o.first = &s == &shards_.front();
            o.connections.tls_handshake_timeout = loaded_.values.limits.handshake_timeout_ms * ns_per_ms;
            auto made = std::make_unique<net::listener>(
                *s.reactor, o, admission_, [this, desk = s.desk.get()](session::host& h, core::shard& shard) {
                    return std::make_unique<session::amqp_session>(h, shard, *desk, amqp_);
                });
            if (auto opened = made->open(); !opened) {
                return std::move(opened.error());
            }
            made->set_tls(tls[i]);
            port = made->port();
            s.listeners.push_back(std::move(made));
        }
        bound_.emplace_back(std::string(name(l.protocol)), bracketed(l.bind, port));
    }
    return {};
}

// ---- Running -----------------------------------------------------------------------------------

void server::run() {
    start_threads();
    announce();
    serve_signals();
    drain();
}

void server::start_threads() {
    broker_->hand_over();
    for (auto& s : shards_) {
        for (auto& l : s.listeners) {
            l->start();
        }
        s.thread = std::thread([r = s.reactor.get()] { r->run(); });
    }
}

void server::announce() {
    const auto& c = loaded_.values;
    for (const auto& [protocol, address] : bound_) {
        log::info(here, "listening for {} on {}", protocol, address);
    }
    for (const auto& w : loaded_.warnings) {
        log::warning({.domain = "config"}, "{}", w);
    }
    const auto line = fmt::format("Server startup complete; {} shard{}, {} listener{}", shards_.size(),
                                  shards_.size() == 1 ? "" : "s", bound_.size(), bound_.size() == 1 ? "" : "s");
    log::info(here, "{}", line);
    // Test tools wait for this line on standard output, whatever the log looks like.
    if (c.log.format == log::format::text) {
        std::printf("%s\n", line.c_str());
    } else {
        std::printf("{\"level\":\"info\",\"msg\":\"%s\"}\n", line.c_str());
    }
    std::fflush(stdout);
    notifier_.ready(line);
}

void server::serve_signals() {
    const char* usec = std::getenv("WATCHDOG_USEC");
    const char* pid = std::getenv("WATCHDOG_PID");
    const auto watchdog = watchdog_interval(usec == nullptr ? "" : usec, pid == nullptr ? "" : pid);
    const mono_ns period = watchdog.value_or(3600 * ns_per_s);
    for (;;) {
        const timespec wait{static_cast<time_t>(period / ns_per_s), static_cast<long>(period % ns_per_s)};
        switch (sigtimedwait(&signals_, nullptr, &wait)) {
            case SIGTERM:
            case SIGINT: return;
            case SIGHUP: reload(); break;
            case SIGUSR1:
                if (auto wrong = log::reopen(); !wrong.empty()) {
                    log::error(here, "{}", wrong);
                }
                break;
            default:
                if (watchdog) {
                    // A shard that hangs must not be covered up: ask each, and only then speak.
                    for (auto& s : shards_) {
                        run_on(*s.reactor, [] {});
                    }
                    notifier_.watchdog();
                }
        }
    }
}

// ---- Reloading ---------------------------------------------------------------------------------

void server::reload() {
    notifier_.reloading(clock_.now());
    auto wanted = load(sources_);
    if (!wanted) {
        for (const auto& e : wanted.error()) {
            log::error({.domain = "config"}, "{}", e.text());
        }
        log::error({.domain = "config"}, "nothing was reloaded: the configuration has {} error(s)",
                   wanted.error().size());
    } else if (auto wrong = reload_to(std::move(*wanted)); !wrong.empty()) {
        log::error({.domain = "config"}, "nothing was reloaded: {}", wrong);
    }
    notifier_.ready("serving");
}

// All or nothing: whatever can fail is done before anything takes effect.
std::string server::reload_to(loaded_config wanted) {
    auto tls = load_certificates(wanted.values);
    if (!tls) {
        return std::move(tls.error());
    }
    core::topology_editor scratch;
    if (auto tried = apply_to_topology(scratch, config{}, wanted.values); !tried.problems.empty()) {
        return fmt::format("{}", fmt::join(tried.problems, "; "));
    }
    if (auto wrong = log::configure(log_options_of(wanted.values)); !wrong.empty()) {
        return wrong;
    }
    for (const auto& key : restart_needed(loaded_.values, wanted.values)) {
        log::warning({.domain = "config"}, "{} takes effect at the next start", key);
    }
    verifiers_.reload(wanted.values.users);
    admission_.set_limits(admission_limits(wanted.values));
    run_on(*shards_.front().reactor, [&] {
        shards_.front().reactor->shard().change_topology(
            [before = loaded_.values, now = wanted.values](core::topology_editor& editor) {
                editor.set_limits(topology_limits_of(now));
                return apply_to_topology(editor, before, now).changed_queues;
            });
    });
    const bool same_listeners = tls->size() == shards_.front().listeners.size();
    std::vector<std::string> gone;
    for (const auto& old : loaded_.values.users) {
        if (std::ranges::none_of(wanted.values.users, [&](const auto& u) { return u.name == old.name; })) {
            gone.push_back(old.name);
        }
    }
    for (auto& s : shards_) {
        run_on(*s.reactor, [&] {
            for (std::size_t i = 0; same_listeners && i < s.listeners.size(); ++i) {
                s.listeners[i]->set_tls((*tls)[i]);
            }
            s.reactor->for_each_connection([&](net::connection& c) {
                if (c.session() != nullptr && std::ranges::find(gone, c.session()->user_name()) != gone.end()) {
                    c.session()->on_shutdown("user was deleted");
                }
            });
        });
    }
    loaded_ = std::move(wanted);
    log::info({.domain = "config"}, "reloaded (digest {})", loaded_.digest);
    return {};
}

// ---- Ending ------------------------------------------------------------------------------------

std::uint64_t server::connections_open() const noexcept {
    std::uint64_t sum = 0;
    for (const auto& s : shards_) {
        sum += s.reactor->connection_count();
    }
    return sum;
}

// False when time, or the operator's patience (a second signal), ran out.
bool server::wait_for_connections(mono_ns deadline, bool may_hurry) {
    while (connections_open() != 0) {
        if (clock_.now() >= deadline) {
            return false;
        }
        const timespec moment{0, 5 * ns_per_ms};
        const int s = sigtimedwait(&signals_, nullptr, &moment);
        if (may_hurry && (s == SIGTERM || s == SIGINT)) {
            return false;
        }
    }
    return true;
}

void server::drain() {
    log::info(here, "shutting down: {} connection(s) to close", connections_open());
    notifier_.stopping("draining connections");
    for (auto& s : shards_) {
        run_on(*s.reactor, [&s] {
            for (auto& l : s.listeners) {
                l->close();
            }
            s.reactor->for_each_connection([](net::connection& c) {
                if (c.session() != nullptr) {
                    c.session()->on_shutdown("shutdown");
                } else {
                    c.abort();
                }
            });
        });
    }
    const mono_ns patience = loaded_.values.drain_timeout_ms * ns_per_ms;
    if (!wait_for_connections(clock_.now() + patience, true)) {
        log::warning(here, "{} connection(s) did not close in time", connections_open());
        for (auto& s : shards_) {
            run_on(*s.reactor, [&s] { s.reactor->for_each_connection([](net::connection& c) { c.cut(); }); });
        }
        static_cast<void>(wait_for_connections(clock_.now() + ns_per_s, false));
    }
    settle_rings();
    for (auto& s : shards_) {
        s.reactor->stop();
    }
    for (auto& s : shards_) {
        s.thread.join();
    }
    broker_->hand_over();
    log::info(here, "stopped");
}

// What shards still had to say to each other arrives: an answer may call for an answer, a few times over.
void server::settle_rings() {
    constexpr int rounds = 8;
    for (int i = 0; i < rounds; ++i) {
        for (auto& s : shards_) {
            run_on(*s.reactor, [] {});
        }
    }
}

}  // namespace linnet::app
