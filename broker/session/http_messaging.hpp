#pragma once

#include "broker/base/result.hpp"
#include "broker/core/shard.hpp"
#include "broker/session/http_handler.hpp"
#include "broker/session/http_lease.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet::session {

class http_consumer;
class http_reply_watch;
class http_tail;
class http_tail_feed;
struct tail_follower;
struct tail_wish;

struct http_messaging_settings {
    std::string topic_exchange = "amq.topic";  // what /t/ publishes to and listens at
    std::uint64_t message_bytes_max = std::uint64_t{16} << 20;
    std::size_t leases_max = 100'000;  // of a shard
    // Answers that are kept for repetitions (Idempotency-Key), of a shard.
    std::size_t repeated_max = 100'000;
    std::size_t repeated_bytes_max = std::size_t{64} << 20;
    mono_ns repeated_for = 10 * 60 * ns_per_s;
};

// Messages through HTTP: /v1/{vhost}/..., the same model in requests.
//
//     POST t/{level}/...          publish to a topic          GET, PUT, DELETE: its last value
//     POST x/{exchange}/{key}     publish to an exchange
//     POST q/{queue}              publish to a queue          GET: take messages, with leases
//     GET q/{queue}/events        a queue or a stream as server-sent events
//     GET events?topic=filter     topics as server-sent events, live, alone or in a group
//     POST rpc/{exchange}/{key}   a request that is answered: at once (Prefer: wait), or at its Location
//     GET replies/{token}         that Location: the answer, or an event stream of it; DELETE: it is not wanted
//     DELETE, PATCH leases/{id}   acknowledge, extend; POST leases/{id}/nack: give back, or reject with a reason
//     GET q, x                    what there is
//
// One object a shard is the session of all HTTP clients of that shard: what a request leaves behind (a lease, a publish
// that waits for its confirm) does not end with its connection. What must be in one place for all shards (leases,
// answers to repeated requests) lives on the shard that its name leads to, and is asked for there.
//
// Threads: its shard's; peers are reached through post_to_shard.
// Owns:    leases, consumers, tails. Borrows the shard.
// Bounds:  leases, kept answers and bodies by the settings, a poll by max and bytes, a listener by its own limits.
//          Kept answers count towards the memory budget; the oldest go first.
// Fails:   in problem documents.
class http_messaging final : public http_handler, private core::session_port {
public:
    // `peers`: of all shards, by number, this one included; filled before any runs.
    using peers = std::vector<http_messaging*>;

    http_messaging(core::shard& s, const http_messaging_settings& settings, const peers& all, post_to_shard post);
    ~http_messaging() override;

    // http_handler
    void on_request(const http_request& r, http_responder to) override;
    [[nodiscard]] std::uint64_t body_bytes_max() const noexcept override { return settings_.message_bytes_max; }
    [[nodiscard]] std::optional<http_answer> before_body(const http_request& r) override;
    [[nodiscard]] bool takes_by_get(std::span<const std::string_view> segments) const noexcept override;
    void stop() override;

    // ---- For its parts ---------------------------------------------------------------------------
    [[nodiscard]] core::shard& shard() noexcept { return shard_; }
    [[nodiscard]] const http_messaging_settings& settings() const noexcept { return settings_; }
    [[nodiscard]] core::session_handle handle();
    [[nodiscard]] http_leases& leases() noexcept { return leases_; }
    [[nodiscard]] const core::property_reader* reader_of(const core::message& m) const noexcept;
    using on_answer = std::function<void(core::reply&&)>;
    // `then` is called once, at once or later.
    void ask(core::vhost_id vhost, core::request_body what, on_answer then);
    // Takes a consumer over, and keeps it until it has ended.
    void adopt(std::unique_ptr<http_consumer> c);
    void drop(const http_consumer& c);
    void drop(const http_reply_watch& w);
    // ---- Topics as events (http_tail.hpp)
    // On that shard: at once if it is this one.
    void at(core::shard_id where, std::function<void(http_messaging&)> f);
    [[nodiscard]] core::shard_id feed_shard(std::string_view key) const noexcept;
    [[nodiscard]] http_tail_feed* feed(const std::string& key);
    [[nodiscard]] http_tail* tail(const std::string& key, std::uint64_t number);
    void follow(const std::string& key, const tail_wish& wish, const tail_follower& f);
    void forget(const http_tail_feed& f);
    void drop(const http_tail& t);
    [[nodiscard]] std::size_t feed_count() const noexcept { return feeds_.size(); }

private:
    // Where a request may go: its vhost, and what its user may do there.
    struct place {
        const core::vhost_node* vhost = nullptr;
        core::held_rules rules{};
    };
    // A message on its way in, with all that publishing it elsewhere needs.
    struct order {
        core::vhost_id vhost{};
        std::string exchange{};
        std::string key{};
        std::string properties{};  // as AMQP's block, which every protocol's consumers can be given
        core::message_traits traits{};
        std::string id{};
    };
    enum class fate : std::uint8_t { confirmed, refused, unroutable, no_exchange };
    struct published {
        fate what = fate::confirmed;
        bool stored = false;
    };
    using on_published = std::function<void(published)>;
    struct pending_publish {
        on_published then;
        bool stored = false;
    };
    struct batch;
    struct pending_call;
    // What comes of asking for a call: the handle of its answer, or why there is none.
    using on_called = std::function<void(result<core::reply_token, http_answer>)>;
    // Who waits for the answer to a call, and for how long.
    struct reply_wish {
        // A handle whose Location nobody has been told goes with the one who waits for it.
        enum class handle : std::uint8_t { stays, goes };
        core::vhost_id vhost{};
        std::string vhost_name{};
        std::string user{};
        mono_ns wait = 0;
        handle after = handle::stays;
    };
    enum class publish_kind : std::uint8_t {
        message,
        last_value,  // and the last value of its topic
        no_value,    // takes the last value away
    };
    // What has ended is destroyed when the core is not in the middle of a call to it.
    struct cleaner final : core::timer {
        explicit cleaner(http_messaging& h) noexcept : home_(h) {}
        void on_timer(mono_ns now) override;
        http_messaging& home_;
    };
    using answer_later = std::function<void(http_answer)>;
    // What is done with an answer, or what else stands for one, in place of giving it to who has asked.
    using on_told = std::function<void(http_responder, http_answer)>;
    struct asker {
        http_responder to;
        on_told then;  // none: it is the answer
    };
    // What a repetition gets: the same answer, or a try of its own.
    enum class repetition : std::uint8_t { same, tried };
    using answer_once = std::function<void(http_answer, repetition)>;
    using once_work = std::function<void(http_messaging&, answer_once)>;
    struct repeated {
        std::optional<http_answer> answer;  // none: it is under way
        std::size_t bytes = 0;              // of the answer and its key
        std::vector<answer_later> waiting;
    };
    using segments = std::span<const std::string_view>;

    // core::session_port
    void on_reply(core::reply&& r) override;
    void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) override;
    void on_publish_unrouted(std::uint64_t sink_tag, std::uint64_t sequence) override;
    void on_reply_news(core::reply_news&& news) override;
    void on_settled_batch() override {}
    [[nodiscard]] core::delivery_sink* find_sink(std::uint64_t) override { return nullptr; }
    void on_alarms(core::alarms) override {}
    void on_shutdown(std::string_view) override {}

    // ---- Ways in (http_messaging.cpp)
    void route(const http_request& r, const place& at, segments rest, http_responder to);
    void on_topic(const http_request& r, const place& at, segments levels, http_responder to);
    void on_exchange(const http_request& r, const place& at, segments rest, http_responder to);
    void on_queue(const http_request& r, const place& at, segments rest, http_responder to);
    void on_lease(const http_request& r, const place& at, segments rest, http_responder to);
    [[nodiscard]] std::optional<http_answer> enter(const http_request& r, place& into) const;
    [[nodiscard]] static bool may(const place& at, core::right what, std::string_view resource);
    [[nodiscard]] static bool may_topic(const place& at, core::right what, std::string_view exchange,
                                        std::string_view key);
    void give(std::uint64_t ticket, http_answer a);
    [[nodiscard]] answer_later later(http_responder to);
    // Runs `f` for its answer on that shard.
    void on_shard(core::shard_id where, std::function<void(http_messaging&, answer_later)> f, http_responder to,
                  on_told then = {});

    // ---- Publishing (http_publish.cpp)
    void publish_to(const http_request& r, const place& at, std::string exchange, std::string key, publish_kind kind,
                    http_responder to);
    [[nodiscard]] std::optional<http_answer> admit(const place& at, std::string_view exchange,
                                                   std::string_view key) const;
    [[nodiscard]] static std::string exchange_named(std::string_view segment);
    // `said` is what the properties of the order were made from.
    [[nodiscard]] static std::optional<http_answer> make_order(const http_request& r, order& into,
                                                               core::neutral_properties& said);
    void carry_out(const order& o, std::string_view body, on_published then);
    [[nodiscard]] bool is_stored(const core::vhost_node& v, core::targets where, const core::message_traits& t);
    [[nodiscard]] static http_answer answer_of(const std::string& id, const published& p);
    [[nodiscard]] static std::optional<http_answer> complain_of_key(std::string_view once);
    // For a request with an Idempotency-Key: on the shard that it leads to, unless that has its answer already.
    void do_once(const http_request& r, once_work work, http_responder to, on_told then = {});
    void work_once(const std::string& name, const once_work& work, answer_later then);
    void keep_repeated(repeated& entry, const std::string& name, const http_answer& a);
    void forget_repeated();
    void publish_batch(const http_request& r, const place& at, const order& o, http_responder to);
    [[nodiscard]] result<std::shared_ptr<batch>, std::string> make_batch(const http_request& r, const place& at,
                                                                         const order& o) const;
    void carry_out(const std::shared_ptr<batch>& b, answer_once then);

    // ---- Taking (http_take.cpp)
    void take(const http_request& r, const place& at, const core::queue_entry& q, http_responder to);

    // ---- Calls (http_call.cpp)
    void call(const http_request& r, const place& at, segments rest, http_responder to);
    void call_once(const http_request& r, std::shared_ptr<pending_call> c, reply_wish wish, http_responder to);
    void make_call(const std::shared_ptr<pending_call>& c);
    void open_call(const std::shared_ptr<pending_call>& c);
    void send_call(const std::shared_ptr<pending_call>& c);
    void wait_for_reply(const reply_wish& w, const core::reply_token& token, http_responder to);
    void on_replies(const http_request& r, const place& at, segments rest, http_responder to);

    // ---- Events (http_events.cpp)
    void listen_to_queue(const http_request& r, const place& at, const core::queue_entry& q, http_responder to);
    void listen_to_topics(const http_request& r, const place& at, std::vector<std::string> filters, http_responder to);
    void listen_in_group(core::vhost_id vhost, std::string_view group, const std::vector<std::string>& filters,
                         std::string name, http_responder to);

    // ---- What there is (http_listing.cpp)
    void read_last_value(const http_request& r, const place& at, std::string topic, http_responder to);
    void list_queues(const place& at, http_responder to);
    void list_exchanges(const place& at, http_responder to);
    static void say_openapi(const http_request& r, http_responder to);

    // Constant after construction.
    core::shard& shard_;
    const http_messaging_settings settings_;
    const peers& peers_;
    const post_to_shard post_;

    core::session_handle handle_{};
    core::route_memo memo_{};
    std::uint64_t last_cookie_ = 0;
    std::unordered_map<std::uint64_t, on_answer> asked_;
    std::uint64_t last_sequence_ = 0;
    std::unordered_map<std::uint64_t, pending_publish> publishing_;
    std::uint64_t last_ticket_ = 0;
    std::unordered_map<std::uint64_t, asker> answering_;            // while another shard is at work on it
    std::vector<std::unordered_map<std::uint64_t, bool>> durable_;  // queues that are known, by shard and place
    std::unordered_map<std::string, repeated> repeated_;
    std::deque<std::pair<mono_ns, std::string>> repeated_order_;  // when the answer goes, the oldest first
    std::size_t repeated_bytes_ = 0;
    cleaner cleaner_;
    http_leases leases_;
    std::unordered_map<const http_consumer*, std::unique_ptr<http_consumer>> consumers_;
    std::vector<std::unique_ptr<http_consumer>> dropped_;
    std::unordered_map<std::uint64_t, std::unique_ptr<http_reply_watch>> watches_;  // by their tag
    std::vector<std::unique_ptr<http_reply_watch>> dropped_watches_;
    std::unordered_map<std::string, http_tail_feed*> feeds_;  // among the consumers, by vhost and filters
    std::unordered_map<std::string, std::unique_ptr<http_tail>> tails_;
    std::vector<std::unique_ptr<http_tail>> dropped_tails_;
    std::uint64_t last_tail_ = 0;
    bool stopped_ = false;
};

}  // namespace linnet::session
