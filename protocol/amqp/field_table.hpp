// Field tables and arrays as views: checked once, then walked without a copy or an allocation.
//
// parse() visits every nested value, with an explicit stack of bounded depth: no input makes it recurse.
// After that, iteration needs no checks. Duplicate names are legal, find() returns the first one; empty
// names are legal, too.
//
// Owns:     nothing; a view lives as long as the bytes that it was parsed from.
// Bounds:   nested at most table_depth_max deep.
// Fails:    table_truncated, table_too_deep, field_type_unknown.
#pragma once

#include "protocol/amqp/fault.hpp"
#include "protocol/amqp/field_value.hpp"

#include <iterator>

namespace linnet::amqp {

inline constexpr std::size_t table_depth_max = 64;

struct field {
    std::string_view name{};
    field_value value{};
};

namespace detail {

// The encoded size, letter included, of the checked value that starts at `letter`.
[[nodiscard]] std::size_t checked_value_bytes(const std::uint8_t* letter) noexcept;

}  // namespace detail

// What both kinds of view share: checked bytes and a forward iterator over `Item`.
template <class Item>
class field_iterator {
public:
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    using iterator_category = std::input_iterator_tag;
    using pointer = void;
    using reference = Item;

    field_iterator() noexcept = default;
    explicit field_iterator(const std::uint8_t* at) noexcept : at_{at} {}

    [[nodiscard]] Item operator*() const noexcept {
        const std::uint8_t* letter = at_ + name_bytes();
        const field_value value{{letter, detail::checked_value_bytes(letter)}};
        if constexpr (std::is_same_v<Item, field>) {
            return {wire::as_text({at_ + 1, *at_}), value};
        } else {
            return value;
        }
    }
    field_iterator& operator++() noexcept {
        const std::uint8_t* letter = at_ + name_bytes();
        at_ = letter + detail::checked_value_bytes(letter);
        return *this;
    }
    field_iterator operator++(int) noexcept {
        field_iterator before = *this;
        ++*this;
        return before;
    }
    bool operator==(const field_iterator&) const noexcept = default;

private:
    // Values in an array have no names.
    [[nodiscard]] std::size_t name_bytes() const noexcept {
        return std::is_same_v<Item, field> ? std::size_t{1} + *at_ : 0;
    }

    const std::uint8_t* at_ = nullptr;
};

class table_view {
public:
    using iterator = field_iterator<field>;

    // An empty table.
    table_view() noexcept = default;

    // `contents`: what follows the table's length.
    [[nodiscard]] static decoded<table_view> parse(wire::bytes_view contents) noexcept;
    // For bytes that parse() has accepted before, or that a table_builder made.
    [[nodiscard]] static table_view trusted(wire::bytes_view contents) noexcept { return table_view{contents}; }

    [[nodiscard]] bool empty() const noexcept { return contents_.empty(); }
    [[nodiscard]] iterator begin() const noexcept { return iterator{contents_.data()}; }
    [[nodiscard]] iterator end() const noexcept { return iterator{contents_.data() + contents_.size()}; }
    [[nodiscard]] wire::bytes_view contents() const noexcept { return contents_; }

    [[nodiscard]] std::optional<field_value> find(std::string_view name) const noexcept;
    [[nodiscard]] bool contains(std::string_view name) const noexcept { return find(name).has_value(); }

private:
    explicit table_view(wire::bytes_view contents) noexcept : contents_{contents} {}

    wire::bytes_view contents_;
};

class array_view {
public:
    using iterator = field_iterator<field_value>;

    array_view() noexcept = default;
    [[nodiscard]] static array_view trusted(wire::bytes_view contents) noexcept { return array_view{contents}; }

    [[nodiscard]] bool empty() const noexcept { return contents_.empty(); }
    [[nodiscard]] iterator begin() const noexcept { return iterator{contents_.data()}; }
    [[nodiscard]] iterator end() const noexcept { return iterator{contents_.data() + contents_.size()}; }
    [[nodiscard]] wire::bytes_view contents() const noexcept { return contents_; }

private:
    explicit array_view(wire::bytes_view contents) noexcept : contents_{contents} {}

    wire::bytes_view contents_;
};

}  // namespace linnet::amqp
