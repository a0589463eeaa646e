#pragma once

#include "broker/core/broker.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/topology_editor.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace linnet::core {

[[nodiscard]] inline std::string body_text(const message& m) {
    const auto b = m.body();
    return {b.begin(), b.end()};
}

// A session that only remembers what it was told; one sink, as an AMQP channel is.
class test_session : public session_port, public delivery_sink {
public:
    explicit test_session(shard& home) : shard_(home), handle_(home.add_session(*this)) {}
    ~test_session() override { leave(); }

    void leave() {
        if (handle_) {
            shard_.remove_session(handle_);
            handle_ = {};
        }
    }
    [[nodiscard]] session_handle handle() const noexcept { return handle_; }
    [[nodiscard]] shard& home() noexcept { return shard_; }
    void set_ready(bool r) {
        ready_ = r;
        if (r) {
            shard_.resume(*this);
        }
    }

    void on_reply(reply&& r) override { replies.push_back(std::move(r)); }
    void on_publish_settled(std::uint64_t, std::uint64_t sequence, bool accepted) override {
        settled[sequence] = accepted;
    }
    void on_settled_batch() override { ++settled_batches; }
    [[nodiscard]] delivery_sink* find_sink(std::uint64_t tag) override { return tag == 1 ? this : nullptr; }
    [[nodiscard]] bool takes_direct(std::string_view) const override { return true; }
    void on_alarms(alarms now) override { alarm = now; }
    void on_shutdown(std::string_view) override {}
    void on_delivery(std::uint64_t, delivery&& d) override { got.push_back(std::move(d)); }
    void on_cancelled(std::uint64_t tag, cancel_reason) override { cancelled.push_back(tag); }
    void on_gap(std::uint64_t, position resumed) override { gaps.push_back(resumed); }
    void on_message(const message_ptr& m) override { heard.push_back(body_text(*m)); }
    void on_direct(message_ptr m) override { direct.push_back(body_text(*m)); }

    std::vector<reply> replies;
    std::map<std::uint64_t, bool> settled;
    std::vector<delivery> got;
    std::vector<std::uint64_t> cancelled;
    std::vector<position> gaps;
    std::vector<std::string> direct;
    std::vector<std::string> heard;
    int settled_batches = 0;
    alarms alarm;

private:
    shard& shard_;
    session_handle handle_;
};

// Several shards stepped by one thread on a clock of our own: every interleaving of turns that a test asks for.
class cluster {
public:
    explicit cluster(std::uint16_t shards, std::size_t ring = 1024, stream_store* streams = nullptr)
        : cluster([&] {
              broker_options o;
              o.streams = streams;
              o.shards = shards;
              o.ring_capacity = ring;
              return o;
          }()) {}
    explicit cluster(const broker_options& o) {
        const std::uint16_t shards = o.shards;
        parts_ = std::make_unique<broker>(o, clock);
        vhost_ = parts_->editor().add_vhost("/");
        parts_->publish_topology();
        for (std::uint16_t i = 0; i < shards; ++i) {
            shards_.push_back(std::make_unique<shard>(*parts_, shard_id{i}));
            shards_.back()->begin_turn();
        }
    }
    ~cluster() {
        settle();
        for (auto& s : shards_) {
            s->begin_turn();
            s->end();
        }
        shards_.clear();
    }

    [[nodiscard]] shard& at(std::size_t i) { return *shards_[i]; }
    [[nodiscard]] broker& parts() { return *parts_; }
    [[nodiscard]] vhost_id vhost() const { return vhost_; }

    // To be called before anything is done in the name of shard i: its memory pool becomes the thread's.
    shard& enter(std::size_t i) {
        shards_[i]->begin_turn();
        return *shards_[i];
    }
    // A whole turn of one shard.
    void turn(std::size_t i) {
        shards_[i]->begin_turn();
        static_cast<void>(shards_[i]->end_turn());
        shards_[i]->begin_turn();
    }
    // Turns until everything that was said has been heard.
    void settle() {
        for (int round = 0; round < 12; ++round) {
            for (std::size_t i = 0; i < shards_.size(); ++i) {
                turn(i);
            }
        }
    }

    reply ask(test_session& s, request_body body) {
        auto& home = enter(s.home().id().value);
        static std::uint64_t cookie = 0;
        auto now = home.submit({vhost_, s.handle(), ++cookie, std::move(body)});
        if (now) {
            return std::move(*now);
        }
        const auto before = s.replies.size();
        settle();
        EXPECT_EQ(s.replies.size(), before + 1) << "no answer";
        EXPECT_EQ(s.replies.back().cookie, cookie);
        return std::move(s.replies.back());
    }
    queue_info declare(test_session& s, std::string name, bool exclusive = false, value_table arguments = {}) {
        declare_queue q;
        q.name = std::move(name);
        q.exclusive = exclusive;
        q.arguments = std::move(arguments);
        auto r = ask(s, std::move(q));
        EXPECT_TRUE(r.result) << r.result.error().text;
        return std::get<queue_info>(*r.result);
    }
    // A name that lives on the shard we want.
    std::string name_on(test_session& s, std::size_t wanted) {
        for (int i = 0;; ++i) {
            auto name = "q" + std::to_string(i) + "-on-" + std::to_string(wanted);
            if (declare(s, name).handle.shard.value == wanted) {
                return name;
            }
        }
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
        return std::get<consumer_info>(*r.result);
    }
    publish_result publish(test_session& s, std::string_view exchange, std::string_view key, std::string_view body,
                           std::uint64_t sequence = 0) {
        auto& home = enter(s.home().id().value);
        const auto* v = home.topology().find_vhost(vhost_);
        route_memo memo;
        const auto r = home.find_route(*v, exchange, key, nullptr, {}, memo);
        EXPECT_NE(r.exchange, nullptr);
        auto m = make_message(home.pool(), exchange, key, {},
                              {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, {});
        return home.publish(std::move(m), *v, r, s.handle(), 1, sequence);
    }

    manual_clock_source clock;

private:
    std::unique_ptr<broker> parts_;
    vhost_id vhost_;
    std::vector<std::unique_ptr<shard>> shards_;
};

}  // namespace linnet::core
