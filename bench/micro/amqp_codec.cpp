// What does the codec cost a message, and what does hand-written code buy over the generic one?
//
// The budget for a 16-byte message is some 200 ns for everything; the codec's part should
// be about a tenth of that on either side. Bodies of 16 bytes unless the name says otherwise; every
// iteration uses another slot of a buffer larger than the first-level cache's set, as a read buffer does.
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"

#include <benchmark/benchmark.h>

#include <array>
#include <cstdlib>
#include <new>
#include <vector>

namespace {

std::size_t allocations = 0;

}  // namespace

// Not inlined: the compiler would see malloc in one and not in the other, and warn of a mismatch.
[[gnu::noinline]] void* operator new(std::size_t size) {
    ++allocations;
    if (void* memory = std::malloc(size); memory != nullptr)
        return memory;
    throw std::bad_alloc{};
}
[[gnu::noinline]] void operator delete(void* memory) noexcept { std::free(memory); }
[[gnu::noinline]] void operator delete(void* memory, std::size_t) noexcept { std::free(memory); }

namespace {

using namespace linnet;
using bytes = std::vector<std::uint8_t>;

constexpr std::uint32_t frame_max = 131072;
constexpr std::array<std::uint8_t, 3> persistent{0x10, 0, 2};
// content_type, headers {"trace": 'S' of 8 bytes}, delivery_mode, message_id
constexpr std::array<std::uint8_t, 2 + 5 + 4 + 19 + 1 + 5> with_headers{
    0xB0, 0x80, 4, 'j', 's', 'o', 'n', 0,   0,   0,   19,  5,   't', 'r', 'a', 'c', 'e', 'S',
    0,    0,    0, 8,   'a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 2,   4,   'i', 'd', '-', '1'};

// Publishes one behind the other, as they lie in a read buffer of 64 KiB.
bytes publishes(wire::bytes_view properties, std::size_t body_bytes) {
    bytes stream;
    const bytes body(body_bytes, 'x');
    while (stream.size() < 65536) {
        amqp::append_content(stream, 1, amqp::basic_publish{.exchange = "orders", .routing_key = "eu.de.4711"},
                             properties, body, frame_max);
    }
    return stream;
}

// Reports allocations of the measured loop, which must be none.
class allocation_count {
public:
    explicit allocation_count(benchmark::State& state) : state_{state} {}
    allocation_count(const allocation_count&) = delete;
    allocation_count& operator=(const allocation_count&) = delete;
    // The framework's own few, at the loop's start, vanish in the average.
    ~allocation_count() {
        const auto made = static_cast<double>(allocations - before_);
        state_.counters["allocs"] = benchmark::Counter{made, benchmark::Counter::kAvgIterations};
    }

private:
    benchmark::State& state_;
    std::size_t before_ = allocations;
};

// What a session does with a message: three frames, the method, the header, the summary.
struct publish_seen {
    amqp::basic_publish publish{};

    template <amqp::method Method>
    void operator()(const Method& m) {
        if constexpr (std::is_same_v<Method, amqp::basic_publish>)
            publish = m;
    }
};

void decode_publish(benchmark::State& state, wire::bytes_view properties, std::size_t body_bytes) {
    const bytes stream = publishes(properties, body_bytes);
    wire::bytes_view rest = stream;
    const allocation_count count{state};
    for (auto _ : state) {
        if (rest.empty())
            rest = stream;
        const auto method = amqp::decode_frame(rest, frame_max);
        rest = rest.subspan(method->size());
        publish_seen seen;
        if (amqp::visit_method(method->payload, seen))
            state.SkipWithError("publish refused");
        const auto header_frame = amqp::decode_frame(rest, frame_max);
        rest = rest.subspan(header_frame->size());
        const auto header = amqp::decode_content_header(header_frame->payload);
        const auto summary = amqp::summarise_properties(header->properties);
        if (!summary)
            state.SkipWithError("properties refused");
        const auto body = amqp::decode_frame(rest, frame_max);
        rest = rest.subspan(body->size());
        benchmark::DoNotOptimize(seen.publish.routing_key.data());
        benchmark::DoNotOptimize(summary->delivery_mode);
        benchmark::DoNotOptimize(body->payload.data());
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(decode_publish, no_properties, wire::bytes_view{amqp::no_properties}, 16);
BENCHMARK_CAPTURE(decode_publish, persistent, wire::bytes_view{persistent}, 16);
BENCHMARK_CAPTURE(decode_publish, with_headers, wire::bytes_view{with_headers}, 16);
BENCHMARK_CAPTURE(decode_publish, persistent_1KiB, wire::bytes_view{persistent}, 1024);

void encode_deliver(benchmark::State& state, wire::bytes_view properties, std::size_t body_bytes) {
    bytes out(1 << 16);
    const bytes body(body_bytes, 'x');
    amqp::basic_deliver deliver{
        .consumer_tag = "ctag1.0", .delivery_tag = 0, .exchange = "orders", .routing_key = "eu.de.4711"};
    const std::uint8_t* const end = out.data() + out.size();
    std::uint8_t* at = out.data();
    const allocation_count count{state};
    for (auto _ : state) {
        ++deliver.delivery_tag;
        benchmark::DoNotOptimize(deliver);  // or the lengths of its strings would be constants
        const std::size_t size = amqp::content_size(deliver, properties, body.size(), frame_max);
        if (static_cast<std::size_t>(end - at) < size)
            at = out.data();
        at = amqp::put_content(at, 1, deliver, properties, body, frame_max);
        benchmark::DoNotOptimize(at);
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(encode_deliver, no_properties, wire::bytes_view{amqp::no_properties}, 16);
BENCHMARK_CAPTURE(encode_deliver, persistent, wire::bytes_view{persistent}, 16);
BENCHMARK_CAPTURE(encode_deliver, with_headers, wire::bytes_view{with_headers}, 16);
BENCHMARK_CAPTURE(encode_deliver, persistent_1KiB, wire::bytes_view{persistent}, 1024);

// The hand-written arguments codec and the generic one, for the record.
template <class Decode>
void decode_arguments(benchmark::State& state, Decode decode) {
    const amqp::basic_publish publish{.exchange = "orders", .routing_key = "eu.de.4711"};
    bytes arguments(amqp::encoded_size(publish));
    amqp::encode(arguments.data(), publish);
    for (auto _ : state) {
        benchmark::DoNotOptimize(arguments.data());
        benchmark::ClobberMemory();
        auto result = decode(arguments);
        benchmark::DoNotOptimize(result);
    }
}
BENCHMARK_CAPTURE(decode_arguments, by_hand, [](const bytes& b) { return amqp::decode<amqp::basic_publish>(b); });
BENCHMARK_CAPTURE(decode_arguments, generic,
                  [](const bytes& b) { return amqp::decode_fields<amqp::basic_publish>(b); });

template <class Encode>
void encode_arguments(benchmark::State& state, Encode encode) {
    std::array<std::uint8_t, 256> out{};
    amqp::basic_deliver deliver{
        .consumer_tag = "ctag1.0", .delivery_tag = 0, .exchange = "orders", .routing_key = "eu.de.4711"};
    for (auto _ : state) {
        ++deliver.delivery_tag;
        benchmark::DoNotOptimize(deliver);
        benchmark::DoNotOptimize(encode(out.data(), deliver));
        benchmark::ClobberMemory();
    }
}
BENCHMARK_CAPTURE(encode_arguments, by_hand,
                  [](std::uint8_t* to, const amqp::basic_deliver& m) { return amqp::encode(to, m); });
BENCHMARK_CAPTURE(encode_arguments, generic,
                  [](std::uint8_t* to, const amqp::basic_deliver& m) { return amqp::encode_fields(to, m); });

struct ack_seen {
    std::uint64_t tag = 0;

    void operator()(const amqp::basic_ack& ack) { tag = ack.delivery_tag; }
    void operator()(const auto&) {}
};

void decode_ack(benchmark::State& state) {
    bytes stream;
    amqp::append_method(stream, 1, amqp::basic_ack{.delivery_tag = 77, .multiple = true});
    ack_seen seen;
    for (auto _ : state) {
        benchmark::DoNotOptimize(stream.data());
        benchmark::ClobberMemory();
        const auto frame = amqp::decode_frame(stream, frame_max);
        if (amqp::visit_method(frame->payload, seen))
            state.SkipWithError("ack refused");
        benchmark::DoNotOptimize(seen.tag);
    }
}
BENCHMARK(decode_ack);

}  // namespace
