#include "clients/cli/amqp_client.hpp"

namespace linnet::cli {
namespace {

constexpr std::uint16_t channel = 1;
constexpr std::size_t gathered_bytes_max = 64 * 1024;

}  // namespace

amqp_client::amqp_client(const server_uri& uri, std::chrono::milliseconds timeout)
    : uri_{uri}, timeout_{timeout}, talk_{uri, std::chrono::steady_clock::now() + timeout} {}

result<std::unique_ptr<amqp_client>> amqp_client::open(const server_uri& uri, std::chrono::milliseconds timeout) {
    auto client = std::unique_ptr<amqp_client>{new amqp_client{uri, timeout}};
    auto& talk = client->talk_;
    if (talk.greet([](const auto&) {}) && talk.login([](const auto&) {}) && talk.send(channel, amqp::channel_open{}) &&
        talk.expect<amqp::channel_open_ok>()) {
        return client;
    }
    const bool refused = talk.failure.why == amqp_failure::kind::refused;
    return fail(refused ? exit_code::auth : exit_code::unreachable,
                fmt::format("{}: {}", uri.text(), talk.failure.text),
                refused ? "" : "Where the broker speaks AMQP is for --amqp-url to say, if it is not the usual port.");
}

tl::unexpected<failure> amqp_client::failed() const {
    const bool refused = talk_.failure.why == amqp_failure::kind::refused;
    return fail(refused ? exit_code::failure : exit_code::unreachable, talk_.failure.text);
}

template <class Reply, class Request, class Visit>
result<void> amqp_client::call(const Request& request, Visit&& visit) {
    fresh_deadline();
    amqp::append_method(out_, channel, request);
    if (auto done = flush(); !done) {
        return done;
    }
    return talk_.expect<Reply>(visit) ? result<void>{} : failed();
}

result<std::uint32_t> amqp_client::count(const std::string& queue) {
    auto found = std::uint32_t{0};
    return call<amqp::queue_declare_ok>(amqp::queue_declare{.queue = queue, .passive = true},
                                        [&](const amqp::queue_declare_ok& ok) { found = ok.message_count; })
        .map([&] { return found; });
}

result<std::string> amqp_client::private_queue(const std::string& exchange, const std::string& key) {
    auto name = std::string{};
    return call<amqp::queue_declare_ok>(amqp::queue_declare{.exclusive = true, .auto_delete = true},
                                        [&](const amqp::queue_declare_ok& ok) { name = ok.queue; })
        .and_then([&] {
            return call<amqp::queue_bind_ok>(amqp::queue_bind{.queue = name, .exchange = exchange, .routing_key = key},
                                             [](const auto&) {});
        })
        .map([&] { return name; });
}

result<void> amqp_client::confirm_publishes() {
    return call<amqp::confirm_select_ok>(amqp::confirm_select{}, [](const auto&) {});
}

result<void> amqp_client::consume(const std::string& queue, std::uint16_t prefetch) {
    return call<amqp::basic_qos_ok>(amqp::basic_qos{.prefetch_count = prefetch}, [](const auto&) {}).and_then([&] {
        return call<amqp::basic_consume_ok>(amqp::basic_consume{.queue = queue}, [](const auto&) {});
    });
}

void amqp_client::get(const std::string& queue) { amqp::append_method(out_, channel, amqp::basic_get{.queue = queue}); }

std::uint64_t amqp_client::publish(const amqp_message& message) {
    const auto method = amqp::basic_publish{
        .exchange = message.exchange, .routing_key = message.routing_key, .mandatory = true};
    const auto properties = message.properties.empty() ? wire::bytes_view{amqp::no_properties}
                                                       : wire::as_bytes(message.properties);
    const auto frame_max = talk_.frame_max() == 0 ? 131'072 : talk_.frame_max();
    amqp::append_content(out_, channel, method, properties, wire::as_bytes(message.body), frame_max);
    return ++published_;
}

void amqp_client::ack(std::uint64_t tag) { amqp::append_method(out_, channel, amqp::basic_ack{tag, false}); }

result<void> amqp_client::flush() {
    fresh_deadline();
    const auto out = std::exchange(out_, {});
    return out.empty() || talk_.write(out) ? result<void>{} : failed();
}

result<std::optional<amqp_event>> amqp_client::next(std::chrono::milliseconds patience) {
    if (!talk_.has_frame() || out_.size() > gathered_bytes_max) {
        if (auto done = flush(); !done) {
            return tl::unexpected{done.error()};
        }
    }
    auto event = std::optional<amqp_event>{};
    while (!event) {
        auto frame = amqp::frame{};
        talk_.wait_until(std::chrono::steady_clock::now() + patience);
        if (!talk_.next_frame(frame)) {
            if (talk_.failure.text == stream::timed_out) {
                talk_.failure = {};
                return event;
            }
            return failed();
        }
        if (frame.type != amqp::frame_type::method) {
            continue;
        }
        const auto fault = amqp::visit_method(frame.payload, [&]<class Method>(const Method& m) {
            if constexpr (std::is_same_v<Method, amqp::basic_deliver> || std::is_same_v<Method, amqp::basic_get_ok>) {
                event = amqp_delivery{
                    m.delivery_tag, m.redelivered, {std::string{m.exchange}, std::string{m.routing_key}, {}, {}}};
            } else if constexpr (std::is_same_v<Method, amqp::basic_get_empty>) {
                event = amqp_empty{};
            } else if constexpr (std::is_same_v<Method, amqp::basic_return>) {
                event = amqp_returned{fmt::format("{} {}", m.code, m.text),
                                      {std::string{m.exchange}, std::string{m.routing_key}, {}, {}}};
            } else if constexpr (std::is_same_v<Method, amqp::basic_ack>) {
                event = amqp_confirm{m.delivery_tag, m.multiple, true};
            } else if constexpr (std::is_same_v<Method, amqp::basic_nack>) {
                event = amqp_confirm{m.delivery_tag, m.multiple, false};
            } else if constexpr (std::is_same_v<Method, amqp::basic_cancel>) {
                talk_.failure = {amqp_failure::kind::refused, "the queue is gone"};
            } else if constexpr (std::is_same_v<Method, amqp::channel_close> ||
                                 std::is_same_v<Method, amqp::connection_close>) {
                talk_.failure = {amqp_failure::kind::refused, fmt::format("{} {}", m.code, m.text)};
            }
        });
        if (fault) {
            talk_.refuse(std::string{amqp::describe(*fault)});
        }
        if (!talk_.failure.text.empty()) {
            return failed();
        }
    }
    auto* delivery = std::get_if<amqp_delivery>(&*event);
    auto* returned = std::get_if<amqp_returned>(&*event);
    if (delivery != nullptr || returned != nullptr) {
        if (auto done = content(delivery != nullptr ? delivery->message : returned->message); !done) {
            return tl::unexpected{done.error()};
        }
    }
    return event;
}

// The header and body frames behind a delivery or a returned message.
result<void> amqp_client::content(amqp_message& message) {
    fresh_deadline();
    auto frame = amqp::frame{};
    if (!talk_.next_frame(frame)) {
        return failed();
    }
    const auto header = amqp::decode_content_header(frame.payload);
    if (frame.type != amqp::frame_type::header || !header) {
        talk_.refuse("the broker sent a message without a header");
        return failed();
    }
    message.properties = wire::as_text(header->properties);
    const auto size = header->body_size;
    while (message.body.size() < size) {
        if (!talk_.next_frame(frame)) {
            return failed();
        }
        if (frame.type != amqp::frame_type::body || frame.payload.empty()) {
            talk_.refuse("the broker sent a message whose body does not come");
            return failed();
        }
        message.body += wire::as_text(frame.payload);
    }
    return {};
}

result<void> amqp_client::close() {
    if (auto done = flush(); !done) {
        return done;
    }
    return talk_.leave() ? result<void>{} : failed();
}

}  // namespace linnet::cli
