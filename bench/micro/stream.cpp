// What does a stream cost: to append to, to read at its end and from its beginning, and in memory for each reader?
//
// Over a log in memory, so that only the stream's own work is measured; `disk` and `log` tell what a disk adds.

#include "broker/core/stream.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/store/memory_log.hpp"

#include <benchmark/benchmark.h>

#include <malloc.h>

#include <cstdint>
#include <memory>
#include <vector>

namespace {

using namespace linnet;
using namespace linnet::core;

class bench_shard final : public stream_context {
public:
    bench_shard() { message_pool::enter(&messages); }
    ~bench_shard() override { message_pool::enter(nullptr); }

    [[nodiscard]] mono_ns now() const noexcept override { return ns_per_s; }
    [[nodiscard]] wall_ns wall_now() const noexcept override { return ns_per_s; }
    [[nodiscard]] timer_wheel& timers() noexcept override { return wheel; }
    [[nodiscard]] message_pool& pool() noexcept override { return messages; }
    [[nodiscard]] const property_reader* reader_of(protocol_tag) const noexcept override { return nullptr; }
    void deliver_remote(const remote_consumer&, delivery&&) override {}
    void cancel_remote(const remote_consumer&, cancel_reason) override {}
    void gap_remote(const remote_consumer&, position) override {}
    void on_active(stream&) override {}
    void on_readable(stream&) override {}
    void on_durable(const durable_waiter&) override {}

    message_pool messages{shard_id{0}};
    timer_wheel wheel{ns_per_s};
};

class counting_sink final : public delivery_sink {
public:
    void on_delivery(std::uint64_t, delivery&&) override { ++got; }
    void on_cancelled(std::uint64_t, cancel_reason) override {}
    void on_direct(message_ptr) override {}
    std::uint64_t got = 0;
};

class bench_stream {
public:
    bench_stream() {
        queue_spec spec;
        spec.name = "s";
        spec.uid = 1;
        spec.settings.type = queue_type::stream;
        spec.settings.max_length_bytes = std::uint64_t{48} << 20;
        subject = std::make_unique<stream>(shard, queue_handle{1, 1, {}}, spec);
        subject->open(std::make_unique<store::memory_log>(std::uint64_t{8} << 20));
    }
    void append(std::size_t bytes) {
        body_.resize(bytes, 'x');
        auto m = make_message(shard.messages, "", "s", {}, body_, {});
        benchmark::DoNotOptimize(subject->append(std::move(m)));
    }
    void turn() {
        subject->flush();
        static_cast<void>(subject->poll());
        static_cast<void>(subject->pump());
    }
    consumer_id attach(delivery_sink& sink, stream_start::point from) {
        stream::attachment a;
        a.sink = &sink;
        a.no_ack = true;
        a.start.what = from;
        return subject->attach(std::move(a));
    }

    bench_shard shard;
    std::unique_ptr<stream> subject;

private:
    std::vector<std::uint8_t> body_;
};

// 64 messages a turn, as a busy shard has them.
void append(benchmark::State& state) {
    bench_stream s;
    const auto bytes = static_cast<std::size_t>(state.range(0));
    for (auto _ : state) {
        for (int i = 0; i < 64; ++i) {
            s.append(bytes);
        }
        s.turn();
    }
    state.SetItemsProcessed(state.iterations() * 64);
    state.SetBytesProcessed(state.iterations() * 64 * state.range(0));
}
BENCHMARK(append)->Arg(100)->Arg(1024);

// The same with readers at the end; items are deliveries.
void live(benchmark::State& state) {
    bench_stream s;
    std::vector<std::unique_ptr<counting_sink>> sinks;
    for (int i = 0; i < state.range(0); ++i) {
        sinks.push_back(std::make_unique<counting_sink>());
        s.attach(*sinks.back(), stream_start::point::next);
    }
    for (auto _ : state) {
        for (int i = 0; i < 64; ++i) {
            s.append(100);
        }
        s.turn();
    }
    state.SetItemsProcessed(state.iterations() * 64 * state.range(0));
}
BENCHMARK(live)->Arg(1)->Arg(10)->Arg(100);

// From the first of 100 000 messages on, by so many readers at once; items are deliveries.
void catch_up(benchmark::State& state) {
    bench_stream s;
    for (int i = 0; i < 100'000; ++i) {
        s.append(100);
        if (i % 64 == 0) {
            s.turn();
        }
    }
    s.turn();
    std::uint64_t delivered = 0;
    for (auto _ : state) {
        std::vector<std::unique_ptr<counting_sink>> sinks;
        std::vector<consumer_id> ids;
        for (int i = 0; i < state.range(0); ++i) {
            sinks.push_back(std::make_unique<counting_sink>());
            ids.push_back(s.attach(*sinks.back(), stream_start::point::first));
        }
        while (sinks.front()->got < 100'000 || sinks.back()->got < 100'000) {
            s.turn();
        }
        for (const auto id : ids) {
            s.subject->detach(id);
        }
        delivered += 100'000 * sinks.size();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(delivered));
}
BENCHMARK(catch_up)->Arg(1)->Arg(10)->Unit(benchmark::kMillisecond);

// Bytes for each of 10 000 readers that wait at the end.
void memory_of_a_reader(benchmark::State& state) {
    constexpr std::size_t readers = 10'000;
    double bytes = 0;
    for (auto _ : state) {
        bench_stream s;
        counting_sink sink;
        const auto before = ::mallinfo2().uordblks;
        for (std::size_t i = 0; i < readers; ++i) {
            s.attach(sink, stream_start::point::next);
        }
        bytes = static_cast<double>(::mallinfo2().uordblks - before) / readers;
    }
    state.counters["bytes"] = bytes;
}
BENCHMARK(memory_of_a_reader)->Unit(benchmark::kMillisecond);

}  // namespace
