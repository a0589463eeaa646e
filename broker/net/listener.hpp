#pragma once

#include "broker/base/result.hpp"
#include "broker/core/timer_wheel.hpp"
#include "broker/net/asio.hpp"
#include "broker/net/connection.hpp"

#include <cstdint>
#include <memory>
#include <string>

namespace linnet::net {

class admission;
class reactor;
class tls_context;

// Accepts connections for one reactor on one address. Every reactor has its own socket on that address
// (SO_REUSEPORT), and the kernel spreads the connections.
//
// When the process is out of descriptors it pauses instead of spinning, and goes on a moment later:
// connections that exist are not disturbed, and whoever waits is kept by the kernel.
//
// Threads: its reactor's, but for the constructor (before run()).
class listener final : private core::timer {
public:
    struct options {
        std::string address = "0.0.0.0";
        std::uint16_t port = 0;
        int backlog = 4096;
        // The first of several that share the address makes sure that nobody else has it: with SO_REUSEPORT
        // the kernel would split the clients between two daemons without a word.
        bool first = true;
        // Accepting pauses as well while no more descriptors than these are left to the process.
        std::uint64_t descriptors_kept = 0;
        connection::options connections;
    };

    listener(reactor& r, options o, admission& admitted_by, session_factory make_session);

    // Binds and listens; the reason when that fails. port() tells the real port when 0 was asked for.
    [[nodiscard]] result<void, std::string> open();
    [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
    void start();
    void close();
    // For new connections from now on; null: in the clear.
    void set_tls(std::shared_ptr<tls_context> tls) noexcept { tls_ = std::move(tls); }

private:
    static constexpr int accepts_a_turn = 64;
    static constexpr mono_ns pause = 100 * ns_per_ms;

    void on_timer(mono_ns now) override;
    void wait();
    void accept_some();
    // False: out of descriptors or memory.
    [[nodiscard]] bool accept_one(bool& more);
    [[nodiscard]] bool out_of_descriptors();
    [[nodiscard]] bool leaves_enough(int descriptor) const;
    void complain(int why);
    void welcome(tcp_socket socket, const asio::ip::tcp::endpoint& from);

    reactor& reactor_;
    options options_;
    admission& admission_;
    const connection::terms terms_{options_.connections, admission_};
    session_factory make_session_;
    std::shared_ptr<tls_context> tls_;
    asio::ip::tcp::acceptor acceptor_;
    std::uint16_t port_ = 0;
    bool complained_ = false;
    bool short_ = false;  // of descriptors, once at least: it looks before it accepts
};

}  // namespace linnet::net
