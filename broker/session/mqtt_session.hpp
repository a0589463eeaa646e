#pragma once

#include "broker/core/shard.hpp"
#include "broker/session/authenticator.hpp"
#include "broker/session/mqtt_inbound.hpp"
#include "broker/session/mqtt_outbound.hpp"
#include "broker/session/mqtt_settings.hpp"
#include "broker/session/mqtt_state.hpp"
#include "broker/session/mqtt_subscriptions.hpp"
#include "broker/session/mqtt_topic.hpp"
#include "broker/session/name_pool.hpp"
#include "broker/session/scram.hpp"
#include "broker/session/session.hpp"
#include "protocol/mqtt/encode.hpp"
#include "protocol/mqtt/frame.hpp"
#include "protocol/mqtt/packets.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet::session {

// One MQTT connection (3.1, 3.1.1 and 5), and with it the session that its client id names.
//
// A filter of QoS 0 is bound to the connection itself, with no queue between (on_message). All others share one queue,
// which the session has from the first of them on. What comes either way is matched against the session's own list
// (mqtt_subscriptions), which knows quality, identifiers and options; where filters of both kinds match, the queue's
// delivery counts. Shared subscriptions and queues consumed by name are further consumers of the same sink. What
// outlives the connection is the core's: the queue, and an entry of the registry of named clients (core/client.hpp)
// with subscriptions and deliveries under way.
//
// Packets are worked off where they lie. CONNECT, SUBSCRIBE and UNSUBSCRIBE are jobs of several requests to the core;
// while one waits for an answer the rest of the input stays where it is. Publishes are pipelined: their answers wait in
// order until the core has said what became of them.
//
// Threads: its shard's.
// Owns:    the deliveries lent to it. Borrows host, shard, authenticator, settings.
// Bounds:  publishes under way by both Receive Maximums; subscriptions, their filters and packets by settings; what is
//          kept, by those and a MiB of messages; output by the high watermark, above which nothing is read or
//          delivered, but that messages without a queue go on for a while before they are dropped. Some 550 bytes and
//          its client id while it does nothing; what only publishing, subscribing, a will, a token or SCRAM need is
//          there from when it is needed on.
// Fails:   the peer's mistakes end the connection, in MQTT 5 with a reason code.
class mqtt_session final : public session, private core::delivery_sink, private login_port, private core::timer {
public:
    mqtt_session(host& h, core::shard& s, authenticator& a, const mqtt_settings& settings);
    ~mqtt_session() override;

    // session
    [[nodiscard]] std::size_t on_bytes(std::span<const std::uint8_t> in) override;
    void on_output_drained() override;
    void on_peer_closed() override;
    [[nodiscard]] std::string_view user_name() const noexcept override { return user_.text(); }
    // core::session_port
    void on_reply(core::reply&& r) override;
    void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) override;
    void on_publish_unrouted(std::uint64_t sink_tag, std::uint64_t sequence) override;
    void on_settled_batch() override { end_batch(); }
    [[nodiscard]] core::delivery_sink* find_sink(std::uint64_t) override { return nullptr; }
    void on_alarms(core::alarms now) override;
    void on_shutdown(std::string_view reason) override;
    void on_rights_changed() override;
    void on_taken_over(core::client_ticket t) override;
    [[nodiscard]] bool describe(core::connection_look& into) override;

    // Where messages reach it without a queue; names nothing where none do.
    [[nodiscard]] core::queue_handle live_sink() const noexcept {
        return consuming_ == nullptr ? core::queue_handle{} : consuming_->live;
    }
    [[nodiscard]] const std::string& client_id() const noexcept { return client_id_; }

private:
    enum class phase : std::uint8_t {
        greeting,        // awaits CONNECT
        authenticating,  // awaits the authenticator
        attaching,       // awaits the core: client id, queue, consumers
        running,
        done,
    };
    enum pause_reason : std::uint8_t {
        wait_reply = 1,
        wait_output = 2,
        wait_memory = 4,
        wait_login = 8,
    };
    // What on_publish_settled() is about.
    enum settled_tag : std::uint64_t { publish_tag = 1, mark_tag = 2, receipt_tag = 3, answer_tag = 4 };

    // A consumer: the session's own queue (the first), a shared subscription's, or a queue consumed by name.
    struct source {
        std::string queue;
        mqtt_subscription options;  // of all but the first: the filter as it was subscribed, and what it is granted
        core::queue_handle handle{};
        core::consumer_id consumer{};
        std::uint32_t generation = 0;
        bool used = false;
        bool attached = false;
        bool no_ack = false;
    };
    // One of the filters of a SUBSCRIBE or UNSUBSCRIBE.
    struct wish {
        mqtt_subscription what;
        std::string group;   // of a shared one
        std::string filter;  // without $share and group
        std::string queue;   // of what is a consumer of its own
        mqtt::retain_handling retained = mqtt::retain_handling::send;
        mqtt::reason_code reason = mqtt::reason_code::success;
        std::size_t source = 0;
        bool existed = false;
        [[nodiscard]] bool is_own() const noexcept { return queue.empty(); }
    };
    // What several requests to the core together bring about.
    struct job {
        enum class kind : std::uint8_t { connect, subscribe, unsubscribe };
        enum class step : std::uint8_t {
            attach,
            declare,  // the session's own queue, or a shared one
            bind,
            unbind,
            consume,
            subscribe,  // bind the connection itself
            keep,
            done,
        };
        kind what = kind::connect;
        step at = step::attach;  // what is to be asked next, and what has been asked, while it is
        std::uint16_t packet_id = 0;
        std::size_t next = 0;        // of wishes, or of sources
        std::size_t end = 0;         // of the wishes that are being bound together
        std::size_t rebuilding = 0;  // of sources: the one whose queue had gone
        bool rebuilt = false;        // its queue has been made anew
        std::size_t too_many = 0;    // filters behind the wishes, which are refused unseen
        std::vector<wish> wishes;
    };
    // What a session has subscribed to, and will have if all that it is granted comes true.
    struct tally {
        std::size_t count = 0;
        std::size_t bytes = 0;  // kept of it
    };
    // Retained messages on their way to a new subscription.
    struct retained_read {
        std::string filter;
        mqtt_subscription options;
        std::optional<std::string> after{};  // none: from the first on
    };
    struct retained_message {
        core::message_ptr msg;
        std::uint32_t left_s = 0;
        std::uint8_t qos = 0;
        std::uint32_t identifier = 0;
    };
    struct retained_work {
        std::deque<retained_read> reads;
        std::deque<retained_message> messages;
        bool asking = false;
    };
    // What the client said of itself and what it was promised.
    struct agreement {
        std::uint16_t keep_alive_s = 0;
        std::uint16_t inflight_max = 0;
        std::uint16_t alias_max = 0;  // towards the client
        bool clean : 1 = false;
        bool problem_information : 1 = true;
        bool wants_response_information : 1 = false;
        bool id_assigned : 1 = false;
        bool expiry_lowered : 1 = false;
        bool keep_alive_lowered : 1 = false;
        std::uint32_t packet_bytes_max = mqtt::packet_bytes_max;
        std::uint32_t expiry_s = 0;
    };
    // Where the last publish went: most publishers repeat their topic.
    struct checked_topic {
        std::string topic;
        mqtt_address address;
        std::uint64_t version = 0;  // of the topology; 0: none
    };
    // What only those need who publish. Most clients do one thing only, and most of them seldom.
    struct publishing {
        checked_topic checked;
        std::unique_ptr<checked_topic> response;  // likewise, of response topics; null until there is one
        core::route_memo memo{};
        std::vector<std::string> aliases;  // by alias - 1
        mqtt_inbound inbound;
        mqtt_taken_ids taken;
    };
    // The last key that came, and what it matches.
    struct matching {
        std::string key;
        std::string topic;
        bool valid = false;
        bool itself = false;
        bool left = false;  // one that has been unsubscribed matches it, too, and was to bring it from the queue
        mqtt_match found;
    };
    // Which of the sources has which filter, but for the first.
    struct source_places {
        std::map<std::string, std::size_t, std::less<>> by_filter;
        std::size_t filter_bytes = 0;
    };
    // What only those need who subscribe, or have subscribed.
    struct consuming {
        mqtt_subscriptions subscriptions;
        // Were bound to the queue, until this connection unsubscribed them. Null: none, or nothing is bound to itself.
        std::unique_ptr<mqtt_subscriptions> gone;
        std::unique_ptr<source_places> places;  // from the first such source on
        matching matched;
        core::queue_handle live{};  // of the connection itself, once a filter has been bound to it
        // Under way when the last connection ended; null: nothing was.
        std::unique_ptr<std::map<core::position, mqtt_state::stage>> resumed;
        std::list<mqtt_flight> unfinished;                           // likewise, of what no queue has
        std::vector<std::pair<std::uint64_t, core::delivery>> held;  // wait for an id, in order; by tag
        std::unique_ptr<retained_work> retained;
        std::unique_ptr<std::unordered_map<std::string, std::uint16_t>> sent_aliases;  // from the first one on
        std::vector<core::position> positions;                                         // working memory
        // How large the state is that the core keeps by this connection's word, and what has been added to it since;
        // 0: it is to be said whole.
        std::size_t kept_bytes = 0;
        std::size_t added_bytes = 0;
        bool kept_exchanges = false;  // it has some
    };
    // By a token: in place of what the topology has for the user.
    struct token_rights {
        core::grant_ptr grant;
        std::shared_ptr<const core::access_rules> rules;  // by it, in the vhost
    };
    // Enhanced authentication, of a CONNECT that named the method.
    struct enhanced {
        std::unique_ptr<scram_conversation> conversation;  // under way
        std::string farewell;                              // for CONNACK
    };
    // What people who look are shown.
    struct showing {
        core::rate_window<core::octet_counts> window;
        core::octet_counts told;  // to the sum of all sessions
    };

    // Input (mqtt_session_input.cpp).
    [[nodiscard]] std::size_t take_packet(std::span<const std::uint8_t> in);
    void handle(const mqtt::frame& f);
    template <mqtt::packet Packet>
    void decode_and_handle(const mqtt::frame& f);
    void on(const mqtt::connect& c);
    void on(const mqtt::publish& p);
    void on(const mqtt::puback& p);
    void on(const mqtt::pubrec& p);
    void on(const mqtt::pubrel& p);
    void on(const mqtt::pubcomp& p);
    void on(const mqtt::subscribe& p);
    void on(const mqtt::unsubscribe& p);
    void on(const mqtt::pingreq& p);
    void on(const mqtt::disconnect& p);
    void on(const mqtt::auth& p);
    void refuse_connect(mqtt::fault why, wire::bytes_view body);
    void fail(mqtt::fault why);
    // The connection is over: says why, where the version has words for it, and lets go of everything.
    void fail(mqtt::reason_code why, std::string_view text);

    // Enhanced authentication (mqtt_session_scram.cpp).
    [[nodiscard]] bool open_scram(const mqtt::property_block& p);
    void challenge();
    void send_auth(mqtt::reason_code reason, std::string_view data);
    void finish_scram(const mqtt::property_block& p);
    void refuse_scram(std::string_view text);

    // Getting acquainted (mqtt_session_connect.cpp).
    void enter_as(std::string_view name);
    void take_identity(const mqtt::connect& c);
    void check_password(std::string_view user, std::string_view password);
    // What "vhost:user" means.
    struct identity {
        std::string_view vhost;
        std::string_view user;
    };
    [[nodiscard]] identity identity_of(std::string_view name) const;
    [[nodiscard]] bool take_client_id(const mqtt::connect& c);
    void take_limits(const mqtt::connect& c);
    [[nodiscard]] bool take_will(const mqtt::will& w);
    void on_login(login_verdict v) override;
    [[nodiscard]] bool enter_vhost();
    void attach();
    void attached(core::attached_client&& a);
    void restore(mqtt_state&& s);
    void welcome();
    void refuse(mqtt::reason_code why, std::string_view text);

    // Jobs (mqtt_session_jobs.cpp).
    void begin(std::unique_ptr<job> j);
    // Asks the core for the next thing, until there is none left or an answer has to be waited for.
    void go_on();
    [[nodiscard]] std::optional<core::request_body> next_request();
    [[nodiscard]] std::optional<core::request_body> next_connect_request();
    [[nodiscard]] std::optional<core::request_body> next_subscribe_request();
    [[nodiscard]] std::optional<core::request_body> next_unsubscribe_request();
    void answered(core::reply&& r);
    void answered_connect(core::reply&& r);
    void answered_subscribe(core::reply&& r);
    void answered_unsubscribe(core::reply&& r);
    void finish_job();
    [[nodiscard]] std::string own_queue() const;
    [[nodiscard]] core::request_body declare_own_queue() const;
    [[nodiscard]] core::request_body declare_shared_queue(const std::string& name) const;
    [[nodiscard]] core::request_body bind_to(const std::string& queue, std::string_view filter) const;
    [[nodiscard]] core::request_body unbind_own(std::string_view filter) const;
    [[nodiscard]] core::request_body bind_live(std::vector<std::string> patterns);
    [[nodiscard]] core::request_body unbind_live(std::string_view filter) const;
    enum class placed : std::uint8_t { live, queued };
    void list_wishes_of(placed where);
    [[nodiscard]] std::optional<core::request_body> bind_more_live();
    [[nodiscard]] bool rebuild_source(const core::error& e);
    [[nodiscard]] core::request_body consume_from(std::size_t index);
    [[nodiscard]] core::request_body keep();
    [[nodiscard]] core::request_body keep_changes();
    [[nodiscard]] mqtt_state_changes changes_of(const job& j) const;
    void forget_kept() noexcept {
        if (consuming_ != nullptr) {
            consuming_->kept_bytes = 0;
        }
    }
    void end_binding(job& j);
    [[nodiscard]] bool has_own_queue() const noexcept { return !sources_.empty() && sources_.front().used; }
    [[nodiscard]] source& own_source();
    [[nodiscard]] bool take_consumer(std::size_t index, const core::reply& r);
    [[nodiscard]] bool is_live(const wish& w) const;
    [[nodiscard]] bool renew(wish& w);
    [[nodiscard]] core::request_body begin_live();
    [[nodiscard]] std::optional<core::request_body> begin_shared(wish& w);
    [[nodiscard]] core::request_body begin_queued(wish& w);
    void answered_live(const core::reply& r);
    void answered_wish(const core::reply& r);
    // The next wish, or what comes after all of them.
    void next_wish();

    // Subscribing (mqtt_session_subscribe.cpp).
    void judge(wish& w, tally& would) const;
    [[nodiscard]] tally tally_now() const noexcept;
    [[nodiscard]] bool is_new(const wish& w) const noexcept;
    // Where what the filter names lies: the session's own queue, a shared one, or one by name.
    [[nodiscard]] bool find_place(wish& w) const;
    [[nodiscard]] bool may_read(const wish& w) const;
    void add_own(wish& w);
    void remove_wish(wish& w);
    void remember_gone(const mqtt_subscription& s);
    void refuse_wish(wish& w, const core::error& e);
    void say_suback(const job& j);
    void say_unsuback(const job& j);
    [[nodiscard]] std::size_t find_source(std::string_view filter) const noexcept;
    [[nodiscard]] std::size_t new_source(std::string queue, mqtt_subscription options);
    // It is not to be found again, nor kept.
    void unname_source(source& s) noexcept;
    void forget_source(source& s) noexcept;
    [[nodiscard]] source* source_of(std::uint64_t tag) noexcept;
    [[nodiscard]] static std::uint64_t tag_of(std::size_t index, const source& s) noexcept {
        return std::uint64_t{s.generation} << 32 | index;
    }
    void read_retained(const std::vector<wish>& wishes);
    void forget_reads(const std::set<std::string_view>& filters);
    // Sends what there is and asks for more, until the client, its output or the core has to be waited for.
    void go_on_with_retained();
    void send_retained();
    void took_retained(core::reply&& r);

    // Publishing (mqtt_session_publish.cpp).
    [[nodiscard]] std::optional<std::string_view> resolve_alias(const mqtt::publish& p);
    [[nodiscard]] bool check_topic(std::string_view topic, checked_topic& checked);
    [[nodiscard]] bool may_publish(const mqtt_address& a) const;
    void refuse_publish(const mqtt::publish& p, mqtt::reason_code why, std::string_view text);
    [[nodiscard]] bool admit(const mqtt::publish& p);
    [[nodiscard]] core::message_ptr make_message(const mqtt::publish& p);
    [[nodiscard]] const mqtt_address* answers_of(const mqtt::publish& p);
    void hand_over(core::message_ptr m, const mqtt::publish& p);
    void answer_request(core::message_ptr m, const core::reply_token& to, const mqtt::publish& p);
    void settled(mqtt_inbound::entry& e, std::uint64_t sequence);
    void refused(mqtt_inbound::entry& e);
    void owe(mqtt_inbound::answer what, std::uint16_t id, mqtt::reason_code reason);
    void flush_answers();
    void say(const mqtt_inbound::entry& e);

    // Delivering (mqtt_session_deliver.cpp): core::delivery_sink, and what the client answers.
    void on_delivery(std::uint64_t tag, core::delivery&& d) override;
    void on_cancelled(std::uint64_t tag, core::cancel_reason why) override;
    void on_message(const core::message_ptr& m) override;
    void on_direct(core::message_ptr) override {}
    void deliver(std::size_t index, core::delivery&& d);
    // What a message's subscriptions ask for together.
    struct grant {
        std::uint8_t qos = 0;
        bool retain_as_published = false;
        std::span<const std::uint32_t> identifiers{};
    };
    void deliver_matched(std::size_t index, core::delivery&& d, std::string_view topic, const grant& g);
    void resend(core::delivery&& d);
    const matching& match(const core::message& m);
    void forget_match() noexcept {
        if (consuming_ != nullptr) {
            consuming_->matched.valid = false;
        }
    }
    [[nodiscard]] consuming& consumes();
    [[nodiscard]] publishing& publishes();
    [[nodiscard]] const mqtt_subscription* find_subscription(std::string_view filter) const {
        return consuming_ == nullptr ? nullptr : consuming_->subscriptions.find(filter);
    }
    [[nodiscard]] std::size_t subscription_count() const noexcept {
        return consuming_ == nullptr ? 0 : consuming_->subscriptions.size();
    }
    [[nodiscard]] bool remove_subscription(std::string_view filter) {
        return consuming_ != nullptr && consuming_->subscriptions.remove(filter);
    }
    [[nodiscard]] bool holds_deliveries() const noexcept { return consuming_ != nullptr && !consuming_->held.empty(); }
    [[nodiscard]] bool has_retained_work() const noexcept {
        return consuming_ != nullptr && consuming_->retained != nullptr;
    }
    [[nodiscard]] mqtt_inbound::entry* find_inbound(std::uint64_t sequence) noexcept {
        return publishing_ == nullptr ? nullptr : publishing_->inbound.find(sequence);
    }
    struct outgoing {
        const core::message& msg;
        std::string_view topic;
        const core::delivery* request = nullptr;  // null: it came by itself
        std::span<const std::uint32_t> identifiers{};
        std::int64_t expires_s = -1;
        std::uint16_t id = 0;
        std::uint8_t qos = 0;
        bool dup = false;
        bool retain = false;
        bool is_last_value = false;  // nobody waits for an answer to it
    };
    // False: more than the client can take; nothing was sent.
    [[nodiscard]] bool send_publish(const outgoing& o, const core::message_ptr& m);
    [[nodiscard]] wire::bytes_view publisher_properties(const outgoing& o, const core::message_ptr& whole);
    void lend_reply(core::neutral_properties& said, const outgoing& o, const core::message_ptr& m);
    void own_properties_of(const outgoing& o);
    [[nodiscard]] bool use_alias(mqtt::publish_head& h);
    [[nodiscard]] std::int64_t left_of(const core::delivery& d) const noexcept;
    void drop();
    void hold(std::size_t index, core::delivery&& d);
    [[nodiscard]] std::uint16_t free_id();
    void resume_release(core::delivery&& d);
    // The client has the message: after that is durable it is told that we know.
    void note_receipt(mqtt_flight& f);
    void receipt_noted(core::position pos);
    void say_pubrel(mqtt_flight& f);
    void finish_flight(mqtt_flight& f);
    void note_done(const core::delivery& d);
    void settle_sent(core::delivery&& d);
    void flush_settled();
    void go_on_delivering();
    void update_ready();
    // A filter is bound to the connection and to the queue: until the list says which of the two counts, both do.
    [[nodiscard]] bool is_rebinding() const noexcept {
        return job_ != nullptr && job_->what == job::kind::subscribe && job_->at == job::step::unbind;
    }
    [[nodiscard]] bool has_room() const noexcept { return outbound_.size() < agreed_.inflight_max; }
    // For what no position names: what the last connection left under way has its ids, too.
    [[nodiscard]] bool has_free_id() const noexcept {
        const auto left = consuming_ == nullptr ? 0 : consuming_->unfinished.size();
        return has_room() && outbound_.size() + left < mqtt_outbound::positional_ids;
    }

    // Deliveries under way when a connection ends (mqtt_session_unfinished.cpp).
    void leave_groups();
    void take_back(std::vector<core::delivery>& back);
    [[nodiscard]] std::size_t carried_bytes() const;
    [[nodiscard]] bool brings_messages() const;
    [[nodiscard]] std::vector<mqtt_state::exchange> exchanges_left() const;
    [[nodiscard]] std::vector<mqtt_state::exchange> exchanges_to_release() const;
    [[nodiscard]] static mqtt_state::exchange exchange_of(const mqtt_flight& f);
    [[nodiscard]] mqtt_flight flight_of(const mqtt_state::exchange& e);
    void go_on_with_unfinished();

    // The core, flow, output, the end (mqtt_session.cpp).
    void begin_batch();
    void end_batch();
    void refresh_vhost();
    [[nodiscard]] const core::access_rules* rules() const noexcept;
    [[nodiscard]] bool allowed(core::right r, std::string_view exchange, std::string_view key) const;
    // At once, or through on_reply() later.
    [[nodiscard]] std::optional<core::reply> ask(core::request_body body);
    void dispose(core::reply&& r);
    void pause(pause_reason why);
    void resume(pause_reason why);
    void stop_deliveries();
    void on_timer(mono_ns now) override;
    void arm_timer();
    [[nodiscard]] std::uint8_t* room(std::size_t n) { return out_.reserve(n); }
    void written(std::size_t n) {
        if (out_.empty()) {
            host_.flush_soon();
        }
        out_.commit(n);
        counts_.bytes_sent.add(n);
        if (out_.passes_high() && !output_full_) [[unlikely]] {
            stop_deliveries();
        }
    }
    void append(std::span<const std::uint8_t> bytes);
    template <mqtt::packet Packet>
    void send(const Packet& p) {
        const auto n = mqtt::encoded_size(p, spoken_);
        counts_.packets_sent.add();
        if (n <= block_pool::block_bytes) [[likely]] {
            mqtt::encode(room(n), p, spoken_);
            written(n);
        } else {
            std::vector<std::uint8_t> whole(n);
            mqtt::encode(whole.data(), p, spoken_);
            append(whole);
        }
    }
    void say_disconnect(mqtt::reason_code why, std::string_view text);
    [[nodiscard]] std::string reason_properties(std::string_view text) const;
    enum class parting : std::uint8_t { with_will, without_will };
    void release(parting how);
    void finish(parting how);
    [[nodiscard]] mqtt_state state_now() const;  // without the exchanges
    [[nodiscard]] bool is_v5() const noexcept { return spoken_ == mqtt::version::v5; }
    [[nodiscard]] mqtt_naming names() const noexcept { return {settings_.exchange, topic_mode_}; }
    [[nodiscard]] mqtt::dialect dialect() const noexcept { return {spoken_, mqtt::role::client}; }
    void note_opened();
    void log_info(std::string_view line) const;
    void log_trouble(std::string_view line);

    // Constant after construction.
    host& host_;
    core::shard& shard_;
    authenticator& authenticator_;
    const mqtt_settings& settings_;
    output& out_;
    mqtt_counts& counts_;
    mqtt_scratch& scratch_;
    wall_ns since_;
    core::session_handle handle_;

    // Known from CONNECT on. In an order that leaves few holes.
    core::vhost_id vhost_id_{};
    core::protocol_counts* totals_;     // of all sessions of this version on the shard
    std::unique_ptr<showing> showing_;  // from the first look on
    agreement agreed_{};
    std::uint64_t publisher_ = 0;  // this client, in the blocks of what it publishes
    shared_name user_;
    shared_name vhost_name_;
    core::vhost_seat seat_;
    std::unique_ptr<token_rights> rights_;  // null: the topology has the user's
    std::string client_id_;
    core::client_ticket ticket_{};
    std::unique_ptr<core::last_words> will_;               // null: none
    std::unique_ptr<enhanced> enhanced_;                   // null: CONNECT named no method
    mqtt::name_mode topic_mode_ = mqtt::name_mode::exact;  // in the vhost
    mqtt::version spoken_ = mqtt::version::unknown;
    bool opened_ = false;
    bool published_ = false;
    bool kept_ = false;  // the session outlives the connection

    // The conversation.
    phase phase_ = phase::greeting;
    std::uint8_t paused_ = 0;
    bool output_full_ = false;
    bool released_ = false;
    bool session_present_ = false;
    core::alarms alarms_;
    std::uint8_t trouble_lines_ = 0;
    bool waiting_ = false;  // for an answer of the core
    bool drops_ = false;
    bool rights_changed_ = false;  // while it was being opened
    bool wants_resume_ = false;
    bool own_queue_gone_ = false;
    std::uint32_t cookie_ = 0;
    std::unique_ptr<job> job_;

    std::unique_ptr<publishing> publishing_;  // from the first publish on
    std::unique_ptr<consuming> consuming_;    // from the first subscription on
    std::vector<source> sources_;             // likewise; the first is the session's own queue
    mqtt_outbound outbound_;
    std::vector<core::delivery> sent_;  // need no answer, and are to be settled

    // Of the current batch.
    const core::vhost_node* vhost_ = nullptr;
    std::uint64_t topology_version_ = 0;

    // Time.
    mono_ns last_read_;
    mono_ns deadline_ = 0;  // of the CONNECT; 0: none
};

static_assert(sizeof(mqtt_session) <= 504, "ten thousand of them may be idle");

}  // namespace linnet::session
