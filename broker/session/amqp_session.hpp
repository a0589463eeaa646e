#pragma once

#include "broker/core/shard.hpp"
#include "broker/session/amqp_continuation.hpp"
#include "broker/session/amqp_handshake.hpp"
#include "broker/session/amqp_owed.hpp"
#include "broker/session/amqp_settings.hpp"
#include "broker/session/authenticator.hpp"
#include "broker/session/session.hpp"
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session {

class amqp_channel;

// One AMQP 0-9-1 connection: handshake, channel 0, heartbeats, and the way of frames to their channels.
//
// A batch of input is worked off in place: frames are decoded where they lie, a publish whose three frames
// are all there goes to the core straight from the span. What can wait for the batch's end does: confirms, acks
// to queues, the pump, the flush. When the core cannot answer at once the rest of the input stays where it
// is (one outstanding answer a connection keeps every peer's commands in order). When all that is missing is the disk,
// further changes of the topology may follow, and their answers wait in line (amqp_owed.hpp); anything else waits.
//
// Threads: its shard's.
// Owns:    its channels. Borrows host, shard, authenticator, settings.
// Bounds:  channels and consumers by settings; output by the high watermark, above which nothing is read
//          or delivered; partial messages by message_bytes_max and what has really arrived.
// Fails:   the peer's mistakes end its channel or connection with RabbitMQ's codes and texts.
class amqp_session final : public session, private login_port, private core::timer {
public:
    amqp_session(host& h, core::shard& s, authenticator& a, const amqp_settings& settings);
    ~amqp_session() override;

    // session
    [[nodiscard]] std::size_t on_bytes(std::span<const std::uint8_t> in) override;
    void on_output_drained() override;
    void on_peer_closed() override;
    [[nodiscard]] std::string_view user_name() const noexcept override { return user_; }
    // core::session_port
    void on_reply(core::reply&& r) override;
    void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) override;
    void on_publish_unrouted(std::uint64_t sink_tag, std::uint64_t sequence) override;
    void on_settled_batch() override { end_batch(); }
    [[nodiscard]] core::delivery_sink* find_sink(std::uint64_t sink_tag) override;
    [[nodiscard]] bool takes_direct(std::string_view key) const override;
    void on_alarms(core::alarms now) override;
    void on_shutdown(std::string_view reason) override;
    void on_rights_changed() override;
    [[nodiscard]] bool describe(core::connection_look& into) override;
    void describe_channels(std::vector<core::channel_look>& into) override;

    // ---- For its channels ----------------------------------------------------------------------
    [[nodiscard]] core::shard& shard() noexcept { return shard_; }
    [[nodiscard]] const amqp_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] core::session_handle handle() const noexcept { return handle_; }
    // Of all AMQP sessions of the shard.
    [[nodiscard]] core::protocol_counts& counts() noexcept { return counts_; }
    [[nodiscard]] const std::string& user() const noexcept { return user_; }
    [[nodiscard]] const std::string& vhost_name() const noexcept { return vhost_name_; }
    [[nodiscard]] core::vhost_id vhost_id() const noexcept { return vhost_id_; }
    [[nodiscard]] const client_abilities& abilities() const noexcept { return abilities_; }
    // Of this batch, renewed after each answer of the core. Not null while input is handled.
    [[nodiscard]] const core::vhost_node& vhost() const noexcept { return *vhost_; }
    [[nodiscard]] std::uint64_t topology_version() const noexcept { return topology_version_; }
    [[nodiscard]] const core::access_rules* rules() const noexcept;
    [[nodiscard]] bool output_full() const noexcept { return output_full_; }
    // No room for what its peer may lose: it asks for replies and does not read them.
    [[nodiscard]] bool loses_direct() const noexcept {
        constexpr std::size_t factor = 8;
        return out_.pending() > std::max(times_high(out_, factor, factor * output_high_bytes), least_bytes);
    }
    // Deliveries are not what the client could have asked less of: they stop by themselves.
    void note_delivered() noexcept {
        if (output_full_) [[unlikely]] {
            // What answers may add to full output until their asking is not read any more.
            stuck_at_ = out_.pending() + std::max(times_high(out_, 2, 2 * output_high_bytes), least_bytes);
        }
    }
    // Seconds since the connection began: coarse, for long timeouts.
    [[nodiscard]] std::uint32_t age_s() const noexcept {
        return static_cast<std::uint32_t>((shard_.now() - born_) / ns_per_s);
    }

    template <amqp::method Method>
    void send(std::uint16_t channel, const Method& m) {
        const auto n = amqp::method_frame_size(m);
        amqp::put_method_frame(room(n), channel, m);
        written(n);
    }
    // Method, header and body. The body is referenced, not copied, when that pays.
    template <amqp::method Method>
    void send_content(std::uint16_t channel, const Method& m, wire::bytes_view block, const core::message_ptr& msg) {
        const auto body = msg->body();
        if (body.size() < output::reference_bytes) [[likely]] {
            send_content(channel, m, block, body);
        } else {
            send_head(channel, m, block, body.size());
            send_body_referenced(channel, msg);
        }
    }
    template <amqp::method Method>
    void send_content(std::uint16_t channel, const Method& m, wire::bytes_view block, wire::bytes_view body) {
        const auto n = amqp::content_size(m, block, body.size(), tuned_.frame_max);
        if (n <= block_pool::block_bytes) [[likely]] {
            amqp::put_content(room(n), channel, m, block, body, tuned_.frame_max);
            written(n);
        } else {
            send_head(channel, m, block, body.size());
            send_body_copied(channel, body);
        }
    }

    // The core is at work on a request of ours: the answer goes out before anything that it entails.
    // A request is under way, of this very moment or of that channel.
    [[nodiscard]] bool asking_for(std::uint16_t channel) const noexcept {
        return asking_ || (waiting_ != nullptr && waiting_->channel == channel) ||
               (owed_ != nullptr && owed_->any_of(channel));
    }
    // Hands the request to the core and its answer to the channel, at once or later.
    void ask(core::request_body body, amqp_continuation then);
    // Hands that to the channel, after what is owed.
    void take_answer(core::reply&& r, amqp_continuation then);
    // While answers are owed a channel's error waits for its turn, too. False: none are.
    [[nodiscard]] bool owe_failure(std::uint16_t channel, amqp::reply_code code, std::string_view text);
    void ask_reply_queue(core::session_handle to, std::string key, amqp_continuation then);
    // Input waits; a commit's publishes are to be settled first, then the channel hears finish_commit().
    void wait(amqp_continuation then);
    void commit_settled(amqp_channel& c);
    // The channel has failed: nobody waits for its commit any more.
    void give_up_commit(std::uint16_t channel);

    // A method that cannot be decoded; the connection is over.
    void fail_method(amqp::fault why, wire::bytes_view arguments);
    // The connection is over: says why, lets go of everything, waits for close-ok.
    void fail(amqp::reply_code code, std::string_view text);
    // A channel is over, the same for it alone.
    void log_channel_error(std::uint16_t channel, amqp::reply_code code, std::string_view text);
    // The method at work: what errors name.
    [[nodiscard]] amqp::method_id method() const noexcept { return method_; }
    void blame(amqp::method_id id) noexcept { method_ = id; }
    // The channel has something to say or to tell the core at the batch's end.
    void mark_dirty(amqp_channel& c) noexcept;
    // Timeouts of this channel's deliveries are to be watched.
    void watch_timeouts() noexcept;

private:
    enum class phase : std::uint8_t {
        greeting,        // awaits the protocol header
        starting,        // awaits start-ok
        authenticating,  // awaits the authenticator
        refusing,        // a client that cannot be told waits for its end
        tuning,          // awaits tune-ok
        opening,         // awaits connection.open
        running,
        leaving,  // the client closes; its exclusive queues go first
        closing,  // close sent, awaits close-ok
        done,
    };
    enum pause_reason : std::uint8_t {
        wait_reply = 1,
        wait_output = 2,
        wait_memory = 4,
        wait_login = 8,
    };
    struct channel_entry {
        std::uint16_t number = 0;
        std::unique_ptr<amqp_channel> channel;
    };
    // A body frame that is taken in as it arrives.
    struct body_stream {
        std::uint32_t left = 0;  // payload bytes still to come
        std::uint16_t channel = 0;
        bool active = false;
    };

    // Input.
    [[nodiscard]] std::size_t take_step(std::span<const std::uint8_t> in);
    [[nodiscard]] std::size_t take_greeting(std::span<const std::uint8_t> in);
    [[nodiscard]] std::size_t take_frame(std::span<const std::uint8_t> in);
    [[nodiscard]] std::size_t take_partial(std::span<const std::uint8_t> in);
    [[nodiscard]] std::size_t take_body_stream(std::span<const std::uint8_t> in);
    [[nodiscard]] std::size_t take_publish(const amqp::frame& f, std::span<const std::uint8_t> in);
    void handle_frame(const amqp::frame& f);
    void handle_connection_frame(const amqp::frame& f);
    void handle_channel_frame(const amqp::frame& f);
    void handle_unopened(const amqp::frame& f);
    void handle_closing(std::uint16_t number, amqp::method_id id);
    // As RabbitMQ: frame_max bounds the payload.
    [[nodiscard]] std::uint32_t frame_limit() const noexcept {
        return tuned_.frame_max == 0 ? 0 : tuned_.frame_max + static_cast<std::uint32_t>(amqp::frame_overhead_bytes);
    }
    void begin_batch();
    void end_batch();
    void refresh_vhost();
    [[nodiscard]] bool has_vhost();

    // Channel 0.
    void on(const amqp::connection_start_ok& m);
    void on(const amqp::connection_tune_ok& m);
    void on(const amqp::connection_open& m);
    void on(const amqp::connection_close& m);
    void on(const amqp::connection_close_ok& m);
    void on(const amqp::connection_update_secret& m);
    template <amqp::method Method>
    void on(const Method&) {
        unexpected_method();
    }
    void unexpected_method();
    void on_login(login_verdict v) override;
    [[nodiscard]] bool renew_grant(std::string_view token);
    void refuse_login(sasl_mechanism mechanism);
    void send_start();
    void send_tune();
    void leave();
    void finish_leaving();
    void hang_up_later();
    [[nodiscard]] std::size_t refuse_frame(std::span<const std::uint8_t> in);
    void fail_frame(std::uint8_t type, wire::bytes_view payload, std::string_view why);
    void unexpected_frame(const amqp::frame& f);
    [[nodiscard]] static std::string_view state_name(phase p) noexcept;

    // Time.
    void on_timer(mono_ns now) override;
    void arm_timer();
    void start_phase_timer(mono_ns after);
    [[nodiscard]] bool check_heartbeats(mono_ns now);
    void check_timeouts(mono_ns now);

    // Flow.
    void pause(pause_reason why);
    void resume(pause_reason why);
    void stop_deliveries();
    void stop_reading_if_stuck();

    [[nodiscard]] bool may_follow(std::span<const std::uint8_t> in) const;
    void give_owed();
    void go_on_reading();
    void answer(core::reply&& r, const amqp_continuation& then);
    void dispose(core::reply&& r, std::uint16_t channel);
    void release();
    void finish();
    [[nodiscard]] amqp_channel* find_channel(std::uint16_t number) const noexcept {
        // Most clients count up from 1 and close from the end: the place is known without a search.
        const std::size_t guess = number - std::size_t{1};
        if (guess < channels_.size() && channels_[guess].number == number) [[likely]] {
            return channels_[guess].channel.get();
        }
        return search_channel(number);
    }
    [[nodiscard]] amqp_channel* search_channel(std::uint16_t number) const noexcept;
    [[nodiscard]] amqp_channel* find_publisher(std::uint64_t publish_tag) const noexcept;
    void open_channel(std::uint16_t number);
    void close_channel(std::uint16_t number);

    // Output.
    [[nodiscard]] std::uint8_t* room(std::size_t n) { return out_.reserve(n); }
    void written(std::size_t n) {
        if (out_.empty()) {
            host_.flush_soon();
        }
        out_.commit(n);
        last_write_ = shard_.now();
        if (out_.passes_high() && !output_full_) [[unlikely]] {
            stop_deliveries();
        }
    }
    template <amqp::method Method>
    void send_head(std::uint16_t channel, const Method& m, wire::bytes_view block, std::size_t body_bytes) {
        const auto n = amqp::content_head_size(m, block);
        if (n <= block_pool::block_bytes) [[likely]] {
            amqp::put_content_head(room(n), channel, m, block, body_bytes);
            written(n);
        } else {
            std::vector<std::uint8_t> head(n);
            amqp::put_content_head(head.data(), channel, m, block, body_bytes);
            append(head);
        }
    }
    void send_body_referenced(std::uint16_t channel, const core::message_ptr& msg);
    void send_body_copied(std::uint16_t channel, wire::bytes_view body);
    void append(std::span<const std::uint8_t> bytes);
    void send_heartbeat();

    void log_info(std::string_view line) const;
    // A few lines a session, so that one that provokes errors cannot fill the log.
    void log_trouble(std::string_view line);

    // Constant after construction.
    host& host_;
    core::shard& shard_;
    authenticator& authenticator_;
    const amqp_settings& settings_;
    output& out_;
    core::protocol_counts& counts_;
    core::session_handle handle_;
    mono_ns born_;
    wall_ns since_;

    // Known after the handshake.
    tuning tuned_{.frame_max = amqp::frame_min_size, .channel_max = 0, .heartbeat_s = 0};
    client_abilities abilities_{};
    sasl_mechanism mechanism_ = sasl_mechanism::plain;
    core::vhost_id vhost_id_{};
    std::string user_;
    std::string vhost_name_;
    core::vhost_seat seat_;
    core::grant_ptr grant_;                              // null: the topology has the user's rights
    std::shared_ptr<const core::access_rules> granted_;  // by it, in the vhost
    std::string client_name_;
    std::string client_properties_;  // a table as it was sent: seldom looked at, and there may be many of us
    std::unique_ptr<core::rate_window<core::octet_counts>> window_;
    core::octet_counts told_;  // to the sum of all sessions
    bool opened_ = false;

    // The conversation.
    phase phase_ = phase::greeting;
    std::uint8_t paused_ = 0;
    bool output_full_ = false;
    std::size_t stuck_at_ = 0;  // while the output is full: with so much in it nothing is read
    core::alarms alarms_;
    bool blocked_said_ = false;
    bool released_ = false;
    bool asking_ = false;
    std::uint8_t trouble_lines_ = 0;
    amqp::method_id method_ = 0;
    body_stream body_{};
    std::vector<channel_entry> channels_;   // by number
    std::vector<channel_entry> graveyard_;  // ended with the connection, destroyed later
    std::unique_ptr<amqp_continuation> waiting_;
    std::uint64_t cookie_ = 0;
    std::uint64_t channels_made_ = 0;
    std::uint64_t waiting_cookie_ = 0;
    std::unique_ptr<amqp_owed> owed_;  // null while nothing is

    // Of the current batch.
    const core::vhost_node* vhost_ = nullptr;
    std::uint64_t topology_version_ = 0;
    amqp_channel* dirty_ = nullptr;

    // Time.
    mono_ns last_read_;
    mono_ns last_write_;
    mono_ns phase_deadline_ = 0;  // 0: none
    mono_ns next_check_ = 0;      // of delivery timeouts
};

}  // namespace linnet::session
