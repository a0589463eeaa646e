#pragma once

#include "broker/core/timer_wheel.hpp"
#include "broker/net/asio.hpp"
#include "broker/net/connection_ptr.hpp"
#include "broker/net/transport.hpp"
#include "broker/session/session.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace linnet::net {

class admission;
class reactor;
class tls_context;

using session_factory = std::function<std::unique_ptr<session::session>(session::host&, core::shard&)>;

// A socket and the session it carries: reads into the reactor's shared buffer, hands the session what came,
// writes what the session has put into its output.
//
// It owns memory of its own only for part of a unit that its session has not been able to take yet.
//
// Threads: its reactor's.
// Owns:    socket and session. It is shared with the handlers that wait on the socket: Asio's pump
//          needs the object to outlive a handler that fires after the end.
// Bounds:  some 600 bytes while idle, what Asio keeps for its socket included, and its session. What only some need,
//          or all only at the end, is allocated then.
class connection final : public session::host {
public:
    struct options {
        mono_ns tls_handshake_timeout = 10 * ns_per_s;
        mono_ns linger = 2 * ns_per_s;  // for the last words to be written, and for the peer to go
        // How long the peer may be the one that closes. A client may still be writing when it reads its
        // close-ok (two of its threads close at once); an end of stream on its heels looks like a failure.
        mono_ns peer_goes_first = 100 * ns_per_ms;
    };

    // Between which addresses.
    struct path {
        asio::ip::tcp::endpoint from;
        asio::ip::tcp::endpoint to;
    };

    // What all connections of a listener have in common.
    struct terms {
        const options& times;
        admission& admitted_by;  // has counted each of them
    };

    // `t` outlives it.
    connection(reactor& r, tcp_socket socket, const path& between, const terms& t);
    ~connection() override;

    // In the clear, or after a TLS handshake.
    void start(const session_factory& make_session, const std::shared_ptr<tls_context>& tls);

    // ---- session::host -------------------------------------------------------------------------
    [[nodiscard]] session::output& out() noexcept override { return output_; }
    void flush_soon() noexcept override;
    void close_after_flush() noexcept override;
    void abort() noexcept override;
    void pause_reading() noexcept override;
    void resume_reading() noexcept override;
    [[nodiscard]] session::peer_info peer() const override;
    [[nodiscard]] core::octet_counts octets() const noexcept override { return octets_; }

    // ---- For the reactor -----------------------------------------------------------------------
    // What it takes beside its session, TLS and input that waits, as the budget has it.
    [[nodiscard]] std::int64_t own_bytes() const noexcept;
    void flush();
    // Ends at once, without a word. Not to be called from within the session.
    void cut() { end(); }
    void wait_readable();
    // Takes what is held back and goes on reading.
    void eat();
    [[nodiscard]] session::session* session() noexcept { return session_.get(); }
    [[nodiscard]] bool ended() const noexcept { return phase_ == phase::ended; }

private:
    friend class connection_ptr;  // counts
    friend class reactor;         // keeps it in its place
    enum class phase : std::uint8_t { handshake, open, flushing, lingering, ended };
    enum class fed : std::uint8_t { all_taken, held_back };
    // Written within the turn once so much has gathered: the peer's work begins, our blocks are reused.
    static constexpr std::size_t early_flush_bytes = 256 * 1024;
    static constexpr std::size_t write_vectors = 64;

    // For TLS's handshake and the end.
    struct deadline final : core::timer {
        explicit deadline(connection& c) noexcept : of(c) {}
        void on_timer(mono_ns /*now*/) override { of.on_deadline(); }
        connection& of;
    };
    // What TLS alone needs.
    struct secured {
        session_factory make_session;  // until the session is made
        certificate_user name_from = certificate_user::common_name;
        std::string certificate_name;
    };
    // Input that the session has not taken.
    struct remainder {
        std::vector<std::uint8_t> bytes;
        std::size_t noted = 0;  // its capacity, as the budget knows it
    };

    void on_deadline();
    void start_deadline(mono_ns after);
    void stop_deadline() noexcept;
    void continue_handshake();
    void open_session(const session_factory& make_session);
    void wait_writable();
    void watch_for_reset();
    [[nodiscard]] bool was_reset() noexcept;
    void on_readable();
    void discard_input();
    void feed(std::span<std::uint8_t> fresh);
    void hand_over(std::span<std::uint8_t> fresh);
    void hold(std::span<const std::uint8_t> rest);
    // To the memory budget, after what is held may have grown or shrunk.
    void note_held();
    void write_some();
    void after_write();
    [[nodiscard]] mono_ns patience() const noexcept;
    void start_linger();
    void end_output();
    void be_hungry();
    void end();

    reactor& reactor_;
    tcp_socket socket_;
    transport transport_;
    session::output output_;
    core::octet_counts octets_;
    std::unique_ptr<session::session> session_;
    std::unique_ptr<remainder> held_;     // from the first that it did not take on
    std::unique_ptr<secured> secured_;    // null in the clear
    std::unique_ptr<deadline> deadline_;  // from the first one on
    const terms& terms_;
    const path between_;
    std::uint32_t place_ = 0;  // with the reactor
    std::uint32_t references_ = 0;
    phase phase_ = phase::handshake;
    bool paused_ = false;
    bool watching_ = false;  // for a reset while nobody reads
    bool hungry_ = false;
    bool reading_ : 1 = false;  // a wait for readability is under way
    bool writing_ : 1 = false;  // likewise for writability: the socket is full
    bool broken_ : 1 = false;   // writing failed
    bool output_ended_ : 1 = false;
    bool dirty_ : 1 = false;
    bool stores_ : 1 = false;  // its latest input has put messages into a log of this shard
};

static_assert(sizeof(connection) <= 280, "ten thousand of them may be idle");

}  // namespace linnet::net
