#include "broker/session/amqp_names.hpp"

#include "protocol/wire/bytes.hpp"

namespace linnet::session {
namespace {

constexpr std::string_view digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t place_bytes = 4 + 4 + 2 + 2;  // slot, generation, shard, channel
constexpr std::size_t place_chars = (place_bytes * 8 + 5) / 6;

int digit_of(char c) noexcept {
    const auto at = digits.find(c);
    return at == std::string_view::npos ? -1 : static_cast<int>(at);
}

std::string random_name(std::string_view prefix) {
    std::array<std::uint8_t, 16> bytes{};
    fill_random(bytes);
    return std::string(prefix) + to_base64url(bytes);
}

}  // namespace

std::string to_base64url(std::span<const std::uint8_t> bytes) {
    std::string text;
    std::uint32_t bits = 0;
    unsigned count = 0;
    for (const auto byte : bytes) {
        bits = bits << 8 | byte;
        for (count += 8; count >= 6; count -= 6) {
            text.push_back(digits[bits >> (count - 6) & 63U]);
        }
    }
    if (count != 0) {
        text.push_back(digits[bits << (6 - count) & 63U]);
    }
    return text;
}

bool from_base64url(std::string_view text, std::span<std::uint8_t> bytes) noexcept {
    if (text.size() != (bytes.size() * 8 + 5) / 6) {
        return false;
    }
    std::uint32_t bits = 0;
    unsigned count = 0;
    std::size_t at = 0;
    for (const char c : text) {
        const int digit = digit_of(c);
        if (digit < 0) {
            return false;
        }
        bits = bits << 6 | static_cast<std::uint32_t>(digit);
        count += 6;
        if (count >= 8 && at < bytes.size()) {
            count -= 8;
            bytes[at++] = static_cast<std::uint8_t>(bits >> count);
        }
    }
    return at == bytes.size();
}

std::string make_queue_name() { return random_name("amq.gen-"); }
std::string make_consumer_tag() { return random_name("amq.ctag-"); }

std::string reply_address::text() const {
    std::array<std::uint8_t, place_bytes> place{};
    auto* at = wire::store(place.data(), session.slot);
    at = wire::store(at, session.generation);
    at = wire::store(at, session.shard.value);
    wire::store(at, channel);
    return std::string(reply_prefix) + to_base64url(place) + "." + to_base64url(secret);
}

std::optional<reply_address> reply_address::parse(std::string_view key) noexcept {
    if (!key.starts_with(reply_prefix)) {
        return std::nullopt;
    }
    key.remove_prefix(reply_prefix.size());
    std::array<std::uint8_t, place_bytes> place{};
    reply_address a;
    if (key.size() <= place_chars || key[place_chars] != '.' || !from_base64url(key.substr(0, place_chars), place) ||
        !from_base64url(key.substr(place_chars + 1), a.secret)) {
        return std::nullopt;
    }
    a.session.slot = wire::load<std::uint32_t>(&place[0]);
    a.session.generation = wire::load<std::uint32_t>(&place[4]);
    a.session.shard = {wire::load<std::uint16_t>(&place[8])};
    a.channel = wire::load<std::uint16_t>(&place[10]);
    return a;
}

}  // namespace linnet::session
