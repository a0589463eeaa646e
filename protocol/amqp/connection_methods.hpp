// The methods of class connection, as the specification lists them, with RabbitMQ's additions.
#pragma once

#include "protocol/amqp/method_codec.hpp"

namespace linnet::amqp {

struct connection_start {
    static constexpr method_id id = make_method_id(class_id::connection, 10);
    static constexpr std::string_view name = "connection.start";

    std::uint8_t version_major = 0;
    std::uint8_t version_minor = 0;
    table_view server_properties{};
    long_string mechanisms{};
    long_string locales{};

    static constexpr auto fields = std::tuple{&connection_start::version_major, &connection_start::version_minor,
                                              &connection_start::server_properties, &connection_start::mechanisms,
                                              &connection_start::locales};
};

struct connection_start_ok {
    static constexpr method_id id = make_method_id(class_id::connection, 11);
    static constexpr std::string_view name = "connection.start-ok";

    table_view client_properties{};
    std::string_view mechanism{};
    long_string response{};
    std::string_view locale{};

    static constexpr auto fields = std::tuple{&connection_start_ok::client_properties, &connection_start_ok::mechanism,
                                              &connection_start_ok::response, &connection_start_ok::locale};
};

struct connection_secure {
    static constexpr method_id id = make_method_id(class_id::connection, 20);
    static constexpr std::string_view name = "connection.secure";

    long_string challenge{};

    static constexpr auto fields = std::tuple{&connection_secure::challenge};
};

struct connection_secure_ok {
    static constexpr method_id id = make_method_id(class_id::connection, 21);
    static constexpr std::string_view name = "connection.secure-ok";

    long_string response{};

    static constexpr auto fields = std::tuple{&connection_secure_ok::response};
};

struct connection_tune {
    static constexpr method_id id = make_method_id(class_id::connection, 30);
    static constexpr std::string_view name = "connection.tune";

    std::uint16_t channel_max = 0;
    std::uint32_t frame_max = 0;
    std::uint16_t heartbeat = 0;

    static constexpr auto fields = std::tuple{&connection_tune::channel_max, &connection_tune::frame_max,
                                              &connection_tune::heartbeat};
};

struct connection_tune_ok {
    static constexpr method_id id = make_method_id(class_id::connection, 31);
    static constexpr std::string_view name = "connection.tune-ok";

    std::uint16_t channel_max = 0;
    std::uint32_t frame_max = 0;
    std::uint16_t heartbeat = 0;

    static constexpr auto fields = std::tuple{&connection_tune_ok::channel_max, &connection_tune_ok::frame_max,
                                              &connection_tune_ok::heartbeat};
};

struct connection_open {
    static constexpr method_id id = make_method_id(class_id::connection, 40);
    static constexpr std::string_view name = "connection.open";

    std::string_view virtual_host{};
    std::string_view reserved_1{};
    bool reserved_2 = false;

    static constexpr auto fields = std::tuple{&connection_open::virtual_host, &connection_open::reserved_1,
                                              &connection_open::reserved_2};
};

struct connection_open_ok {
    static constexpr method_id id = make_method_id(class_id::connection, 41);
    static constexpr std::string_view name = "connection.open-ok";

    std::string_view reserved_1{};

    static constexpr auto fields = std::tuple{&connection_open_ok::reserved_1};
};

// The code, and the method that provoked it (or 0, 0).
struct connection_close {
    static constexpr method_id id = make_method_id(class_id::connection, 50);
    static constexpr std::string_view name = "connection.close";

    std::uint16_t code = 0;
    std::string_view text{};
    std::uint16_t class_number = 0;
    std::uint16_t method_number = 0;

    static constexpr auto fields = std::tuple{&connection_close::code, &connection_close::text,
                                              &connection_close::class_number, &connection_close::method_number};
};

struct connection_close_ok {
    static constexpr method_id id = make_method_id(class_id::connection, 51);
    static constexpr std::string_view name = "connection.close-ok";

    static constexpr auto fields = std::tuple<>{};
};

// RabbitMQ's: the server has stopped reading from publishers.
struct connection_blocked {
    static constexpr method_id id = make_method_id(class_id::connection, 60);
    static constexpr std::string_view name = "connection.blocked";

    std::string_view reason{};

    static constexpr auto fields = std::tuple{&connection_blocked::reason};
};

struct connection_unblocked {
    static constexpr method_id id = make_method_id(class_id::connection, 61);
    static constexpr std::string_view name = "connection.unblocked";

    static constexpr auto fields = std::tuple<>{};
};

// RabbitMQ's: a client renews a token before it expires.
struct connection_update_secret {
    static constexpr method_id id = make_method_id(class_id::connection, 70);
    static constexpr std::string_view name = "connection.update-secret";

    long_string new_secret{};
    std::string_view reason{};

    static constexpr auto fields = std::tuple{&connection_update_secret::new_secret, &connection_update_secret::reason};
};

struct connection_update_secret_ok {
    static constexpr method_id id = make_method_id(class_id::connection, 71);
    static constexpr std::string_view name = "connection.update-secret-ok";

    static constexpr auto fields = std::tuple<>{};
};

}  // namespace linnet::amqp
