// A packet's properties, as they lie on the wire behind their length.
//
// The block stays the bytes it came in: a broker hands most of it on verbatim. parse() walks it once, judges all
// of it and notes which properties are there, so that asking for an absent one costs a bit test; asking for a
// present one walks again, over the few that blocks have.
//
// Owns:     nothing; it views the packet.
// Fails:    property_*, string_*, varint_*, response_topic_invalid.
#pragma once

#include "protocol/mqtt/fault.hpp"
#include "protocol/mqtt/property.hpp"
#include "protocol/mqtt/topic.hpp"
#include "protocol/wire/bytes.hpp"

#include <algorithm>
#include <iterator>
#include <optional>
#include <type_traits>

namespace linnet::mqtt {

// Of `number`, `text` and `value` those count that the property's type has.
struct property_value {
    property id{};
    std::uint32_t number = 0;
    std::string_view text{};   // a text, binary data, or a pair's name
    std::string_view value{};  // a pair's value

    [[nodiscard]] wire::bytes_view binary() const noexcept { return wire::as_bytes(text); }
    bool operator==(const property_value&) const = default;
};

namespace detail {

template <property_type>
struct value_type_of;
template <>
struct value_type_of<property_type::byte> {
    using type = std::uint8_t;
};
template <>
struct value_type_of<property_type::u16> {
    using type = std::uint16_t;
};
template <>
struct value_type_of<property_type::u32> {
    using type = std::uint32_t;
};
template <>
struct value_type_of<property_type::varint> {
    using type = std::uint32_t;
};
template <>
struct value_type_of<property_type::text> {
    using type = std::string_view;
};
template <>
struct value_type_of<property_type::binary> {
    using type = wire::bytes_view;
};

// Reads the property at `at`, which is not `end`, and moves `at` behind it. Judges its form, not its place.
[[nodiscard]] verdict read_property(const std::uint8_t*& at, const std::uint8_t* end, property_value& found) noexcept;
// The same of a property that was read before: its strings are not judged again.
[[nodiscard]] verdict reread_property(const std::uint8_t*& at, const std::uint8_t* end, property_value& found) noexcept;

}  // namespace detail

// What a property's value is in C++; user properties are pairs and have functions of their own.
template <property Id>
using value_of = typename detail::value_type_of<type_of(Id)>::type;

class property_block {
public:
    class iterator {
    public:
        using value_type = property_value;
        using difference_type = std::ptrdiff_t;
        using reference = const property_value&;
        using pointer = const property_value*;
        using iterator_category = std::input_iterator_tag;

        iterator() noexcept = default;
        iterator(const std::uint8_t* at, const std::uint8_t* end) noexcept : next_{at}, end_{end} { step(); }

        reference operator*() const noexcept { return found_; }
        pointer operator->() const noexcept { return &found_; }
        iterator& operator++() noexcept {
            step();
            return *this;
        }
        iterator operator++(int) noexcept {
            iterator before = *this;
            step();
            return before;
        }
        bool operator==(const iterator& other) const noexcept { return at_ == other.at_; }

    private:
        void step() noexcept {
            at_ = next_;
            if (next_ == end_)
                return;
            [[maybe_unused]] const verdict bad = detail::reread_property(next_, end_, found_);
            LINNET_WIRE_CHECK(!bad);
        }

        const std::uint8_t* at_ = nullptr;
        const std::uint8_t* next_ = nullptr;
        const std::uint8_t* end_ = nullptr;
        property_value found_{};
    };

    property_block() noexcept = default;

    // `bytes`: without the length in front.
    [[nodiscard]] static decoded<property_block> parse(wire::bytes_view bytes, const property_rules& rules) noexcept;
    // Of bytes that property_writing.hpp has made, or that were parsed before.
    [[nodiscard]] static property_block trusted(wire::bytes_view bytes) noexcept;

    [[nodiscard]] wire::bytes_view bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    [[nodiscard]] property_set present() const noexcept { return present_; }
    [[nodiscard]] bool contains(property id) const noexcept { return present_.contains(id); }

    [[nodiscard]] iterator begin() const noexcept { return {bytes_.data(), bytes_.data() + bytes_.size()}; }
    [[nodiscard]] iterator end() const noexcept {
        const std::uint8_t* const last = bytes_.data() + bytes_.size();
        return {last, last};
    }

    // The first of that name: get<property::topic_alias>() is an optional<std::uint16_t>.
    template <property Id>
    [[nodiscard]] std::optional<value_of<Id>> get() const noexcept {
        if (!contains(Id))
            return std::nullopt;
        const property_value found = find(Id);
        if constexpr (std::is_same_v<value_of<Id>, std::string_view>)
            return found.text;
        else if constexpr (std::is_same_v<value_of<Id>, wire::bytes_view>)
            return found.binary();
        else
            return static_cast<value_of<Id>>(found.number);
    }

    // Byte for byte: the order of properties counts.
    friend bool operator==(const property_block& a, const property_block& b) noexcept {
        return wire::as_text(a.bytes_) == wire::as_text(b.bytes_);
    }

private:
    [[nodiscard]] property_value find(property id) const noexcept;

    wire::bytes_view bytes_{};
    property_set present_{};
};

}  // namespace linnet::mqtt
