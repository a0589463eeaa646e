#include "clients/cli/messaging.hpp"

#include "clients/cli/amqp_client.hpp"
#include "clients/cli/event_stream.hpp"
#include "clients/cli/message_json.hpp"
#include "clients/cli/mqtt_client.hpp"
#include "clients/cli/pause.hpp"
#include "clients/cli/progress.hpp"
#include "protocol/http/base64.hpp"
#include "protocol/http/percent.hpp"

namespace linnet::cli {
namespace {

constexpr auto timeout = std::chrono::milliseconds{10'000};
// How often somebody looks who waits without end.
constexpr auto glance = std::chrono::milliseconds{1'000};

// Counts what was received, and says when it is enough.
class patience {
public:
    explicit patience(const receiving& what) : what_{what} {}

    [[nodiscard]] bool is_over() const noexcept {
        return (what_.count != 0 && taken_ >= what_.count) || (what_.wait.count() != 0 && quiet_ >= what_.wait);
    }
    void came() noexcept {
        ++taken_;
        quiet_ = {};
    }
    void nothing_came(std::chrono::milliseconds for_so_long) noexcept { quiet_ += for_so_long; }
    [[nodiscard]] std::uint64_t left() const noexcept { return what_.count == 0 ? 1'000 : what_.count - taken_; }

private:
    const receiving& what_;
    std::uint64_t taken_ = 0;
    std::chrono::milliseconds quiet_{};
};

// ---- AMQP ------------------------------------------------------------------------------------

// Waits until no more than `open_max` publishes are without a confirm.
result<void> confirmed_down_to(amqp_client& client, std::uint64_t& open, std::uint64_t published,
                               std::uint64_t open_max) {
    while (open > open_max) {
        const auto event = client.next(timeout);
        if (!event) {
            return tl::unexpected{event.error()};
        }
        if (!*event) {
            return fail(exit_code::unreachable, "the broker does not confirm what was published");
        }
        if (const auto* back = std::get_if<amqp_returned>(&**event)) {
            return fail(exit_code::failure, fmt::format("the message reaches no queue: {}", back->why),
                        "`linnet binding ls` shows which keys lead where.");
        }
        if (const auto* confirm = std::get_if<amqp_confirm>(&**event)) {
            if (!confirm->positive) {
                return fail(exit_code::failure, "the broker refused the message");
            }
            open = confirm->multiple ? published - confirm->number : open - 1;
        }
    }
    return {};
}

result<void> publish_amqp(const server_uri& uri, const publishing& what) {
    constexpr std::uint64_t window = 500;
    const auto properties = properties_block(what.properties);
    auto client = properties ? amqp_client::open(uri, timeout)
                             : result<std::unique_ptr<amqp_client>>{tl::unexpected{properties.error()}};
    auto done = client ? (*client)->confirm_publishes() : result<void>{tl::unexpected{client.error()}};
    auto bar = progress{"published", what.bodies.size(), what.quiet};
    auto open = std::uint64_t{0};
    auto published = std::uint64_t{0};
    for (auto body = what.bodies.begin(); done && body != what.bodies.end(); ++body) {
        published = (*client)->publish({what.exchange, what.key, *properties, *body});
        ++open;
        done = confirmed_down_to(**client, open, published, window);
        bar.show(published);
    }
    if (done) {
        done = confirmed_down_to(**client, open, published, 0);
    }
    return done ? (*client)->close() : done;
}

result<void> receive_amqp(const server_uri& uri, const receiving& what,
                          const std::function<void(const received&)>& show) {
    auto client = amqp_client::open(uri, timeout);
    if (!client) {
        return tl::unexpected{client.error()};
    }
    const auto queue = what.queue.empty() ? (*client)->private_queue(what.exchange, what.key)
                                          : result<std::string>{what.queue};
    const auto prefetch = static_cast<std::uint16_t>(what.count == 0 ? 100 : std::min<std::uint64_t>(what.count, 100));
    auto done = queue ? (*client)->consume(*queue, prefetch) : result<void>{tl::unexpected{queue.error()}};
    for (auto wait = patience{what}; done && !wait.is_over();) {
        const auto event = (*client)->next(glance);
        if (!event) {
            return tl::unexpected{event.error()};
        }
        if (!*event) {
            wait.nothing_came(glance);
        } else if (const auto* delivery = std::get_if<amqp_delivery>(&**event)) {
            const auto& message = delivery->message;
            show({{{"exchange", message.exchange},
                   {"routing_key", message.routing_key},
                   {"redelivered", delivery->redelivered},
                   {"properties", properties_json(wire::as_bytes(message.properties))}},
                  message.body});
            (*client)->ack(delivery->tag);
            wait.came();
        }
    }
    return done ? (*client)->close() : done;
}

// ---- MQTT ------------------------------------------------------------------------------------

result<void> publish_mqtt(const server_uri& uri, const publishing& what) {
    auto client = mqtt_client::open(uri, timeout);
    auto done = client ? result<void>{} : result<void>{tl::unexpected{client.error()}};
    auto bar = progress{"published", what.bodies.size(), what.quiet};
    auto published = std::uint64_t{0};
    for (auto body = what.bodies.begin(); done && body != what.bodies.end(); ++body) {
        done = (*client)->publish({what.topic, *body, what.qos, what.retain, 0, what.properties});
        bar.show(++published);
    }
    if (done) {
        (*client)->close();
    }
    return done;
}

result<void> receive_mqtt(const server_uri& uri, const receiving& what,
                          const std::function<void(const received&)>& show) {
    auto client = mqtt_client::open(uri, timeout);
    auto done = client ? (*client)->subscribe(what.topic, what.qos) : result<void>{tl::unexpected{client.error()}};
    for (auto wait = patience{what}; done && !wait.is_over();) {
        const auto message = (*client)->next(glance);
        if (!message) {
            return tl::unexpected{message.error()};
        }
        if (!*message) {
            wait.nothing_came(glance);
            continue;
        }
        show({{{"topic", (*message)->topic},
               {"qos", (*message)->qos},
               {"retain", (*message)->retain},
               {"properties", (*message)->properties}},
              (*message)->payload});
        done = (*client)->acknowledge(**message);
        wait.came();
    }
    if (done) {
        (*client)->close();
    }
    return done;
}

// ---- HTTP ------------------------------------------------------------------------------------

result<void> publish_http(const server_uri& uri, const publishing& what) {
    auto api = management{uri, timeout};
    auto bar = progress{"published", what.bodies.size(), what.quiet};
    auto published = std::uint64_t{0};
    const auto path = api_path(
        {"exchanges", uri.vhost, what.exchange.empty() ? "amq.default" : what.exchange, "publish"});
    for (const auto& body : what.bodies) {
        auto payload = json_value::object();
        add_payload(payload, body);
        const auto answer = api.post(path,
                                     {{"routing_key", what.key},
                                      {"properties", what.properties},
                                      {"payload", payload["payload"]},
                                      {"payload_encoding", payload["payload_encoding"]}},
                                     fmt::format("exchange \"{}\"", what.exchange));
        if (!answer) {
            return tl::unexpected{answer.error()};
        }
        if (!answer->value("routed", false)) {
            return fail(exit_code::failure, "the message reaches no queue",
                        "`linnet binding ls` shows which keys lead where.");
        }
        bar.show(++published);
    }
    return {};
}

// A topic's messages as they come: nothing is kept for whoever listens.
result<void> receive_events(const server_uri& uri, const receiving& what,
                            const std::function<void(const received&)>& show) {
    auto target = std::string{"/v1/"};
    http::append_percent_encoded(target, uri.vhost);
    target += "/events?topic=";
    http::append_percent_encoded(target, what.topic);
    auto events = event_stream::open(uri, target, timeout);
    if (!events) {
        return tl::unexpected{events.error()};
    }
    for (auto wait = patience{what}; !wait.is_over();) {
        const auto event = (*events)->next(glance);
        if (!event) {
            return tl::unexpected{event.error()};
        }
        if (!*event) {
            wait.nothing_came(glance);
            continue;
        }
        show({{{"id", (*event)->id}, {"event", (*event)->name}}, (*event)->data});
        wait.came();
    }
    return {};
}

result<void> receive_http(const server_uri& uri, const receiving& what,
                          const std::function<void(const received&)>& show) {
    auto api = management{uri, timeout};
    for (auto wait = patience{what}; !wait.is_over();) {
        const auto some = api.post(api_path({"queues", uri.vhost, what.queue, "get"}),
                                   {{"count", std::min<std::uint64_t>(wait.left(), 100)},
                                    {"ackmode", "ack_requeue_false"},
                                    {"encoding", "auto"}},
                                   fmt::format("queue \"{}\"", what.queue));
        if (!some) {
            return tl::unexpected{some.error()};
        }
        for (auto each : *some) {
            auto body = each.value("payload", "");
            if (each.value("payload_encoding", "") == "base64") {
                body = http::base64_decoded(body).value_or("");
            }
            for (const auto* name : {"payload", "payload_bytes", "payload_encoding", "message_count"}) {
                each.erase(name);
            }
            show({each, body});
            wait.came();
        }
        if (some->empty()) {
            pause(glance);
            wait.nothing_came(glance);
        }
    }
    return {};
}

}  // namespace

result<void> publish_to(const server_uri& uri, const publishing& what) {
    switch (uri.speaks) {
        case protocol::amqp:
        case protocol::http:
            if (what.exchange.empty() && what.key.empty()) {
                return fail(exit_code::usage, "where to: --exchange and --key, or the --key of a queue");
            }
            return uri.speaks == protocol::amqp ? publish_amqp(uri, what) : publish_http(uri, what);
        case protocol::mqtt:
            if (what.topic.empty() || what.qos > 2) {
                return fail(exit_code::usage, "where to: --topic, with a --qos of 0, 1 or 2");
            }
            return publish_mqtt(uri, what);
    }
    return {};
}

result<void> receive_from(const server_uri& uri, const receiving& what,
                          const std::function<void(const received&)>& show) {
    switch (uri.speaks) {
        case protocol::amqp:
            if (what.queue.empty() == what.exchange.empty()) {
                return fail(exit_code::usage, "where from: a --queue, or an --exchange and --key");
            }
            return receive_amqp(uri, what, show);
        case protocol::http:
            if (what.queue.empty() == what.topic.empty()) {
                return fail(exit_code::usage, "where from: a --queue, or a --topic");
            }
            return what.queue.empty() ? receive_events(uri, what, show) : receive_http(uri, what, show);
        case protocol::mqtt:
            if (what.topic.empty() || what.qos > 2) {
                return fail(exit_code::usage, "where from: --topic, with a --qos of 0, 1 or 2");
            }
            return receive_mqtt(uri, what, show);
    }
    return {};
}

}  // namespace linnet::cli
