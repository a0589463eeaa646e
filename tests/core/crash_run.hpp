#pragma once

#include "tests/core/durable_cluster.hpp"
#include "tests/core/feature_fixture.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

// Brokers over simulated disks carry random traffic, and what a moment's crash would leave is opened and held against
// what had been promised.

namespace linnet::core::crash_test {

using message_id = std::uint64_t;

// No other confirm says anything about an ack of a transaction: it may be on its way to its log until the commit's
// comes.
inline constexpr std::uint64_t never_by_others = std::numeric_limits<std::uint64_t>::max();
inline constexpr std::size_t dead_queue = 3;  // where what is rejected in the first goes
inline constexpr std::size_t late_queue = 4;  // behind an exchange that delays
inline constexpr std::array<const char*, 5> queue_names{"with a dead-letter exchange", "plain", "apart", "dead",
                                                        "late"};
inline constexpr const char* delaying = "later";
inline constexpr mono_ns delay_max = 300 * ns_per_ms;

inline const text_reader reader;

[[nodiscard]] inline std::string body_of(message_id id) {
    auto text = std::to_string(id) + ":";
    text.resize(text.size() + id * 2654435761U % 8000, static_cast<char>('a' + id % 26));
    return text;
}

// What has been promised of one message in one queue.
struct promise {
    std::size_t publisher = 0;
    bool confirmed = false;
    bool acked = false;
    bool ack_is_durable = false;
    bool rejected = false;
    std::uint64_t acked_in = 0;  // epoch
    // Of a delayed one:
    bool crosses = false;  // held back in another log than its queue's: a crash may double it
    bool seen = false;     // by a consumer
    mono_ns due = 0;
};

struct publish_note {
    std::uint64_t epoch = 0;
    std::vector<std::size_t> queues;
    std::size_t publisher = 0;
    bool crosses = false;
};

// What a transaction did, by queue: all of it is there after a crash, or none.
struct transaction_note {
    std::size_t session = 0;
    std::vector<std::pair<std::size_t, message_id>> published;
    std::vector<std::pair<std::size_t, message_id>> acked;
};

struct crash_options {
    store::disk_lie lie = store::disk_lie::none;
    bool groups = true;
    std::uint16_t logs = 3;
};

class crash_run {
public:
    explicit crash_run(std::uint64_t seed, const crash_options& how = {}) : random_(seed), how_(how) {
        shards_ = some_shards();
        cluster_ = std::make_unique<durable_cluster>(options());
        test_session s(cluster_->at(0));
        value_table dead_letters;
        dead_letters.emplace_back("x-dead-letter-exchange", make_string("amq.topic"));
        for (std::size_t q = 0; q < queue_names.size(); ++q) {
            cluster_->declare(s, queue_names[q], q == 0 ? dead_letters : value_table{});
        }
        cluster_->bind_to(s, "amq.fanout", queue_names[0]);
        cluster_->bind_to(s, "amq.fanout", queue_names[1]);
        bind b;
        b.source = "amq.topic";
        b.destination = queue_names[dead_queue];
        b.routing_key = "#";
        EXPECT_TRUE(cluster_->ask(s, std::move(b)).result);
        declare_exchange x;
        x.name = delaying;
        x.type = "x-delayed-message";
        x.durable = true;
        x.arguments.emplace_back("x-delayed-type", make_string("fanout"));
        EXPECT_TRUE(cluster_->ask(s, std::move(x)).result);
        cluster_->bind_to(s, delaying, queue_names[late_queue]);
        s.leave();
        begin_life();
    }
    ~crash_run() { end_sessions(); }

    // Some traffic, then a crash that is looked into; the broker goes on from it, or as if nothing had been.
    void crash_point() {
        for (auto steps = 1 + random_.among(25); steps != 0; --steps) {
            step();
        }
        note_confirms();
        const auto copied = copied_bytes();
        const auto shards = shards_;
        shards_ = some_shards();
        auto found = std::make_unique<durable_cluster>(options(), cluster_->crash(random_.among(1U << 30)));
        found->finish_transactions();
        const mono_ns at_crash = elapsed_;
        auto content = read_all(*found);
        check(content);
        if (random_.among(20) == 0) {
            copied_before_ = copied;
            adopt(std::move(found), content);
        } else {
            shards_ = shards;
            elapsed_ = at_crash;
        }
    }
    // Traffic until a write fails that was to make something durable, and on from there: nothing more is said of what
    // needs that log, and what was said before is there when it is opened again. Returns whether it came to that.
    [[nodiscard]] bool sync_failure(store::failed_write how) {
        const std::size_t log = random_.among(how_.logs);
        auto& medium = cluster_->medium(log);
        medium.fail_write_at(1 + random_.among(40), EIO, how);
        for (int i = 0; i < 1000 && !medium.failed(); ++i) {
            step();
        }
        if (!medium.failed()) {
            return false;
        }
        // What had ended before it may still be heard of.
        cluster_->settle();
        note_confirms();
        failed_log_ = log;
        last_before_failure_ = last_id_;
        for (auto steps = 1 + random_.among(40); steps != 0; --steps) {
            step();
        }
        for (std::size_t i = 0; i < how_.logs; ++i) {
            cluster_->pass(i);
        }
        note_confirms();
        if (cluster_->failures().size() != 1) {
            broken_.push_back(fmt::format("the failure was reported {} times", cluster_->failures().size()));
        }
        try {
            shards_ = some_shards();
            durable_cluster found(options(), cluster_->crash(random_.among(1U << 30)));
            found.finish_transactions();
            check(read_all(found));
        } catch (const unreadable_log& why) {
            broken_.push_back(fmt::format("it cannot be opened again: {}", why.what()));
        }
        return true;
    }
    // By cleaning, so far.
    [[nodiscard]] std::uint64_t copied_bytes() {
        std::uint64_t sum = copied_before_;
        for (std::size_t i = 0; i < shards_; ++i) {
            sum += cluster_->at(i).store_figures().copied_bytes;
        }
        return sum;
    }
    [[nodiscard]] const std::vector<std::string>& broken() const { return broken_; }

private:
    struct found_message {
        message_id id;
        bool redelivered;
    };
    using contents = std::array<std::vector<found_message>, queue_names.size()>;

    // Each of them has a log.
    [[nodiscard]] std::size_t some_shards() { return 1 + random_.among(how_.logs); }
    [[nodiscard]] durable_cluster::options options() {
        durable_cluster::options o;
        o.shards = static_cast<std::uint16_t>(shards_);
        o.logs = how_.logs;
        o.seed = random_.among(1U << 30);
        o.lie = how_.lie;
        o.reader = &reader;
        o.began_after = elapsed_;
        o.groups = how_.groups;
        return o;
    }

    void begin_life() {
        for (std::uint16_t i = 0; i < how_.logs; ++i) {
            cluster_->medium(i).set_prompt(false);
        }
        handles_.clear();
        for (std::size_t i = 0; i < 3; ++i) {
            sessions_.push_back(std::make_unique<test_session>(cluster_->at(i % shards_)));
        }
        for (std::size_t q = 0; q < queue_names.size(); ++q) {
            handles_.push_back(cluster_->handle_of(queue_names[q]));
            logs_[q] = log_of(*cluster_, queue_names[q]);
            for (auto& s : sessions_) {
                if (q != 2 && random_.among(4) != 0) {
                    cluster_->consume_from(*s, queue_names[q], static_cast<std::uint32_t>(4 + random_.among(12)));
                }
            }
        }
    }
    void end_sessions() {
        for (auto& s : sessions_) {
            cluster_->leave(*s);
        }
        sessions_.clear();
    }

    // ---- Traffic -------------------------------------------------------------------------------
    void step() {
        auto& s = *sessions_[random_.among(sessions_.size())];
        // A channel waits for the answer to its commit.
        const bool waits = committing_.contains(index_of(s));
        if (random_.yes()) {
            pass(*cluster_, static_cast<mono_ns>(random_.among(30)) * ns_per_ms);
        }
        switch (waits ? 13 + random_.among(3) : random_.among(21)) {
            case 0:
            case 1:
            case 2:
            case 3:
            case 4: publish(s, some_queue()); break;
            case 5: publish(s, std::nullopt); break;
            case 6:
            case 7:
            case 8:
            case 9:
            case 16: settle(s, settlement::accepted); break;
            case 17:
                while (!s.got.empty()) {
                    settle(s, settlement::accepted);
                }
                break;
            case 10: settle(s, settlement::requeued); break;
            case 11: settle(s, settlement::rejected); break;
            case 12: transaction(s); break;
            case 18:
            case 19:
            case 20: publish_later(s); break;
            case 13:
                cluster_->settle();
                ++epoch_;
                break;
            default: cluster_->medium(random_.among(how_.logs)).finish(1 + random_.among(4)); break;
        }
        cluster_->turn(random_.among(shards_));
    }

    // One of them gets little and keeps it long, so that segments have to be cleaned.
    [[nodiscard]] std::size_t some_queue() { return random_.among(12) == 0 ? 2 : random_.among(2); }

    // To one queue, or to those of the fanout exchange.
    void publish(test_session& s, std::optional<std::size_t> queue, transaction_note* within = nullptr) {
        const message_id id = ++last_id_;
        // Of a transaction a confirm may come from another log than the queue's.
        publish_note note{epoch_, {}, index_of(s), within != nullptr};
        if (queue) {
            note.queues = {*queue};
        } else {
            note.queues = {0, 1};
        }
        for (const auto q : note.queues) {
            promises_[q][id].publisher = note.publisher;
        }
        notes_[id] = std::move(note);
        for (const auto q : within == nullptr ? std::vector<std::size_t>{} : notes_[id].queues) {
            within->published.emplace_back(q, id);
        }
        const auto done = cluster_->publish(s, queue ? "" : "amq.fanout", queue ? queue_names[*queue] : "", body_of(id),
                                            id, true, {}, within != nullptr);
        if (!done.pending && within == nullptr) {
            broken_.push_back(fmt::format("{} was accepted without waiting for the disk", id));
        }
    }

    void publish_later(test_session& s) {
        const message_id id = ++last_id_;
        const auto delay = static_cast<mono_ns>(1 + random_.among(delay_max / ns_per_ms));
        auto& p = promises_[late_queue][id];
        p.publisher = index_of(s);
        p.crosses = s.home().id().value != logs_[late_queue];
        p.due = elapsed_ + delay * ns_per_ms;
        notes_[id] = {epoch_, {late_queue}, p.publisher, p.crosses};
        const auto done = cluster_->publish(s, delaying, "", body_of(id), id, true, fmt::format("x-delay={}", delay));
        if (!done.pending) {
            broken_.push_back(fmt::format("{} was accepted without waiting for the disk", id));
        }
    }

    void pass(durable_cluster& c, mono_ns by) {
        c.clock.advance(by);
        elapsed_ += by;
    }
    [[nodiscard]] static std::uint16_t log_of(durable_cluster& c, std::string_view name) {
        const auto* v = c.enter(0).topology().find_vhost(c.vhost());
        return topology_view::find_queue(*v, name)->spec.log;
    }

    void settle(test_session& s, settlement how, transaction_note* within = nullptr) {
        if (s.got.empty()) {
            return;
        }
        const auto at = s.got.begin() + static_cast<std::ptrdiff_t>(random_.among(s.got.size()));
        delivery d = std::move(*at);
        s.got.erase(at);
        const auto q = static_cast<std::size_t>(std::ranges::find(handles_, d.queue) - handles_.begin());
        const message_id id = std::strtoull(body_text(*d.msg).c_str(), nullptr, 10);
        if (how == settlement::rejected && q != 0) {
            how = settlement::requeued;
        }
        auto& p = promises_[q][id];
        see(q, p, id);
        if (how == settlement::accepted) {
            p.acked = true;
            p.acked_in = within == nullptr ? epoch_ : never_by_others;
            if (within != nullptr) {
                within->acked.emplace_back(q, id);
            }
        } else if (how == settlement::rejected) {
            p.rejected = true;
        }
        auto& home = cluster_->enter(s.home().id().value);
        if (how == settlement::accepted && random_.yes()) {
            home.settle_stored(d.queue, d.consumer, {&d.pos, 1}, d.msg->body_bytes());
        } else {
            home.settle({&d, 1}, how);
        }
    }

    void transaction(test_session& s) {
        auto& home = cluster_->enter(s.home().id().value);
        home.begin_transaction();
        transaction_note note;
        note.session = index_of(s);
        for (auto n = random_.among(4); n != 0; --n) {
            publish(s, random_.among(4) == 0 ? std::nullopt : std::optional(some_queue()), &note);
            settle(s, settlement::accepted, &note);
        }
        if (home.end_transaction(s.handle(), 1, ++last_id_)) {
            committing_.insert(note.session);
            transactions_[last_id_] = std::move(note);
        }
    }

    void see(std::size_t q, promise& p, message_id id) {
        p.seen = true;
        if (q == late_queue && p.due > elapsed_) {
            broken_.push_back(fmt::format("{} is {} ns early", id, p.due - elapsed_));
        }
    }

    void note_confirms() {
        for (auto& s : sessions_) {
            for (const auto& d : s->got) {
                if (d.queue == handles_[late_queue]) {
                    const message_id id = std::strtoull(body_text(*d.msg).c_str(), nullptr, 10);
                    see(late_queue, promises_[late_queue][id], id);
                }
            }
            for (const auto& [id, accepted] : std::exchange(s->settled, {})) {
                if (!accepted) {
                    broken_.push_back(fmt::format("{} was refused", id));
                }
                if (const auto done = transactions_.find(id); done != transactions_.end()) {
                    note_commit(done->second);
                }
                const auto note = notes_.find(id);
                if (failed_log_ && needs_failed_log(id, note == notes_.end() ? nullptr : &note->second)) {
                    broken_.push_back(fmt::format("{} was confirmed after a sync had failed", id));
                }
                if (note == notes_.end()) {
                    continue;
                }
                for (const auto q : note->second.queues) {
                    promises_[q][id].confirmed = true;
                    if (note->second.crosses) {
                        continue;  // another log has it than has the acks
                    }
                    // What a log had recorded before is durable as well.
                    for (auto& [other, p] : promises_[q]) {
                        p.ack_is_durable |= p.acked && p.acked_in < note->second.epoch;
                    }
                }
            }
        }
    }

    // Of a commit (null), and of what crosses, another log may speak, if there is one; and of a message that had
    // reached the log before it failed, the last of its others.
    [[nodiscard]] bool needs_failed_log(message_id id, const publish_note* note) const {
        if (how_.logs == 1) {
            return true;
        }
        const auto is_in_it = [this](std::size_t q) { return logs_[q] == failed_log_; };
        return note != nullptr && !note->crosses &&
               (id > last_before_failure_ ? std::ranges::any_of(note->queues, is_in_it)
                                          : std::ranges::all_of(note->queues, is_in_it));
    }

    void note_commit(const transaction_note& t) {
        committing_.erase(t.session);
        for (const auto& [q, id] : t.published) {
            promises_[q][id].confirmed = true;
        }
        for (const auto& [q, id] : t.acked) {
            promises_[q][id].ack_is_durable = q != late_queue;
        }
    }

    // ---- The crash -----------------------------------------------------------------------------
    [[nodiscard]] contents read_all(durable_cluster& found) {
        contents all;
        for (std::size_t q = 0; q < queue_names.size(); ++q) {
            const auto home = found.handle_of(queue_names[q]).shard.value;
            test_session s(found.at(home));
            auto count = found.count_of(s, queue_names[q]);
            found.consume_from(s, queue_names[q]);
            // What lies apart in the log is read one after the other.
            for (std::uint64_t round = 0; s.got.size() < count && round <= count; ++round) {
                found.settle();
            }
            if (q == late_queue) {
                count += await_the_delayed(found, s);
            }
            if (s.got.size() != count) {
                broken_.push_back(fmt::format("'{}' gives {} of {}", queue_names[q], s.got.size(), count));
            }
            for (const auto& d : s.got) {
                const auto text = body_text(*d.msg);
                const message_id id = std::strtoull(text.c_str(), nullptr, 10);
                if (text != body_of(id)) {
                    broken_.push_back(fmt::format("the body of {} is another", id));
                }
                all[q].push_back({id, d.redelivered});
            }
            found.leave(s);
            found.settle();
        }
        return all;
    }

    // Everything that is still held back. Returns how many came.
    [[nodiscard]] std::uint64_t await_the_delayed(durable_cluster& found, const test_session& s) {
        const auto before = s.got.size();
        for (const auto& d : s.got) {
            const message_id id = std::strtoull(body_text(*d.msg).c_str(), nullptr, 10);
            if (const auto p = promises_[late_queue].find(id); p != promises_[late_queue].end()) {
                promise looked_at = p->second;
                see(late_queue, looked_at, id);
            }
        }
        pass(found, delay_max);
        // They come in the order in which they are due, and are read back one after the other.
        for (int idle = 0; idle < 6; ++idle) {
            const auto had = s.got.size();
            found.settle();
            pass(found, 5 * ns_per_ms);
            idle = s.got.size() == had ? idle : 0;
        }
        return s.got.size() - before;
    }

    void check(const contents& content) {
        const bool one_log = logs_[0] == logs_[dead_queue];
        std::set<message_id> dead;
        for (const auto& m : content[dead_queue]) {
            if (!dead.insert(m.id).second && one_log) {
                broken_.push_back(fmt::format("{} died twice", m.id));
            }
            if (!promises_[0].contains(m.id) && !promises_[dead_queue].contains(m.id)) {
                broken_.push_back(fmt::format("{} died without having lived", m.id));
            }
        }
        for (std::size_t q = 0; q < dead_queue; ++q) {
            check_queue(q, content[q], dead);
        }
        for (const auto& m : content[0]) {
            if (dead.contains(m.id) && one_log) {
                broken_.push_back(fmt::format("{} is dead and alive", m.id));
            }
        }
        check_late(content[late_queue]);
        std::array<std::set<message_id>, queue_names.size()> there;
        for (std::size_t q = 0; q < queue_names.size(); ++q) {
            for (const auto& m : content[q]) {
                there[q].insert(m.id);
            }
        }
        for (const auto& [number, t] : transactions_) {
            check_transaction(number, t, there);
        }
    }
    void check_transaction(message_id number, const transaction_note& t,
                           const std::array<std::set<message_id>, queue_names.size()>& there) {
        std::string done;
        std::string undone;
        for (const auto& [q, id] : t.published) {
            const promise& p = promises_[q][id];
            if (there[q].contains(id)) {
                done += fmt::format(" {} in '{}'", id, queue_names[q]);
            } else if (!p.acked && !p.rejected) {
                undone += fmt::format(" {} in '{}'", id, queue_names[q]);
            }
        }
        for (const auto& [q, id] : t.acked) {
            // What a crash may have doubled on its way there says nothing.
            const bool crosses = q == late_queue || (q == dead_queue && logs_[0] != logs_[dead_queue]);
            if (!crosses && there[q].contains(id)) {
                undone += fmt::format(" the ack of {} in '{}'", id, queue_names[q]);
            }
        }
        if (!done.empty() && !undone.empty()) {
            broken_.push_back(fmt::format("transaction {} did{} and not{}", number, done, undone));
        }
    }
    void check_late(const std::vector<found_message>& content) {
        std::set<message_id> there;
        for (const auto& m : content) {
            const auto known = promises_[late_queue].find(m.id);
            if (known == promises_[late_queue].end()) {
                broken_.push_back(fmt::format("{} is in '{}', from nowhere", m.id, queue_names[late_queue]));
                continue;
            }
            const promise& p = known->second;
            const bool first = there.insert(m.id).second;
            if (!first && !p.crosses) {
                broken_.push_back(fmt::format("{} is delivered twice after its delay", m.id));
            }
            if (p.ack_is_durable && !p.crosses) {
                broken_.push_back(fmt::format("{} is delayed again after its ack was durable", m.id));
            }
            if ((p.seen || !first) && !m.redelivered) {
                broken_.push_back(fmt::format("{} is delayed again and not said to be redelivered", m.id));
            }
        }
        for (const auto& [id, p] : promises_[late_queue]) {
            if (p.confirmed && !p.acked && !there.contains(id)) {
                broken_.push_back(fmt::format("{} was confirmed and lost in its delay", id));
            }
        }
    }
    void check_queue(std::size_t q, const std::vector<found_message>& content, const std::set<message_id>& dead) {
        std::set<message_id> there;
        std::map<std::size_t, message_id> latest;
        for (const auto& m : content) {
            const auto known = promises_[q].find(m.id);
            if (known == promises_[q].end()) {
                broken_.push_back(fmt::format("{} is in '{}', from nowhere", m.id, queue_names[q]));
                continue;
            }
            const promise& p = known->second;
            if (!there.insert(m.id).second) {
                broken_.push_back(fmt::format("{} is in '{}' twice", m.id, queue_names[q]));
            }
            if (p.ack_is_durable) {
                broken_.push_back(fmt::format("{} is back in '{}' after its ack was durable", m.id, queue_names[q]));
            }
            if (!m.redelivered) {
                broken_.push_back(fmt::format("{} in '{}' is not said to be redelivered", m.id, queue_names[q]));
            }
            auto& before = latest[p.publisher];
            if (before > m.id) {
                broken_.push_back(fmt::format("{} comes after {} in '{}'", m.id, before, queue_names[q]));
            }
            before = m.id;
        }
        for (const auto& [id, p] : promises_[q]) {
            const bool dead_elsewhere = p.rejected && (dead.contains(id) || dead_and_done(id));
            if (p.confirmed && !p.acked && !there.contains(id) && !dead_elsewhere) {
                broken_.push_back(fmt::format("{} was confirmed and is lost from '{}'", id, queue_names[q]));
            }
        }
    }
    [[nodiscard]] bool dead_and_done(message_id id) const {
        const auto at = promises_[dead_queue].find(id);
        return at != promises_[dead_queue].end() && at->second.acked;
    }

    // The crash has happened: what was found is all there is, and durable; the rest must never come back.
    void adopt(std::unique_ptr<durable_cluster> found, const contents& content) {
        end_sessions();
        cluster_ = std::move(found);
        notes_.clear();
        transactions_.clear();
        committing_.clear();
        for (std::size_t q = 0; q < queue_names.size(); ++q) {
            std::map<message_id, promise> kept;
            for (const auto& m : content[q]) {
                kept[m.id].publisher = promises_[q][m.id].publisher;
                kept[m.id].confirmed = true;
                kept[m.id].crosses = promises_[q][m.id].crosses;
                kept[m.id].due = promises_[q][m.id].due;
                kept[m.id].seen = true;
            }
            promises_[q] = std::move(kept);
        }
        begin_life();
    }

    [[nodiscard]] std::size_t index_of(const test_session& s) const {
        const auto same = [&](const auto& p) { return p.get() == &s; };
        return static_cast<std::size_t>(std::ranges::find_if(sessions_, same) - sessions_.begin());
    }

    store::random_choices random_;
    crash_options how_;
    mono_ns elapsed_ = 0;  // since the first life began
    std::size_t shards_ = 1;
    std::unique_ptr<durable_cluster> cluster_;
    std::vector<std::unique_ptr<test_session>> sessions_;
    std::vector<queue_handle> handles_;
    std::array<std::uint16_t, queue_names.size()> logs_{};
    std::array<std::map<message_id, promise>, queue_names.size()> promises_;
    std::map<message_id, publish_note> notes_;
    std::map<message_id, transaction_note> transactions_;  // by the number of the commit
    std::set<std::size_t> committing_;                     // sessions
    message_id last_id_ = 0;
    std::uint64_t epoch_ = 1;
    std::uint64_t copied_before_ = 0;  // in earlier lives
    std::optional<std::size_t> failed_log_;
    message_id last_before_failure_ = 0;
    std::vector<std::string> broken_;
};

}  // namespace linnet::core::crash_test
