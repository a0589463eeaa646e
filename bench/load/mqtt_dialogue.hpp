// The slow part of an MQTT conversation: connect, subscribe; one request, one reply, on a blocking socket.
//
// Packets that are no reply to the request (messages that come before the set-up is over) are kept, in order, for
// whoever takes the socket over.
//
// Threads:  one at a time.
// Owns:     the socket until release().
// Bounds:   as blocking_socket.
// Fails:    with the reason that the broker gives, or the system's words.
#pragma once

#include "bench/load/blocking_socket.hpp"
#include "bench/load/broker_uri.hpp"
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/encode.hpp"

#include <span>

namespace linnet::load {

class mqtt_dialogue {
public:
    struct settings {
        mqtt::version version = mqtt::version::v3_1_1;
        std::uint16_t receive_maximum = 0;  // MQTT 5; 0: not said
    };

    // A clean session without keep-alive: a run is watched by its own counts.
    [[nodiscard]] static outcome<mqtt_dialogue> connect(const broker_uri& uri, const settings& how);

    // With as many packets as it takes; granted in full, or a failure.
    [[nodiscard]] outcome<void> subscribe(std::span<const std::string> filters, mqtt::qos at);
    // What the broker says about itself under $SYS; "MQTT broker" if it does not.
    [[nodiscard]] std::string broker();
    void close() noexcept;

    // Gives the socket away, with the bytes that were read but not answered.
    [[nodiscard]] int release(std::vector<std::uint8_t>& unread);

    // How many publishes of QoS 1 and 2 the broker takes at once.
    [[nodiscard]] std::uint16_t receive_maximum() const noexcept { return receive_maximum_; }

private:
    mqtt_dialogue(blocking_socket socket, mqtt::version spoken) noexcept
        : socket_{std::move(socket)}, spoken_{spoken} {}

    template <class Packet>
    void send(const Packet& packet) {
        auto& out = socket_.out();
        const std::size_t before = out.size();
        out.resize(before + mqtt::encoded_size(packet, spoken_));
        mqtt::encode(out.data() + before, packet, spoken_);
    }
    // Valid until the next call.
    template <class Reply>
    [[nodiscard]] outcome<Reply> expect();

    [[nodiscard]] mqtt::dialect theirs() const noexcept { return {spoken_, mqtt::role::server}; }
    [[nodiscard]] outcome<void> log_in(const broker_uri& uri, const settings& how);
    [[nodiscard]] outcome<void> subscribe_some(std::span<const std::string> filters, mqtt::qos at);
    [[nodiscard]] outcome<mqtt::frame> wait_for(mqtt::packet_type type);
    [[nodiscard]] outcome<mqtt::frame> next_frame();

    blocking_socket socket_;
    mqtt::version spoken_;
    std::uint16_t receive_maximum_ = 65'535;
    std::uint16_t next_packet_id_ = 1;
    std::vector<std::uint8_t> kept_;
};

}  // namespace linnet::load
