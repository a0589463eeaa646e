// Every method of AMQP 0-9-1 and of RabbitMQ's extensions, and the way from a method frame to its struct.
//
// visit_method compiles into one switch over the id; nothing is stored in a variant and no virtual call is
// made. Both directions are here: a server is sent some of them, a client is sent the others, and each
// refuses by its overloads what it should not be sent.
#pragma once

#include "protocol/amqp/basic_methods.hpp"
#include "protocol/amqp/channel_methods.hpp"
#include "protocol/amqp/connection_methods.hpp"
#include "protocol/amqp/exchange_methods.hpp"
#include "protocol/amqp/hot_methods.hpp"
#include "protocol/amqp/queue_methods.hpp"

#include <optional>

namespace linnet::amqp {

template <method... Methods>
struct method_list {
    static constexpr std::size_t size = sizeof...(Methods);
};

// Those that come once a message stand first.
using all_methods = method_list<
    basic_publish, basic_ack, basic_deliver, basic_nack, basic_reject, connection_start, connection_start_ok,
    connection_secure, connection_secure_ok, connection_tune, connection_tune_ok, connection_open, connection_open_ok,
    connection_close, connection_close_ok, connection_blocked, connection_unblocked, connection_update_secret,
    connection_update_secret_ok, channel_open, channel_open_ok, channel_flow, channel_flow_ok, channel_close,
    channel_close_ok, access_request, access_request_ok, confirm_select, confirm_select_ok, tx_select, tx_select_ok,
    tx_commit, tx_commit_ok, tx_rollback, tx_rollback_ok, exchange_declare, exchange_declare_ok, exchange_delete,
    exchange_delete_ok, exchange_bind, exchange_bind_ok, exchange_unbind, exchange_unbind_ok, queue_declare,
    queue_declare_ok, queue_bind, queue_bind_ok, queue_purge, queue_purge_ok, queue_delete, queue_delete_ok,
    queue_unbind, queue_unbind_ok, basic_qos, basic_qos_ok, basic_consume, basic_consume_ok, basic_cancel,
    basic_cancel_ok, basic_return, basic_get, basic_get_ok, basic_get_empty, basic_recover_async, basic_recover,
    basic_recover_ok>;

// The id that a method frame's payload begins with.
[[nodiscard]] inline decoded<method_id> decode_method_id(wire::bytes_view payload) noexcept {
    if (payload.size() < sizeof(method_id)) [[unlikely]]
        return refused{fault::method_truncated};
    return wire::load<method_id>(payload.data());
}

constexpr bool is_known_class(std::uint16_t number) noexcept {
    return number == 10 || number == 20 || number == 30 || number == 40 || number == 50 || number == 60 ||
           number == 85 || number == 90;
}

// Whether the method is followed by a content header and a body.
constexpr bool carries_content(method_id id) noexcept {
    return id == basic_publish::id || id == basic_deliver::id || id == basic_return::id || id == basic_get_ok::id;
}

namespace detail {

template <class Visitor, method... Methods>
[[nodiscard]] std::optional<fault> visit_one_of(method_list<Methods...>, method_id id, wire::bytes_view arguments,
                                                Visitor& visit) {
    std::optional<fault> failure = is_known_class(class_of(id)) ? fault::method_unknown : fault::class_unknown;
    const auto attempt = [&]<method Method>(std::type_identity<Method>) {
        if (const decoded<Method> m = decode<Method>(arguments); m) [[likely]] {
            failure.reset();
            visit(*m);
        } else {
            failure = m.reason();
        }
        return true;
    };
    (void)((id == Methods::id && attempt(std::type_identity<Methods>{})) || ...);
    return failure;
}

template <method... Methods>
constexpr std::string_view name_one_of(method_list<Methods...>, method_id id) noexcept {
    std::string_view name;
    (void)((id == Methods::id && (name = Methods::name, true)) || ...);
    return name;
}

}  // namespace detail

// Calls visitor(const Method&) for the method that the id names, or returns why that is not possible.
// The struct views `arguments`, which is the payload behind the id.
template <class Visitor>
[[nodiscard]] std::optional<fault> visit_method(method_id id, wire::bytes_view arguments, Visitor&& visitor) {
    return detail::visit_one_of(all_methods{}, id, arguments, visitor);
}

// The same for the whole payload of a method frame.
template <class Visitor>
[[nodiscard]] std::optional<fault> visit_method(wire::bytes_view payload, Visitor&& visitor) {
    const decoded<method_id> id = decode_method_id(payload);
    if (!id)
        return id.reason();
    return visit_method(*id, payload.subspan(sizeof(method_id)), visitor);
}

// "basic.publish"; empty for an id that nobody has defined.
constexpr std::string_view method_name(method_id id) noexcept { return detail::name_one_of(all_methods{}, id); }

}  // namespace linnet::amqp
