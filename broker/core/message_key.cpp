#include "broker/core/message_key.hpp"

#include "broker/core/property_reader.hpp"

#include <charconv>
#include <cmath>
#include <limits>

namespace linnet::core {

namespace {

[[nodiscard]] std::int64_t milliseconds_in(const value& v) {
    if (const auto* number = v.as_integer()) {
        return *number;
    }
    if (const auto* text = v.as_string()) {
        std::int64_t number = 0;
        const auto [end, bad] = std::from_chars(text->data(), text->data() + text->size(), number);
        return bad == std::errc{} && end == text->data() + text->size() ? number : 0;
    }
    const auto* real = std::get_if<double>(&v.data);
    return real != nullptr && std::abs(*real) < 1e15 ? std::llround(*real) : 0;
}

[[nodiscard]] std::optional<std::string> unless_empty(std::string text) {
    return text.empty() ? std::nullopt : std::optional(std::move(text));
}

}  // namespace

std::optional<std::string> header_text(const message& m, std::string_view header, const property_reader* reader) {
    const auto v = reader == nullptr ? std::nullopt : reader->header(m.properties(), header);
    if (!v) {
        return std::nullopt;
    }
    if (const auto* text = v->as_string()) {
        return unless_empty(*text);
    }
    if (const auto* truth = v->as_bool()) {
        return *truth ? "true" : "false";
    }
    if (const auto* number = v->as_integer()) {
        return std::to_string(*number);
    }
    return std::nullopt;
}

std::optional<std::string> dedup_key(const message& m, std::string_view header, const property_reader* reader) {
    if (!header.empty()) {
        return header_text(m, header, reader);
    }
    return reader == nullptr ? std::nullopt : unless_empty(reader->message_id(m.properties()));
}

mono_ns delay_asked(const property_reader* reader, std::span<const std::uint8_t> properties) {
    const auto header = reader == nullptr ? std::nullopt : reader->header(properties, "x-delay");
    const std::int64_t ms = header ? milliseconds_in(*header) : 0;
    return ms > 0 && ms <= std::numeric_limits<std::uint32_t>::max() ? ms * ns_per_ms : 0;
}

std::optional<std::string> group_key(const message& m, std::string_view by, const property_reader* reader) {
    if (by == "routing-key") {
        return std::string(m.routing_key());
    }
    if (by == "correlation-id") {
        return reader == nullptr ? std::nullopt : unless_empty(reader->correlation_id(m.properties()));
    }
    return header_text(m, by, reader);
}

}  // namespace linnet::core
