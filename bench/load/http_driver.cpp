#include "bench/load/http_driver.hpp"

#include "bench/load/format.hpp"
#include "bench/load/http_link.hpp"
#include "bench/load/http_messages.hpp"
#include "bench/load/http_words.hpp"
#include "bench/load/sse_link.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

namespace linnet::load {
namespace {

using http::method;

bool is_predeclared(const std::string& exchange) { return exchange.empty() || exchange.starts_with("amq."); }

outcome<void> done_with(const outcome<http_dialogue::answer>& a, std::string_view what) {
    if (!a)
        return tl::unexpected{a.error()};
    if (!a->is_good())
        return failure("{}: answered {}: {}", what, a->code, a->body);
    return {};
}

outcome<void> removed(const outcome<http_dialogue::answer>& a, std::string_view what) {
    return a && a->code == 404 ? outcome<void>{} : done_with(a, what);
}

// Numbers and truth values by their looks, as RabbitMQ's tools read them.
std::string argument_json(const std::string& value) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    const bool is_number = error == std::errc{} && end == value.data() + value.size();
    return is_number || value == "true" || value == "false" ? value : json_text(value);
}

// The value of a member of JSON that holds no escapes.
std::string text_member(std::string_view json, std::string_view name) {
    const std::string head = fmt::format("\"{}\":\"", name);
    const std::size_t found = json.find(head);
    if (found == json.npos)
        return {};
    const std::string_view value = json.substr(found + head.size());
    return std::string{value.substr(0, value.find('"'))};
}

}  // namespace

// What a reader reads, and what is posted where nobody reads.
bool http_driver::declares() const noexcept {
    return !options_.post_to.starts_with('/') && options_.events_at.empty() && !options_.reads_topics();
}

outcome<void> http_driver::prepare(const plan& p) {
    auto talk = http_dialogue::connect(uri_);
    if (!talk)
        return tl::unexpected{talk.error()};
    auto done = learn_name(*talk);
    if (done && declares()) {
        done = remove(*talk, p).and_then([&] { return declare(*talk, p); }).and_then([&] { return bind(*talk, p); });
    }
    talk->close();
    return done;
}

outcome<void> http_driver::learn_name(http_dialogue& talk) {
    const auto overview = talk.ask(method::get, "/api/overview");
    if (!overview)
        return tl::unexpected{overview.error()};
    const std::string product = text_member(overview->body, "product_name");
    if (overview->is_good() && !product.empty())
        broker_ = fmt::format("{} {}", product, text_member(overview->body, "product_version"));
    else
        broker_ = overview->server.empty() ? "HTTP server" : overview->server;
    return {};
}

outcome<void> http_driver::remove(http_dialogue& talk, const plan& p) {
    for (const std::string& queue : p.queues) {
        const std::string path = path_of("/api/queues", {uri_.vhost, queue});
        if (auto done = removed(talk.ask(method::delete_, path), path); !done)
            return done;
    }
    if (is_predeclared(p.exchange))
        return {};
    const std::string path = path_of("/api/exchanges", {uri_.vhost, p.exchange});
    return removed(talk.ask(method::delete_, path), path);
}

outcome<void> http_driver::declare(http_dialogue& talk, const plan& p) {
    if (!is_predeclared(p.exchange)) {
        const std::string path = path_of("/api/exchanges", {uri_.vhost, p.exchange});
        const std::string type = fmt::format(R"({{"type":{}}})", json_text(p.exchange_type));
        if (auto done = done_with(talk.ask(method::put, path, type), path); !done)
            return done;
    }
    const std::string body = queue_json();
    for (const std::string& queue : p.queues) {
        const std::string path = path_of("/api/queues", {uri_.vhost, queue});
        if (auto done = done_with(talk.ask(method::put, path, body), path); !done)
            return done;
    }
    return {};
}

outcome<void> http_driver::bind(http_dialogue& talk, const plan& p) {
    if (p.exchange.empty())
        return {};
    for (const binding_plan& each : p.bindings) {
        const std::string path = path_of("/api/bindings", {uri_.vhost, "e", p.exchange, "q", p.queues[each.queue]});
        const std::string key = fmt::format(R"({{"routing_key":{}}})", json_text(each.key));
        if (auto done = done_with(talk.ask(method::post, path, key), path); !done)
            return done;
    }
    return {};
}

std::string http_driver::queue_json() const {
    auto arguments = options_.queue_arguments;
    if (options_.consumers != 0 && options_.reads == event_source::stream)
        arguments.emplace_back("x-queue-type", "stream");
    // Quorum queues and streams are durable by nature.
    const bool durable = options_.persistent || std::any_of(arguments.begin(), arguments.end(),
                                                            [](const auto& a) { return a.first == "x-queue-type"; });
    std::string list;
    const char* comma = "";
    for (const auto& [name, value] : arguments)
        list += fmt::format("{}{}:{}", std::exchange(comma, ","), json_text(name), argument_json(value));
    return fmt::format(R"({{"durable":{},"auto_delete":false,"arguments":{{{}}}}})", durable, list);
}

outcome<std::unique_ptr<link>> http_driver::open(const plan& p, const connection_plan& which, worker_context at) {
    if (!which.producers.empty())
        return open_producer(p, which.producers.front(), at);
    return open_reader(p, which.subscriptions.front(), at);
}

outcome<std::unique_ptr<link>> http_driver::open_producer(const plan& p, unsigned producer, worker_context at) {
    auto talk = http_dialogue::connect(uri_);
    if (!talk)
        return tl::unexpected{talk.error()};
    auto made = std::make_unique<http_link>(options_, at);
    made->add_producer(http_messages(p, producer, options_, uri_), stagger_of(options_, p, producer));
    std::vector<std::uint8_t> unread;
    const int fd = talk->release(unread);
    made->take_over(fd, std::move(unread));
    return std::unique_ptr<link>{std::move(made)};
}

outcome<std::unique_ptr<link>> http_driver::open_reader(const plan& p, const subscription_plan& which,
                                                        worker_context at) {
    auto talk = http_dialogue::connect(uri_);
    if (!talk)
        return tl::unexpected{talk.error()};
    if (auto done = talk->open_events(events_target(options_, uri_, p.queues[which.queue])); !done)
        return tl::unexpected{done.error()};
    auto made = std::make_unique<sse_link>(options_, at);
    made->add_reader(which);
    std::vector<std::uint8_t> unread;
    const int fd = talk->release(unread);
    made->take_over(fd, std::move(unread));
    return std::unique_ptr<link>{std::move(made)};
}

void http_driver::clean_up(const plan& p) noexcept {
    if (!declares())
        return;
    // A broker that has gone away has nothing left to clean up.
    if (auto talk = http_dialogue::connect(uri_))
        (void)remove(*talk, p);
}

}  // namespace linnet::load
