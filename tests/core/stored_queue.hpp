#pragma once

#include "broker/core/journal.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/queue.hpp"
#include "broker/store/memory_log.hpp"
#include "tests/core/queue_support.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// A queue on a shard of its own, over a journal in memory; it can crash and be recovered.
class stored_queue {
public:
    explicit stored_queue(const queue_settings& settings = {}, std::uint32_t window = 4096, bool durable = true) {
        message_pool::enter(&pool);
        spec.name = "q";
        spec.durable = durable;
        spec.settings = settings;
        window_messages = window;
        log = std::make_unique<store::memory_log>(64 * 1024);
        words = std::make_unique<journal>(*log, pool, finder());
        make();
    }
    ~stored_queue() {
        q.reset();
        words.reset();
        message_pool::enter(nullptr);
    }
    stored_queue(const stored_queue&) = delete;
    stored_queue& operator=(const stored_queue&) = delete;

    // As a shard publishes.
    enqueue_result publish(message_ptr m) {
        if (!q->records(*m)) {
            return q->enqueue(std::move(m));
        }
        switch (q->admit(*m)) {
            case admission::take: {
                const message_place place{uid, q->take_position(), 0};
                const auto where = words->record_message(*m, shard.wall_now(), {&place, 1});
                q->enqueue_stored(std::move(m), place.pos, where);
                return enqueue_result::accepted;
            }
            case admission::pass: return q->enqueue(std::move(m));
            case admission::refuse: return enqueue_result::refused;
            case admission::duplicate: return enqueue_result::accepted;
        }
        return enqueue_result::refused;
    }
    message_ptr text(std::string_view body, bool persistent = true, mono_ns ttl = -1, std::uint8_t priority = 0) {
        message_traits t;
        t.persistent = persistent;
        t.priority = priority;
        t.time_to_live = ttl;
        return make_message(pool, "x", "k", {}, {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, t);
    }
    enqueue_result put(std::string_view body, bool persistent = true, mono_ns ttl = -1, std::uint8_t priority = 0) {
        return publish(text(body, persistent, ttl, priority));
    }
    consumer_id consume(fake_sink& sink, std::uint32_t prefetch = 0, bool no_ack = false) {
        queue::attachment a;
        a.sink = &sink;
        a.prefetch = prefetch;
        a.no_ack = no_ack;
        return *q->attach(std::move(a));
    }
    void settle(const delivery& d) {
        const std::uint32_t bytes = d.msg ? d.msg->body_bytes() : 0;
        if (d.stored) {
            q->settle_stored(d.consumer, {&d.pos, 1}, bytes);
        } else {
            q->settle(d.consumer, 1, bytes);
        }
    }
    // Until nothing moves any more. What the last pump() has recorded is durable by then, too: a shard flushes at the
    // end of each turn.
    void turns() {
        for (bool more = true; more;) {
            const int loads = shard.loads;
            words->flush();
            more = words->poll([](const durable_waiter&) {});
            more = !q->pump() || more || shard.loads != loads;
            q->record_settled();
            more = more || log->busy() || log->durable() != log->end();
        }
    }
    std::optional<delivery> get(bool no_ack) {
        while (!q->head_at_hand()) {
            turns();
        }
        return q->get(no_ack);
    }
    // What is durable by now is all that is left, on another log and with another shard's clock.
    void crash(bool clean = false) {
        q.reset();
        auto old = std::move(log);
        log = std::make_unique<store::memory_log>(64 * 1024);
        words = std::make_unique<journal>(pool, finder());
        make();
        old->scan(old->begin(), [&](const log_record& r) {
            const std::span<const std::uint8_t> part = r.payload;
            const auto at = log->append(r.kind, r.flags, {&part, 1});
            log_record moved = r;
            moved.at = at.at;
            moved.bytes = at.bytes;
            words->replay(moved);
            return true;
        });
        words->open(*log);
        q->on_recovery_end(clean);
        turns();
    }
    // As far as they are durable after a flush.
    [[nodiscard]] std::size_t records_since(log_position at) {
        words->flush();
        static_cast<void>(words->poll([](const durable_waiter&) {}));
        std::size_t n = 0;
        log->scan(at, [&n](const log_record&) { return ++n != 0; });
        return n;
    }
    // A copy counts as alive until its owner has been asked about it.
    void finish_cleaning() {
        for (int i = 0; i < 10; ++i) {
            words->flush();
            static_cast<void>(words->poll([](const durable_waiter&) {}));
        }
    }
    [[nodiscard]] std::uint64_t live_bytes() const { return words->look().live_bytes; }

    static constexpr owner_uid uid = 7;
    message_pool pool{shard_id{0}};
    fake_shard shard;
    queue_spec spec;
    std::uint32_t window_messages = 0;
    std::unique_ptr<store::memory_log> log;
    std::unique_ptr<journal> words;
    std::unique_ptr<queue> q;

private:
    journal::owner_finder finder() {
        return [this](owner_uid who) -> record_owner* { return (who & ~fleeting_owner) == uid ? q.get() : nullptr; };
    }
    void make() {
        queue_keeping keeping;
        keeping.log = words.get();
        keeping.uid = spec.durable ? uid : uid | fleeting_owner;
        keeping.window_messages = window_messages;
        q = std::make_unique<queue>(shard, queue_handle{1, 1, {}}, spec, keeping);
    }
};

}  // namespace linnet::core
