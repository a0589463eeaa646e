#include "broker/core/reply_handle.hpp"

#include "broker/base/random.hpp"

#include <limits>

namespace linnet::core {

namespace {

constexpr std::string_view digits = "0123456789abcdef";

[[nodiscard]] int digit_of(char c) noexcept {
    const auto at = digits.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

}  // namespace

std::uint64_t reply_token::number() const noexcept {
    std::uint64_t n = 0;
    for (std::size_t i = 0; i < sizeof n; ++i) {
        n = n << 8 | bytes[i];
    }
    return n;
}

std::string reply_token::text() const {
    std::string out;
    out.reserve(2 * bytes.size());
    for (const auto b : bytes) {
        out += digits[b >> 4];
        out += digits[b & 15U];
    }
    return out;
}

// One spelling only: what is compared as text elsewhere must not have two.
std::optional<reply_token> reply_token::parse(std::string_view text) noexcept {
    reply_token t;
    if (text.size() != 2 * t.bytes.size()) {
        return std::nullopt;
    }
    for (std::size_t i = 0; i < t.bytes.size(); ++i) {
        const int high = digit_of(text[2 * i]);
        const int low = digit_of(text[2 * i + 1]);
        if (high < 0 || low < 0) {
            return std::nullopt;
        }
        t.bytes[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return t;
}

// Of 128 random bits the few that choose one of `shards` are given up.
reply_token reply_token::make(shard_id here, std::uint16_t shards) {
    reply_token t;
    fill_random(t.bytes);
    std::uint64_t n = t.number();
    n -= n % shards;
    n -= n > std::numeric_limits<std::uint64_t>::max() - here.value ? shards : 0U;
    n += here.value;
    for (std::size_t i = sizeof n; i-- > 0; n >>= 8) {
        t.bytes[i] = static_cast<std::uint8_t>(n);
    }
    return t;
}

std::string reply_key(const reply_token& t) { return std::string(reply_key_prefix) + t.text(); }

std::optional<reply_token> reply_token_of(std::string_view key) noexcept {
    return key.starts_with(reply_key_prefix) ? reply_token::parse(key.substr(reply_key_prefix.size())) : std::nullopt;
}

}  // namespace linnet::core
