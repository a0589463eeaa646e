#pragma once

#include "broker/core/counts.hpp"
#include "broker/core/session_port.hpp"
#include "broker/session/output.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace linnet::core {
class shard;
}

namespace linnet::session {

class host;

// The part of a connection_look that the connection itself knows, beside the session.
void describe_peer(host& h, core::connection_look& into);
// Adds what is new since `told` to the protocol's sum, which so never falls, whoever comes and goes.
void tell_octets(const host& h, core::octet_counts& told, core::protocol_counts& to);

// What is known of the peer before it says a word.
struct peer_info {
    std::string peer_address;  // "127.0.0.1"
    std::uint16_t peer_port = 0;
    std::string local_address;
    std::uint16_t local_port = 0;
    bool loopback = false;
    bool tls = false;
    std::string certificate_name;  // the verified client certificate's user name; empty without one
    // "127.0.0.1:53412 -> 127.0.0.1:5672", as RabbitMQ names connections
    [[nodiscard]] std::string name() const;
};

// What a session may do to the connection that carries it. Nothing here re-enters the session.
//
// Threads: the shard's.
class host {
public:
    host() = default;
    host(const host&) = delete;
    host& operator=(const host&) = delete;
    virtual ~host() = default;

    [[nodiscard]] virtual output& out() noexcept = 0;
    // There is output: written once, at the turn's end (or sooner above a threshold).
    virtual void flush_soon() noexcept = 0;
    // No further input is wanted; close when the output has gone out, after `linger` at the latest.
    virtual void close_after_flush() noexcept = 0;
    // Close at once, without writing.
    virtual void abort() noexcept = 0;
    // Stop and go on reading the socket (flow control by TCP). Input that was read already and not
    // consumed is presented again after resume_reading().
    virtual void pause_reading() noexcept = 0;
    virtual void resume_reading() noexcept = 0;
    // Made anew for each caller: hosts keep the addresses in fewer bytes.
    [[nodiscard]] virtual peer_info peer() const = 0;
    // What its socket has carried so far.
    [[nodiscard]] virtual core::octet_counts octets() const noexcept { return {}; }
};

// One protocol's conversation, joined to the core, without a socket: bytes in, bytes out.
//
// The same object runs under Asio, under the simulator, under libFuzzer and in a benchmark.
//
// Threads: its shard's. The host owns the session and outlives it.
class session : public core::session_port {
public:
    // Takes input and returns how much of it is done with. What is left (part of a frame) comes again,
    // with more behind it. A session that has paused reading may leave whole frames.
    [[nodiscard]] virtual std::size_t on_bytes(std::span<const std::uint8_t> in) = 0;
    // The same for a host whose input may be written to, which is what hosts call: a session that decodes in place
    // (WebSocket's masks) takes it so. What it leaves must come again as it is then.
    [[nodiscard]] virtual std::size_t on_input(std::span<std::uint8_t> in) { return on_bytes(in); }
    // It has taken bytes that it could not work off yet: after resume_reading() it wants a call, even with nothing new.
    [[nodiscard]] virtual bool holds_input() const noexcept { return false; }
    // What has gathered is about to be written: the last chance to add to it.
    virtual void before_flush() {}
    // Output went below the low watermark after having been above the high one.
    virtual void on_output_drained() = 0;
    // The peer has gone (end of stream, reset, write error); the session is destroyed after this.
    virtual void on_peer_closed() = 0;
    // Who has logged in; empty before.
    [[nodiscard]] virtual std::string_view user_name() const noexcept = 0;

    // With more pending than its output says (output::passes_high) a session takes no more deliveries; from a quarter
    // of it on it does again. So much it is while memory is plenty:
    static constexpr std::size_t output_high_bytes = block_pool::high_bytes_max;

protected:
    // More is pending than should be, and the socket takes no more of it now.
    [[nodiscard]] static bool passes_high(host& h) noexcept {
        if (!h.out().passes_high()) [[likely]] {
            return false;
        }
        h.flush_soon();
        return h.out().passes_high();
    }
    // As many times the high watermark as that; but `plenty` for one whose socket takes what it is given: its output is
    // only as long as a turn makes it.
    [[nodiscard]] static std::size_t times_high(const output& out, std::size_t times, std::size_t plenty) noexcept {
        return out.stuck() ? std::min(plenty, times * out.pool().high_bytes_of_blocks(true)) : plenty;
    }
    static constexpr std::size_t least_bytes = 32 * 1024;  // where something must have room in any case
};

}  // namespace linnet::session
