// What a decoder answers: a value, a wish for more bytes, or the reason why these bytes can never be one.
//
// `need_more` is an ordinary outcome of reading from a stream and `malformed` an ordinary outcome of
// talking to strangers, so neither is an exception, and the three cannot be mistaken for one another.
//
// Owns:     the value; what views inside it borrow is said where the value is defined.
#pragma once

#include "protocol/wire/check.hpp"

#include <cstddef>
#include <cstdint>
#include <utility>

namespace linnet::wire {

// `bytes`: how many bytes the input must have in all before trying again is worth while; a lower bound.
struct need_more {
    std::size_t bytes = 1;
};

template <class Reason>
struct malformed {
    Reason reason;
};
template <class Reason>
malformed(Reason) -> malformed<Reason>;

template <class Value, class Reason>
class [[nodiscard]] decoded {
public:
    constexpr decoded(Value value) : value_{std::move(value)}, outcome_{outcome::value} {}
    constexpr decoded(need_more wish) : bytes_needed_{wish.bytes}, outcome_{outcome::need_more} {}
    constexpr decoded(malformed<Reason> refusal) : reason_{refusal.reason}, outcome_{outcome::malformed} {}

    [[nodiscard]] constexpr bool has_value() const noexcept { return outcome_ == outcome::value; }
    [[nodiscard]] constexpr bool needs_more() const noexcept { return outcome_ == outcome::need_more; }
    [[nodiscard]] constexpr bool is_malformed() const noexcept { return outcome_ == outcome::malformed; }
    constexpr explicit operator bool() const noexcept { return has_value(); }

    [[nodiscard]] constexpr const Value& operator*() const noexcept {
        LINNET_WIRE_CHECK(has_value());
        return value_;
    }
    [[nodiscard]] constexpr Value& operator*() noexcept {
        LINNET_WIRE_CHECK(has_value());
        return value_;
    }
    [[nodiscard]] constexpr const Value* operator->() const noexcept { return &**this; }

    [[nodiscard]] constexpr std::size_t bytes_needed() const noexcept {
        LINNET_WIRE_CHECK(needs_more());
        return bytes_needed_;
    }
    [[nodiscard]] constexpr Reason reason() const noexcept {
        LINNET_WIRE_CHECK(is_malformed());
        return reason_;
    }

private:
    enum class outcome : std::uint8_t { value, need_more, malformed };

    Value value_{};
    std::size_t bytes_needed_ = 0;
    Reason reason_{};
    outcome outcome_;
};

}  // namespace linnet::wire
