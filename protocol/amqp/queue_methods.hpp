// The methods of class queue. reserved_1 is 0-9's ticket: ignored when read, 0 when written.
#pragma once

#include "protocol/amqp/method_codec.hpp"

namespace linnet::amqp {

struct queue_declare {
    static constexpr method_id id = make_method_id(class_id::queue, 10);
    static constexpr std::string_view name = "queue.declare";

    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool passive = false;
    bool durable = false;
    bool exclusive = false;
    bool auto_delete = false;
    bool no_wait = false;
    table_view arguments{};

    static constexpr auto fields = std::tuple{
        &queue_declare::reserved_1, &queue_declare::queue,       &queue_declare::passive, &queue_declare::durable,
        &queue_declare::exclusive,  &queue_declare::auto_delete, &queue_declare::no_wait, &queue_declare::arguments};
};

struct queue_declare_ok {
    static constexpr method_id id = make_method_id(class_id::queue, 11);
    static constexpr std::string_view name = "queue.declare-ok";

    std::string_view queue{};
    std::uint32_t message_count = 0;
    std::uint32_t consumer_count = 0;

    static constexpr auto fields = std::tuple{&queue_declare_ok::queue, &queue_declare_ok::message_count,
                                              &queue_declare_ok::consumer_count};
};

struct queue_bind {
    static constexpr method_id id = make_method_id(class_id::queue, 20);
    static constexpr std::string_view name = "queue.bind";

    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    std::string_view exchange{};
    std::string_view routing_key{};
    bool no_wait = false;
    table_view arguments{};

    static constexpr auto fields = std::tuple{&queue_bind::reserved_1,  &queue_bind::queue,   &queue_bind::exchange,
                                              &queue_bind::routing_key, &queue_bind::no_wait, &queue_bind::arguments};
};

struct queue_bind_ok {
    static constexpr method_id id = make_method_id(class_id::queue, 21);
    static constexpr std::string_view name = "queue.bind-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct queue_purge {
    static constexpr method_id id = make_method_id(class_id::queue, 30);
    static constexpr std::string_view name = "queue.purge";

    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool no_wait = false;

    static constexpr auto fields = std::tuple{&queue_purge::reserved_1, &queue_purge::queue, &queue_purge::no_wait};
};

struct queue_purge_ok {
    static constexpr method_id id = make_method_id(class_id::queue, 31);
    static constexpr std::string_view name = "queue.purge-ok";

    std::uint32_t message_count = 0;

    static constexpr auto fields = std::tuple{&queue_purge_ok::message_count};
};

struct queue_delete {
    static constexpr method_id id = make_method_id(class_id::queue, 40);
    static constexpr std::string_view name = "queue.delete";

    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    bool if_unused = false;
    bool if_empty = false;
    bool no_wait = false;

    static constexpr auto fields = std::tuple{&queue_delete::reserved_1, &queue_delete::queue, &queue_delete::if_unused,
                                              &queue_delete::if_empty, &queue_delete::no_wait};
};

struct queue_delete_ok {
    static constexpr method_id id = make_method_id(class_id::queue, 41);
    static constexpr std::string_view name = "queue.delete-ok";

    std::uint32_t message_count = 0;

    static constexpr auto fields = std::tuple{&queue_delete_ok::message_count};
};

struct queue_unbind {
    static constexpr method_id id = make_method_id(class_id::queue, 50);
    static constexpr std::string_view name = "queue.unbind";

    std::uint16_t reserved_1 = 0;
    std::string_view queue{};
    std::string_view exchange{};
    std::string_view routing_key{};
    table_view arguments{};

    static constexpr auto fields = std::tuple{&queue_unbind::reserved_1, &queue_unbind::queue, &queue_unbind::exchange,
                                              &queue_unbind::routing_key, &queue_unbind::arguments};
};

struct queue_unbind_ok {
    static constexpr method_id id = make_method_id(class_id::queue, 51);
    static constexpr std::string_view name = "queue.unbind-ok";

    static constexpr auto fields = std::tuple<>{};
};

}  // namespace linnet::amqp
