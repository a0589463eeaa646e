#include "protocol/mqtt/encode.hpp"

namespace linnet::mqtt {
namespace {

// Each body is described once, by a write_body(), and read by two: one that counts, and one that writes.
class counter {
public:
    [[nodiscard]] std::size_t size() const noexcept { return size_; }

    void u8(std::uint8_t) noexcept { ++size_; }
    void u16(std::uint16_t) noexcept { size_ += 2; }
    void bytes(wire::bytes_view view) noexcept { size_ += view.size(); }
    void string(std::string_view text) noexcept { size_ += 2 + text.size(); }
    void properties(const property_block& block) noexcept {
        const std::size_t bytes = block.bytes().size();
        size_ += varint_size(static_cast<std::uint32_t>(bytes)) + bytes;
    }

private:
    std::size_t size_ = 0;
};

class byte_writer {
public:
    explicit byte_writer(std::uint8_t* to) noexcept : at_{to} {}

    [[nodiscard]] std::uint8_t* position() const noexcept { return at_; }

    void u8(std::uint8_t value) noexcept { *at_++ = value; }
    void u16(std::uint16_t value) noexcept { at_ = wire::store(at_, value); }
    void bytes(wire::bytes_view view) noexcept { at_ = wire::put_bytes(at_, view.data(), view.size()); }
    void string(std::string_view text) noexcept { at_ = detail::put_string(at_, text); }
    void properties(const property_block& block) noexcept {
        at_ = put_varint(at_, static_cast<std::uint32_t>(block.bytes().size()));
        bytes(block.bytes());
    }

private:
    std::uint8_t* at_;
};

constexpr std::uint8_t byte_of(reason_code code) noexcept { return static_cast<std::uint8_t>(code); }

std::uint8_t connect_flags(const connect& c) noexcept {
    unsigned flags = c.clean_start ? 0x02U : 0U;
    if (c.will)
        flags |= 0x04U | static_cast<unsigned>(c.will->qos) << 3 | (c.will->retain ? 0x20U : 0U);
    flags |= (c.user_name ? 0x80U : 0U) | (c.password ? 0x40U : 0U);
    return static_cast<std::uint8_t>(flags);
}

template <class Out>
void write_body(Out& out, const connect& c, version) noexcept {
    LINNET_WIRE_CHECK(c.spoken == version::v5 || c.user_name || !c.password);
    const bool has_properties = c.spoken == version::v5;
    out.string(c.spoken == version::v3_1 ? "MQIsdp" : "MQTT");
    out.u8(static_cast<std::uint8_t>(c.spoken));
    out.u8(connect_flags(c));
    out.u16(c.keep_alive_s);
    if (has_properties)
        out.properties(c.properties);
    out.string(c.client_id);
    if (c.will) {
        if (has_properties)
            out.properties(c.will->properties);
        out.string(c.will->topic);
        out.string(wire::as_text(c.will->payload));
    }
    if (c.user_name)
        out.string(*c.user_name);
    if (c.password)
        out.string(wire::as_text(*c.password));
}

template <class Out>
void write_body(Out& out, const connack& c, version spoken) noexcept {
    out.u8(c.session_present && spoken != version::v3_1 ? 1 : 0);
    if (spoken == version::v5) {
        out.u8(byte_of(c.reason));
        out.properties(c.properties);
        return;
    }
    const auto code = return_code_of(c.reason);
    LINNET_WIRE_CHECK(code.has_value());
    out.u8(code.value_or(3));
}

template <class Out, class Packet>
void write_id_and_properties(Out& out, const Packet& p, version spoken) noexcept {
    out.u16(p.packet_id);
    if (spoken == version::v5)
        out.properties(p.properties);
}

template <class Out>
void write_body(Out& out, const subscribe& s, version spoken) noexcept {
    write_id_and_properties(out, s, spoken);
    out.bytes(s.subscriptions.bytes());
}

template <class Out>
void write_body(Out& out, const unsubscribe& u, version spoken) noexcept {
    write_id_and_properties(out, u, spoken);
    out.bytes(u.filters.bytes());
}

template <class Out>
void write_body(Out& out, const suback& s, version spoken) noexcept {
    write_id_and_properties(out, s, spoken);
    if (spoken == version::v5) {
        out.bytes(s.reasons);
        return;
    }
    // 3.1.1 [MQTT-3.9.3-2] One failure for all reasons.
    for (const std::uint8_t code : s.reasons)
        out.u8(code < 0x80 ? code : 0x80);
}

template <class Out>
void write_body(Out& out, const unsuback& u, version spoken) noexcept {
    write_id_and_properties(out, u, spoken);
    if (spoken == version::v5)
        out.bytes(u.reasons);
}

template <class Out>
void write_body(Out&, const pingreq&, version) noexcept {}

template <class Out>
void write_body(Out&, const pingresp&, version) noexcept {}

template <class Out>
void write_body(Out& out, const disconnect& d, version spoken) noexcept {
    if (spoken != version::v5 || (d.reason == reason_code::success && d.properties.empty()))
        return;
    out.u8(byte_of(d.reason));
    if (!d.properties.empty())
        out.properties(d.properties);
}

template <class Out>
void write_body(Out& out, const auth& a, version) noexcept {
    if (a.reason == reason_code::success && a.properties.empty())
        return;
    out.u8(byte_of(a.reason));
    out.properties(a.properties);
}

template <packet Packet>
std::size_t body_size(const Packet& p, version spoken) noexcept {
    counter count;
    write_body(count, p, spoken);
    return count.size();
}

}  // namespace

template <packet Packet>
std::size_t encoded_size(const Packet& p, version spoken) noexcept {
    return packet_size(body_size(p, spoken));
}

template <packet Packet>
std::uint8_t* encode(std::uint8_t* to, const Packet& p, version spoken) noexcept {
    constexpr bool acknowledged = Packet::type == packet_type::subscribe || Packet::type == packet_type::unsubscribe;
    byte_writer out{put_fixed_header(to, Packet::type, acknowledged ? 2 : 0, body_size(p, spoken))};
    write_body(out, p, spoken);
    return out.position();
}

#define LINNET_MQTT_ENCODES(Packet)                                                                                    \
    template std::size_t encoded_size(const Packet& p, version spoken) noexcept;                                       \
    template std::uint8_t* encode(std::uint8_t* to, const Packet& p, version spoken) noexcept
LINNET_MQTT_ENCODES(connect);
LINNET_MQTT_ENCODES(connack);
LINNET_MQTT_ENCODES(subscribe);
LINNET_MQTT_ENCODES(suback);
LINNET_MQTT_ENCODES(unsubscribe);
LINNET_MQTT_ENCODES(unsuback);
LINNET_MQTT_ENCODES(pingreq);
LINNET_MQTT_ENCODES(pingresp);
LINNET_MQTT_ENCODES(disconnect);
LINNET_MQTT_ENCODES(auth);

}  // namespace linnet::mqtt
