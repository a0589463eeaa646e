// The methods of the small classes: channel, access, confirm and tx.
#pragma once

#include "protocol/amqp/method_codec.hpp"

namespace linnet::amqp {

struct channel_open {
    static constexpr method_id id = make_method_id(class_id::channel, 10);
    static constexpr std::string_view name = "channel.open";

    std::string_view reserved_1{};

    static constexpr auto fields = std::tuple{&channel_open::reserved_1};
};

struct channel_open_ok {
    static constexpr method_id id = make_method_id(class_id::channel, 11);
    static constexpr std::string_view name = "channel.open-ok";

    long_string reserved_1{};

    static constexpr auto fields = std::tuple{&channel_open_ok::reserved_1};
};

struct channel_flow {
    static constexpr method_id id = make_method_id(class_id::channel, 20);
    static constexpr std::string_view name = "channel.flow";

    bool active = false;

    static constexpr auto fields = std::tuple{&channel_flow::active};
};

struct channel_flow_ok {
    static constexpr method_id id = make_method_id(class_id::channel, 21);
    static constexpr std::string_view name = "channel.flow-ok";

    bool active = false;

    static constexpr auto fields = std::tuple{&channel_flow_ok::active};
};

struct channel_close {
    static constexpr method_id id = make_method_id(class_id::channel, 40);
    static constexpr std::string_view name = "channel.close";

    std::uint16_t code = 0;
    std::string_view text{};
    std::uint16_t class_number = 0;
    std::uint16_t method_number = 0;

    static constexpr auto fields = std::tuple{&channel_close::code, &channel_close::text, &channel_close::class_number,
                                              &channel_close::method_number};
};

struct channel_close_ok {
    static constexpr method_id id = make_method_id(class_id::channel, 41);
    static constexpr std::string_view name = "channel.close-ok";

    static constexpr auto fields = std::tuple<>{};
};

// Deprecated with 0-9-1; old clients still ask, and get ticket 1.
struct access_request {
    static constexpr method_id id = make_method_id(class_id::access, 10);
    static constexpr std::string_view name = "access.request";

    std::string_view realm{};
    bool exclusive = false;
    bool passive = false;
    bool active = false;
    bool write = false;
    bool read = false;

    static constexpr auto fields = std::tuple{&access_request::realm,   &access_request::exclusive,
                                              &access_request::passive, &access_request::active,
                                              &access_request::write,   &access_request::read};
};

struct access_request_ok {
    static constexpr method_id id = make_method_id(class_id::access, 11);
    static constexpr std::string_view name = "access.request-ok";

    std::uint16_t ticket = 0;

    static constexpr auto fields = std::tuple{&access_request_ok::ticket};
};

struct confirm_select {
    static constexpr method_id id = make_method_id(class_id::confirm, 10);
    static constexpr std::string_view name = "confirm.select";

    bool no_wait = false;

    static constexpr auto fields = std::tuple{&confirm_select::no_wait};
};

struct confirm_select_ok {
    static constexpr method_id id = make_method_id(class_id::confirm, 11);
    static constexpr std::string_view name = "confirm.select-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct tx_select {
    static constexpr method_id id = make_method_id(class_id::tx, 10);
    static constexpr std::string_view name = "tx.select";

    static constexpr auto fields = std::tuple<>{};
};

struct tx_select_ok {
    static constexpr method_id id = make_method_id(class_id::tx, 11);
    static constexpr std::string_view name = "tx.select-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct tx_commit {
    static constexpr method_id id = make_method_id(class_id::tx, 20);
    static constexpr std::string_view name = "tx.commit";

    static constexpr auto fields = std::tuple<>{};
};

struct tx_commit_ok {
    static constexpr method_id id = make_method_id(class_id::tx, 21);
    static constexpr std::string_view name = "tx.commit-ok";

    static constexpr auto fields = std::tuple<>{};
};

struct tx_rollback {
    static constexpr method_id id = make_method_id(class_id::tx, 30);
    static constexpr std::string_view name = "tx.rollback";

    static constexpr auto fields = std::tuple<>{};
};

struct tx_rollback_ok {
    static constexpr method_id id = make_method_id(class_id::tx, 31);
    static constexpr std::string_view name = "tx.rollback-ok";

    static constexpr auto fields = std::tuple<>{};
};

}  // namespace linnet::amqp
