// An MQTT client, of version 5 where the broker knows it and else of 3.1.1, for the commands that publish, receive and
// look at topics.
//
// Threads:  one.
// Owns:     the connection; the session is clean and ends with it.
// Fails:    69 without a broker, 77 when it refuses the login, 1 with its reason when it refuses the rest.
#pragma once

#include "clients/cli/failure.hpp"
#include "clients/cli/management.hpp"
#include "clients/cli/stream.hpp"
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/encode.hpp"

#include <functional>
#include <memory>
#include <optional>

namespace linnet::cli {

struct mqtt_message {
    std::string topic;
    std::string payload;
    unsigned qos = 0;
    bool retain = false;
    std::uint16_t packet_id = 0;  // of one that must be acknowledged
    json_value properties = json_value::object();
};

class mqtt_client {
public:
    [[nodiscard]] static result<std::unique_ptr<mqtt_client>> open(const server_uri& uri,
                                                                   std::chrono::milliseconds timeout);
    [[nodiscard]] result<void> subscribe(const std::string& filter, unsigned qos);
    // Until the broker has acknowledged it; QoS 0 only until it is written.
    [[nodiscard]] result<void> publish(const mqtt_message& message);
    // The next message; nothing if none comes for so long.
    [[nodiscard]] result<std::optional<mqtt_message>> next(std::chrono::milliseconds patience);
    [[nodiscard]] result<void> acknowledge(const mqtt_message& message);
    void close();

private:
    mqtt_client(const server_uri& uri, std::chrono::milliseconds timeout, mqtt::version spoken);

    // exit_code::failure where another version may be understood.
    [[nodiscard]] static result<std::unique_ptr<mqtt_client>> open(const server_uri& uri,
                                                                   std::chrono::milliseconds timeout,
                                                                   mqtt::version spoken);

    template <class Packet>
    [[nodiscard]] result<void> send(const Packet& packet);
    // Reads packets up to one of this type, which visit() sees; messages on the way are kept for next().
    template <class Packet, class Visit>
    [[nodiscard]] result<void> expect(Visit&& visit);
    [[nodiscard]] result<void> log_in();
    // Valid until the next call. Nothing: no packet came in time.
    [[nodiscard]] result<std::optional<mqtt::frame>> next_frame();
    [[nodiscard]] result<void> keep(const mqtt::frame& frame);
    [[nodiscard]] mqtt::dialect theirs() const noexcept { return {spoken_, mqtt::role::server}; }
    [[nodiscard]] tl::unexpected<failure> unreachable(const std::string& why) const;
    void fresh_deadline() { stream_.wait_until(std::chrono::steady_clock::now() + timeout_); }

    server_uri uri_;
    std::chrono::milliseconds timeout_;
    mqtt::version spoken_;
    stream stream_;
    std::vector<std::uint8_t> input_;
    std::size_t taken_ = 0;
    std::vector<mqtt_message> kept_;
    std::uint16_t last_packet_id_ = 0;
};

}  // namespace linnet::cli
