#include "broker/admin/api_handler.hpp"
#include "broker/admin/connection_book.hpp"
#include "broker/admin/tour.hpp"
#include "broker/core/flight_recorder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <deque>
#include <map>
#include <optional>
#include <tuple>
#include <utility>

// GET /api/x/where/{vhost}/{message-id}: what has happened to the messages of that id, and where they are, as far as
// the shards' flight recorders still know.

namespace linnet::admin {
namespace {

using core::flight_event;
using core::flight_step;
using core::whereabouts;

constexpr std::uint64_t slots_a_turn = 16 * 1024;
// In an answer, the newest.
constexpr std::size_t events_max = 1000;

// 2026-11-22T13:05:01.123456Z
std::string time_text(std::uint64_t at_us) {
    std::tm parts{};
    const auto seconds = static_cast<std::time_t>(at_us / 1'000'000);
    gmtime_r(&seconds, &parts);
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900, parts.tm_mon + 1,
                       parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec, at_us % 1'000'000);
}

std::string_view text_of(flight_step what) noexcept {
    switch (what) {
        case flight_step::text: return "";
        case flight_step::published: return "published";
        case flight_step::dead_lettered: return "dead-lettered";
        case flight_step::returned: return "returned";
        case flight_step::dropped: return "dropped";
        case flight_step::passed_on: return "passed on";
        case flight_step::queued: return "queued";
        case flight_step::appended: return "appended";
        case flight_step::refused: return "refused";
        case flight_step::duplicate: return "duplicate";
        case flight_step::delivered:
        case flight_step::redelivered:
        case flight_step::sent: return "delivered";
        case flight_step::acknowledged: return "acknowledged";
        case flight_step::requeued: return "requeued";
        case flight_step::rejected: return "rejected";
        case flight_step::expired: return "expired";
        case flight_step::overflowed: return "maxlen";
        case flight_step::exhausted: return "delivery_limit";
    }
    return "";
}

bool is_lending(flight_step s) noexcept { return s == flight_step::delivered || s == flight_step::redelivered; }
bool is_sending(flight_step s) noexcept { return is_lending(s) || s == flight_step::sent; }

struct noted {
    flight_event what;
    core::flight_recorder::words words;
};

using queue_key = std::tuple<std::uint16_t, std::uint32_t, std::uint32_t>;
queue_key key_of(const flight_event& e) { return {static_cast<std::uint16_t>(e.shard), e.slot, e.generation}; }

// A queue, as its shard tells of it; without a name it has gone.
struct known_queue {
    core::queue_handle handle;
    std::string name;
    std::map<std::uint64_t, core::consumer_look> consumers{};  // by flight_consumer()
    std::map<core::position, whereabouts> positions{};
};

// One request on its way: first all recorders are read, then the queues are asked that they name, then who the sessions
// are.
class inquiry : public std::enable_shared_from_this<inquiry> {
public:
    inquiry(call_ptr c, core::vhost_id v) : call_(std::move(c)), id_(core::flight_id(v, call_->names[1])) {}

    void start() {
        tour::start(call_->all, call_->home(), tour::everywhere(call_->all),
                    {[self = shared_from_this()](core::shard& here, cursor& at) { return self->read(here, at); },
                     [self = shared_from_this()] { self->ask_queues(); }});
    }

private:
    bool read(core::shard& here, cursor& at) {
        const auto& recorder = here.recorder();
        on_ = recorder.on();
        if (std::exchange(at, 1) == 0) {
            found_.emplace_back();
            number_ = recorder.first();
            end_ = recorder.end();  // what comes later is not asked for
        }
        auto& trail = found_.back();
        number_ = recorder.read(number_, std::min(slots_a_turn, end_ - std::min(end_, number_)), id_,
                                [&](const flight_event& e, auto&& words) {
                                    trail.push_back({e, std::forward<decltype(words)>(words)});
                                    if (trail.size() > events_max) {
                                        trail.pop_front();
                                        ++left_off_;
                                    }
                                });
        if (number_ < end_) {
            return false;
        }
        if (recorder.wrapped()) {
            since_us_ = std::max(since_us_, recorder.since_us());
        }
        return true;
    }

    // By their times; those of one shard stay in its order, and of two at once a publication comes first.
    void merge() {
        const auto place = [](const std::deque<noted>& t) {
            return std::tuple(t.front().what.at_us, t.front().what.what() != flight_step::published);
        };
        for (;;) {
            std::deque<noted>* next = nullptr;
            for (auto& trail : found_) {
                if (!trail.empty() && (next == nullptr || place(trail) < place(*next))) {
                    next = &trail;
                }
            }
            if (next == nullptr) {
                break;
            }
            events_.push_back(std::move(next->front()));
            next->pop_front();
        }
        while (events_.size() > events_max) {
            events_.pop_front();
            ++left_off_;
        }
    }

    void ask_queues() {
        merge();
        std::vector<core::shard_id> where;
        for (const auto& e : events_) {
            if (e.what.of_queue()) {
                auto& q = queues_[key_of(e.what)];
                q.handle = e.what.queue_at();
                q.positions.emplace(e.what.queue.pos, whereabouts::nowhere);
                where.push_back(q.handle.shard);
            }
        }
        std::ranges::sort(where);
        where.erase(std::unique(where.begin(), where.end()), where.end());
        tour::start(call_->all, call_->home(), std::move(where),
                    {[self = shared_from_this()](core::shard& here, cursor&) {
                         self->ask(here);
                         return true;
                     },
                     [self = shared_from_this()] { self->ask_sessions(); }});
    }

    void ask(core::shard& here) {
        for (auto& [key, q] : queues_) {
            const auto look = q.handle.shard == here.id() ? here.look_at(q.handle) : std::nullopt;
            if (!look) {
                continue;
            }
            q.name = look->spec().name;
            for (auto& c : look->consumers()) {
                const auto id = core::flight_consumer(c.id);
                q.consumers.emplace(id, std::move(c));
            }
            for (auto& [pos, found] : q.positions) {
                found = look->find_message(pos);
            }
        }
    }

    void ask_sessions() {
        std::vector<core::session_handle> who;
        for (const auto& e : events_) {
            const auto* c = consumer_of(e.what);
            if (c != nullptr) {
                who.push_back(c->session);
            } else if (!e.what.of_queue() && e.what.generation != 0) {
                who.push_back(e.what.session_at());
            }
        }
        book_.fill(call_, std::move(who), [self = shared_from_this()](const connection_book&) { self->tell(); });
    }

    const core::consumer_look* consumer_of(const flight_event& e) const {
        if (!e.of_queue() || e.queue.consumer == 0) {
            return nullptr;
        }
        const auto& all = queues_.at(key_of(e)).consumers;
        const auto at = all.find(e.queue.consumer);
        return at == all.end() ? nullptr : &at->second;
    }

    // ---- Told ------------------------------------------------------------------------------------

    static void write_name(json_writer& w, std::string_view key, std::string_view name) {
        w.key(key);
        name.empty() ? w.null() : w.text(name);
    }

    void write(json_writer& w, const noted& n) const {
        const auto& e = n.what;
        const auto what = e.what();
        w.object().member("time", time_text(e.at_us)).member("event", text_of(what));
        if (e.of_queue()) {
            write_name(w, "queue", queues_.at(key_of(e)).name);
            w.member("position", std::uint64_t{e.queue.pos});
            if (is_sending(what)) {
                w.member("redelivered", what == flight_step::redelivered).member("ack_required", is_lending(what));
            }
            if (e.queue.consumer != 0) {
                const auto* c = consumer_of(e);
                write_name(w, "consumer_tag", c == nullptr ? std::string_view{} : c->label);
                write_name(w, "connection", c == nullptr ? std::string_view{} : book_.find(c->session).name);
            }
        } else {
            if (what != flight_step::passed_on) {
                w.member("exchange", n.words.exchange).member("routing_key", n.words.key);
                w.member("cut", e.publication.cut != 0);
            }
            if (what == flight_step::published || what == flight_step::dead_lettered) {
                w.member("routed", std::uint64_t{e.publication.routed}).member("delayed", e.publication.delayed != 0);
            }
            write_name(w, "connection", book_.find(e.session_at()).name);
        }
        w.end();
    }

    // Where one is whose last step was that. None: it was done with.
    std::optional<std::string_view> state_of(const flight_event& last) const {
        const auto what = last.what();
        const auto& q = queues_.at(key_of(last));
        const bool came = what == flight_step::queued || what == flight_step::requeued;
        if (!came && !is_lending(what) && what != flight_step::appended) {
            return std::nullopt;
        }
        if (q.name.empty()) {
            return "gone";
        }
        if (what == flight_step::appended) {
            return "stored";
        }
        switch (q.positions.at(last.queue.pos)) {
            case whereabouts::ready: return "ready";
            case whereabouts::waiting: return "waiting";
            case whereabouts::lent: return "unacknowledged";
            case whereabouts::unknown: return "unknown";
            case whereabouts::nowhere: break;
        }
        // What is lent and not stored, a queue knows by its number alone: then the word of the recorders is good as
        // long as none of them can have forgotten the acknowledgement.
        return came ? "gone" : last.at_us >= since_us_ ? "unacknowledged" : "unknown";
    }

    void write_places(json_writer& w) const {
        std::map<std::pair<queue_key, core::position>, const flight_event*> last;
        for (const auto& e : events_) {
            const auto what = e.what.what();
            if (e.what.of_queue() && what != flight_step::refused && what != flight_step::duplicate) {
                last[{key_of(e.what), e.what.queue.pos}] = &e.what;
            }
        }
        w.key("places").array();
        for (const auto& [key, e] : last) {
            if (const auto state = state_of(*e)) {
                w.object();
                write_name(w, "queue", queues_.at(key.first).name);
                w.member("position", key.second).member("state", *state).member("since", time_text(e->at_us)).end();
            }
        }
        w.end();
    }

    void tell() const {
        std::string out;
        json_writer w(out);
        w.object().member("vhost", call_->names[0]).member("message_id", call_->names[1]).key("events").array();
        for (const auto& e : events_) {
            write(w, e);
        }
        w.end();
        write_places(w);
        w.member("left_off", left_off_).key("recorder").object().member("on", on_).key("since");
        // Before that some have been written over.
        since_us_ == 0 ? w.null() : w.text(time_text(since_us_));
        w.end().end();
        call_->json(std::move(out));
    }

    const call_ptr call_;
    const std::uint64_t id_;
    bool on_ = false;
    std::uint64_t number_ = 0;  // in the recorder under way ...
    std::uint64_t end_ = 0;     // ... up to there
    std::vector<std::deque<noted>> found_;
    std::uint64_t since_us_ = 0;
    std::uint64_t left_off_ = 0;
    std::deque<noted> events_;
    std::map<queue_key, known_queue> queues_;
    connection_book book_;
};

void where(call_ptr c) {
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    if (v == nullptr) {
        c->not_found();
        return;
    }
    const auto id = core::topology_view::id_of(*v);
    std::make_shared<inquiry>(std::move(c), id)->start();
}

constexpr std::array routes{route{.pattern = "x/where/?/?", .reads = need::vhost, .get = where}};

}  // namespace

std::span<const route> where_routes() noexcept { return routes; }

}  // namespace linnet::admin
