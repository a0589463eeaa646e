// Server-sent events: queues and streams, each reader with a consumer of its own. (Topics: http_tail.cpp.)

#include "broker/core/topology.hpp"
#include "broker/session/http_properties.hpp"
#include "broker/session/http_tail.hpp"
#include "broker/session/http_words.hpp"
#include "broker/session/mqtt_topic.hpp"
#include "protocol/http/percent.hpp"
#include "protocol/http/sse.hpp"
#include "protocol/wire/bytes.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linnet::session {
namespace {

using core::right;
using core::topology_view;

constexpr mono_ns heartbeat_pause = 15 * ns_per_s;
constexpr std::uint32_t retry_ms = 2000;
// What is written in one go, and what may wait for the socket before a source is asked again.
constexpr std::size_t write_bytes = 64 * 1024;
// What a queue lends to a reader ahead of what it has been sent.
constexpr std::uint32_t prefetch = 64;
constexpr std::size_t filters_max = 32;
constexpr std::size_t group_bytes_max = 100;
// A group that nobody has come back to for so long is over, with what waits for it.
constexpr std::int64_t group_expiry_ms = 7LL * 24 * 3600 * 1000;

// Behind which event the reader wants to go on, if it says so. What the browser sends when it comes back is newer than
// what the page asked for. False: what it says is no event's id.
bool read_place(const http_request& r, std::optional<event_place>& after) {
    const auto last = r.head.fields.find("Last-Event-ID");
    const auto asked = last ? std::optional(std::string(*last)) : r.query("after");
    after = asked ? event_place::parse(*asked) : std::nullopt;
    return !asked || after;
}

}  // namespace

// ---- Sources -------------------------------------------------------------------------------------

http_event_source::http_event_source(http_messaging& home) : home_(home) {
    http::append_retry(said_, retry_ms);
    home_.shard().timers().start(*this, home_.shard().now() + heartbeat_pause);
}

void http_event_source::on_timer(mono_ns now) {
    said_ += http::sse_heartbeat;
    wake();
    home_.shard().timers().start(*this, now + heartbeat_pause);
}

void http_event_source::finish() {
    finished_ = true;
    wake();
}

http_source::progress http_event_source::write(http_body& to) {
    if (!said_.empty()) {
        to.append(said_);
        said_.clear();
    }
    const auto end = to.pending() + write_bytes;
    while (has_next() && to.pending() < end) {
        write_next(to);
    }
    return has_next() ? progress::more : finished_ ? progress::done : progress::waits;
}

void append_message_event(std::string& out, std::string_view id, std::string_view name, const core::message& m,
                          const core::property_reader* reader) {
    const auto p = properties_of(m, reader);
    const std::string type = p.content_type.value_or("application/octet-stream");
    http::append_message(out, {.id = id,
                               .name = !name.empty() ? name
                                       : p.type      ? std::string_view(*p.type)
                                                     : type,
                               .content_type = type,
                               .body = wire::as_text(m.body())});
}

http_answer event_stream_head() {
    return {.fields = {{"Content-Type", std::string(http::event_stream_type)},
                       {"Cache-Control", "no-store"},
                       {"X-Accel-Buffering", "no"}}};
}

// ---- Queues and streams --------------------------------------------------------------------------

namespace {

class queue_reader;

class queue_source final : public http_event_source {
public:
    explicit queue_source(queue_reader& r);
    ~queue_source() override;
    void arrived() { wake(); }
    void over() {
        reader_ = nullptr;
        finish();
    }
    void tell_gap(std::string_view id, std::uint64_t from, std::uint64_t to) {
        http::append_gap(said(), id, from, to);
        wake();
    }

private:
    [[nodiscard]] bool has_next() const noexcept override;
    void write_next(http_body& to) override;

    queue_reader* reader_;
    std::string text_;  // reused
};

// What it is lent is settled when it has been handed to the socket: a reader that is slow holds prefetch messages, the
// queue the rest.
class queue_reader final : public http_consumer {
public:
    queue_reader(http_messaging& home, core::vhost_id vhost, std::string name)
        : http_consumer(home, vhost), name_(std::move(name)) {}
    using http_consumer::home;

    // The answer begins when it consumes, after `first` has been done: a stream's `next` is known then.
    void start(core::consume what, std::optional<event_place> after, std::vector<core::request_body> first,
               http_responder to) {
        to_ = std::move(to);
        to_->on_gone([this] { leave(); });
        is_stream_ = after.has_value() || !what.arguments.empty();
        expected_ = after ? after->offset + 1 : 0;
        what_ = std::move(what);
        first_ = std::move(first);
        go_on();
    }
    void attach(queue_source* s) noexcept { source_ = s; }
    [[nodiscard]] bool has_next() const noexcept { return !waiting_.empty(); }
    void write_next(http_body& to, std::string& text) {
        auto d = std::move(waiting_.front());
        waiting_.pop_front();
        text.clear();
        const auto id = is_stream_ ? event_place{epoch_, d.pos}.text() : std::string{};
        append_message_event(text, id, name_, *d.msg, home().reader_of(*d.msg));
        to.append(text);
        expected_ = d.pos + 1;
        give_back(std::move(d), core::settlement::accepted);
    }
    void leave() {
        source_ = nullptr;
        // None of them has been written.
        for (auto& d : waiting_) {
            give_back(std::move(d), core::settlement::bounced);
        }
        waiting_.clear();
        end();
    }
    void on_gap(std::uint64_t, core::position resumed) override {
        if (source_ != nullptr) {
            const auto to = resumed > expected_ ? resumed - 1 : expected_;
            source_->tell_gap(event_place{epoch_, resumed == 0 ? 0 : resumed - 1}.text(), expected_, to);
        }
    }

private:
    void go_on() {
        if (done_ == first_.size()) {
            consume(std::move(what_));
            return;
        }
        ask(std::move(first_[done_++]), [this](core::reply&& r) {
            if (ended()) {
                return;
            }
            if (r.result) {
                go_on();
            } else {
                refused(r.result.error());
            }
        });
    }
    void started(const core::consumer_info& info) override;
    void refused(const core::error& why) override {
        auto to = std::exchange(to_, std::nullopt);
        std::move(*to).answer(refusal_of(why));
        leave();
    }
    void cancelled() override { lose(); }
    void take(core::delivery&& d) override {
        waiting_.push_back(std::move(d));
        if (source_ != nullptr) {
            source_->arrived();
        }
    }
    void lose() {
        if (auto* const s = std::exchange(source_, nullptr)) {
            s->over();
        }
        leave();
    }

    const std::string name_;
    std::optional<http_responder> to_;
    core::consume what_;
    std::vector<core::request_body> first_;
    std::size_t done_ = 0;
    queue_source* source_ = nullptr;
    bool is_stream_ = false;
    std::uint64_t epoch_ = 0;
    core::position expected_ = 0;
    std::deque<core::delivery> waiting_;
};

void queue_reader::started(const core::consumer_info& info) {
    epoch_ = info.epoch;
    auto to = std::exchange(to_, std::nullopt);
    auto events = std::make_unique<queue_source>(*this);
    auto* const s = events.get();
    auto stream = std::move(*to).stream(event_stream_head(), std::move(events));
    if (!stream.ended()) {
        s->begin(std::move(stream));
    }
}

queue_source::queue_source(queue_reader& r) : http_event_source(r.home()), reader_(&r) { r.attach(this); }
queue_source::~queue_source() {
    if (reader_ != nullptr) {
        reader_->leave();
    }
}
bool queue_source::has_next() const noexcept { return reader_ != nullptr && reader_->has_next(); }
void queue_source::write_next(http_body& to) { reader_->write_next(to, text_); }

}  // namespace

void http_messaging::listen_to_queue(const http_request& r, const place& at, const core::queue_entry& q,
                                     http_responder to) {
    if (!may(at, right::read, q.spec.name)) {
        std::move(to).answer(forbidden("reading that queue is not allowed"));
        return;
    }
    core::consume what{.queue = q.spec.name, .label = "http", .prefetch = prefetch, .arguments = {}};
    std::optional<event_place> after;
    if (core::is_stream(q.handle)) {
        const auto from = r.query("from").value_or("next");
        if (!read_place(r, after) || (from != "first" && from != "last" && from != "next")) {
            std::move(to).answer(bad_request("after is an event's id or an offset, from is 'first', 'last' or 'next'"));
            return;
        }
        what.arguments.emplace_back("x-stream-offset",
                                    after ? core::make_int64(static_cast<std::int64_t>(after->offset + 1))
                                          : core::make_string(from));
        if (after && after->epoch != 0) {
            what.arguments.emplace_back("x-stream-epoch", core::make_int64(static_cast<std::int64_t>(after->epoch)));
        }
    }
    auto made = std::make_unique<queue_reader>(*this, topology_view::id_of(*at.vhost), r.query("event").value_or(""));
    auto& reader = *made;
    adopt(std::move(made));
    reader.start(std::move(what), after, {}, std::move(to));
}

// ---- Topics --------------------------------------------------------------------------------------

// A queue that its members share, and that waits for them while there is none: for these topics and that name.
void http_messaging::listen_in_group(core::vhost_id vhost, std::string_view group,
                                     const std::vector<std::string>& filters, std::string name, http_responder to) {
    // What it is called says what it gets: nobody who asks for something else comes to it.
    std::string queue = "events:";
    http::append_percent_encoded(queue, group);
    for (const auto& f : filters) {
        queue += f == filters.front() ? ':' : ',';
        http::append_percent_encoded(queue, f);
    }
    if (queue.size() > core::name_bytes_max) {
        std::move(to).answer(bad_request("group and topics are too long: a queue is called by them"));
        return;
    }
    std::vector<core::request_body> first;
    core::declare_queue declared{.name = queue, .durable = true, .arguments = {}};
    declared.arguments.emplace_back("x-expires", core::make_int64(group_expiry_ms));
    first.emplace_back(std::move(declared));
    for (const auto& f : filters) {
        first.emplace_back(core::bind{.source = settings_.topic_exchange,
                                      .destination = queue,
                                      .routing_key = f,
                                      .arguments = {},
                                      .syntax = core::pattern_syntax::mqtt});
    }
    auto made = std::make_unique<queue_reader>(*this, vhost, std::move(name));
    auto& reader = *made;
    adopt(std::move(made));
    reader.start({.queue = queue, .label = "http", .prefetch = prefetch, .arguments = {}}, std::nullopt,
                 std::move(first), std::move(to));
}

void http_messaging::listen_to_topics(const http_request& r, const place& at, std::vector<std::string> filters,
                                      http_responder to) {
    if (r.method() != http::method::get) {
        std::move(to).answer(method_not_allowed("GET"));
        return;
    }
    std::ranges::sort(filters);
    filters.erase(std::unique(filters.begin(), filters.end()), filters.end());
    if (filters.empty() || filters.size() > filters_max) {
        std::move(to).answer(bad_request(fmt::format("topic is to be given, {} times at most", filters_max)));
        return;
    }
    std::optional<event_place> after;
    if (!read_place(r, after)) {
        std::move(to).answer(bad_request("after is an event's id"));
        return;
    }
    const auto name = r.query("event").value_or("");
    for (auto& f : filters) {
        auto pattern = pattern_of_filter(f);
        if (!pattern) {
            std::move(to).answer(bad_request(fmt::format("'{}' is no topic filter", f)));
            return;
        }
        if (!may_topic(at, right::read, settings_.topic_exchange, *pattern)) {
            std::move(to).answer(forbidden(fmt::format("listening to '{}' is not allowed", f)));
            return;
        }
        f = std::move(*pattern);
    }
    if (const auto group = r.query("group")) {
        if (group->empty() || group->size() > group_bytes_max) {
            std::move(to).answer(bad_request(fmt::format("group is a name of {} bytes at most", group_bytes_max)));
        } else {
            listen_in_group(topology_view::id_of(*at.vhost), *group, filters, name, std::move(to));
        }
        return;
    }
    const tail_wish wish{topology_view::id_of(*at.vhost), std::move(filters), name};
    auto key = wish.key();
    if (const auto there = tails_.find(key); there != tails_.end()) {
        there->second->welcome(std::move(to), after);
        return;
    }
    auto& fresh = *tails_.emplace(key, std::make_unique<http_tail>(*this, key, ++last_tail_, wish)).first->second;
    fresh.welcome(std::move(to), after);
    fresh.start();
}

}  // namespace linnet::session
