#pragma once

#include "broker/core/timer_wheel.hpp"
#include "broker/net/asio.hpp"
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
class connection final : public session::host, private core::timer, public std::enable_shared_from_this<connection> {
public:
    struct options {
        mono_ns tls_handshake_timeout = 10 * ns_per_s;
        mono_ns linger = 2 * ns_per_s;  // for the last words to be written, and for the peer to go
        // How long the peer may be the one that closes. A client may still be writing when it reads its
        // close-ok (two of its threads close at once); an end of stream on its heels looks like a failure.
        mono_ns peer_goes_first = 100 * ns_per_ms;
    };

    connection(reactor& r, asio::ip::tcp::socket socket, session::peer_info peer, admission* admitted_by,
               const options& o);
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
    [[nodiscard]] const session::peer_info& peer() const noexcept override { return peer_; }

    // ---- For the reactor -----------------------------------------------------------------------
    void flush();
    // Ends at once, without a word. Not to be called from within the session.
    void cut() { end(); }
    void wait_readable();
    // Takes what is held back and goes on reading.
    void eat();
    [[nodiscard]] session::session* session() noexcept { return session_.get(); }
    [[nodiscard]] bool ended() const noexcept { return phase_ == phase::ended; }

private:
    enum class phase : std::uint8_t { handshake, open, flushing, lingering, ended };
    enum class fed : std::uint8_t { all_taken, held_back };
    // Written within the turn once so much has gathered: the peer's work begins, our blocks are reused.
    static constexpr std::size_t early_flush_bytes = 256 * 1024;
    static constexpr std::size_t write_vectors = 64;

    void on_timer(mono_ns now) override;
    void continue_handshake();
    void open_session();
    void wait_writable();
    void watch_for_reset();
    [[nodiscard]] bool was_reset() noexcept;
    void on_readable();
    void discard_input();
    void feed(std::span<const std::uint8_t> fresh);
    void hold(std::span<const std::uint8_t> rest);
    void write_some();
    void after_write();
    void start_linger();
    void end_output();
    void be_hungry();
    void end();

    reactor& reactor_;
    asio::ip::tcp::socket socket_;
    transport transport_;
    session::output output_;
    std::unique_ptr<session::session> session_;
    session_factory make_session_;  // until the session is made
    session::peer_info peer_;
    admission* admitted_by_;
    const options& options_;
    certificate_user name_from_ = certificate_user::common_name;
    std::vector<std::uint8_t> held_;  // input that the session has not taken
    phase phase_ = phase::handshake;
    bool paused_ = false;
    bool reading_ = false;   // a wait for readability is under way
    bool watching_ = false;  // for a reset while nobody reads
    bool writing_ = false;   // likewise for writability: the socket is full
    bool broken_ = false;    // writing failed
    bool output_ended_ = false;
    bool dirty_ = false;
    bool hungry_ = false;
    bool was_high_ = false;  // output was above the session's high watermark
};

}  // namespace linnet::net
