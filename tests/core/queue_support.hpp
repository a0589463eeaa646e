#pragma once

#include "broker/core/message_pool.hpp"
#include "broker/core/queue.hpp"
#include "broker/core/timer_wheel.hpp"

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

// What a queue needs around it in a test: a shard that notes what it is told, and a consumer that does.

namespace linnet::core {

struct dead_message {
    std::string body;
    death_reason why;
    position pos = 0;
    bool stored = false;
};

[[nodiscard]] inline std::string body_of(const message& m) {
    const auto b = m.body();
    return {b.begin(), b.end()};
}

class fake_shard final : public queue_context {
public:
    [[nodiscard]] mono_ns now() const noexcept override { return time; }
    [[nodiscard]] wall_ns wall_now() const noexcept override { return time + wall_offset; }
    [[nodiscard]] timer_wheel& timers() noexcept override { return wheel; }
    void on_dead(const queue& q, queue_item&& item, death_reason why) override {
        EXPECT_TRUE(item.msg || !q.spec().settings.dead_letter_exchange);
        dead.push_back({item.msg ? body_of(*item.msg) : std::string(), why, item.pos, item.stored});
        item.msg.reset();
    }
    void deliver_remote(const remote_consumer&, delivery&& d) override { remote.push_back(std::move(d)); }
    void cancel_remote(const remote_consumer&, cancel_reason) override { ++remote_cancels; }
    void on_unused(const queue&) override { ++unused; }
    void on_loaded(queue&) override { ++loads; }
    void on_settled(queue&) override { ++settlings; }

    void advance(mono_ns by) {
        time += by;
        wheel.advance(time);
    }

    mono_ns time = ns_per_s;
    wall_ns wall_offset = 1'700'000'000 * ns_per_s;
    timer_wheel wheel{ns_per_s};
    std::vector<dead_message> dead;
    std::vector<delivery> remote;
    int remote_cancels = 0;
    int unused = 0;
    int loads = 0;
    int settlings = 0;
};

class fake_sink final : public delivery_sink {
public:
    void on_delivery(std::uint64_t, delivery&& d) override { got.push_back(std::move(d)); }
    void on_cancelled(std::uint64_t tag, cancel_reason) override { cancelled.push_back(tag); }
    void on_direct(message_ptr) override {}
    void set_ready(bool r) { ready_ = r; }
    [[nodiscard]] std::vector<std::string> bodies() const {
        std::vector<std::string> all;
        for (const auto& d : got) {
            all.push_back(body_of(*d.msg));
        }
        return all;
    }
    std::vector<delivery> got;
    std::vector<std::uint64_t> cancelled;
};

}  // namespace linnet::core
