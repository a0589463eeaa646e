#pragma once

#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/stream.hpp"
#include "broker/store/memory_log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// Property blocks of tests are text: "a=1 b=2".
class text_reader final : public property_reader {
public:
    [[nodiscard]] value_table headers(block b) const override {
        ++decoded;
        value_table t;
        std::string_view rest(reinterpret_cast<const char*>(b.data()), b.size());
        while (!rest.empty()) {
            const auto word = rest.substr(0, rest.find(' '));
            const auto eq = word.find('=');
            t.emplace_back(std::string(word.substr(0, eq)), make_string(word.substr(eq + 1)));
            rest.remove_prefix(std::min(rest.size(), word.size() + 1));
        }
        return t;
    }
    [[nodiscard]] std::optional<value> header(block b, std::string_view name) const override {
        const auto all = headers(b);
        const value* v = find(all, name);
        return v == nullptr ? std::nullopt : std::optional(*v);
    }
    [[nodiscard]] std::optional<death_log> deaths(block) const override { return std::nullopt; }
    [[nodiscard]] std::string expiration(block) const override { return {}; }
    [[nodiscard]] std::vector<std::string> carbon_copies(block) const override { return {}; }
    [[nodiscard]] std::string message_id(block) const override { return {}; }

    mutable int decoded = 0;
};

class fake_stream_shard final : public stream_context {
public:
    [[nodiscard]] mono_ns now() const noexcept override { return time; }
    [[nodiscard]] wall_ns wall_now() const noexcept override { return wall; }
    [[nodiscard]] timer_wheel& timers() noexcept override { return wheel; }
    [[nodiscard]] message_pool& pool() noexcept override { return messages; }
    [[nodiscard]] const property_reader* reader_of(protocol_tag) const noexcept override { return &reader; }
    void deliver_remote(const remote_consumer&, delivery&& d) override { remote.push_back(std::move(d)); }
    void cancel_remote(const remote_consumer&, cancel_reason) override { ++remote_cancels; }
    void gap_remote(const remote_consumer&, position resumed) override { remote_gaps.push_back(resumed); }
    void on_active(stream&) override { ++actives; }
    void on_readable(stream&) override { readable = true; }
    void on_durable(const durable_waiter& w) override { durable.push_back(w.sequence); }

    void advance(mono_ns by) {
        time += by;
        wall += by;
        wheel.advance(time);
    }

    mono_ns time = ns_per_s;
    wall_ns wall = 1'700'000'000 * ns_per_s;
    timer_wheel wheel{ns_per_s};
    message_pool messages{shard_id{0}};
    text_reader reader;
    std::vector<delivery> remote;
    int remote_cancels = 0;
    std::vector<position> remote_gaps;
    int actives = 0;
    bool readable = false;
    std::vector<std::uint64_t> durable;
};

class stream_sink final : public delivery_sink {
public:
    void on_delivery(std::uint64_t, delivery&& d) override { got.push_back(std::move(d)); }
    void on_cancelled(std::uint64_t tag, cancel_reason) override { cancelled.push_back(tag); }
    void on_gap(std::uint64_t, position resumed) override { gaps.push_back(resumed); }
    void on_direct(message_ptr) override {}
    void set_ready(bool r) { ready_ = r; }
    [[nodiscard]] std::vector<position> offsets() const {
        std::vector<position> all;
        std::ranges::transform(got, std::back_inserter(all), &delivery::pos);
        return all;
    }
    [[nodiscard]] std::vector<std::string> bodies() const {
        std::vector<std::string> all;
        for (const auto& d : got) {
            const auto b = d.msg->body();
            all.emplace_back(b.begin(), b.end());
        }
        return all;
    }
    std::vector<delivery> got;
    std::vector<std::uint64_t> cancelled;
    std::vector<position> gaps;
};

[[nodiscard]] inline std::vector<position> up_to(position first, position end) {
    std::vector<position> all;
    for (; first < end; ++first) {
        all.push_back(first);
    }
    return all;
}

// A stream over a log in memory, driven by hand.
class stream_fixture : public testing::Test {
protected:
    static constexpr std::uint64_t segment_bytes = 1024 * 1024;

    stream_fixture() { message_pool::enter(&shard.messages); }
    ~stream_fixture() override {
        subject.reset();
        message_pool::enter(nullptr);
    }

    stream& make(const queue_settings& settings = {}) {
        spec.name = "s";
        spec.durable = true;
        spec.uid = 7;
        spec.settings = settings;
        spec.settings.type = queue_type::stream;
        spec.settings.segment_bytes = segment_bytes;
        auto owned = std::make_unique<store::memory_log>(segment_bytes);
        log = owned.get();
        subject = std::make_unique<stream>(shard, queue_handle{1, 1, {}}, spec);
        subject->open(std::move(owned));
        return *subject;
    }
    [[nodiscard]] message_ptr message_of(std::string_view body, std::string_view headers = {}) {
        const auto bytes = [](std::string_view t) {
            return std::span(reinterpret_cast<const std::uint8_t*>(t.data()), t.size());
        };
        return make_message(shard.messages, "x", "k", bytes(headers), bytes(body), {});
    }
    void put(std::string_view body, std::string_view headers = {}) {
        ASSERT_EQ(subject->append(message_of(body, headers)), enqueue_result::accepted);
    }
    void put_many(int n, std::size_t bytes = 100) {
        for (int i = 0; i < n; ++i) {
            put(std::string(bytes, 'a'));
        }
        turn();
    }
    // A turn's end, the disk's answer, and what follows from both until nothing does.
    void turn() {
        int idle = 0;
        for (int i = 0; i < 2000; ++i) {
            subject->flush();
            const bool polled = subject->poll();
            shard.readable = false;
            const bool done = subject->pump();
            // Twice: a pump may have asked the log for something.
            idle = polled || !done || shard.readable ? 0 : idle + 1;
            if (idle == 2) {
                return;
            }
        }
        FAIL() << "the stream never comes to rest";
    }
    consumer_id attach(stream_sink& sink, value_table arguments = {}, std::uint32_t prefetch = 0) {
        stream::attachment a;
        const auto good = stream::read_arguments(arguments, "queue 's' in vhost '/'", shard.wall, a);
        EXPECT_TRUE(good) << good.error().text;
        a.tag = 5;
        a.sink = &sink;
        a.prefetch = prefetch;
        a.no_ack = prefetch == 0;
        return subject->attach(std::move(a));
    }
    consumer_id attach_at(stream_sink& sink, std::string_view where, std::uint32_t prefetch = 0) {
        return attach(sink, {{"x-stream-offset", make_string(where)}}, prefetch);
    }
    consumer_id attach_at(stream_sink& sink, std::int64_t offset, std::uint32_t prefetch = 0) {
        return attach(sink, {{"x-stream-offset", make_int64(offset)}}, prefetch);
    }

    fake_stream_shard shard;
    queue_spec spec;
    store::memory_log* log = nullptr;
    std::unique_ptr<stream> subject;
};

}  // namespace linnet::core
