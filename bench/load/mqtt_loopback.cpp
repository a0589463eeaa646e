// MQTT's part of the small peer.
#include "bench/load/loopback_server.hpp"
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/encode.hpp"

#include <array>
#include <map>

namespace linnet::load {
namespace {

class mqtt_loopback final : public loopback_server {
public:
    using loopback_server::loopback_server;

private:
    struct mqtt_connection final : connection {
        using connection::connection;

        mqtt::version spoken = mqtt::version::unknown;
    };

    struct subscriber {
        mqtt_connection* on;
        mqtt::qos at;
        std::uint16_t last_id = 0;
    };

    std::unique_ptr<connection> make_connection(int fd) override { return std::make_unique<mqtt_connection>(fd); }
    std::size_t delivery_trailer() const noexcept override { return 0; }

    std::size_t on_input(connection& from) override {
        auto& c = static_cast<mqtt_connection&>(from);
        std::size_t at = 0;
        for (;;) {
            const mqtt::dialect theirs{c.spoken, mqtt::role::client};
            const auto frame = mqtt::decode_frame(wire::bytes_view{c.in}.subspan(at), theirs);
            if (!frame)
                return at;
            const auto bad = mqtt::visit_packet(*frame, theirs, [&](const auto& packet) { on_packet(c, packet); });
            c.closing = c.closing || bad;
            at += frame->size();
        }
    }

    template <class Packet>
    void reply(mqtt_connection& c, const Packet& packet) {
        const std::size_t before = c.out.size();
        c.out.resize(before + mqtt::encoded_size(packet, c.spoken));
        mqtt::encode(c.out.data() + before, packet, c.spoken);
    }

    void on_packet(mqtt_connection& c, const mqtt::connect& packet) {
        c.spoken = packet.spoken;
        reply(c, mqtt::connack{});
    }

    void on_packet(mqtt_connection& c, const mqtt::subscribe& packet) {
        std::vector<std::uint8_t> granted;
        for (const mqtt::subscription& each : packet.subscriptions) {
            subscribers_[std::string{each.filter}].push_back({&c, each.options.maximum_qos});
            granted.push_back(static_cast<std::uint8_t>(each.options.maximum_qos));
        }
        reply(c, mqtt::suback{.packet_id = packet.packet_id, .reasons = granted});
    }

    void on_packet(mqtt_connection& c, const mqtt::publish& packet) {
        if (packet.qos == mqtt::qos::at_least_once)
            reply(c, mqtt::puback{.packet_id = packet.packet_id});
        else if (packet.qos == mqtt::qos::exactly_once)
            reply(c, mqtt::pubrec{.packet_id = packet.packet_id});
        // The buffers are used again: nothing is allocated for a message.
        current_.key = packet.topic;
        current_.body.assign(packet.payload.begin(), packet.payload.end());
        published(current_);
    }

    void on_packet(mqtt_connection& c, const mqtt::pubrec& packet) {
        reply(c, mqtt::pubrel{.packet_id = packet.packet_id});
    }
    void on_packet(mqtt_connection& c, const mqtt::pubrel& packet) {
        reply(c, mqtt::pubcomp{.packet_id = packet.packet_id});
    }
    void on_packet(mqtt_connection& c, const mqtt::pingreq&) { reply(c, mqtt::pingresp{}); }
    void on_packet(mqtt_connection& c, const mqtt::disconnect&) { c.closing = true; }
    // The rest needs no answer.
    void on_packet(mqtt_connection&, const auto&) {}

    void route(const message& m) override {
        const auto found = subscribers_.find(m.key);
        if (found == subscribers_.end())
            return;
        for (subscriber& to : found->second)
            reply(*to.on, delivery(to, m.key, m.body));
    }

    static mqtt::publish delivery(subscriber& to, std::string_view topic, wire::bytes_view body) {
        if (to.at != mqtt::qos::at_most_once && ++to.last_id == 0)
            to.last_id = 1;
        return {.topic = topic, .payload = body, .packet_id = to.last_id, .qos = to.at};
    }

    std::vector<std::uint8_t> sample_delivery(connection& c) override {
        for (auto& [topic, all] : subscribers_) {
            for (subscriber& to : all) {
                if (to.on != &c || topic.starts_with('$'))
                    continue;
                const std::array<std::uint8_t, stamp_bytes> body{};
                const mqtt::publish packet = delivery(to, topic, body);
                std::vector<std::uint8_t> out(mqtt::encoded_size(packet, to.on->spoken));
                mqtt::encode(out.data(), packet, to.on->spoken);
                return out;
            }
        }
        return {};
    }

    void forget(connection& c) override {
        for (auto& [topic, all] : subscribers_)
            std::erase_if(all, [&](const subscriber& each) { return each.on == &c; });
    }

    std::map<std::string, std::vector<subscriber>, std::less<>> subscribers_;
    message current_;
};

}  // namespace

std::unique_ptr<loopback_server> make_mqtt_loopback(loopback_peer::role r, loopback_peer::mischief m) {
    return std::make_unique<mqtt_loopback>(r, m);
}

}  // namespace linnet::load
