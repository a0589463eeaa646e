// What a packet says, as tuples that compare by content; for tests and the fuzzer.
#pragma once

#include "protocol/mqtt/packets.hpp"

#include <optional>
#include <string_view>
#include <tuple>

namespace linnet::mqtt::test {

inline std::string_view text_of(const property_block& block) { return wire::as_text(block.bytes()); }
inline std::optional<std::string_view> text_of(const std::optional<wire::bytes_view>& bytes) {
    return bytes ? std::optional{wire::as_text(*bytes)} : std::nullopt;
}

inline auto fields(const will& w) {
    return std::tuple{w.topic, wire::as_text(w.payload), w.qos, w.retain, text_of(w.properties)};
}
inline auto fields(const connect& c) {
    return std::tuple{c.spoken,    c.clean_start,       c.keep_alive_s,     text_of(c.properties),          c.client_id,
                      c.user_name, text_of(c.password), c.will.has_value(), fields(c.will.value_or(will{}))};
}
inline auto fields(const connack& c) { return std::tuple{c.session_present, c.reason, text_of(c.properties)}; }
inline auto fields(const publish& p) {
    return std::tuple{p.topic, wire::as_text(p.payload), text_of(p.properties), p.packet_id, p.qos, p.dup, p.retain};
}
template <packet_type Type>
auto fields(const acknowledgement<Type>& a) {
    return std::tuple{a.packet_id, a.reason, text_of(a.properties)};
}
inline auto fields(const subscribe& s) {
    return std::tuple{s.packet_id, text_of(s.properties), wire::as_text(s.subscriptions.bytes())};
}
inline auto fields(const unsubscribe& u) {
    return std::tuple{u.packet_id, text_of(u.properties), wire::as_text(u.filters.bytes())};
}
inline auto fields(const suback& s) { return std::tuple{s.packet_id, text_of(s.properties), wire::as_text(s.reasons)}; }
inline auto fields(const unsuback& u) {
    return std::tuple{u.packet_id, text_of(u.properties), wire::as_text(u.reasons)};
}
inline auto fields(const pingreq&) { return std::tuple{}; }
inline auto fields(const pingresp&) { return std::tuple{}; }
inline auto fields(const disconnect& d) { return std::tuple{d.reason, text_of(d.properties)}; }
inline auto fields(const auth& a) { return std::tuple{a.reason, text_of(a.properties)}; }

}  // namespace linnet::mqtt::test
