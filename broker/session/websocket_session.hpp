#pragma once

#include "broker/core/timer_wheel.hpp"
#include "broker/session/session.hpp"
#include "protocol/ws/handshake.hpp"
#include "protocol/ws/message_reader.hpp"

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session {

// A session of another protocol that speaks through WebSocket messages (RFC 6455): unchanged, it talks to a host that
// wraps the real one. What it says in a turn goes out as one binary message, whose pieces stay where they are; what
// comes is unmasked in place and handed on as it arrives, since AMQP and MQTT cut their own packets ([MQTT-6.0.0-2]).
//
// Threads: its shard's.
// Owns:    the session within, and what that could not take yet: part of a packet, bounded by that protocol.
// Bounds:  a message by `message_bytes_max`, counted inflated. Output: while more than the high watermark waits for the
//          socket the rest stays with the session within, which then takes no more deliveries.
// Fails:   what breaks the protocol ends the connection with its close code.
class websocket_session final : public session, private host, private core::timer {
public:
    using factory = std::function<std::unique_ptr<session>(host&, core::shard&)>;

    struct settings {
        std::uint64_t message_bytes_max = ws::reader_settings::unlimited;
        std::optional<ws::deflate_agreement> deflate{};
        // Who has been silent for so long is asked whether it is there, and given up if it is silent as long again.
        mono_ns ping_interval = 0;  // 0: nobody is asked
    };

    websocket_session(host& outside, core::shard& s, const settings& agreed, const factory& make_inner);
    ~websocket_session() override;

    // session
    [[nodiscard]] std::size_t on_bytes(std::span<const std::uint8_t> in) override;
    [[nodiscard]] std::size_t on_input(std::span<std::uint8_t> in) override;
    [[nodiscard]] bool holds_input() const noexcept override { return !held_.empty(); }
    void before_flush() override { pass_output_on(); }
    void on_output_drained() override;
    void on_peer_closed() override { inner_->on_peer_closed(); }
    [[nodiscard]] std::string_view user_name() const noexcept override { return inner_->user_name(); }
    // core::session_port: the session within has made itself known to the core; these come from elsewhere.
    void on_reply(core::reply&& r) override { inner_->on_reply(std::move(r)); }
    void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) override {
        inner_->on_publish_settled(sink_tag, sequence, accepted);
    }
    void on_settled_batch() override { inner_->on_settled_batch(); }
    [[nodiscard]] core::delivery_sink* find_sink(std::uint64_t sink_tag) override {
        return inner_->find_sink(sink_tag);
    }
    void on_alarms(core::alarms now) override { inner_->on_alarms(now); }
    void on_shutdown(std::string_view reason) override { inner_->on_shutdown(reason); }
    void on_rights_changed() override { inner_->on_rights_changed(); }

private:
    // host, of the session within
    [[nodiscard]] output& out() noexcept override { return said_; }
    void flush_soon() noexcept override { outside_.flush_soon(); }
    void close_after_flush() noexcept override;
    void abort() noexcept override { outside_.abort(); }
    void pause_reading() noexcept override;
    void resume_reading() noexcept override;
    [[nodiscard]] peer_info peer() const override { return outside_.peer(); }
    [[nodiscard]] core::octet_counts octets() const noexcept override { return outside_.octets(); }

    void on_timer(mono_ns now) override;

    void hand_on(std::span<const std::uint8_t> payload);
    void feed_held();
    void pass_output_on();
    void send_message();
    void send_control(std::span<const std::uint8_t> frame);
    void end_with(std::span<const std::uint8_t> close_frame);

    // Constant after construction.
    host& outside_;
    core::shard& shard_;
    const bool compresses_;
    const mono_ns ping_interval_;

    ws::message_reader reader_;
    output said_;
    std::vector<std::uint8_t> held_;
    std::unique_ptr<session> inner_;
    mono_ns last_read_;
    bool asked_ = false;  // and not heard since
    bool paused_ = false;
    bool closing_ = false;  // the session within has said its last
    bool ended_ = false;    // our close frame is out: nothing may follow
};

// ---- The handshake -------------------------------------------------------------------------------

// What a request for a WebSocket says, as HTTP's fields have it.
struct websocket_request {
    std::string_view method;
    bool http_1_1 = true;
    std::string_view host;
    std::vector<std::string_view> upgrade;
    std::vector<std::string_view> connection;
    std::string key;
    std::string version;
    std::vector<std::string_view> protocols;
    std::vector<std::string_view> extensions;
    std::optional<std::string_view> origin;
};
struct websocket_policy {
    std::vector<std::string_view> protocols;  // sub-protocols that are served
    std::vector<std::string> origins;         // as ws::origin_policy
    bool compress = false;
};
struct websocket_verdict {
    std::string response;  // the whole of it
    bool accepted = false;
    std::string_view protocol{};  // one of the policy's; empty: none was offered that is served
    std::optional<ws::deflate_agreement> deflate{};
};
// Whether a page of that origin may do anything here, asked of all that a browser does by itself. `host`: empty for
// pages of others alone.
[[nodiscard]] bool page_may_call(std::string_view origin, std::string_view host, std::span<const std::string> allowed);
[[nodiscard]] websocket_verdict answer_websocket(const websocket_request& request, const websocket_policy& policy);

}  // namespace linnet::session
