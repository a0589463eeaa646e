// A whole MQTT session against a hostile peer: whatever it sends, in whatever pieces, the session answers in
// well-formed packets, lets go of everything at its end, and never takes more input than it was given.
//
// The first byte chooses the version (two bits), whether a valid CONNECT comes first, and whether the rest is bytes as
// they are or a script of packets whose framing is right, so that the fuzzer reaches what lies behind it.

#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/property_writing.hpp"
#include "tests/fuzz/hostile_peer.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace linnet;
using session::test::world;
using test::bytes;
using test::script;

class mqtt_peer final : public test::hostile_peer {
public:
    mqtt_peer(world& w, mqtt::version spoken) : hostile_peer(w), spoken_(spoken) {
        talk_ = std::make_unique<session::mqtt_session>(*this, *w.shard, w.logins, w.mqtt);
    }
    ~mqtt_peer() override { hang_up(); }

    void log_in(std::string_view id, bool clean) {
        std::string properties;
        if (spoken_ == mqtt::version::v5) {
            mqtt::append_property<mqtt::property::session_expiry_interval>(properties, 60);
            mqtt::append_property<mqtt::property::receive_maximum>(properties, 3);
            mqtt::append_property<mqtt::property::topic_alias_maximum>(properties, 2);
        }
        mqtt::connect c{.spoken = spoken_, .clean_start = clean, .keep_alive_s = 5};
        c.properties = mqtt::property_block::trusted(wire::as_bytes(properties));
        c.client_id = id;
        c.user_name = "guest";
        c.password = wire::as_bytes(std::string_view("guest"));
        bytes hello;
        mqtt::append_packet(hello, c, spoken_);
        bytes list;
        mqtt::append_subscription(list, {"#", {.maximum_qos = mqtt::qos::exactly_once}});
        mqtt::append_packet(
            hello, mqtt::subscribe{.packet_id = 1, .subscriptions = mqtt::subscription_list::trusted(list)}, spoken_);
        framed_ = true;
        send(hello);
    }

private:
    // Raw bytes may say CONNECT in any version: what answers that is in a dialect that is not known here.
    void check_said() override {
        const mqtt::dialect spoken{spoken_, mqtt::role::server};
        std::size_t used = 0;
        while (framed_) {
            const auto f = mqtt::decode_frame(std::span(said_).subspan(used), spoken);
            LINNET_ASSERT(!f.is_malformed(), "the session said something malformed");
            if (!f) {
                break;
            }
            const auto wrong = mqtt::visit_packet(*f, spoken, [](const auto&) {});
            LINNET_ASSERT(!wrong, "the session said a packet that does not decode: {}", mqtt::describe(*wrong));
            used += f->size();
        }
        forget_said(used);
    }

    mqtt::version spoken_;
    bool framed_ = false;
};

// Whatever type and flags the byte says, with a length that is right.
bytes packet(std::uint8_t first, std::span<const std::uint8_t> body) {
    bytes out{first};
    std::array<std::uint8_t, mqtt::varint_bytes_max> length{};
    auto* const end = mqtt::put_varint(length.data(), static_cast<std::uint32_t>(body.size()));
    out.insert(out.end(), length.data(), end);
    out.insert(out.end(), body.begin(), body.end());
    return out;
}

void play_packets(world& w, mqtt_peer& p, script& s) {
    while (!s.empty()) {
        const auto what = s.byte();
        switch (what & 7U) {
            case 0: p.turn(); break;
            case 1: p.drain(); break;
            case 2:
                w.clock.advance(std::int64_t{s.byte()} * ns_per_s / 8);
                p.turn();
                break;
            case 3: p.alarm((what & 32U) != 0); break;
            case 4: p.send(s.take(s.byte())); break;
            default: {
                const auto first = s.byte();
                p.send(packet(first, s.take(s.byte())));
                break;
            }
        }
    }
    p.turn();
    p.drain();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    script s({data, size});
    const auto mode = s.byte();
    constexpr std::array versions{mqtt::version::v5, mqtt::version::v3_1_1, mqtt::version::v5, mqtt::version::v3_1};
    const auto spoken = versions[mode & 3U];
    world w(test::small_options());
    w.mqtt.receive_maximum = 4;
    w.mqtt.packet_bytes_max = 1 << 20;
    w.shard->begin_turn();
    {
        mqtt_peer p(w, spoken);
        if ((mode & 4U) != 0) {
            p.log_in("me", true);
        }
        if ((mode & 8U) == 0) {
            test::play_raw(p, s);
        } else {
            play_packets(w, p, s);
        }
        // The session goes on with another connection, and a second peer finds the broker in order.
        mqtt_peer again(w, spoken);
        again.log_in("me", false);
        mqtt_peer other(w, mqtt::version::v5);
        other.log_in("other", true);
        for (auto* each : {&again, &other}) {
            each->turn();
            each->drain();
        }
    }
    w.end_turn();
    return 0;
}
