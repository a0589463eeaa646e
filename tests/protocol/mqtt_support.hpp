// Random MQTT for property tests, and what all tests of the codec use.
//
// Owns:     random_mqtt owns the bytes that its packets view; keep it alive while they are used.
#pragma once

#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/encode.hpp"
#include "tests/protocol/hex.hpp"
#include "tests/protocol/mqtt_fields.hpp"

#include <algorithm>
#include <cstdlib>
#include <deque>
#include <random>
#include <string>
#include <vector>

namespace linnet::mqtt::test {

using linnet::test::bytes;
using linnet::test::from_hex;
using linnet::test::to_hex;

inline constexpr dialect client_3_1{version::v3_1, role::client};
inline constexpr dialect server_3_1{version::v3_1, role::server};
inline constexpr dialect client_3_1_1{version::v3_1_1, role::client};
inline constexpr dialect server_3_1_1{version::v3_1_1, role::server};
inline constexpr dialect client_5{version::v5, role::client};
inline constexpr dialect server_5{version::v5, role::server};
inline constexpr dialect nobody{version::unknown, role::client};

// LINNET_TEST_SEED reruns a failure; otherwise each run looks somewhere new.
inline std::uint64_t test_seed() {
    const char* given = std::getenv("LINNET_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

// Frame and packet in one; the input must be one packet.
template <packet Packet>
decoded<Packet> decode_all(wire::bytes_view input, dialect spoken) {
    const auto found = decode_frame(input, spoken);
    if (!found) {
        if (found.needs_more())
            return wire::need_more{found.bytes_needed()};
        return refused{found.reason()};
    }
    return decode<Packet>(*found, spoken);
}

template <packet Packet>
bytes encoded(const Packet& p, version spoken) {
    bytes out;
    append_packet(out, p, spoken);
    return out;
}

class random_mqtt {
public:
    explicit random_mqtt(std::uint64_t seed) : engine_{seed} {}

    std::size_t below(std::size_t limit) { return engine_() % limit; }
    bool coin() { return below(2) == 0; }
    template <class Int>
    Int integer() {
        return static_cast<Int>(coin() ? engine_() : below(4));
    }
    std::uint16_t packet_id() { return static_cast<std::uint16_t>(1 + below(0xFFFF)); }

    std::string_view keep(std::string text) { return kept_.emplace_back(std::move(text)); }

    std::string_view binary(std::size_t longest = 300) {
        std::string made(length(longest), '\0');
        for (char& c : made)
            c = static_cast<char>(engine_());
        return keep(std::move(made));
    }
    // Of characters of one to four bytes, those of `excluded` left out.
    std::string_view text(std::size_t longest = 40, std::string_view excluded = "") {
        static constexpr std::string_view characters[] = {"a",
                                                          "Z",
                                                          "0",
                                                          "%",
                                                          "2",
                                                          "F",
                                                          ".",
                                                          "*",
                                                          "-",
                                                          " ",
                                                          "$",
                                                          "/",
                                                          "+",
                                                          "#",
                                                          "\x01",
                                                          "\x7F",
                                                          "\xC3\xA4",
                                                          "\xEF\xBB\xBF",
                                                          "\xEF\xBF\xBF",
                                                          "\xF0\x9F\x90\xA6"};
        std::string made;
        for (std::size_t left = length(longest); left > 0; --left) {
            const std::string_view c = characters[below(std::size(characters))];
            if (excluded.find(c) == std::string_view::npos)
                made += c;
        }
        return keep(std::move(made));
    }
    std::string_view topic() { return keep("t" + std::string(text(40, "+#"))); }
    std::string_view filter() {
        std::string made = coin() ? "$share/g" + std::to_string(below(9)) + "/" : "";
        for (std::size_t levels = below(5); levels > 0; --levels)
            made += (coin() ? std::string(text(6, "+#/$")) : "+") + "/";
        return keep(made + (coin() ? "#" : "end"));
    }

    property_block properties(const property_rules& rules, property_set without = {}) {
        std::string out;
        for (std::size_t tries = below(8); tries > 0; --tries) {
            const auto id = static_cast<property>(below(property_id_max + 1));
            if (!rules.allowed.contains(id) || without.contains(id))
                continue;
            if (!rules.repeatable.contains(id))
                without.add(id);
            append_property(out, value(id));
        }
        return block(std::move(out));
    }
    property_block block(std::string out) { return property_block::trusted(wire::as_bytes(keep(std::move(out)))); }

    template <packet Packet>
    Packet make(dialect spoken) {
        Packet p;
        fill(p, spoken);
        return p;
    }

private:
    std::size_t length(std::size_t longest) {
        return coin() ? below(std::min<std::size_t>(longest, 9)) : below(longest);
    }

    property_value value(property id) {
        switch (type_of(id)) {
            case property_type::byte: return {.id = id, .number = static_cast<std::uint32_t>(below(2))};
            case property_type::u16: return {.id = id, .number = packet_id()};
            case property_type::u32: return {.id = id, .number = std::max(1U, integer<std::uint32_t>())};
            case property_type::varint: return {.id = id, .number = 1 + integer<std::uint32_t>() % varint_max};
            case property_type::text: return {.id = id, .text = id == property::response_topic ? topic() : text()};
            case property_type::binary: return {.id = id, .text = binary()};
            case property_type::text_pair: return {.id = id, .text = text(), .value = text()};
            case property_type::none: break;
        }
        return {.id = id};
    }
    property_block of(packet_type type, dialect spoken, property_set without = {}) {
        return spoken.spoken == version::v5 ? properties(rules_of(type), without) : property_block{};
    }
    reason_code reason(packet_type type, dialect spoken) {
        for (;;) {
            const auto code = static_cast<reason_code>(below(256));
            if (is_legal(code, type, spoken.sender))
                return code;
        }
    }
    wire::bytes_view reasons(packet_type type, dialect spoken) {
        std::string out;
        for (std::size_t count = 1 + below(9); count > 0; --count) {
            constexpr unsigned char old[] = {0, 1, 2, 0x80};
            out += static_cast<char>(spoken.spoken == version::v5 ? static_cast<unsigned char>(reason(type, spoken))
                                                                  : old[below(4)]);
        }
        return wire::as_bytes(keep(out));
    }
    qos any_qos() { return static_cast<qos>(below(3)); }

    void fill(connect& c, dialect spoken) {
        const bool has_properties = spoken.spoken == version::v5;
        c.spoken = spoken.spoken;
        c.clean_start = coin();
        c.keep_alive_s = integer<std::uint16_t>();
        c.properties = of(c.type, spoken, {property::authentication_data});
        c.client_id = text();
        if (coin()) {
            c.will = will{.topic = topic(), .payload = wire::as_bytes(binary()), .qos = any_qos(), .retain = coin()};
            if (has_properties)
                c.will->properties = properties(will_rules());
        }
        if (coin())
            c.user_name = text();
        if (coin() && (has_properties || c.user_name))
            c.password = wire::as_bytes(binary());
    }
    void fill(connack& c, dialect spoken) {
        do {
            c.reason = reason(c.type, spoken);
        } while (spoken.spoken != version::v5 &&
                 reason_of_return_code(return_code_of(c.reason).value_or(9)) != c.reason);
        c.session_present = c.reason == reason_code::success && spoken.spoken != version::v3_1 && coin();
        c.properties = of(c.type, spoken);
    }
    void fill(publish& p, dialect spoken) {
        p.topic = topic();
        p.payload = wire::as_bytes(binary(1000));
        p.properties = of(p.type, spoken,
                          spoken.sender == role::client ? property_set{property::subscription_identifier}
                                                        : property_set{});
        if (p.properties.contains(property::topic_alias) && coin())
            p.topic = {};
        p.qos = any_qos();
        p.packet_id = p.qos == qos::at_most_once ? std::uint16_t{0} : packet_id();
        p.dup = p.qos != qos::at_most_once && coin();
        p.retain = coin();
    }
    template <packet_type Type>
    void fill(acknowledgement<Type>& a, dialect spoken) {
        a.packet_id = packet_id();
        if (spoken.spoken == version::v5 && coin())
            a.reason = reason(Type, spoken);
        a.properties = of(Type, spoken);
    }
    void fill(subscribe& s, dialect spoken) {
        s.packet_id = packet_id();
        s.properties = of(s.type, spoken);
        std::string out;
        for (std::size_t count = 1 + below(5); count > 0; --count) {
            subscription each{filter(), {any_qos()}};
            if (spoken.spoken == version::v5) {
                each.options.no_local = coin() && !each.filter.starts_with("$share/");
                each.options.retain_as_published = coin();
                each.options.retained = static_cast<retain_handling>(below(3));
            }
            append_subscription(out, each);
        }
        s.subscriptions = subscription_list::trusted(wire::as_bytes(keep(std::move(out))));
    }
    void fill(unsubscribe& u, dialect spoken) {
        u.packet_id = packet_id();
        u.properties = of(u.type, spoken);
        std::string out;
        for (std::size_t count = 1 + below(5); count > 0; --count)
            append_filter(out, filter());
        u.filters = filter_list::trusted(wire::as_bytes(keep(std::move(out))));
    }
    void fill(suback& s, dialect spoken) {
        s.packet_id = packet_id();
        s.properties = of(s.type, spoken);
        s.reasons = reasons(s.type, spoken);
    }
    void fill(unsuback& u, dialect spoken) {
        u.packet_id = packet_id();
        u.properties = of(u.type, spoken);
        if (spoken.spoken == version::v5)
            u.reasons = reasons(u.type, spoken);
    }
    void fill(pingreq&, dialect) {}
    void fill(pingresp&, dialect) {}
    void fill(disconnect& d, dialect spoken) {
        if (spoken.spoken == version::v5 && coin())
            d.reason = reason(d.type, spoken);
        d.properties = of(d.type, spoken,
                          spoken.sender == role::server ? property_set{property::session_expiry_interval}
                                                        : property_set{});
    }
    void fill(auth& a, dialect spoken) {
        a.reason = reason(a.type, spoken);
        std::string out;
        append_property<property::authentication_method>(out, text());
        out += text_of(of(a.type, spoken, {property::authentication_method}));
        a.properties = block(std::move(out));
    }

    std::mt19937_64 engine_;
    std::deque<std::string> kept_;
};

// Calls check.operator()<Packet>(dialect) for every packet in every dialect that has it.
template <class... Packets, class Check>
void for_each_packet_of(std::initializer_list<dialect> dialects, const Check& check) {
    for (const dialect each : dialects)
        (check.template operator()<Packets>(each), ...);
}
template <class Check>
void for_each_packet(const Check& check) {
    for_each_packet_of<publish, puback, pubrec, pubrel, pubcomp>(
        {client_3_1, server_3_1, client_3_1_1, server_3_1_1, client_5, server_5}, check);
    for_each_packet_of<connect, subscribe, unsubscribe, pingreq, disconnect>({client_3_1, client_3_1_1, client_5},
                                                                             check);
    for_each_packet_of<connack, suback, unsuback, pingresp>({server_3_1, server_3_1_1, server_5}, check);
    for_each_packet_of<disconnect, auth>({server_5}, check);
    for_each_packet_of<auth>({client_5}, check);
}

}  // namespace linnet::mqtt::test
