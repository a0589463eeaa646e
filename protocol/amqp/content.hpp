// What travels between a method that carries content and its body: the content header and its properties.
//
//     class (2) | weight (2) | body size (8) | flags (2, more if a flag says so) | the values that they announce
//
// The broker keeps a publisher's property block as the bytes it came in and hands it on verbatim. Two
// readings of that block: property_summary, what routing and queueing need, in one pass without a
// branch that the usual block does not take; and basic_properties_view, every property by name.
//
// Owns:     nothing; everything here views the payload of the header frame.
// Fails:    header_truncated, header_overlong, property_unknown, and what the headers table can fail with.
#pragma once

#include "protocol/amqp/field_table.hpp"

#include <array>
#include <bit>

namespace linnet::amqp {

struct content_header {
    std::uint16_t class_number = 0;
    std::uint16_t weight = 0;
    std::uint64_t body_size = 0;
    wire::bytes_view properties{};  // flags and values
};

inline constexpr std::size_t content_header_fixed_bytes = 12;

[[nodiscard]] inline decoded<content_header> decode_content_header(wire::bytes_view payload) noexcept {
    // Flags are always there, even if no property is.
    if (payload.size() < content_header_fixed_bytes + 2) [[unlikely]]
        return refused{fault::header_truncated};
    return content_header{.class_number = wire::load<std::uint16_t>(&payload[0]),
                          .weight = wire::load<std::uint16_t>(&payload[2]),
                          .body_size = wire::load<std::uint64_t>(&payload[4]),
                          .properties = payload.subspan(content_header_fixed_bytes)};
}

// In the order of their values; the first has the highest flag.
enum class property : std::uint8_t {
    content_type,
    content_encoding,
    headers,
    delivery_mode,
    priority,
    correlation_id,
    reply_to,
    expiration,
    message_id,
    timestamp,
    type,
    user_id,
    app_id,
    cluster_id,
};

inline constexpr std::size_t property_count = 14;

constexpr std::uint16_t flag_of(property which) noexcept {
    return static_cast<std::uint16_t>(0x8000U >> static_cast<unsigned>(which));
}

// The block of a message without properties.
inline constexpr std::array<std::uint8_t, 2> no_properties{0, 0};

namespace detail {

inline constexpr std::uint16_t more_flags_follow = 0x0001;
inline constexpr std::uint16_t undefined_flag = 0x0002;

// The bytes of the value that starts at `at`, or more than there are.
[[nodiscard]] inline std::size_t property_bytes(property which, wire::bytes_view at) noexcept {
    switch (which) {
        case property::delivery_mode:
        case property::priority: return 1;
        case property::timestamp: return 8;
        case property::headers: return at.size() < 4 ? 4 : 4 + std::size_t{wire::load<std::uint32_t>(at.data())};
        case property::content_type:
        case property::content_encoding:
        case property::correlation_id:
        case property::reply_to:
        case property::expiration:
        case property::message_id:
        case property::type:
        case property::user_id:
        case property::app_id:
        case property::cluster_id: return at.empty() ? 1 : std::size_t{1} + at[0];
    }
    return ~std::size_t{0};
}

// A word of flags may announce another one. The basic class defines nothing beyond the first, so words
// of zeros are all that may follow. Returns the bytes that the flags take, 0 for an undefined flag.
[[nodiscard]] inline decoded<std::size_t> flag_bytes(wire::bytes_view block) noexcept {
    if (block.size() < 2)
        return refused{fault::header_truncated};
    std::size_t size = 2;
    std::uint16_t word = wire::load<std::uint16_t>(block.data());
    if ((word & undefined_flag) != 0)
        return refused{fault::property_unknown};
    while ((word & more_flags_follow) != 0) {
        if (block.size() < size + 2)
            return refused{fault::header_truncated};
        word = wire::load<std::uint16_t>(&block[size]);
        if ((word & ~more_flags_follow) != 0)
            return refused{fault::property_unknown};
        size += 2;
    }
    return size;
}

// Calls sink(property, encoded value) for each property that is present, in order.
template <class Sink>
[[nodiscard]] std::optional<fault> scan_properties(wire::bytes_view block, Sink&& sink) noexcept {
    const decoded<std::size_t> start = flag_bytes(block);
    if (!start)
        return start.reason();
    wire::bytes_view rest = block.subspan(*start);
    constexpr auto defined = static_cast<std::uint16_t>(~(more_flags_follow | undefined_flag));
    auto flags = static_cast<std::uint16_t>(wire::load<std::uint16_t>(block.data()) & defined);
    while (flags != 0) {
        const auto which = static_cast<property>(std::countl_zero(flags));
        const std::size_t size = property_bytes(which, rest);
        if (size > rest.size())
            return fault::header_truncated;
        if (which == property::headers) {
            if (const auto table = table_view::parse(rest.subspan(4, size - 4)); !table)
                return table.reason();
        }
        sink(which, rest.first(size));
        rest = rest.subspan(size);
        flags = static_cast<std::uint16_t>(flags & ~flag_of(which));
    }
    if (!rest.empty())
        return fault::header_overlong;
    return std::nullopt;
}

[[nodiscard]] inline std::string_view short_string(wire::bytes_view value) noexcept {
    return wire::as_text(value.subspan(1));
}

}  // namespace detail

// What the broker looks at in every message.
struct property_summary {
    std::uint16_t flags = 0;
    std::uint8_t delivery_mode = 0;
    std::uint8_t priority = 0;
    std::string_view expiration{};
    std::string_view reply_to{};
    std::string_view user_id{};
    table_view headers{};

    [[nodiscard]] bool has(property which) const noexcept { return (flags & flag_of(which)) != 0; }
    [[nodiscard]] bool is_persistent() const noexcept { return delivery_mode == 2; }
};

// For blocks with any properties; use summarise_properties.
[[nodiscard]] decoded<property_summary> summarise_any_properties(wire::bytes_view block) noexcept;

[[nodiscard]] inline decoded<property_summary> summarise_properties(wire::bytes_view block) noexcept {
    // The two blocks that high rates bring: nothing, and a delivery mode alone.
    if (block.size() == 3 && wire::load<std::uint16_t>(block.data()) == flag_of(property::delivery_mode)) {
        return property_summary{.flags = flag_of(property::delivery_mode), .delivery_mode = block[2]};
    }
    if (block.size() == 2 && wire::load<std::uint16_t>(block.data()) == 0)
        return property_summary{};
    return summarise_any_properties(block);
}

// Every property, by name.
class basic_properties_view {
public:
    // No properties.
    basic_properties_view() noexcept = default;

    // `block`: flags and values, as in content_header::properties.
    [[nodiscard]] static decoded<basic_properties_view> parse(wire::bytes_view block) noexcept;

    [[nodiscard]] bool has(property which) const noexcept { return (flags_ & flag_of(which)) != 0; }
    [[nodiscard]] std::uint16_t flags() const noexcept { return flags_; }
    [[nodiscard]] wire::bytes_view block() const noexcept { return block_; }
    // The value as it is encoded, empty if absent.
    [[nodiscard]] wire::bytes_view encoded(property which) const noexcept;

    [[nodiscard]] std::optional<std::string_view> content_type() const noexcept { return text(property::content_type); }
    [[nodiscard]] std::optional<std::string_view> content_encoding() const noexcept {
        return text(property::content_encoding);
    }
    [[nodiscard]] std::optional<table_view> headers() const noexcept;
    [[nodiscard]] std::optional<std::uint8_t> delivery_mode() const noexcept { return octet(property::delivery_mode); }
    [[nodiscard]] std::optional<std::uint8_t> priority() const noexcept { return octet(property::priority); }
    [[nodiscard]] std::optional<std::string_view> correlation_id() const noexcept {
        return text(property::correlation_id);
    }
    [[nodiscard]] std::optional<std::string_view> reply_to() const noexcept { return text(property::reply_to); }
    [[nodiscard]] std::optional<std::string_view> expiration() const noexcept { return text(property::expiration); }
    [[nodiscard]] std::optional<std::string_view> message_id() const noexcept { return text(property::message_id); }
    [[nodiscard]] std::optional<std::uint64_t> timestamp() const noexcept;
    [[nodiscard]] std::optional<std::string_view> type() const noexcept { return text(property::type); }
    [[nodiscard]] std::optional<std::string_view> user_id() const noexcept { return text(property::user_id); }
    [[nodiscard]] std::optional<std::string_view> app_id() const noexcept { return text(property::app_id); }
    [[nodiscard]] std::optional<std::string_view> cluster_id() const noexcept { return text(property::cluster_id); }

private:
    [[nodiscard]] std::optional<std::string_view> text(property which) const noexcept;
    [[nodiscard]] std::optional<std::uint8_t> octet(property which) const noexcept;

    wire::bytes_view block_{no_properties};
    std::array<std::uint32_t, property_count> offsets_{};  // into block_; meaningful where the flag is set
    std::uint16_t flags_ = 0;
};

}  // namespace linnet::amqp
