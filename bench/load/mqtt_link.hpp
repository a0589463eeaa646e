// One MQTT connection under load: the path that every message takes through the generator.
//
// Messages are scanned, not decoded: of a PUBLISH only the lengths are looked at, which is all one needs to find its
// packet id and its payload. The broker is trusted to send well-formed packets; lengths are checked against
// the buffer all the same, so a broken broker is reported and not followed off a cliff.
//
// Publishes of QoS 1 and 2 are numbered from 1; the packet id is that number in the cycle of 1 to 65535, and since a
// window is never longer than the cycle, an id names one open number. It follows that a connection has one such
// producer at most.
//
// Threads, owns, bounds, fails: as socket_link.
#pragma once

#include "bench/load/socket_link.hpp"
#include "protocol/mqtt/frame.hpp"

namespace linnet::load {

class mqtt_link final : public socket_link {
public:
    // Open numbers must differ from one another.
    static constexpr std::uint32_t window_max = 65'535 - 1;

    using socket_link::socket_link;

    // Set-up, before the first turn. `receive_maximum`: what the broker takes at once.
    void add_producer(ready_messages messages, schedule_stagger stagger, std::uint16_t receive_maximum);
    // The one that all of the connection's messages are for, whatever their topics.
    void add_consumer(const subscription_plan& which) { (void)add_subscription(which); }

private:
    std::size_t scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) override;
    std::uint8_t* put_batch(producer& p, std::uint8_t* to, std::uint64_t count, std::int64_t now_ns) override;
    void append_goodbye(std::vector<std::uint8_t>& out) const override;

    // `body`: behind the fixed header whose first byte is `first`.
    void on_publish(std::uint8_t first, wire::bytes_view body, std::int64_t now_ns);
    void on_packet(std::uint8_t first, wire::bytes_view body, std::int64_t now_ns);
    void settle(std::uint16_t packet_id, wire::bytes_view body, std::int64_t now_ns);
    void answer(mqtt::packet_type type, std::uint16_t packet_id);
    [[nodiscard]] bool is_v5() const noexcept { return options_.version == mqtt::version::v5; }

    std::uint16_t next_packet_id_ = 1;
};

}  // namespace linnet::load
