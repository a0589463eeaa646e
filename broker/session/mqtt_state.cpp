#include "broker/session/mqtt_state.hpp"

#include "broker/core/byte_codec.hpp"

namespace linnet::session {
namespace {

constexpr std::uint8_t format = 2;
constexpr std::uint8_t format_without_exchanges = 1;
constexpr std::size_t subscription_bytes_min = 4 + 4 + 1;
constexpr std::size_t flight_bytes = 8 + 1;
constexpr std::size_t exchange_bytes_min = 2 + 1 + 1 + 4 + 4 + 4 + 1 + 4 + 4;

enum : std::uint8_t { qos_bits = 3, no_local_bit = 4, retain_bit = 8, live_bit = 16 };

void put(core::byte_writer& to, const std::vector<mqtt_subscription>& all) {
    to.put(static_cast<std::uint32_t>(all.size()));
    for (const auto& s : all) {
        to.put_text(s.filter);
        to.put(s.identifier);
        to.put(static_cast<std::uint8_t>(s.qos | (s.no_local ? no_local_bit : 0) |
                                         (s.retain_as_published ? retain_bit : 0) | (s.live ? live_bit : 0)));
    }
}

std::vector<mqtt_subscription> get_subscriptions(core::byte_reader& from) {
    std::vector<mqtt_subscription> all;
    for (auto n = from.get_count(subscription_bytes_min); n > 0; --n) {
        mqtt_subscription s;
        s.filter = from.get_text();
        s.identifier = from.get<std::uint32_t>();
        const auto bits = from.get<std::uint8_t>();
        s.qos = bits & qos_bits;
        s.no_local = (bits & no_local_bit) != 0;
        s.retain_as_published = (bits & retain_bit) != 0;
        s.live = (bits & live_bit) != 0;
        all.push_back(std::move(s));
    }
    return all;
}

mqtt_state::stage get_stage(core::byte_reader& from) {
    const auto how_far = from.get<std::uint8_t>();
    if (how_far < 1 || how_far > 3) {
        from.fail();
    }
    return static_cast<mqtt_state::stage>(how_far);
}

void put(core::byte_writer& to, const mqtt_state::exchange& e) {
    to.put(e.id);
    to.put(static_cast<std::uint8_t>(e.at));
    to.put_flag(e.retain);
    to.put(e.identifier);
    to.put_text(e.to);
    to.put_text(e.key);
    to.put(static_cast<std::uint8_t>(e.properties_of));
    to.put_text(e.properties);
    to.put_text(e.body);
}

mqtt_state::exchange get_exchange(core::byte_reader& from) {
    mqtt_state::exchange e;
    e.id = from.get<std::uint16_t>();
    e.at = get_stage(from);
    e.retain = from.get_flag();
    e.identifier = from.get<std::uint32_t>();
    e.to = from.get_text();
    e.key = from.get_text();
    e.properties_of = static_cast<core::protocol_tag>(from.get<std::uint8_t>());
    e.properties = from.get_text();
    e.body = from.get_text();
    return e;
}

}  // namespace

std::vector<std::uint8_t> encode(const mqtt_state& s) {
    core::byte_writer to;
    to.put(format);
    to.put_flag(s.has_queue);
    put(to, s.subscriptions);
    put(to, s.sources);
    to.put(static_cast<std::uint32_t>(s.flights.size()));
    for (const auto& [pos, how_far] : s.flights) {
        to.put(pos);
        to.put(static_cast<std::uint8_t>(how_far));
    }
    to.put(static_cast<std::uint32_t>(s.exchanges.size()));
    for (const auto& e : s.exchanges) {
        put(to, e);
    }
    return {to.bytes().begin(), to.bytes().end()};
}

std::optional<mqtt_state> decode_state(std::span<const std::uint8_t> bytes) {
    core::byte_reader from(bytes);
    const auto written_as = from.get<std::uint8_t>();
    if (written_as != format && written_as != format_without_exchanges) {
        return std::nullopt;
    }
    mqtt_state s;
    s.has_queue = from.get_flag();
    s.subscriptions = get_subscriptions(from);
    s.sources = get_subscriptions(from);
    for (auto n = from.get_count(flight_bytes); n > 0; --n) {
        const auto pos = from.get<core::position>();
        s.flights[pos] = get_stage(from);
    }
    if (written_as == format) {
        for (auto n = from.get_count(exchange_bytes_min); n > 0; --n) {
            s.exchanges.push_back(get_exchange(from));
        }
    }
    return from.ok() && from.at_end() ? std::optional(std::move(s)) : std::nullopt;
}

}  // namespace linnet::session
