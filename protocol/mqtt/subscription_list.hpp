// The payloads of SUBSCRIBE and UNSUBSCRIBE: filters, with options or without, one behind the other.
//
// Both stay the bytes they came in; parsing has looked at all of them, so that walking cannot fail.
//
// Owns:     nothing; they view the packet.
#pragma once

#include "protocol/mqtt/fault.hpp"
#include "protocol/mqtt/property_writing.hpp"
#include "protocol/wire/bytes.hpp"

#include <iterator>

namespace linnet::mqtt {

// When a subscription begins, send retained messages: always, only if it is new, or never.
enum class retain_handling : std::uint8_t { send = 0, send_if_new = 1, do_not_send = 2 };

// MQTT 3 has the first of them only.
struct subscription_options {
    qos maximum_qos = qos::at_most_once;
    bool no_local = false;
    bool retain_as_published = false;
    retain_handling retained = retain_handling::send;

    [[nodiscard]] constexpr std::uint8_t to_byte() const noexcept {
        return static_cast<std::uint8_t>(static_cast<unsigned>(maximum_qos) | (no_local ? 4U : 0U) |
                                         (retain_as_published ? 8U : 0U) | static_cast<unsigned>(retained) << 4);
    }
    // Of a byte that parsing let pass; what is reserved in MQTT 3.1 is not looked at.
    [[nodiscard]] static constexpr subscription_options from_byte(std::uint8_t byte) noexcept {
        return {static_cast<qos>(byte & 3), (byte & 4) != 0, (byte & 8) != 0,
                static_cast<retain_handling>(byte >> 4 & 3)};
    }
    bool operator==(const subscription_options&) const = default;
};

struct subscription {
    std::string_view filter{};  // "$share/..." and all: the subscription's name
    subscription_options options{};

    bool operator==(const subscription&) const = default;
};

namespace detail {

// Walks strings of a length of two bytes, each followed by Item's options, if it has any.
template <class Item>
class item_iterator {
public:
    using value_type = Item;
    using difference_type = std::ptrdiff_t;
    using reference = Item;
    using pointer = void;
    using iterator_category = std::input_iterator_tag;

    item_iterator() noexcept = default;
    explicit item_iterator(const std::uint8_t* at) noexcept : at_{at} {}

    [[nodiscard]] Item operator*() const noexcept {
        const std::string_view text = wire::as_text({at_ + 2, text_bytes()});
        if constexpr (std::is_same_v<Item, subscription>)
            return {text, subscription_options::from_byte(at_[2 + text.size()])};
        else
            return text;
    }
    item_iterator& operator++() noexcept {
        at_ += 2 + text_bytes() + (std::is_same_v<Item, subscription> ? 1 : 0);
        return *this;
    }
    item_iterator operator++(int) noexcept {
        const item_iterator before = *this;
        ++*this;
        return before;
    }
    bool operator==(const item_iterator&) const noexcept = default;

private:
    [[nodiscard]] std::size_t text_bytes() const noexcept { return wire::load<std::uint16_t>(at_); }

    const std::uint8_t* at_ = nullptr;
};

}  // namespace detail

template <class Item>
class item_list {
public:
    using iterator = detail::item_iterator<Item>;

    item_list() noexcept = default;

    // Of a payload of that version, all of it judged; SUBSCRIBE's options, too.
    [[nodiscard]] static decoded<item_list> parse(wire::bytes_view payload, version spoken) noexcept;
    // Of bytes that append_filter() or append_subscription() has made.
    [[nodiscard]] static item_list trusted(wire::bytes_view bytes) noexcept { return item_list{bytes}; }

    [[nodiscard]] wire::bytes_view bytes() const noexcept { return bytes_; }
    [[nodiscard]] bool empty() const noexcept { return bytes_.empty(); }
    // Counts by walking.
    [[nodiscard]] std::size_t count() const noexcept { return static_cast<std::size_t>(std::distance(begin(), end())); }

    [[nodiscard]] iterator begin() const noexcept { return iterator{bytes_.data()}; }
    [[nodiscard]] iterator end() const noexcept { return iterator{bytes_.data() + bytes_.size()}; }

    friend bool operator==(const item_list& a, const item_list& b) noexcept {
        return wire::as_text(a.bytes_) == wire::as_text(b.bytes_);
    }

private:
    explicit item_list(wire::bytes_view bytes) noexcept : bytes_{bytes} {}

    wire::bytes_view bytes_{};
};

using subscription_list = item_list<subscription>;
using filter_list = item_list<std::string_view>;

extern template class item_list<subscription>;
extern template class item_list<std::string_view>;

template <class Bytes>
void append_filter(Bytes& out, std::string_view filter) {
    const std::size_t before = out.size();
    out.resize(before + 2 + filter.size());
    detail::put_string(reinterpret_cast<std::uint8_t*>(out.data()) + before, filter);
}

template <class Bytes>
void append_subscription(Bytes& out, const subscription& s) {
    append_filter(out, s.filter);
    out.push_back(static_cast<typename Bytes::value_type>(s.options.to_byte()));
}

}  // namespace linnet::mqtt
