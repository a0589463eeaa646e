#include "broker/session/mqtt_state.hpp"

#include "broker/core/byte_codec.hpp"

#include <map>
#include <utility>

namespace linnet::session {
namespace {

constexpr std::uint8_t format = 3;
constexpr std::uint8_t format_without_changes = 2;
constexpr std::uint8_t format_without_exchanges = 1;
constexpr std::size_t subscription_bytes_min = 4 + 4 + 1;
constexpr std::size_t flight_bytes = 8 + 1;
constexpr std::size_t text_bytes_min = 4;
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

void put(core::byte_writer& to, const std::vector<std::string>& all) {
    to.put(static_cast<std::uint32_t>(all.size()));
    for (const auto& text : all) {
        to.put_text(text);
    }
}

std::vector<std::string> get_texts(core::byte_reader& from) {
    std::vector<std::string> all;
    for (auto n = from.get_count(text_bytes_min); n > 0; --n) {
        all.emplace_back(from.get_text());
    }
    return all;
}

mqtt_state_changes get_changes(core::byte_reader& from) {
    mqtt_state_changes c;
    c.has_queue = from.get_flag();
    c.subscriptions = get_subscriptions(from);
    c.sources = get_subscriptions(from);
    c.gone_subscriptions = get_texts(from);
    c.gone_sources = get_texts(from);
    return c;
}

// A list that changes, by filter.
class changing {
public:
    explicit changing(std::vector<mqtt_subscription>& list) : list_(list) { take(std::exchange(list_, {})); }
    ~changing() {
        for (auto& [filter, s] : all_) {
            list_.push_back(std::move(s));
        }
    }
    changing(const changing&) = delete;
    changing& operator=(const changing&) = delete;

    void take(std::vector<mqtt_subscription>&& more) {
        for (auto& s : more) {
            auto filter = s.filter;
            all_.insert_or_assign(std::move(filter), std::move(s));
        }
    }
    void drop(const std::vector<std::string>& filters) {
        for (const auto& f : filters) {
            all_.erase(f);
        }
    }

private:
    std::vector<mqtt_subscription>& list_;
    std::map<std::string, mqtt_subscription> all_;
};

void apply_changes(mqtt_state& s, core::byte_reader& from) {
    changing subscriptions(s.subscriptions);
    changing sources(s.sources);
    while (!from.at_end()) {
        auto c = get_changes(from);
        s.has_queue = c.has_queue;
        subscriptions.drop(c.gone_subscriptions);
        subscriptions.take(std::move(c.subscriptions));
        sources.drop(c.gone_sources);
        sources.take(std::move(c.sources));
    }
}

}  // namespace

std::vector<std::uint8_t> encode(const mqtt_state_changes& c) {
    core::byte_writer to;
    to.put_flag(c.has_queue);
    put(to, c.subscriptions);
    put(to, c.sources);
    put(to, c.gone_subscriptions);
    put(to, c.gone_sources);
    return {to.bytes().begin(), to.bytes().end()};
}

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
    if (written_as < format_without_exchanges || written_as > format) {
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
    if (written_as >= format_without_changes) {
        for (auto n = from.get_count(exchange_bytes_min); n > 0; --n) {
            s.exchanges.push_back(get_exchange(from));
        }
    }
    if (written_as == format && !from.at_end()) {
        apply_changes(s, from);
    }
    return from.ok() && from.at_end() ? std::optional(std::move(s)) : std::nullopt;
}

}  // namespace linnet::session
