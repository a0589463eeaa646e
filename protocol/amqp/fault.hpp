// Why bytes that a peer has sent are not AMQP, and what to tell the peer.
#pragma once

#include "protocol/amqp/constants.hpp"
#include "protocol/wire/decoded.hpp"

#include <string_view>

namespace linnet::amqp {

enum class fault : std::uint8_t {
    frame_too_large,
    frame_end_missing,
    frame_type_unknown,
    method_truncated,  // a field reaches beyond the end of the frame
    method_overlong,   // bytes are left behind the last field
    method_unknown,    // no such method in a class that we know
    class_unknown,
    table_truncated,  // a length reaches beyond the table or array that contains it
    table_too_deep,
    field_type_unknown,
    header_truncated,  // a content header shorter than its fixed part or its properties
    header_overlong,
    property_unknown,  // a flag that the basic class does not define
};

template <class Value>
using decoded = wire::decoded<Value, fault>;

using refused = wire::malformed<fault>;

// The reply code for it; all of them end the connection. For frames and methods it is RabbitMQ's. On bad
// tables, flags and ids RabbitMQ's parser crashes and its client hears 541: there we give the specification's.
constexpr reply_code reply_code_of(fault why) noexcept {
    switch (why) {
        case fault::frame_too_large:
        case fault::frame_end_missing:
        case fault::frame_type_unknown:
        case fault::method_truncated:
        case fault::method_overlong:
        case fault::header_truncated:
        case fault::header_overlong: return reply_code::frame_error;
        case fault::table_truncated:
        case fault::table_too_deep:
        case fault::field_type_unknown:
        case fault::property_unknown: return reply_code::syntax_error;
        case fault::method_unknown:
        case fault::class_unknown: return reply_code::not_implemented;
    }
    return reply_code::internal_error;
}

constexpr std::string_view describe(fault why) noexcept {
    switch (why) {
        case fault::frame_too_large: return "frame larger than the negotiated frame_max";
        case fault::frame_end_missing: return "frame does not end with 0xCE";
        case fault::frame_type_unknown: return "unknown frame type";
        case fault::method_truncated: return "method shorter than its fields";
        case fault::method_overlong: return "bytes behind the method's last field";
        case fault::method_unknown: return "unknown method";
        case fault::class_unknown: return "unknown class";
        case fault::table_truncated: return "field table or array shorter than its contents";
        case fault::table_too_deep: return "field tables nested too deep";
        case fault::field_type_unknown: return "unknown field type";
        case fault::header_truncated: return "content header shorter than its fields";
        case fault::header_overlong: return "bytes behind the last property";
        case fault::property_unknown: return "unknown property flag";
    }
    return "unknown fault";
}

}  // namespace linnet::amqp
