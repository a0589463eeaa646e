// What the peers of loopback_peer.hpp have in common: a listener, connections with their buffers, one poll loop.
//
// Threads:  run() on the peer's own thread, all else before it.
// Owns:     the sockets.
#pragma once

#include "bench/load/loopback_peer.hpp"
#include "bench/load/stamp.hpp"
#include "protocol/wire/bytes.hpp"

#include <string>
#include <vector>

namespace linnet::load {

class loopback_server {
public:
    static constexpr std::size_t backlog_max = 1024 * 1024;

    loopback_server(loopback_peer::role r, loopback_peer::mischief m);
    loopback_server(const loopback_server&) = delete;
    loopback_server& operator=(const loopback_server&) = delete;
    virtual ~loopback_server();

    void run(const std::atomic<bool>& stopping);
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }

protected:
    struct connection {
        explicit connection(int socket) noexcept : fd{socket} {}
        virtual ~connection() = default;

        int fd;
        bool closing = false;
        std::vector<std::uint8_t> in{};
        std::vector<std::uint8_t> out{};
        std::size_t out_begin = 0;

        [[nodiscard]] std::size_t backlog() const noexcept { return out.size() - out_begin; }
    };

    // What a publisher has sent; `properties` is AMQP's.
    struct message {
        std::string exchange;
        std::string key;
        std::vector<std::uint8_t> properties;
        std::vector<std::uint8_t> body;
    };

    [[nodiscard]] virtual std::unique_ptr<connection> make_connection(int fd) = 0;
    // Answers how many bytes of `c.in` it has dealt with.
    virtual std::size_t on_input(connection& c) = 0;
    // Sends the message to whoever is to have it.
    virtual void route(const message& m) = 0;
    [[nodiscard]] virtual stamp_form form() const noexcept { return stamp_form::binary; }
    // One delivery of a whole stamp for the source's first consumer on this connection; empty: there is none.
    [[nodiscard]] virtual std::vector<std::uint8_t> sample_delivery(connection& c) = 0;
    // How many bytes of a delivery stand behind the payload.
    [[nodiscard]] virtual std::size_t delivery_trailer() const noexcept = 0;
    virtual void forget(connection& c) = 0;

    // Routes, with the mistakes that were asked for.
    void published(const message& m);
    [[nodiscard]] loopback_peer::role role() const noexcept { return role_; }

private:
    void wait();
    [[nodiscard]] bool may_read() const;
    void serve(connection& c);
    void read(connection& c);
    void write(connection& c);
    void flood(connection& c);
    void drop_closed();
    [[nodiscard]] bool is_due(std::uint64_t every) const noexcept { return every != 0 && messages_ % every == 0; }

    const loopback_peer::role role_;
    const loopback_peer::mischief mischief_;
    const int listener_;
    std::uint16_t port_ = 0;
    std::vector<std::unique_ptr<connection>> connections_;
    std::uint64_t messages_ = 0;
    message held_;
    // The source's deliveries, ready-made.
    std::vector<std::uint8_t> block_;
    std::size_t delivery_bytes_ = 0;
    std::uint32_t sequence_ = 0;
};

[[nodiscard]] std::unique_ptr<loopback_server> make_amqp_loopback(loopback_peer::role r, loopback_peer::mischief m);
[[nodiscard]] std::unique_ptr<loopback_server> make_mqtt_loopback(loopback_peer::role r, loopback_peer::mischief m);
[[nodiscard]] std::unique_ptr<loopback_server> make_http_loopback(loopback_peer::role r, loopback_peer::mischief m);

}  // namespace linnet::load
