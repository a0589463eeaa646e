// The least that can be called a broker: one thread, in this process, for tests and for measuring the
// generator against something that costs next to nothing.
//
// It answers the set-up, routes by name (AMQP: through the default exchange, and to every queue through any other
// one; MQTT, HTTP: a topic to those who subscribed to just that), confirms, and forgets a message that nobody consumes.
// It never stores: a message goes to its consumers at once. As a source it sends each consumer ready-made deliveries
// without end.
//
// Threads:  constructed and destroyed by the owner; a thread of its own serves.
// Owns:     the listener, its connections, the thread.
// Bounds:   stops reading while a connection that it writes to has a backlog.
#pragma once

#include "bench/load/broker_uri.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

namespace linnet::load {

class loopback_server;

class loopback_peer {
public:
    enum class role : std::uint8_t { broker, sink, source };

    // Mistakes that a test asks for; a message is counted over all queues.
    struct mischief {
        std::uint64_t drop_every = 0;
        std::uint64_t repeat_every = 0;
        std::uint64_t swap_every = 0;
    };

    loopback_peer(protocol speaks, role r) : loopback_peer{speaks, r, mischief{}} {}
    loopback_peer(protocol speaks, role r, mischief m);
    ~loopback_peer();
    loopback_peer(const loopback_peer&) = delete;
    loopback_peer& operator=(const loopback_peer&) = delete;

    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

private:
    std::atomic<bool> stopping_{false};
    std::uint16_t port_ = 0;
    std::unique_ptr<loopback_server> server_;
    std::thread thread_;
};

}  // namespace linnet::load
