// A scripted MQTT peer on a real shard, without sockets: what it sends goes into a session in turns of the shard, what
// the session says comes back as one line a packet.
//
//     CONNACK present 0
//     PUBLISH a/b hello qos 1 id 1 dup retain [content type=text/plain]
//     PUBACK 7 10
#pragma once

#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/property_writing.hpp"
#include "tests/session/world.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session::test {

using packet_bytes = std::vector<std::uint8_t>;

// ---- Rendering ---------------------------------------------------------------------------------

namespace detail {

inline std::string shown_properties(const mqtt::property_block& block) {
    std::string out;
    for (const auto& p : block) {
        out += out.empty() ? " [" : ", ";
        out += mqtt::property_name(p.id);
        switch (mqtt::type_of(p.id)) {
            case mqtt::property_type::text:
            case mqtt::property_type::binary: out += "=" + std::string(p.text); break;
            case mqtt::property_type::text_pair: out += fmt::format(" {}={}", p.text, p.value); break;
            case mqtt::property_type::none:
            case mqtt::property_type::byte:
            case mqtt::property_type::u16:
            case mqtt::property_type::u32:
            case mqtt::property_type::varint: out += fmt::format("={}", p.number); break;
        }
    }
    return out.empty() ? out : out + "]";
}

// As in the specification: two hexadecimal digits.
inline std::string shown(mqtt::reason_code r) { return fmt::format("{:02x}", static_cast<unsigned>(r)); }
inline std::string shown(wire::bytes_view reasons) { return fmt::format("{:02x}", fmt::join(reasons, " ")); }

inline std::string render(const mqtt::connack& p) {
    return fmt::format("CONNACK {}{}{}", p.session_present ? "present " : "", shown(p.reason),
                       shown_properties(p.properties));
}
inline std::string render(const mqtt::publish& p) {
    const auto body = p.payload.size() > 80 ? fmt::format("({} bytes)", p.payload.size())
                                            : std::string(wire::as_text(p.payload));
    auto line = fmt::format("PUBLISH {} {}", p.topic, body);
    if (p.qos != mqtt::qos::at_most_once) {
        line += fmt::format(" qos {} id {}", static_cast<unsigned>(p.qos), p.packet_id);
    }
    return line + (p.dup ? " dup" : "") + (p.retain ? " retain" : "") + shown_properties(p.properties);
}
template <mqtt::packet_type Type>
std::string render(const mqtt::acknowledgement<Type>& p) {
    const auto code = p.reason == mqtt::reason_code::success ? "" : " " + shown(p.reason);
    return fmt::format("{} {}{}{}", mqtt::packet_name(Type), p.packet_id, code, shown_properties(p.properties));
}
inline std::string render(const mqtt::suback& p) {
    return fmt::format("SUBACK {} {}{}", p.packet_id, shown(p.reasons), shown_properties(p.properties));
}
inline std::string render(const mqtt::unsuback& p) {
    return fmt::format("UNSUBACK {}{}{}", p.packet_id, p.reasons.empty() ? "" : " " + shown(p.reasons),
                       shown_properties(p.properties));
}
inline std::string render(const mqtt::disconnect& p) {
    return fmt::format("DISCONNECT {}{}", shown(p.reason), shown_properties(p.properties));
}
inline std::string render(const mqtt::auth& p) {
    return fmt::format("AUTH {}{}", shown(p.reason), shown_properties(p.properties));
}
template <mqtt::packet Packet>
std::string render(const Packet&) {
    return std::string(mqtt::packet_name(Packet::type));
}

}  // namespace detail

// ---- What a client sends -----------------------------------------------------------------------

// A block of properties that owns its bytes.
class some_properties {
public:
    template <mqtt::property Id>
    some_properties& with(mqtt::value_of<Id> value) {
        mqtt::append_property<Id>(bytes_, value);
        return *this;
    }
    some_properties& user(std::string_view name, std::string_view value) {
        mqtt::append_user_property(bytes_, name, value);
        return *this;
    }
    [[nodiscard]] mqtt::property_block block() const { return mqtt::property_block::trusted(wire::as_bytes(bytes_)); }

private:
    std::string bytes_;
};

struct mqtt_login {
    mqtt::version spoken = mqtt::version::v3_1_1;
    bool clean = true;
    std::uint16_t keep_alive_s = 0;
    std::string_view user = "guest";
    mqtt::property_block properties{};
    std::optional<mqtt::will> will{};
};

inline constexpr mqtt_login v5{.spoken = mqtt::version::v5};

// A socket's stand-in.
class mqtt_peer final : public host {
public:
    explicit mqtt_peer(ground& w) : mqtt_peer(w, *w.shard) {}
    mqtt_peer(ground& w, core::shard& home) : world_(w), home_(home), out_(w.blocks) {
        info_.peer_address = "127.0.0.1";
        info_.loopback = true;
        home.begin_turn();
        talk = std::make_unique<mqtt_session>(*this, home, w.logins, w.mqtt);
        w.end_turn(&home);
    }
    // Also connects and is welcome.
    mqtt_peer(ground& w, std::string_view id, const mqtt_login& l = {}) : mqtt_peer(w, *w.shard, id, l) {}
    mqtt_peer(ground& w, core::shard& home, std::string_view id, const mqtt_login& l = {}) : mqtt_peer(w, home) {
        connect(id, l);
        welcome = said();
        EXPECT_TRUE(welcome.starts_with("CONNACK 00") || welcome.starts_with("CONNACK present 00")) << welcome;
    }
    ~mqtt_peer() override { go(); }

    // The connection breaks.
    void go() {
        home_.begin_turn();
        if (talk != nullptr) {
            talk->on_peer_closed();
            talk.reset();
        }
        world_.end_turn(&home_);
    }

    void connect(std::string_view id, const mqtt_login& l = {}) {
        spoken_ = l.spoken;
        mqtt::connect c{.spoken = l.spoken, .clean_start = l.clean, .keep_alive_s = l.keep_alive_s};
        c.properties = l.properties;
        c.client_id = id;
        c.will = l.will;
        if (!l.user.empty()) {
            c.user_name = l.user;
            c.password = wire::as_bytes(l.user.substr(l.user.find(':') == l.user.npos ? 0 : l.user.find(':') + 1));
        }
        send(c);
    }
    template <mqtt::packet Packet>
    packet_bytes encoded(const Packet& p) const {
        packet_bytes made;
        mqtt::append_packet(made, p, spoken_);
        return made;
    }
    template <mqtt::packet Packet>
    void send(const Packet& p) {
        send_bytes(encoded(p));
    }
    void publish(std::string_view topic, std::string_view body, unsigned qos = 0, std::uint16_t id = 0,
                 const mqtt::property_block& properties = {}) {
        send(a_publish(topic, body, qos, id, properties));
    }
    [[nodiscard]] static mqtt::publish a_publish(std::string_view topic, std::string_view body, unsigned qos = 0,
                                                 std::uint16_t id = 0, const mqtt::property_block& properties = {}) {
        return {.topic = topic,
                .payload = wire::as_bytes(body),
                .properties = properties,
                .packet_id = id,
                .qos = static_cast<mqtt::qos>(qos)};
    }
    void retain(std::string_view topic, std::string_view body, unsigned qos = 0, std::uint16_t id = 0) {
        auto p = a_publish(topic, body, qos, id);
        p.retain = true;
        send(p);
    }
    void subscribe(std::string_view filter, unsigned qos = 0, std::uint16_t id = 1,
                   mqtt::subscription_options options = {}, const mqtt::property_block& properties = {}) {
        options.maximum_qos = static_cast<mqtt::qos>(qos);
        packet_bytes list;
        mqtt::append_subscription(list, {filter, options});
        send(mqtt::subscribe{
            .packet_id = id, .properties = properties, .subscriptions = mqtt::subscription_list::trusted(list)});
    }
    // Also expects to be granted what was asked for.
    void subscribed(std::string_view filter, unsigned qos = 0, mqtt::subscription_options options = {},
                    const mqtt::property_block& properties = {}) {
        subscribe(filter, qos, 1, options, properties);
        EXPECT_EQ(said(), fmt::format("SUBACK 1 {:02x}", qos));
    }
    void unsubscribe(std::string_view filter, std::uint16_t id = 1) {
        packet_bytes list;
        mqtt::append_filter(list, filter);
        send(mqtt::unsubscribe{.packet_id = id, .filters = mqtt::filter_list::trusted(list)});
    }
    void puback(std::uint16_t id) { send(mqtt::puback{.packet_id = id}); }
    void pubrec(std::uint16_t id) { send(mqtt::pubrec{.packet_id = id}); }
    void pubrel(std::uint16_t id) { send(mqtt::pubrel{.packet_id = id}); }
    void pubcomp(std::uint16_t id) { send(mqtt::pubcomp{.packet_id = id}); }
    void disconnect(mqtt::reason_code why = mqtt::reason_code::success, const mqtt::property_block& p = {}) {
        send(mqtt::disconnect{.reason = why, .properties = p});
    }

    void send_bytes(const packet_bytes& in) {
        input_.insert(input_.end(), in.begin(), in.end());
        run();
    }
    // A turn in which what has been sent is handled.
    void run() {
        home_.begin_turn();
        feed();
        world_.end_turn(&home_);
        while (std::exchange(resumed_, false)) {
            home_.begin_turn();
            feed();
            world_.end_turn(&home_);
        }
    }

    // What comes is read as this version has it, also where CONNECT was sent as bytes.
    void speak(mqtt::version v) { spoken_ = v; }
    // What has been said since the last call, as it is.
    [[nodiscard]] packet_bytes raw() {
        drain();
        return std::exchange(received_, {});
    }
    // Packet by packet.
    [[nodiscard]] std::vector<packet_bytes> said_packets() {
        drain();
        std::vector<packet_bytes> packets;
        std::size_t used = 0;
        while (const auto f = mqtt::decode_frame(std::span(received_).subspan(used), {spoken_, mqtt::role::server})) {
            const auto begin = received_.begin() + static_cast<std::ptrdiff_t>(used);
            packets.emplace_back(begin, begin + static_cast<std::ptrdiff_t>(f->size()));
            used += f->size();
        }
        EXPECT_EQ(used, received_.size()) << "part of a packet is left over";
        received_.clear();
        return packets;
    }
    // What has been said since the last call.
    [[nodiscard]] std::string said() {
        drain();
        std::string lines;
        std::size_t used = 0;
        const mqtt::dialect spoken{spoken_, mqtt::role::server};
        while (used < received_.size()) {
            const auto f = mqtt::decode_frame(std::span(received_).subspan(used), spoken);
            EXPECT_FALSE(f.is_malformed()) << "the session said something malformed";
            if (!f) {
                break;
            }
            const auto wrong = mqtt::visit_packet(
                *f, spoken, [&](const auto& p) { lines += (lines.empty() ? "" : "\n") + detail::render(p); });
            EXPECT_FALSE(wrong) << (wrong ? mqtt::describe(*wrong) : "");
            used += f->size();
        }
        received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(used));
        EXPECT_TRUE(received_.empty()) << "part of a packet is left over";
        return lines;
    }
    void drain() {
        static_cast<void>(out_.passes_high());
        std::array<iovec, 64> vectors;
        while (!out_.empty()) {
            std::size_t taken = 0;
            for (const auto& v : std::span(vectors).first(out_.gather(vectors))) {
                const auto* from = static_cast<const std::uint8_t*>(v.iov_base);
                received_.insert(received_.end(), from, from + v.iov_len);
                taken += v.iov_len;
            }
            out_.consume(taken);
        }
        if (out_.has_drained() && talk != nullptr) {
            home_.begin_turn();
            talk->on_output_drained();
            world_.end_turn(&home_);
            run();
        }
    }

    // host
    [[nodiscard]] output& out() noexcept override { return out_; }
    void flush_soon() noexcept override {}
    void close_after_flush() noexcept override { closed = true; }
    void abort() noexcept override { aborted = true; }
    void pause_reading() noexcept override { paused = true; }
    void resume_reading() noexcept override {
        paused = false;
        resumed_ = true;
    }
    [[nodiscard]] peer_info peer() const override { return info_; }
    [[nodiscard]] peer_info& info() noexcept { return info_; }

    bool closed = false;
    bool aborted = false;
    bool paused = false;
    std::string welcome;
    std::unique_ptr<mqtt_session> talk;

private:
    void feed() {
        while (!paused && !closed && !input_.empty() && talk != nullptr) {
            const auto used = talk->on_bytes(input_);
            input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used));
            if (used == 0) {
                return;
            }
        }
    }

    ground& world_;
    core::shard& home_;
    output out_;
    peer_info info_{};
    mqtt::version spoken_ = mqtt::version::v3_1_1;
    packet_bytes input_;
    packet_bytes received_;
    bool resumed_ = false;
};

}  // namespace linnet::session::test
