#pragma once

#include "broker/core/publish_access.hpp"
#include "broker/core/shard.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/amqp_session.hpp"
#include "broker/session/confirm_window.hpp"
#include "broker/session/unacked_window.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet::session {

// One AMQP channel: publishes, consumers, what they have not acknowledged, confirms and transactions.
//
// After an error of its own the channel says channel.close and ignores everything but the peer's close-ok.
//
// Threads: its shard's.
// Owns:    its consumers' registrations and the deliveries lent to them; both go back when it closes.
// Bounds:  consumers by settings; a partial content by message_bytes_max.
class amqp_channel final : public core::delivery_sink {
public:
    amqp_channel(amqp_session& s, std::uint16_t number, std::uint64_t publish_tag);
    ~amqp_channel() override;

    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
    [[nodiscard]] std::uint64_t publish_tag() const noexcept { return publish_tag_; }
    // Says close and waits for close-ok: everything else is ignored.
    [[nodiscard]] bool closing() const noexcept { return closing_; }
    // No content is half received.
    [[nodiscard]] bool between_contents() const noexcept { return content_ == nullptr || !content_->expected; }
    [[nodiscard]] bool expects_body() const noexcept { return content_ != nullptr && content_->builder.active(); }

    // ---- Input ---------------------------------------------------------------------------------
    void on_method(amqp::method_id id, wire::bytes_view arguments);
    // A publish whose content is all there: the hot path.
    void on_publish(const amqp::basic_publish& m, wire::bytes_view block, wire::bytes_view body);
    void on_header(wire::bytes_view payload);
    // Some of the content's body; how frames cut it does not matter.
    void on_body(wire::bytes_view part);
    void on_reply(core::reply&& r, const amqp_continuation& then);
    // All publishes of the commit under way have been settled.
    void finish_commit();
    void on_publish_settled(std::uint64_t sequence, bool accepted);
    void on_publish_unrouted(std::uint64_t sequence);

    // ---- From the session ----------------------------------------------------------------------
    // Settles, confirms, resumes: what a batch left for its end.
    void end_batch();
    void update_ready();
    void flush_confirms();
    // Its user's rights have changed: the channel ends if it reads a queue that it may not read any more.
    void check_consumers();
    // Ends the channel, or the connection where the code says so; after what the session still owes.
    void fail(amqp::reply_code code, std::string_view text);
    // Ends what it has at the core: consumers first, so that nothing comes back here, then deliveries.
    void release();
    void check_timeouts(std::uint32_t now_s);
    // The user's have changed, though the topology has not.
    void forget_rights() noexcept {
        checked_version_ = 0;
        reply_rights_version_ = 0;
    }
    [[nodiscard]] core::channel_look look();
    [[nodiscard]] bool has_published() const noexcept { return counts_.publish != 0; }
    [[nodiscard]] std::uint32_t consumer_count() const noexcept;
    [[nodiscard]] bool takes_direct(const reply_address& a) const noexcept;

    // ---- core::delivery_sink -------------------------------------------------------------------
    void on_delivery(std::uint64_t tag, core::delivery&& d) override;
    void on_cancelled(std::uint64_t tag, core::cancel_reason why) override;
    void on_direct(core::message_ptr m) override;

    // The session's list of channels with something left for the batch's end.
    amqp_channel* next_dirty = nullptr;
    bool dirty = false;

private:
    enum class mode : std::uint8_t { plain, confirm, transaction };

    struct consumer {
        std::string tag;
        core::queue_handle queue;
        core::consumer_id id{};
        std::uint32_t generation = 0;
        std::uint32_t prefetch = 0;               // its own; 0: unlimited
        std::uint32_t timeout_s = 0;              // 0: none
        core::delivery_counts* counts = nullptr;  // of its queue's type; known once it is attached
        core::queue_type type = core::queue_type::classic;
        bool used = false;
        bool attached = false;  // the core knows it
        bool no_ack = false;
        bool counts_attempts = false;  // a quorum queue's: tell x-delivery-count
        bool adds_headers = false;     // that, or a stream's: tell x-stream-offset
        std::string queue_name;
    };
    // A content that arrives in pieces, and the working memory of publishes out of the ordinary.
    struct incoming {
        bool expected = false;  // a publish waits for its header or body
        bool mandatory = false;
        bool immediate = false;
        std::string exchange;
        std::string key;
        std::string block;                // where the publisher's own block will not do
        std::vector<std::string> copies;  // keys of CC and BCC
        core::message_builder builder;
    };
    // What the checks have made of a publish.
    struct prepared {
        core::message_traits traits;
        wire::bytes_view block;
        bool has_copies = false;  // then the keys are in content_->copies
    };
    struct buffered_publish {
        core::message_ptr msg;
        bool mandatory = false;
        std::vector<core::queue_handle> where;
        std::vector<std::string> delays;
        bool remember = false;
    };
    struct buffered_settlement {
        std::uint64_t tag;
        core::settlement how;
    };
    struct transaction_log {
        std::vector<buffered_publish> publishes;
        std::vector<buffered_settlement> settlements;
        bool refused = false;  // a publish of the commit under way was not taken
    };
    // Answers published `mandatory` to reply handles elsewhere, which may turn out to be gone: by sequence. Those that
    // no confirm was asked for have sequences of their own.
    struct returnable_answers {
        static constexpr std::uint64_t own_sequences = std::uint64_t{1} << 63;
        std::unordered_map<std::uint64_t, core::message_ptr> waiting;
        std::uint64_t last = own_sequences;
    };
    struct reply_consumer {
        std::string tag;
        reply_address address;
        std::string key;  // the address as text
    };
    // Acks of one queue and consumer, not yet told the core.
    struct ack_run {
        core::queue_handle queue;
        core::consumer_id consumer{};
        std::uint32_t count = 0;
        core::queue_type type = core::queue_type::classic;
        std::uint64_t bytes = 0;
        // Of them, those that are stored; the memory is used again.
        std::uint64_t stored_bytes = 0;
        std::vector<core::position> stored;
    };

    // Methods; the rest are the server's to send.
    void on(const amqp::channel_open& m);
    void on(const amqp::channel_flow& m);
    void on(const amqp::access_request& m);
    void on(const amqp::confirm_select& m);
    void on(const amqp::tx_select& m);
    void on(const amqp::tx_commit& m);
    void on(const amqp::tx_rollback& m);
    void on(const amqp::exchange_declare& m);
    void on(const amqp::exchange_delete& m);
    void on(const amqp::exchange_bind& m);
    void on(const amqp::exchange_unbind& m);
    void on(const amqp::queue_declare& m);
    void on(const amqp::queue_bind& m);
    void on(const amqp::queue_unbind& m);
    void on(const amqp::queue_purge& m);
    void on(const amqp::queue_delete& m);
    void on(const amqp::basic_qos& m);
    void on(const amqp::basic_consume& m);
    void on(const amqp::basic_cancel& m);
    void on(const amqp::basic_publish& m);
    void on(const amqp::basic_get& m);
    void on(const amqp::basic_ack& m);
    void on(const amqp::basic_nack& m);
    void on(const amqp::basic_reject& m);
    void on(const amqp::basic_recover& m);
    void on(const amqp::basic_recover_async& m);
    template <amqp::method Method>
    void on(const Method&) {
        fail(amqp::reply_code::command_invalid, "unimplemented method");
    }

    void fail(const core::error& e);
    [[nodiscard]] amqp_continuation then(amqp_continuation::kind what, bool no_wait) const;
    template <amqp::method Method>
    void send(const Method& m) {
        session_.send(number_, m);
    }

    // Names and rights (amqp_channel_topology.cpp).
    [[nodiscard]] bool allowed(core::right r, std::string_view kind, std::string_view name);
    void refuse_access(std::string_view kind, std::string_view name);
    [[nodiscard]] bool topic_allowed(core::right r, std::string_view exchange, std::string_view key);
    [[nodiscard]] bool is_text(std::string_view name);
    [[nodiscard]] std::optional<std::string> clean_name(std::string_view name);
    [[nodiscard]] bool readable(std::string_view queue);
    [[nodiscard]] bool named(std::string_view exchange);
    [[nodiscard]] bool creatable(std::string_view kind, std::string_view name);
    [[nodiscard]] bool dead_letter_allowed(const std::string& name, const core::value_table& arguments);
    [[nodiscard]] std::optional<std::string> queue_or_last(std::string_view name);
    [[nodiscard]] bool may_bind(core::bind_destination kind, const std::string& destination, const std::string& from,
                                std::string_view key, bool both_ways);
    void declare_reply_queue(const std::string& name, bool no_wait);
    [[nodiscard]] std::string in_vhost(std::string_view kind, std::string_view name) const;

    // Publishing (amqp_channel_publish.cpp).
    [[nodiscard]] bool may_publish(std::string_view exchange, std::string_view key);
    [[nodiscard]] bool examine_address(std::string_view exchange, std::string_view key);
    void refuse_publish(core::publish_bar bar, std::string_view exchange);
    [[nodiscard]] bool prepare(std::string_view exchange, std::string_view key, wire::bytes_view block,
                               std::uint64_t body_bytes, prepared& p);
    [[nodiscard]] bool prepare_properties(prepared& p);
    [[nodiscard]] bool prepare_expiration(std::string_view text, core::message_traits& traits);
    [[nodiscard]] bool prepare_headers(amqp::table_view headers, prepared& p);
    [[nodiscard]] bool collect_copies(amqp::table_view headers, std::string_view name);
    [[nodiscard]] bool rewrite_reply_to(prepared& p);
    void route_and_publish(core::message_ptr msg, bool mandatory, std::span<const std::string> copies);
    [[nodiscard]] core::shard::route route_of(const core::message& m, std::span<const std::string> copies);
    void answer_publish(const core::message_ptr& msg, bool mandatory, const core::shard::route& r);
    void dispatch(core::message_ptr msg, const core::shard::route& r, std::uint64_t sequence);
    void count_publish(const core::message& m) noexcept;
    void note_publish(const core::publish_result& done, std::uint64_t sequence);
    void send_to_reply_queue(core::message_ptr msg);
    void answer(core::message_ptr msg, const core::reply_token& to, bool mandatory, std::uint64_t sequence);
    void hand_over(core::message_ptr msg, bool mandatory, const core::shard::route& r, std::uint64_t sequence);
    [[nodiscard]] bool may_publish_to_queues();
    void finish_content();
    // It led nowhere: says so where that was asked for.
    void unrouted(const core::message_ptr& msg, bool mandatory);
    void say_no_route(const core::message_ptr& msg);
    void commit_publishes();
    incoming& content();

    // Consuming (amqp_channel_consume.cpp).
    void say_cancelled(std::string_view tag);
    void consume_replies(const amqp::basic_consume& m);
    void consumed(core::reply&& r, const amqp_continuation& then);
    void cancelled(const amqp_continuation& then);
    void got(core::got_message&& g, const amqp_continuation& then);
    [[nodiscard]] bool check_consume(const std::string& queue, bool no_ack, const core::value_table& arguments);
    void send_delivery(const amqp::basic_deliver& method, const consumer& c, const core::delivery& d);
    [[nodiscard]] std::optional<core::neutral_properties> foreign_properties(const core::delivery& d);
    [[nodiscard]] wire::bytes_view block_of(const core::delivery& d, std::uint32_t attempts);
    [[nodiscard]] consumer* find_consumer(std::string_view tag) noexcept;
    [[nodiscard]] std::uint32_t new_consumer();
    [[nodiscard]] std::uint32_t credit_of(const consumer& c) const noexcept;
    void forget_consumer(consumer& c) noexcept;
    [[nodiscard]] consumer* consumer_of(std::uint64_t tag) noexcept;
    [[nodiscard]] static std::uint64_t tag_of(std::uint32_t index, const consumer& c) noexcept {
        return std::uint64_t{c.generation} << 32 | index;
    }

    // Streams (amqp_channel_stream.cpp).
    [[nodiscard]] bool check_stream(const std::string& queue, std::string_view what);
    [[nodiscard]] bool check_stream_consume(const std::string& queue, bool no_ack, const core::value_table& arguments);
    [[nodiscard]] const consumer* stream_of(const core::delivery& d) const noexcept;
    [[nodiscard]] bool holds_stream_delivery(std::uint64_t first, std::uint64_t last, std::string_view what);

    // Settling (amqp_channel_settle.cpp).
    void settle(std::uint64_t tag, bool multiple, core::settlement how);
    template <class F>
    void each_live(std::uint64_t first, std::uint64_t last, F&& f);  // f(tag, slot), in order
    void settle_one(unacked_window::slot& s, std::uint64_t tag, core::settlement how);
    void ack(unacked_window::slot& s);
    void give_back(std::vector<core::delivery>& batch, core::settlement how);
    void keep_unacked(core::delivery&& d, core::queue_type from);
    void returned(const core::delivery& d) noexcept;
    void flush_acks();
    void requeue_all();
    void rollback();

    // Constant after construction.
    amqp_session& session_;
    const std::uint16_t number_;
    const std::uint64_t publish_tag_;  // no other channel of the session has it, before or after

    mode mode_ = mode::plain;
    bool closing_ = false;
    bool wants_resume_ = false;
    // Publishing. The address whose checks passed, good while the topology stands.
    std::string checked_exchange_;
    std::uint64_t checked_version_ = 0;
    bool checks_topic_ = false;
    core::route_memo memo_{};
    confirm_window confirms_;
    std::unique_ptr<incoming> content_;
    std::unique_ptr<transaction_log> transaction_;
    std::unique_ptr<returnable_answers> returnable_;  // null while there are none
    // The same for requests that name a queue for their answers.
    std::uint64_t reply_rights_version_ = 0;
    bool reply_rights_ = false;

    // Consuming.
    std::vector<consumer> consumers_;
    std::vector<std::string> ended_;  // consumers to be cancelled once the answer under way is out
    unacked_window unacked_;
    ack_run acks_{};
    std::uint32_t prefetch_ = 0;          // of consumers to come; 0: unlimited
    std::uint32_t prefetch_channel_ = 0;  // of all together; 0: unlimited
    std::uint32_t lent_ = 0;              // to consumers, unacknowledged
    std::unique_ptr<reply_consumer> replies_;
    // For people. What the windows' numbers tell is not counted again: deliveries by their tags, confirms by sequence.
    core::message_counts counts_;
    std::unique_ptr<core::rate_window<core::message_counts>> window_;
    std::string last_queue_;  // what an empty queue name means
    std::string block_;       // working memory: properties with a stream's offset
};

}  // namespace linnet::session
