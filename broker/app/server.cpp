#include "broker/app/server.hpp"

#include "broker/admin/api_handler.hpp"
#include "broker/admin/metrics_handler.hpp"
#include "broker/app/build_info.hpp"
#include "broker/app/certificate_check.hpp"
#include "broker/app/definitions_import.hpp"
#include "broker/app/descriptors.hpp"
#include "broker/app/memory_limit.hpp"
#include "broker/app/resident_memory.hpp"
#include "broker/app/topology_setup.hpp"
#include "broker/base/log.hpp"
#include "broker/core/control.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/net/connection.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/amqp_session.hpp"
#include "broker/session/http_session.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"
#include "broker/store/aligned_buffer.hpp"
#include "broker/store/swap_file.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <future>
#include <utility>

namespace linnet::app {

namespace {

constexpr log::context as_broker{.domain = "broker"};

// The digest of the definitions that were imported last.
constexpr std::string_view imported_note = "definitions";

// From a shard to the main thread.
constexpr int store_failed_signal = SIGUSR2;

// The store keeps no larger ones (store/record.hpp), properties included.
constexpr std::uint64_t stored_message_bytes_max = std::uint64_t{255} << 20;

// Of a WebSocket; what AMQP and MQTT allow within is bounded by themselves.
constexpr std::uint64_t ws_message_bytes_max = std::uint64_t{1} << 30;

[[nodiscard]] std::uint16_t shard_count(const config& c) {
    const auto wanted = c.shards != 0 ? c.shards : std::max(1U, std::thread::hardware_concurrency());
    return static_cast<std::uint16_t>(std::min<std::uint32_t>(wanted, core::shards_max));
}

[[nodiscard]] session::amqp_settings amqp_settings_of(const config& c) {
    session::amqp_settings s;
    s.frame_max = c.limits.frame_bytes_max;
    s.channel_max = c.limits.channels;
    s.heartbeat_s = static_cast<std::uint16_t>(c.limits.heartbeat_s);
    s.message_bytes_max = c.store.mode == store_mode::memory
                              ? c.limits.message_bytes_max
                              : std::min(c.limits.message_bytes_max, stored_message_bytes_max);
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

[[nodiscard]] session::mqtt_settings mqtt_settings_of(const config& c) {
    const auto& m = c.mqtt;
    session::mqtt_settings s;
    s.exchange = m.exchange;
    s.topic_mode = m.topics == topic_mode::exact ? mqtt::name_mode::exact : mqtt::name_mode::rabbitmq;
    s.vhost = m.vhost;
    s.anonymous_user = m.anonymous_user;
    s.certificates = std::ranges::find(c.auth.mechanisms, auth_mechanism::external) != c.auth.mechanisms.end();
    if (m.anonymous_user == first_user) {
        s.anonymous_password = first_password;
    }
    s.receive_maximum = m.receive_maximum;
    s.inflight_max = m.inflight_max;
    s.topic_alias_maximum = m.topic_alias_maximum;
    s.packet_bytes_max = m.packet_bytes_max;
    s.subscriptions_max = m.subscriptions_max;
    if (m.session_expiry_max_ms != 0) {
        s.session_expiry_max_s = static_cast<std::uint32_t>((m.session_expiry_max_ms + 999) / 1000);
    }
    s.keep_alive_max_s = static_cast<std::uint16_t>((m.keep_alive_max_ms + 999) / 1000);
    s.live_bytes_max = m.live_bytes_max;
    s.shared_expiry_ms = static_cast<std::int64_t>(m.shared_expiry_ms);
    s.forbidden = m.refusal_reasons ? mqtt::reason_code::not_authorized : mqtt::reason_code::unspecified_error;
    for (const auto& v : c.vhosts) {
        if (v.topics != vhost_topic_mode::as_everywhere) {
            s.topic_modes[v.name] = v.topics == vhost_topic_mode::exact ? mqtt::name_mode::exact
                                                                        : mqtt::name_mode::rabbitmq;
        }
    }
    s.handshake_timeout = c.limits.handshake_timeout_ms * ns_per_ms;
    return s;
}

// Null: no tokens are taken.
[[nodiscard]] result<std::shared_ptr<const token_verifier>, std::string> token_verifier_of(const config& c) {
    const auto& t = c.tokens;
    if (t.resource_server.empty()) {
        return std::shared_ptr<const token_verifier>{};
    }
    token_rules rules{.resource_server = t.resource_server,
                      .issuer = t.issuer,
                      .more_scopes = t.more_scopes,
                      .leeway = t.leeway_ms * ns_per_ms,
                      .algorithms = t.algorithms,
                      .keys = {}};
    if (!t.jwks_file.empty()) {
        std::string why;
        const auto text = read_file(t.jwks_file, why);
        auto keys = text ? read_key_set(*text) : result<std::vector<token_key>, std::string>(fail(why));
        if (!keys) {
            return fail(fmt::format("tokens.jwks_file \"{}\": {}", t.jwks_file, keys.error()));
        }
        rules.keys = std::move(*keys);
    }
    if (!t.secret.empty()) {
        rules.keys.push_back(token_key::of_secret(t.secret));
    }
    return std::make_shared<const token_verifier>(std::move(rules));
}

[[nodiscard]] net::admission::limits admission_limits(const config& c) {
    return {c.limits.connections, c.limits.connections_per_address};
}

[[nodiscard]] core::topology_limits topology_limits_of(const config& c) {
    core::topology_limits l;
    if (c.limits.queues != 0) {
        l.queues_per_vhost = c.limits.queues;
    }
    if (c.limits.topic_wildcards != 0) {
        l.roaming_nodes = c.limits.topic_wildcards;
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
    for (const int s : {SIGTERM, SIGINT, SIGHUP, SIGUSR1, store_failed_signal}) {
        sigaddset(&set, s);
    }
    pthread_sigmask(SIG_BLOCK, &set, nullptr);
    std::signal(SIGPIPE, SIG_IGN);
    return set;
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

// Those of whom one of the two says something else, or nothing.
[[nodiscard]] std::vector<std::string> users_whose_rights_differ(const config& a, const config& b) {
    std::vector<std::string> users;
    const auto note_missing = [&](const auto& of, const auto& in) {
        for (const auto& one : of) {
            if (std::ranges::find(in, one) == in.end() && std::ranges::find(users, one.user) == users.end()) {
                users.push_back(one.user);
            }
        }
    };
    note_missing(a.permissions, b.permissions);
    note_missing(b.permissions, a.permissions);
    note_missing(a.topic_permissions, b.topic_permissions);
    note_missing(b.topic_permissions, a.topic_permissions);
    return users;
}

[[nodiscard]] std::string bracketed(const bind_address& a, std::uint16_t port) {
    return a.host.find(':') == std::string::npos ? fmt::format("{}:{}", a.host, port)
                                                 : fmt::format("[{}]:{}", a.host, port);
}

}  // namespace

server::server(loaded_config loaded, config_sources sources, const notifier& n, bool salvage)
    : signals_(block_signals()),
      loaded_(std::move(loaded)),
      started_with_(loaded_.values),
      sources_(std::move(sources)),
      notifier_(n),
      amqp_(amqp_settings_of(loaded_.values)),
      mqtt_(mqtt_settings_of(loaded_.values)),
      sys_({mqtt_.exchange, mqtt_.vhost, version_line()}, *mqtt_.figures),
      admission_(admission_limits(loaded_.values)),
      verifiers_({}, clock_),
      salvage_(salvage) {}

server::~server() {
    verifiers_.stop();  // it calls back into the shards
    for (auto& s : shards_) {
        s.listeners.clear();
    }
    shards_.clear();
}

// ---- Opening -----------------------------------------------------------------------------------

std::optional<open_failure> server::open() {
    raise_descriptor_limit();
    if (auto wrong = log::configure(log_options_of(loaded_.values)); !wrong.empty()) {
        return open_failure{exit_code::failure, {std::move(wrong)}};
    }
    auto tls = load_certificates(loaded_.values);
    if (!tls) {
        return open_failure{exit_code::failure, {std::move(tls.error())}};
    }
    if (auto wrong = open_store()) {
        return wrong;
    }
    if (auto wrong = set_up_topology()) {
        return wrong;
    }
    if (auto wrong = recover()) {
        return wrong;
    }
    if (auto wrong = open_listeners(*tls); !wrong.empty()) {
        return open_failure{exit_code::failure, {std::move(wrong)}};
    }
    const auto& c = loaded_.values;
    if (auto wrong = c.pid_file.empty() ? std::string{} : pid_file_.write(c.pid_file); !wrong.empty()) {
        return open_failure{exit_code::failure, {std::move(wrong)}};
    }
    if (auto wrong = c.ports_file.empty() ? std::string{} : write_file_atomically(c.ports_file, ports_json(bound_));
        !wrong.empty()) {
        return open_failure{exit_code::failure, {std::move(wrong)}};
    }
    return std::nullopt;
}

// ---- The store ---------------------------------------------------------------------------------

std::optional<open_failure> server::open_store() {
    const auto& c = loaded_.values;
    core::broker_options o;
    o.shards = shard_count(c);
    o.readers[static_cast<std::size_t>(core::protocol_tag::amqp091)] = &session::amqp_reader();
    o.readers[static_cast<std::size_t>(core::protocol_tag::mqtt)] = &session::mqtt_reader();
    o.streams = &stream_memory_;
    o.retained_max = c.limits.retained;
    o.clients_max = c.limits.sessions;
    o.recorder_events = c.recorder.events;
    o.memory_high_bytes = resolve(c.memory.budget, memory_available_bytes());
    if (c.store.mode == store_mode::durable) {
        auto opened = data_store::open(c, o.shards, salvage_);
        if (!opened) {
            return std::move(opened.error());
        }
        store_ = std::move(*opened);
        store_->set_memory_budget(o.memory_high_bytes);
        o.logs = store_->logs();
        o.streams = &store_->streams();
        o.log_buffer_bytes = store::aligned_buffer::all_bytes;
        o.on_store_failed = [this](const std::string& complaint) { on_store_failed(complaint); };
    }
    broker_ = std::make_unique<core::broker>(o, clock_);
    make_shards();
    if (store_ == nullptr) {
        fleeting_topology_ = std::make_unique<core::topology_journal>(nullptr, core::topology_replay{});
    } else {
        recovery_progress progress;
        if (auto wrong = store_->open_topology(progress)) {
            return wrong;
        }
        topology().log()->wake_through(shards_.front().reactor->wake_fd());
    }
    broker_->set_keeper(&topology());
    return std::nullopt;
}

core::topology_journal& server::topology() noexcept {
    return store_ != nullptr ? store_->topology() : *fleeting_topology_;
}

// Deep queues' indexes beyond an eighth of the memory budget, all shards' together, leave by a file. Without one they
// stay in memory.
void server::set_index_swap(core::shard& s) {
    constexpr std::uint64_t index_part = 8;
    constexpr std::uint64_t index_bytes_min = 32 << 20;
    if (store_ == nullptr) {
        return;
    }
    const std::uint64_t memory = broker_->options().memory_high_bytes;
    const std::uint64_t budget = memory == 0 ? broker_->shard_count() * index_bytes_min
                                             : std::max(memory / index_part, index_bytes_min);
    auto swap = store::swap_file::open(store_->path(), budget / broker_->shard_count());
    if (!swap) {
        log::warning({.domain = "store"}, "{}", swap.error());
        return;
    }
    s.set_index_swap(std::move(*swap));
}

void server::make_shards() {
    management_ = std::make_unique<admin_services>(loaded_.values, *broker_, verifiers_, clock_, in_service_);
    management_->post = post_to_shard();
    management_->mqtt = &mqtt_;
    if (store_ != nullptr) {
        management_->set_store(*store_);
    }
    std::vector<net::reactor*> reactors;
    for (std::uint16_t i = 0; i < broker_->shard_count(); ++i) {
        shard_parts s;
        s.reactor = std::make_unique<net::reactor>(*broker_, core::shard_id{i});
        set_index_swap(s.reactor->shard());
        s.desk = std::make_unique<login_desk>(*s.reactor, verifiers_);
        s.http = http_settings_of(*s.desk);
        serve_management(s);
        reactors.push_back(s.reactor.get());
        shards_.push_back(std::move(s));
    }
    management_->set_reactors(std::move(reactors));
    serve_messaging();
}

std::optional<open_failure> server::set_up_topology() {
    auto& editor = broker_->editor();
    auto wrong = topology().restore(editor, [this](const core::queue_spec& q) {
        return shards_[q.log % shards_.size()].reactor->shard().restore_queue(q);
    });
    if (!wrong.empty()) {
        return open_failure{exit_code::io_error, std::move(wrong)};
    }
    if (auto streams = store_ == nullptr ? std::nullopt : store_->settle_streams()) {
        return streams;
    }
    editor.set_limits(topology_limits_of(loaded_.values));
    if (auto failed = import_file()) {
        return failed;
    }
    auto configured = configure(editor, topology(), loaded_.values);
    if (!configured.problems.empty()) {
        return open_failure{exit_code::config, std::move(configured.problems)};
    }
    note_changed(configured.changed_queues);
    verifiers_.reload(users_of(topology()));
    auto tokens = token_verifier_of(loaded_.values);
    if (!tokens) {
        return open_failure{exit_code::config, {std::move(tokens.error())}};
    }
    verifiers_.set_tokens(std::move(*tokens));
    broker_->publish_topology();
    return store_ == nullptr ? std::nullopt : store_->settle_topology();
}

// The file of definitions, if it is another than the one that was imported last. The configuration comes before it,
// for it may name users and vhosts that the file refers to, and after it, for it wins.
std::optional<open_failure> server::import_file() {
    const auto& file = loaded_.values.definitions.file;
    if (file.empty()) {
        return std::nullopt;
    }
    std::string why;
    const auto text = read_file(file, why);
    if (!text) {
        return open_failure{exit_code::config, {fmt::format("definitions.file \"{}\" cannot be read: {}", file, why)}};
    }
    const auto digest = sha256_hex(*text);
    if (topology().note(imported_note) == digest) {
        return std::nullopt;
    }
    auto read = read_definitions(*text, {file});
    std::vector<config_error> wrong = read ? std::vector<config_error>{} : std::move(read.error());
    if (read) {
        const auto brings = [&](auto kind) {
            return std::ranges::any_of(*read,
                                       [&](const auto& d) { return std::holds_alternative<decltype(kind)>(d.what); });
        };
        note_changed(configure(broker_->editor(), topology(), loaded_.values,
                               {brings(core::user_definition{}), brings(core::vhost_definition{})})
                         .changed_queues);
        auto done = import_definitions(*read, broker_->editor(), topology(),
                                       [this](core::queue_spec& q) { return new_queue(q); });
        for (const auto& w : done.warnings) {
            log::warning(as_broker, "{}", w);
        }
        note_changed(done.changed);
        wrong = std::move(done.errors);
        log::info(as_broker, "{} definitions of {} imported", wrong.empty() ? read->size() : 0, file);
    }
    if (!wrong.empty()) {
        open_failure failed{exit_code::config, {}};
        for (const auto& e : wrong) {
            failed.lines.push_back(e.text());
        }
        return failed;
    }
    topology().set(core::note_definition{std::string(imported_note), digest});
    return std::nullopt;
}

// As the control would make it: on the shard that its name leads to.
core::queue_handle server::new_queue(core::queue_spec& q) {
    q.uid = q.durable ? topology().next_uid() : topology().next_fleeting_uid();
    q.log = core::home_of(q, broker_->shard_count()).value;
    return shards_[q.log].reactor->shard().restore_queue(q);
}

// Every shard's logs on a thread of their own: reading is what takes the time of a start.
std::optional<open_failure> server::recover() {
    if (store_ == nullptr) {
        return std::nullopt;
    }
    recovery_progress progress;
    std::vector<std::future<std::optional<open_failure>>> at_work;
    for (auto& s : shards_) {
        auto& shard = s.reactor->shard();
        shard.hand_over();
        at_work.push_back(std::async(std::launch::async, [this, &shard, &progress] {
            auto failed = store_->recover(shard, broker_->shard_count(), progress);
            shard.hand_over();
            return failed;
        }));
    }
    std::optional<open_failure> failed;
    for (auto& w : at_work) {
        while (w.wait_for(std::chrono::seconds(1)) != std::future_status::ready) {
            report_recovery(progress);
        }
        if (auto wrong = w.get(); wrong && !failed) {
            failed = std::move(wrong);
        }
    }
    return failed;
}

void server::report_recovery(const recovery_progress& progress) const {
    constexpr double mib = 1024.0 * 1024.0;
    const auto line = fmt::format("recovering: {:.0f} of {:.0f} MiB read", static_cast<double>(progress.done) / mib,
                                  static_cast<double>(progress.total) / mib);
    log::info({.domain = "store"}, "{}", line);
    notifier_.status(line);
    notifier_.extend_timeout(10 * ns_per_s);
}

// Any shard, once.
void server::on_store_failed(const std::string& complaint) {
    store_complaint_ = complaint;
    store_failed_.store(true, std::memory_order_release);
    static_cast<void>(::kill(::getpid(), store_failed_signal));
}

// At once: sessions could only wait for confirms that must not be given, and closing the logs would write more.
void server::give_up() {
    log::error({.domain = "store"}, "{}: nothing more can be made durable, so this ends here", store_complaint_);
    notifier_.stopping("the store failed");
    pid_file_.remove();
    std::_Exit(static_cast<int>(exit_code::io_error));
}

// What MQTT clients can read of the broker: on the first shard, whose turn it is published in.
void server::publish_figures() {
    const mono_ns interval = loaded_.values.mqtt.sys_interval_ms * ns_per_ms;
    if (interval == 0 || (sys_published_ != 0 && clock_.now() - sys_published_ < interval)) {
        return;
    }
    sys_published_ = clock_.now();
    auto& first = *shards_.front().reactor;
    first.post([this, &first] { sys_.publish(first.shard()); });
}

void server::watch_disk() {
    const auto limit = loaded_.values.store.disk_free_limit_bytes;
    auto free = store_ == nullptr ? std::nullopt : store_->free_bytes();
    management_->sample(free.value_or(0));
    free = limit == 0 ? std::nullopt : free;
    // It ends a little later than it began, so that it does not flutter.
    const bool low = free && *free < (disk_low_ ? limit + limit / 10 : limit);
    if (low == disk_low_) {
        return;
    }
    disk_low_ = low;
    if (low) {
        log::warning({.domain = "store"},
                     "{} bytes free on the disk of {}, less than store.disk_free_limit ({}): publishers are blocked",
                     *free, store_->path(), limit);
    } else {
        log::info({.domain = "store"}, "the disk has room again: publishers go on");
    }
    broker_->set_disk_low(low);
}

void server::watch_backup() {
    if (store_ == nullptr || !store_->watch_backup()) {
        return;
    }
    for (auto& s : shards_) {
        s.reactor->post([&shard = s.reactor->shard()] { shard.look_at_logs(); });
    }
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

session::http_settings server::http_settings_of(login_desk& desk) {
    const auto& c = loaded_.values;
    session::http_settings s;
    s.logins = &desk;
    s.certificates = std::ranges::find(c.auth.mechanisms, auth_mechanism::external) != c.auth.mechanisms.end();
    s.origins = c.http.origins;
    s.compress = c.http.compress;
    s.request_timeout = c.limits.handshake_timeout_ms * ns_per_ms;
    s.idle_timeout = c.http.idle_timeout_ms * ns_per_ms;
    s.ping_interval = c.http.ping_interval_ms * ns_per_ms;
    s.ready = [this] { return in_service_.load(std::memory_order_relaxed); };
    session::http_settings::carried over_mqtt;
    over_mqtt.protocols = {"mqtt", "mqttv3.1"};
    over_mqtt.paths = {"/ws/mqtt", "/mqtt", "/ws"};
    over_mqtt.make = [this, &desk](session::host& h, core::shard& shard) {
        return std::make_unique<session::mqtt_session>(h, shard, desk, mqtt_);
    };
    session::http_settings::carried over_amqp;
    over_amqp.protocols = {"amqp"};
    over_amqp.paths = {"/ws/amqp", "/amqp"};
    over_amqp.make = [this, &desk](session::host& h, core::shard& shard) {
        return std::make_unique<session::amqp_session>(h, shard, desk, amqp_);
    };
    // Both cut their own packets; a message may hold many.
    over_mqtt.message_bytes_max = over_amqp.message_bytes_max = ws_message_bytes_max;
    s.websockets = {std::move(over_mqtt), std::move(over_amqp)};
    return s;
}

void server::serve(shard_parts& s, std::string prefix, std::unique_ptr<session::http_handler> h) {
    s.http.handlers.push_back({.prefix = std::move(prefix), .handler = h.get()});
    s.handlers.push_back(std::move(h));
}

void server::serve_messaging() {
    session::http_messaging_settings settings;
    settings.topic_exchange = loaded_.values.mqtt.exchange;
    settings.message_bytes_max = amqp_.message_bytes_max;
    for (auto& s : shards_) {
        auto made = std::make_unique<session::http_messaging>(s.reactor->shard(), settings, messaging_,
                                                              post_to_shard());
        messaging_.push_back(made.get());
        serve(s, "/v1/", std::move(made));
    }
}

// Metrics have a port of their own, without a login: who may reach it is the network's business, as with RabbitMQ.
void server::serve_management(shard_parts& s) {
    auto& shard = s.reactor->shard();
    serve(s, "/api/", std::make_unique<admin::api_handler>(*management_, shard));
    auto metrics = std::make_unique<admin::metrics_handler>(*management_, shard);
    s.metrics.handlers.push_back(
        {.prefix = "/metrics/", .handler = metrics.get(), .who = session::http_settings::access::open});
    s.metrics.ready = s.http.ready;
    s.metrics.request_timeout = s.http.request_timeout;
    s.metrics.idle_timeout = s.http.idle_timeout;
    s.handlers.push_back(std::move(metrics));
}

session::post_to_shard server::post_to_shard() {
    return [this](core::shard_id to, std::function<void()> f) { shards_[to.value].reactor->post(std::move(f)); };
}

net::session_factory server::sessions_of(listener_protocol p, shard_parts& s) {
    switch (in_the_clear(p)) {
        case listener_protocol::mqtt:
        case listener_protocol::mqtts:
            return [this, desk = s.desk.get()](session::host& h, core::shard& shard) {
                return std::make_unique<session::mqtt_session>(h, shard, *desk, mqtt_);
            };
        case listener_protocol::http:
        case listener_protocol::https:
            return [settings = &s.http](session::host& h, core::shard& shard) {
                return std::make_unique<session::http_session>(h, shard, *settings);
            };
        case listener_protocol::metrics:
            return [settings = &s.metrics](session::host& h, core::shard& shard) {
                return std::make_unique<session::http_session>(h, shard, *settings);
            };
        case listener_protocol::amqp:
        case listener_protocol::amqps: break;
    }
    return [this, desk = s.desk.get()](session::host& h, core::shard& shard) {
        return std::make_unique<session::amqp_session>(h, shard, *desk, amqp_);
    };
}

// Every reactor binds every address; where port 0 was asked for, the first one's port is taken by all.
std::string server::open_listeners(const tls_contexts& tls) {
    opened_ = loaded_.values.listeners;
    for (std::size_t i = 0; i < loaded_.values.listeners.size(); ++i) {
        const auto& l = loaded_.values.listeners[i];
        std::uint16_t port = l.bind.port;
        for (auto& s : shards_) {
            net::listener::options o;
            o.address = l.bind.host;
            o.port = port;
            o.first = &s == &shards_.front();
            o.descriptors_kept = descriptors_kept(broker_->options().logs);
            o.connections.tls_handshake_timeout = loaded_.values.limits.handshake_timeout_ms * ns_per_ms;
            auto made = std::make_unique<net::listener>(*s.reactor, o, admission_, sessions_of(l.protocol, s));
            if (auto opened = made->open(); !opened) {
                return std::move(opened.error());
            }
            made->set_tls(tls[i]);
            port = made->port();
            s.listeners.push_back(std::move(made));
        }
        bound_.emplace_back(std::string(name(l.protocol)), bracketed(l.bind, port));
        management_->add_listener(
            {std::string(name(l.protocol)), l.bind.host, port, l.tls ? certificate_ends_s(l.tls->cert_file) : 0});
    }
    return {};
}

// ---- Running -----------------------------------------------------------------------------------

exit_code server::run() {
    start_threads();
    watch_disk();
    announce();
    release_start_memory();
    memory_ = std::make_unique<memory_watch>(*broker_);
    memory_->begin();
    in_service_ = true;
    serve_signals();
    in_service_ = false;
    drain();
    auto wrong = store_ == nullptr ? std::string{} : store_->close();
    if (store_failed_.load(std::memory_order_acquire)) {
        wrong = store_complaint_;
    }
    if (!wrong.empty()) {
        log::error({.domain = "store"}, "{}", wrong);
        return exit_code::io_error;
    }
    log::info(as_broker, "stopped");
    return exit_code::ok;
}

void server::start_threads() {
    broker_->hand_over();
    for (auto& s : shards_) {
        s.thread = std::thread([r = s.reactor.get()] { r->run(); });
    }
    tell_changed_queues();
    finish_transactions();
    for (auto& s : shards_) {
        run_on(*s.reactor, [&s] {
            for (auto& l : s.listeners) {
                l->start();
            }
        });
    }
}

void server::note_changed(const std::vector<core::queue_entry>& queues) {
    for (const auto& q : queues) {
        changed_queues_.push_back(q.handle);
    }
}

// They were made with the settings that the store remembers.
void server::tell_changed_queues() {
    run_on(*shards_.front().reactor, [this] {
        shards_.front().reactor->shard().change_topology(
            [changed = std::move(changed_queues_)](core::topology_editor& editor) {
                std::vector<core::queue_entry> now;
                for (const auto q : changed) {
                    if (const auto* entry = editor.find_queue(q)) {
                        now.push_back(*entry);
                    }
                }
                return now;
            });
    });
}

// What transactions were still to do in other logs when the process before ended. Nobody is let in before that, or they
// would see parts of one.
void server::finish_transactions() {
    if (!broker_->errands_left()) {
        return;
    }
    log::info({.domain = "store"}, "doing what decided transactions had left to do");
    while (broker_->errands_left() && !store_failed_.load(std::memory_order_acquire)) {
        const timespec moment{0, ns_per_ms};
        ::nanosleep(&moment, nullptr);
    }
}

void server::announce() {
    const auto& c = loaded_.values;
    for (const auto& [protocol, address] : bound_) {
        log::info(as_broker, "listening for {} on {}", protocol, address);
    }
    for (const auto& w : loaded_.warnings) {
        log::warning({.domain = "config"}, "{}", w);
    }
    const auto line = fmt::format("Server startup complete; {} shard{}, {} listener{}", shards_.size(),
                                  shards_.size() == 1 ? "" : "s", bound_.size(), bound_.size() == 1 ? "" : "s");
    log::info(as_broker, "{}", line);
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
    const mono_ns period = std::min(watchdog.value_or(ns_per_s), ns_per_s);
    mono_ns spoken = clock_.now();
    mono_ns looked = 0;
    constexpr mono_ns backup_period = 20 * ns_per_ms;
    constexpr mono_ns pressing_period = 100 * ns_per_ms;
    for (;;) {
        const mono_ns pause = store_ != nullptr && store_->backup_pending() ? backup_period
                              : memory_->is_pressing()                      ? std::min(period, pressing_period)
                                                                            : period;
        const timespec wait{static_cast<time_t>(pause / ns_per_s), static_cast<long>(pause % ns_per_s)};
        switch (sigtimedwait(&signals_, nullptr, &wait)) {
            case SIGTERM:
            case SIGINT: return;
            case SIGHUP: reload(); break;
            case SIGUSR1:
                if (auto wrong = log::reopen(); !wrong.empty()) {
                    log::error(as_broker, "{}", wrong);
                }
                break;
            case store_failed_signal:
                if (store_failed_.load(std::memory_order_acquire)) {
                    give_up();
                }
                break;
            default:
                memory_->look(clock_.now());
                watch_backup();
                if (clock_.now() - looked < period) {
                    break;
                }
                looked = clock_.now();
                watch_disk();
                publish_figures();
                if (watchdog && clock_.now() - spoken >= *watchdog) {
                    spoken = clock_.now();
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
    auto tokens = token_verifier_of(wanted.values);
    if (!tokens) {
        return std::move(tokens.error());
    }
    core::topology_editor scratch;
    if (auto tried = apply_to_topology(scratch, config{}, wanted.values); !tried.problems.empty()) {
        return fmt::format("{}", fmt::join(tried.problems, "; "));
    }
    if (auto wrong = log::configure(log_options_of(wanted.values)); !wrong.empty()) {
        return wrong;
    }
    for (const auto& key : restart_needed(started_with_, wanted.values)) {
        log::warning({.domain = "config"}, "{} takes effect at the next start", key);
    }
    admission_.set_limits(admission_limits(wanted.values));
    verifiers_.set_tokens(std::move(*tokens));
    run_on(*shards_.front().reactor, [&] {
        shards_.front().reactor->shard().change_topology([this, now = wanted.values](core::topology_editor& editor) {
            editor.set_limits(topology_limits_of(now));
            auto done = configure(editor, topology(), now);
            verifiers_.reload(users_of(topology()));
            return std::move(done.changed_queues);
        });
    });
    std::vector<std::string> gone;
    for (const auto& old : loaded_.values.users) {
        if (std::ranges::none_of(wanted.values.users, [&](const auto& u) { return u.name == old.name; })) {
            gone.push_back(old.name);
        }
    }
    const auto changed = users_whose_rights_differ(loaded_.values, wanted.values);
    for (auto& s : shards_) {
        run_on(*s.reactor, [&] {
            for (std::size_t i = 0; i < s.listeners.size(); ++i) {
                // By what it was opened as: a socket never becomes one of another kind.
                const auto at = std::ranges::find_if(wanted.values.listeners, [&](const listener_config& l) {
                    return l.protocol == opened_[i].protocol && l.bind == opened_[i].bind;
                });
                if (opened_[i].tls && at != wanted.values.listeners.end() && at->tls) {
                    s.listeners[i]->set_tls((*tls)[static_cast<std::size_t>(at - wanted.values.listeners.begin())]);
                }
            }
            management_->end_connections(s.reactor->shard().id(), gone);
            if (!changed.empty()) {
                management_->rights_changed(s.reactor->shard().id(), changed);
            }
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
    log::info(as_broker, "shutting down: {} connection(s) to close", connections_open());
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
                    c.cut();  // in a handshake, or ending
                }
            });
        });
    }
    const mono_ns patience = loaded_.values.drain_timeout_ms * ns_per_ms;
    if (!wait_for_connections(clock_.now() + patience, true)) {
        log::warning(as_broker, "{} connection(s) did not close in time", connections_open());
        for (auto& s : shards_) {
            run_on(*s.reactor, [&s] { s.reactor->for_each_connection([](net::connection& c) { c.cut(); }); });
        }
        static_cast<void>(wait_for_connections(clock_.now() + ns_per_s, false));
    }
    for (auto& s : shards_) {
        run_on(*s.reactor, [&s] {
            for (auto& h : s.handlers) {
                h->stop();
            }
        });
    }
    settle_rings();
    for (auto& s : shards_) {
        s.reactor->stop();
    }
    for (auto& s : shards_) {
        s.thread.join();
    }
    broker_->hand_over();
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
