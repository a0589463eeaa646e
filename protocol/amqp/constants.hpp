// The numbers of AMQP 0-9-1, with RabbitMQ's extensions and RabbitMQ's names for its replies.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace linnet::amqp {

// What a client says first, and what the server answers to a client that says something else.
inline constexpr std::array<std::uint8_t, 8> protocol_header{'A', 'M', 'Q', 'P', 0, 0, 9, 1};

enum class frame_type : std::uint8_t { method = 1, header = 2, body = 3, heartbeat = 8 };

inline constexpr std::uint8_t frame_end = 0xCE;
inline constexpr std::size_t frame_header_bytes = 7;
inline constexpr std::size_t frame_overhead_bytes = frame_header_bytes + 1;
inline constexpr std::uint32_t frame_min_size = 4096;

enum class class_id : std::uint16_t {
    connection = 10,
    channel = 20,
    access = 30,
    exchange = 40,
    queue = 50,
    basic = 60,
    confirm = 85,
    tx = 90,
};

// Class and method in one number, as they follow one another on the wire.
using method_id = std::uint32_t;

constexpr method_id make_method_id(std::uint16_t class_number, std::uint16_t method_number) noexcept {
    return std::uint32_t{class_number} << 16 | method_number;
}
constexpr method_id make_method_id(class_id cls, std::uint16_t method_number) noexcept {
    return make_method_id(static_cast<std::uint16_t>(cls), method_number);
}
constexpr std::uint16_t class_of(method_id id) noexcept { return static_cast<std::uint16_t>(id >> 16); }
constexpr std::uint16_t method_of(method_id id) noexcept { return static_cast<std::uint16_t>(id); }

enum class reply_code : std::uint16_t {
    success = 200,
    content_too_large = 311,
    no_route = 312,
    no_consumers = 313,
    connection_forced = 320,
    invalid_path = 402,
    access_refused = 403,
    not_found = 404,
    resource_locked = 405,
    precondition_failed = 406,
    frame_error = 501,
    syntax_error = 502,
    command_invalid = 503,
    channel_error = 504,
    unexpected_frame = 505,
    resource_error = 506,
    not_allowed = 530,
    not_implemented = 540,
    internal_error = 541,
};

// How RabbitMQ's reply texts begin ("NOT_FOUND - no queue ..."); client suites match on it.
constexpr std::string_view reply_name(reply_code code) noexcept {
    switch (code) {
        case reply_code::success: return "OK";
        case reply_code::content_too_large: return "CONTENT_TOO_LARGE";
        case reply_code::no_route: return "NO_ROUTE";
        case reply_code::no_consumers: return "NO_CONSUMERS";
        case reply_code::connection_forced: return "CONNECTION_FORCED";
        case reply_code::invalid_path: return "INVALID_PATH";
        case reply_code::access_refused: return "ACCESS_REFUSED";
        case reply_code::not_found: return "NOT_FOUND";
        case reply_code::resource_locked: return "RESOURCE_LOCKED";
        case reply_code::precondition_failed: return "PRECONDITION_FAILED";
        case reply_code::frame_error: return "FRAME_ERROR";
        case reply_code::syntax_error: return "SYNTAX_ERROR";
        case reply_code::command_invalid: return "COMMAND_INVALID";
        case reply_code::channel_error: return "CHANNEL_ERROR";
        case reply_code::unexpected_frame: return "UNEXPECTED_FRAME";
        case reply_code::resource_error: return "RESOURCE_ERROR";
        case reply_code::not_allowed: return "NOT_ALLOWED";
        case reply_code::not_implemented: return "NOT_IMPLEMENTED";
        case reply_code::internal_error: return "INTERNAL_ERROR";
    }
    return "UNKNOWN";
}

// The specification's "hard" errors end the connection, the others only the channel.
constexpr bool ends_connection(reply_code code) noexcept {
    const auto number = static_cast<std::uint16_t>(code);
    return code == reply_code::connection_forced || code == reply_code::invalid_path || number >= 500;
}

}  // namespace linnet::amqp
