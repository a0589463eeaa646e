#include "broker/session/amqp_reply_text.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

// What Erlang shows as text: printable Latin-1 and the common escapes.
bool is_printable(std::uint8_t c) noexcept {
    return (c >= 32 && c < 127) || c >= 160 || (c >= 8 && c <= 13) || c == 27;
}

}  // namespace

std::string reply_text(amqp::reply_code code, std::string_view text) {
    auto full = std::string(amqp::reply_name(code));
    if (!text.empty()) {
        full += " - ";
        full += text;
    }
    constexpr std::size_t bytes_max = 255;
    constexpr std::string_view ellipsis = "...";
    if (full.size() > bytes_max) {
        full.resize(bytes_max - ellipsis.size());
        full += ellipsis;
    }
    return full;
}

std::string erlang_binary(wire::bytes_view bytes) {
    // More than a reply text can hold is not worth rendering.
    bytes = bytes.first(std::min<std::size_t>(bytes.size(), 256));
    if (bytes.empty()) {
        return "<<>>";
    }
    if (std::ranges::all_of(bytes, is_printable)) {
        return fmt::format("<<\"{}\">>", wire::as_text(bytes));
    }
    return fmt::format("<<{}>>", fmt::join(bytes, ","));
}

amqp::reply_code reply_code_of(core::error_kind kind) noexcept {
    switch (kind) {
        case core::error_kind::not_found: return amqp::reply_code::not_found;
        case core::error_kind::access_refused: return amqp::reply_code::access_refused;
        case core::error_kind::precondition_failed: return amqp::reply_code::precondition_failed;
        case core::error_kind::resource_locked: return amqp::reply_code::resource_locked;
        case core::error_kind::not_allowed: return amqp::reply_code::not_allowed;
        case core::error_kind::command_invalid: return amqp::reply_code::command_invalid;
        case core::error_kind::quota_exceeded: return amqp::reply_code::precondition_failed;
        case core::error_kind::resource_error: return amqp::reply_code::resource_error;
        case core::error_kind::not_implemented: return amqp::reply_code::not_implemented;
        case core::error_kind::internal: return amqp::reply_code::internal_error;
    }
    return amqp::reply_code::internal_error;
}

std::string_view erlang_type(core::value_type type) noexcept {
    switch (type) {
        case core::value_type::nothing: return "void";
        case core::value_type::boolean: return "bool";
        case core::value_type::int8: return "byte";
        case core::value_type::uint8: return "unsignedbyte";
        case core::value_type::int16: return "short";
        case core::value_type::uint16: return "unsignedshort";
        case core::value_type::int32: return "signedint";
        case core::value_type::uint32: return "unsignedint";
        case core::value_type::int64:
        case core::value_type::uint64: return "long";
        case core::value_type::float32: return "float";
        case core::value_type::float64: return "double";
        case core::value_type::decimal: return "decimal";
        case core::value_type::string: return "longstr";
        case core::value_type::bytes: return "binary";
        case core::value_type::timestamp: return "timestamp";
        case core::value_type::array: return "array";
        case core::value_type::table: return "table";
    }
    return "void";
}

}  // namespace linnet::session
