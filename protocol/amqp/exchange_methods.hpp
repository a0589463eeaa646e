// The methods of class exchange, with RabbitMQ's exchange-to-exchange bindings.
//
// reserved_1 is 0-9's ticket: ignored when read, 0 when written.
#pragma once

#include "protocol/amqp/method_codec.hpp"

namespace linnet::amqp {

struct exchange_declare {
    static constexpr method_id id = make_method_id(class_id::exchange, 10);
    static constexpr std::string_view name = "exchange.declare";

    std::uint16_t reserved_1 = 0;
    std::string_view exchange{};
    std::string_view type{};
    bool passive = false;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    bool no_wait = false;
    table_view arguments{};

    static constexpr auto fields = std::tuple{
        &exchange_declare::reserved_1, &exchange_declare::exchange, &exchange_declare::type,
        &exchange_declare::passive,    &exchange_declare::durable,  &exchange_declare::auto_delete,
        &exchange_declare::internal,   &exchange_declare::no_wait,  &exchange_declare::arguments};
};

struct exchange_declare_ok {
    static constexpr method_id id = make_method_id(class_id::exchange, 11);
    static constexpr std::string_view name = "exchange.declare-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct exchange_delete {
    static constexpr method_id id = make_method_id(class_id::exchange, 20);
    static constexpr std::string_view name = "exchange.delete";

    std::uint16_t reserved_1 = 0;
    std::string_view exchange{};
    bool if_unused = false;
    bool no_wait = false;

    static constexpr auto fields = std::tuple{&exchange_delete::reserved_1, &exchange_delete::exchange,
                                              &exchange_delete::if_unused, &exchange_delete::no_wait};
};

struct exchange_delete_ok {
    static constexpr method_id id = make_method_id(class_id::exchange, 21);
    static constexpr std::string_view name = "exchange.delete-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct exchange_bind {
    static constexpr method_id id = make_method_id(class_id::exchange, 30);
    static constexpr std::string_view name = "exchange.bind";

    std::uint16_t reserved_1 = 0;
    std::string_view destination{};
    std::string_view source{};
    std::string_view routing_key{};
    bool no_wait = false;
    table_view arguments{};

    static constexpr auto fields = std::tuple{&exchange_bind::reserved_1, &exchange_bind::destination,
                                              &exchange_bind::source,     &exchange_bind::routing_key,
                                              &exchange_bind::no_wait,    &exchange_bind::arguments};
};

struct exchange_bind_ok {
    static constexpr method_id id = make_method_id(class_id::exchange, 31);
    static constexpr std::string_view name = "exchange.bind-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct exchange_unbind {
    static constexpr method_id id = make_method_id(class_id::exchange, 40);
    static constexpr std::string_view name = "exchange.unbind";

    std::uint16_t reserved_1 = 0;
    std::string_view destination{};
    std::string_view source{};
    std::string_view routing_key{};
    bool no_wait = false;
    table_view arguments{};

    static constexpr auto fields = std::tuple{&exchange_unbind::reserved_1, &exchange_unbind::destination,
                                              &exchange_unbind::source,     &exchange_unbind::routing_key,
                                              &exchange_unbind::no_wait,    &exchange_unbind::arguments};
};

// 51, not 41: a slip in RabbitMQ's extension that is there to stay.
struct exchange_unbind_ok {
    static constexpr method_id id = make_method_id(class_id::exchange, 51);
    static constexpr std::string_view name = "exchange.unbind-ok";

    static constexpr auto fields = std::tuple<>{};
};

}  // namespace linnet::amqp
