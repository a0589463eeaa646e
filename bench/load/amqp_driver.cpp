#include "bench/load/amqp_driver.hpp"

#include "bench/load/amqp_link.hpp"
#include "bench/load/amqp_messages.hpp"
#include "protocol/amqp/table_builder.hpp"

#include <algorithm>
#include <charconv>
#include <sys/epoll.h>

namespace linnet::load {
namespace {

// Numbers and truth values by their looks, as RabbitMQ's tools read them.
void put_argument(amqp::table_builder& table, const std::string& name, const std::string& value) {
    std::int64_t number = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
    if (error == std::errc{} && end == value.data() + value.size()) {
        table.put(name, number);
    } else if (value == "true" || value == "false") {
        table.put(name, value == "true");
    } else {
        table.put(name, std::string_view{value});
    }
}

bool is_predeclared(const std::string& exchange) { return exchange.empty() || exchange.starts_with("amq."); }

}  // namespace

outcome<void> amqp_driver::prepare(const plan& p) {
    auto talk = amqp_dialogue::connect(uri_);
    if (!talk)
        return tl::unexpected{talk.error()};
    broker_ = talk->product();
    auto done = talk->open_channel(1)
                    .and_then([&] { return remove(*talk, p); })
                    .and_then([&] { return declare_exchange(*talk, p); })
                    .and_then([&] { return declare_queues(*talk, p); })
                    .and_then([&] { return bind(*talk, p); });
    talk->close();
    return done;
}

outcome<void> amqp_driver::remove(amqp_dialogue& talk, const plan& p) {
    for (const std::string& queue : p.queues) {
        auto reply = talk.call<amqp::queue_delete_ok>(1, amqp::queue_delete{.queue = queue});
        if (!reply)
            return tl::unexpected{reply.error()};
    }
    if (is_predeclared(p.exchange))
        return {};
    auto reply = talk.call<amqp::exchange_delete_ok>(1, amqp::exchange_delete{.exchange = p.exchange});
    if (!reply)
        return tl::unexpected{reply.error()};
    return {};
}

outcome<void> amqp_driver::declare_exchange(amqp_dialogue& talk, const plan& p) {
    if (is_predeclared(p.exchange))
        return {};
    auto reply = talk.call<amqp::exchange_declare_ok>(
        1, amqp::exchange_declare{.exchange = p.exchange, .type = p.exchange_type});
    if (!reply)
        return tl::unexpected{reply.error()};
    return {};
}

outcome<void> amqp_driver::declare_queues(amqp_dialogue& talk, const plan& p) {
    amqp::table_builder arguments;
    for (const auto& [name, value] : options_.queue_arguments)
        put_argument(arguments, name, value);
    // Quorum queues and streams are durable by nature.
    const bool durable = options_.persistent || arguments.view().contains("x-queue-type");
    for (const std::string& queue : p.queues) {
        auto reply = talk.call<amqp::queue_declare_ok>(
            1, amqp::queue_declare{.queue = queue, .durable = durable, .arguments = arguments.view()});
        if (!reply)
            return tl::unexpected{reply.error()};
    }
    return {};
}

// Without a reply each, but for the last one, which says that all the others are done.
outcome<void> amqp_driver::bind(amqp_dialogue& talk, const plan& p) {
    if (p.exchange.empty() || p.bindings.empty())
        return {};
    const auto request = [&](const binding_plan& each, bool no_wait) {
        return amqp::queue_bind{
            .queue = p.queues[each.queue], .exchange = p.exchange, .routing_key = each.key, .no_wait = no_wait};
    };
    for (auto each = p.bindings.begin(); each + 1 != p.bindings.end(); ++each) {
        talk.send(1, request(*each, true));
        if (!talk.should_flush())
            continue;
        if (auto done = talk.flush(); !done)
            return done;
    }
    auto reply = talk.call<amqp::queue_bind_ok>(1, request(p.bindings.back(), false));
    if (!reply)
        return tl::unexpected{reply.error()};
    return {};
}

outcome<void> amqp_driver::subscribe(amqp_dialogue& talk, const plan& p, const subscription_plan& each,
                                     std::uint16_t channel, unsigned tag) {
    const std::string name = fmt::format("{}", tag);
    auto reply = talk.call<amqp::basic_consume_ok>(
        channel, amqp::basic_consume{.queue = p.queues[each.queue], .consumer_tag = name, .no_ack = options_.auto_ack});
    if (!reply)
        return tl::unexpected{reply.error()};
    return {};
}

outcome<std::unique_ptr<link>> amqp_driver::open(const plan& p, const connection_plan& which, worker_context at) {
    auto talk = amqp_dialogue::connect(uri_);
    if (!talk)
        return tl::unexpected{talk.error()};
    const auto channels = static_cast<std::uint16_t>(which.producers.size() + which.channels);
    for (std::uint16_t c = 1; c <= channels; ++c) {
        if (auto done = talk->open_channel(c); !done)
            return tl::unexpected{done.error()};
    }
    auto made = std::make_unique<amqp_link>(options_, at);
    std::uint16_t channel = 0;
    for (unsigned producer : which.producers) {
        ++channel;
        if (options_.confirm_window != 0) {
            auto reply = talk->call<amqp::confirm_select_ok>(channel, amqp::confirm_select{});
            if (!reply)
                return tl::unexpected{reply.error()};
        }
        made->add_producer(channel, amqp_messages(p, producer, options_, channel, talk->frame_max()),
                           stagger_of(options_, p, producer));
    }
    for (std::uint16_t c = channel + 1U; options_.prefetch != 0 && c <= channels; ++c) {
        auto reply = talk->call<amqp::basic_qos_ok>(c, amqp::basic_qos{.prefetch_count = options_.prefetch});
        if (!reply)
            return tl::unexpected{reply.error()};
    }
    for (std::size_t i = 0; i < which.subscriptions.size(); ++i) {
        const auto on = static_cast<std::uint16_t>(channel + 1 + i % which.channels);
        const unsigned tag = made->add_subscription(on, which.subscriptions[i]);
        if (auto done = subscribe(*talk, p, which.subscriptions[i], on, tag); !done) {
            return tl::unexpected{done.error()};
        }
    }
    std::vector<std::uint8_t> unread;
    const int fd = talk->release(unread);
    made->take_over(fd, std::move(unread));
    return std::unique_ptr<link>{std::move(made)};
}

void amqp_driver::clean_up(const plan& p) noexcept {
    // A broker that has gone away has nothing left to clean up.
    if (auto talk = amqp_dialogue::connect(uri_)) {
        if (talk->open_channel(1) && remove(*talk, p))
            talk->close();
    }
}

}  // namespace linnet::load
