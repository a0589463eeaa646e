#pragma once

#include "broker/core/queue.hpp"
#include "broker/core/stream.hpp"
#include "broker/core/topology_journal.hpp"
#include "broker/store/log_file.hpp"
#include "broker/store/simulated_disk.hpp"
#include "tests/core/cluster.hpp"
#include "tests/core/groupless_log.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

// What is on a disk cannot be opened. Ends a test, unless it was to be expected.
struct unreadable_log : std::runtime_error {
    using std::runtime_error::runtime_error;
};

// The disks of a broker: that of the topology, then one a log of messages, then that of its stream.
using disk_images = std::vector<store::disk_image>;

// Shards stepped by hand over simulated disks: what a crash leaves of them is what the next one begins with.
//
// Nothing becomes durable by itself unless the disks are prompt.
class durable_cluster {
public:
    struct options {
        std::uint16_t shards = 1;
        std::uint16_t logs = 1;
        std::uint64_t seed = 0;
        std::uint64_t segment_bytes = 64 * 1024;
        std::uint64_t memory_bytes = 0;
        bool prompt = true;
        store::disk_lie lie = store::disk_lie::none;
        const property_reader* reader = nullptr;  // of all messages
        mono_ns began_after = 0;                  // the time that earlier lives took
        bool groups = true;                       // false: its logs of messages know none
        bool stream = false;                      // it may have one
    };

    durable_cluster(const options& o, disk_images found) : options_(o) {
        clock.advance(o.began_after);
        for (std::size_t i = 0; i <= o.logs + (o.stream ? 1U : 0U); ++i) {
            store::simulation how{.seed = o.seed + i, .prompt = true, .lie = i == 0 ? store::disk_lie::none : o.lie};
            media_.push_back(std::make_unique<store::simulated_disk>(
                i < found.size() ? std::move(found[i]) : store::disk_image{}, how));
        }
        open_topology();
        make_shards();
        restore();
        for (auto& m : media_) {
            m->set_prompt(o.prompt);
        }
    }
    explicit durable_cluster(const options& o) : durable_cluster(o, {}) {}
    // As if the power had gone: what crash() has not seen is lost. But what is on its way between shards owns memory,
    // and has to arrive.
    ~durable_cluster() {
        if (!ended_) {
            settle();
        }
        parts_->editor().listen(nullptr);
        for (auto& s : shards_) {
            s->begin_turn();
            s.reset();
        }
    }

    [[nodiscard]] shard& at(std::size_t i) { return *shards_[i]; }
    [[nodiscard]] vhost_id vhost() const { return vhost_; }
    [[nodiscard]] broker& parts() { return *parts_; }
    [[nodiscard]] store::simulated_disk& medium(std::size_t log) { return *media_[log + 1]; }
    [[nodiscard]] store::simulated_disk& stream_medium() { return medium(options_.logs); }
    [[nodiscard]] std::vector<std::unique_ptr<store::simulated_disk>>& media() { return media_; }
    [[nodiscard]] const std::vector<std::string>& failures() const { return *failures_; }
    // What would be found if everything stopped now.
    [[nodiscard]] disk_images crash(std::uint64_t seed) const {
        disk_images all;
        for (const auto& m : media_) {
            all.push_back(m->crash(seed++));
        }
        return all;
    }
    // All that is stored, written out and closed.
    [[nodiscard]] disk_images stop() {
        settle();
        for (auto& s : shards_) {
            s->begin_turn();
            s->end();
        }
        ended_ = true;
        static_cast<void>(topology_log_->close());
        disk_images all;
        for (const auto& m : media_) {
            all.push_back(m->snapshot());
        }
        return all;
    }

    shard& enter(std::size_t i) {
        shards_[i]->begin_turn();
        return *shards_[i];
    }
    void turn(std::size_t i) {
        shards_[i]->begin_turn();
        static_cast<void>(shards_[i]->end_turn());
        shards_[i]->begin_turn();
    }
    void settle() {
        for (int round = 0; round < 12; ++round) {
            for (std::size_t i = 0; i < shards_.size(); ++i) {
                turn(i);
            }
        }
    }
    // That log's disk does all it was asked for, and what follows from it.
    void pass(std::size_t log) {
        for (int round = 0; round < 4; ++round) {
            medium(log).finish_all();
            settle();
        }
    }
    [[nodiscard]] reply ask(test_session& s, request_body body) {
        auto now = enter(s.home().id().value).submit({vhost_, s.handle(), ++cookie_, std::move(body)});
        if (now) {
            return std::move(*now);
        }
        const auto before = s.replies.size();
        settle();
        EXPECT_EQ(s.replies.size(), before + 1) << "no answer";
        reply r = std::move(s.replies.back());
        s.replies.pop_back();
        return r;
    }
    queue_info declare(test_session& s, std::string name, value_table arguments = {}, bool durable = true) {
        declare_queue q;
        q.name = std::move(name);
        q.durable = durable;
        q.arguments = std::move(arguments);
        auto r = ask(s, std::move(q));
        EXPECT_TRUE(r.result) << r.result.error().text;
        return std::get<queue_info>(*r.result);
    }
    [[nodiscard]] queue_handle handle_of(std::string_view name) {
        const auto* v = enter(0).topology().find_vhost(vhost_);
        const auto* entry = topology_view::find_queue(*v, name);
        EXPECT_NE(entry, nullptr) << name;
        return entry == nullptr ? queue_handle{} : entry->handle;
    }
    // How many it has to give.
    [[nodiscard]] std::uint64_t count_of(test_session& s, std::string name) {
        declare_queue q;
        q.name = std::move(name);
        q.absent = if_absent::fail;
        const auto r = ask(s, std::move(q));
        EXPECT_TRUE(r.result) << r.result.error().text;
        return std::get<queue_info>(*r.result).message_count;
    }
    // A durable queue that lives on the shard we want.
    std::string name_on(test_session& s, std::size_t wanted, std::string_view prefix = "q",
                        const value_table& arguments = {}) {
        for (int i = 0;; ++i) {
            auto name = std::string(prefix) + std::to_string(i) + "-on-" + std::to_string(wanted);
            if (declare(s, name, arguments).handle.shard.value == wanted) {
                return name;
            }
        }
    }
    void bind_to(test_session& s, const std::string& exchange, const std::string& queue) {
        bind b;
        b.source = exchange;
        b.destination = queue;
        const auto r = ask(s, std::move(b));
        EXPECT_TRUE(r.result);
    }
    consumer_info consume_from(test_session& s, std::string queue, std::uint32_t prefetch = 0, bool no_ack = false) {
        consume c;
        c.queue = std::move(queue);
        c.tag = 1;
        c.sink = &s;
        c.prefetch = prefetch;
        c.no_ack = no_ack;
        auto r = ask(s, std::move(c));
        EXPECT_TRUE(r.result) << r.result.error().text;
        consuming_[&s].push_back(std::get<consumer_info>(*r.result));
        return consuming_[&s].back();
    }
    // As a session ends: its consumers first, then what was lent to it.
    void leave(test_session& s) {
        auto& home = enter(s.home().id().value);
        for (const auto& c : std::exchange(consuming_[&s], {})) {
            home.forget_consumer(c.queue, c.consumer, s);
        }
        home.settle(s.got, settlement::requeued);
        s.got.clear();
        s.leave();
        consuming_.erase(&s);
    }
    std::optional<delivery> get_from(test_session& s, std::string queue, bool no_ack = false) {
        get g;
        g.queue = std::move(queue);
        g.no_ack = no_ack;
        auto r = ask(s, std::move(g));
        EXPECT_TRUE(r.result) << r.result.error().text;
        return std::move(std::get<got_message>(*r.result).message);
    }
    publish_result publish(test_session& s, std::string_view exchange, std::string_view key, std::string_view body,
                           std::uint64_t sequence = 0, bool persistent = true, std::string_view properties = {},
                           bool in_transaction = false) {
        auto& home = enter(s.home().id().value);
        const auto* v = home.topology().find_vhost(vhost_);
        route_memo memo;
        const std::span block(reinterpret_cast<const std::uint8_t*>(properties.data()), properties.size());
        const auto r = home.find_route(*v, exchange, key, options_.reader, block, memo);
        EXPECT_NE(r.exchange, nullptr);
        message_traits traits;
        traits.persistent = persistent;
        auto m = make_message(home.pool(), exchange, key, block,
                              {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, traits);
        return in_transaction ? home.publish_in_transaction(std::move(m), *v, r, s.handle(), 1, sequence)
                              : home.publish(std::move(m), *v, r, s.handle(), 1, sequence);
    }
    publish_result publish_together(test_session& s, std::string_view key, std::string_view body,
                                    std::uint64_t sequence) {
        return publish(s, "", key, body, sequence, true, {}, true);
    }
    void list_user(const std::string& name) {
        user_definition u;
        u.name = name;
        keeper_->set(u);
        static_cast<void>(keeper_->seal());
    }
    void unlist_user(const std::string& name) { EXPECT_TRUE(keeper_->remove_user(name)); }
    // What transactions had left to do when the one before crashed has been done.
    void finish_transactions() {
        for (int round = 0; round < 100 && parts_->errands_left(); ++round) {
            settle();
        }
        EXPECT_FALSE(parts_->errands_left());
    }

    manual_clock_source clock;

private:
    class stream_on_last_disk final : public stream_store {
    public:
        explicit stream_on_last_disk(durable_cluster& c) : cluster_(c) {}
        result<std::unique_ptr<durable_log>, std::string> open(
            owner_uid, std::uint64_t, const std::function<void(const log_record&)>& visit) override {
            return std::move(cluster_.open(cluster_.media_.size() - 1, visit).log);
        }
        void remove(owner_uid) override {
            cluster_.media_.back() = std::make_unique<store::simulated_disk>(store::simulation{.prompt = true});
        }

    private:
        durable_cluster& cluster_;
    };

    [[nodiscard]] store::opened_log open(std::size_t disk, const std::function<void(const log_record&)>& visit) {
        store::log_options o;
        o.store_id = 1;
        o.log_number = static_cast<std::uint32_t>(disk);
        o.segment_bytes = options_.segment_bytes;
        auto opened = store::open_log(media_[disk]->attach(), o, visit, [](auto, auto) {});
        if (!opened) {
            throw unreadable_log(opened.error());
        }
        return std::move(*opened);
    }
    void open_topology() {
        topology_replay found;
        auto opened = open(0, [&](const log_record& r) { EXPECT_TRUE(found.add(r)); });
        topology_log_ = std::move(opened.log);
        keeper_ = std::make_unique<topology_journal>(topology_log_.get(), std::move(found));
    }
    void make_shards() {
        broker_options o;
        o.shards = options_.shards;
        o.logs = options_.logs;
        o.ring_capacity = 256;
        o.readers.fill(options_.reader);
        o.memory_high_bytes = options_.memory_bytes;
        o.streams = options_.stream ? &stream_ : nullptr;
        o.on_store_failed = [said = failures_.get()](const std::string& why) { said->push_back(why); };
        parts_ = std::make_unique<broker>(o, clock);
        for (std::uint16_t i = 0; i < options_.shards; ++i) {
            shards_.push_back(std::make_unique<shard>(*parts_, shard_id{i}));
        }
    }
    void restore() {
        const auto problems = keeper_->restore(parts_->editor(), [this](const queue_spec& spec) {
            return shards_[spec.log % options_.shards]->restore_queue(spec);
        });
        EXPECT_TRUE(problems.empty());
        parts_->set_keeper(keeper_.get());
        const auto* v = parts_->editor().view().find_vhost("/");
        vhost_ = v == nullptr ? parts_->editor().add_vhost("/") : topology_view::id_of(*v);
        parts_->publish_topology();
        for (std::uint16_t i = 0; i < options_.logs; ++i) {
            auto& home = *shards_[i % options_.shards];
            home.begin_turn();
            auto opened = open(i + std::size_t{1}, [&](const log_record& r) { home.replay(i, r); });
            if (!options_.groups) {
                opened.log = std::make_unique<groupless_log>(std::move(opened.log));
            }
            home.open_log(i, std::move(opened.log), opened.report.clean);
        }
        for (auto& s : shards_) {
            s->hand_over();
            s->begin_turn();
        }
    }

    options options_;
    stream_on_last_disk stream_{*this};
    std::vector<std::unique_ptr<store::simulated_disk>> media_;
    std::unique_ptr<std::vector<std::string>> failures_ = std::make_unique<std::vector<std::string>>();
    std::unique_ptr<durable_log> topology_log_;
    std::unique_ptr<topology_journal> keeper_;
    std::unique_ptr<broker> parts_;
    vhost_id vhost_;
    std::vector<std::unique_ptr<shard>> shards_;
    std::map<const test_session*, std::vector<consumer_info>> consuming_;
    std::uint64_t cookie_ = 0;
    bool ended_ = false;
};

}  // namespace linnet::core
