// The methods of class basic, with RabbitMQ's nack.
//
// reserved_1 is 0-9's ticket (or cluster id): ignored when read, 0 or empty when written.
#pragma once

#include "protocol/amqp/method_codec.hpp"

namespace linnet::amqp {

struct basic_qos {
    static constexpr method_id id = make_method_id(class_id::basic, 10);
    static constexpr std::string_view name = "basic.qos";

    std::uint32_t prefetch_size = 0;
    std::uint16_t prefetch_count = 0;
    bool global = false;

    static constexpr auto fields = std::tuple{&basic_qos::prefetch_size, &basic_qos::prefetch_count,
                                              &basic_qos::global};
};

struct basic_qos_ok {
    static constexpr method_id id = make_method_id(class_id::basic, 11);
    static constexpr std::string_view name = "basic.qos-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct basic_consume {
    static constexpr method_id id = make_method_id(class_id::basic, 20);
    static constexpr std::string_view name = "basic.consume";

    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    std::string_view consumer_tag{};
    bool no_local = false;
    bool no_ack = false;
    bool exclusive = false;
    bool no_wait = false;
    table_view arguments{};

    static constexpr auto fields = std::tuple{
        &basic_consume::reserved_1, &basic_consume::queue,     &basic_consume::consumer_tag, &basic_consume::no_local,
        &basic_consume::no_ack,     &basic_consume::exclusive, &basic_consume::no_wait,      &basic_consume::arguments};
};

struct basic_consume_ok {
    static constexpr method_id id = make_method_id(class_id::basic, 21);
    static constexpr std::string_view name = "basic.consume-ok";

    std::string_view consumer_tag{};

    static constexpr auto fields = std::tuple{&basic_consume_ok::consumer_tag};
};

// From the server, too: the queue is gone (consumer_cancel_notify).
struct basic_cancel {
    static constexpr method_id id = make_method_id(class_id::basic, 30);
    static constexpr std::string_view name = "basic.cancel";

    std::string_view consumer_tag{};
    bool no_wait = false;

    static constexpr auto fields = std::tuple{&basic_cancel::consumer_tag, &basic_cancel::no_wait};
};

struct basic_cancel_ok {
    static constexpr method_id id = make_method_id(class_id::basic, 31);
    static constexpr std::string_view name = "basic.cancel-ok";

    std::string_view consumer_tag{};

    static constexpr auto fields = std::tuple{&basic_cancel_ok::consumer_tag};
};

struct basic_publish {
    static constexpr method_id id = make_method_id(class_id::basic, 40);
    static constexpr std::string_view name = "basic.publish";

    std::uint16_t reserved_1 = 0;
    std::string_view exchange{};
    std::string_view routing_key{};
    bool mandatory = false;
    bool immediate = false;

    static constexpr auto fields = std::tuple{&basic_publish::reserved_1, &basic_publish::exchange,
                                              &basic_publish::routing_key, &basic_publish::mandatory,
                                              &basic_publish::immediate};
};

struct basic_return {
    static constexpr method_id id = make_method_id(class_id::basic, 50);
    static constexpr std::string_view name = "basic.return";

    std::uint16_t code = 0;
    std::string_view text{};
    std::string_view exchange{};
    std::string_view routing_key{};

    static constexpr auto fields = std::tuple{&basic_return::code, &basic_return::text, &basic_return::exchange,
                                              &basic_return::routing_key};
};

struct basic_deliver {
    static constexpr method_id id = make_method_id(class_id::basic, 60);
    static constexpr std::string_view name = "basic.deliver";

    std::string_view consumer_tag{};
    std::uint64_t delivery_tag = 0;
    bool redelivered = false;
    std::string_view exchange{};
    std::string_view routing_key{};

    static constexpr auto fields = std::tuple{&basic_deliver::consumer_tag, &basic_deliver::delivery_tag,
                                              &basic_deliver::redelivered, &basic_deliver::exchange,
                                              &basic_deliver::routing_key};
};

struct basic_get {
    static constexpr method_id id = make_method_id(class_id::basic, 70);
    static constexpr std::string_view name = "basic.get";

    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool no_ack = false;

    static constexpr auto fields = std::tuple{&basic_get::reserved_1, &basic_get::queue, &basic_get::no_ack};
};

struct basic_get_ok {
    static constexpr method_id id = make_method_id(class_id::basic, 71);
    static constexpr std::string_view name = "basic.get-ok";

    std::uint64_t delivery_tag = 0;
    bool redelivered = false;
    std::string_view exchange{};
    std::string_view routing_key{};
    std::uint32_t message_count = 0;

    static constexpr auto fields = std::tuple{&basic_get_ok::delivery_tag, &basic_get_ok::redelivered,
                                              &basic_get_ok::exchange, &basic_get_ok::routing_key,
                                              &basic_get_ok::message_count};
};

struct basic_get_empty {
    static constexpr method_id id = make_method_id(class_id::basic, 72);
    static constexpr std::string_view name = "basic.get-empty";

    std::string_view reserved_1{};

    static constexpr auto fields = std::tuple{&basic_get_empty::reserved_1};
};

// From the server: a publisher confirm.
struct basic_ack {
    static constexpr method_id id = make_method_id(class_id::basic, 80);
    static constexpr std::string_view name = "basic.ack";

    std::uint64_t delivery_tag = 0;
    bool multiple = false;

    static constexpr auto fields = std::tuple{&basic_ack::delivery_tag, &basic_ack::multiple};
};

struct basic_reject {
    static constexpr method_id id = make_method_id(class_id::basic, 90);
    static constexpr std::string_view name = "basic.reject";

    std::uint64_t delivery_tag = 0;
    bool requeue = false;

    static constexpr auto fields = std::tuple{&basic_reject::delivery_tag, &basic_reject::requeue};
};

struct basic_recover_async {
    static constexpr method_id id = make_method_id(class_id::basic, 100);
    static constexpr std::string_view name = "basic.recover-async";

    bool requeue = false;

    static constexpr auto fields = std::tuple{&basic_recover_async::requeue};
};

struct basic_recover {
    static constexpr method_id id = make_method_id(class_id::basic, 110);
    static constexpr std::string_view name = "basic.recover";

    bool requeue = false;

    static constexpr auto fields = std::tuple{&basic_recover::requeue};
};

struct basic_recover_ok {
    static constexpr method_id id = make_method_id(class_id::basic, 111);
    static constexpr std::string_view name = "basic.recover-ok";

    static constexpr auto fields = std::tuple<>{};
};

// RabbitMQ's. From the server: the broker could not take charge of a publish.
struct basic_nack {
    static constexpr method_id id = make_method_id(class_id::basic, 120);
    static constexpr std::string_view name = "basic.nack";

    std::uint64_t delivery_tag = 0;
    bool multiple = false;
    bool requeue = false;

    static constexpr auto fields = std::tuple{&basic_nack::delivery_tag, &basic_nack::multiple, &basic_nack::requeue};
};

}  // namespace linnet::amqp
