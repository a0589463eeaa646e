// What does WebSocket cost on top of the protocol that it carries, and what does compression cost and save?
//
// Small frames are 16 bytes of payload, a short MQTT publish; large ones 64 KiB. Frames lie one behind the other, as
// in a read buffer. Unmasking in place means that every second round reads masked payload: headers and binary
// payload do not mind, text is unmasked with a key of zeros.
#include "protocol/ws/message_reader.hpp"
#include "protocol/ws/message_writer.hpp"

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

namespace {

using namespace linnet;
using bytes = std::vector<std::uint8_t>;

constexpr ws::mask_key key{0x3D21FA37};

void count_bytes(benchmark::State& state, std::size_t each) {
    state.SetBytesProcessed(static_cast<std::int64_t>(state.iterations() * each));
}

// ---- Masks -------------------------------------------------------------------------------------

void unmask(benchmark::State& state) {
    bytes payload(static_cast<std::size_t>(state.range(0)) + 6);
    const auto here = std::span{payload}.subspan(6);  // as behind a header: not aligned
    for (auto _ : state) {
        ws::apply_mask(here, key);
        benchmark::DoNotOptimize(payload.data());
        benchmark::ClobberMemory();
    }
    count_bytes(state, here.size());
}
BENCHMARK(unmask)->Arg(16)->Arg(125)->Arg(1024)->Arg(65536);

// The plain loop, for the record.
void unmask_by_octets(benchmark::State& state) {
    bytes payload(static_cast<std::size_t>(state.range(0)));
    std::uint8_t octets[4];
    key.put(octets);
    for (auto _ : state) {
        for (std::size_t i = 0; i < payload.size(); ++i)
            payload[i] = static_cast<std::uint8_t>(payload[i] ^ octets[i % 4]);
        benchmark::DoNotOptimize(payload.data());
        benchmark::ClobberMemory();
    }
    count_bytes(state, payload.size());
}
BENCHMARK(unmask_by_octets)->Arg(16)->Arg(65536);

// ---- Frames ------------------------------------------------------------------------------------

bytes frames(ws::message_type type, std::string_view payload, ws::mask_key mask) {
    bytes stream;
    const ws::message_writer writer;
    do
        append(stream, writer.message(type, wire::as_bytes(payload), mask));
    while (stream.size() < 65536);
    return stream;
}

// An iteration is one message.
void read_messages(benchmark::State& state, bytes stream, std::size_t each) {
    ws::message_reader reader{{}};
    std::span<std::uint8_t> input;
    for (auto _ : state) {
        if (input.empty())
            input = stream;
        const auto told = reader.next(input);
        if (!told)
            state.SkipWithError("refused");
        benchmark::DoNotOptimize(told->payload.data());
    }
    count_bytes(state, each);
}

void read_binary(benchmark::State& state) {
    const std::string payload(static_cast<std::size_t>(state.range(0)), 'x');
    read_messages(state, frames(ws::message_type::binary, payload, key), payload.size());
}
BENCHMARK(read_binary)->Arg(16)->Arg(1024)->Arg(65536);

void read_text(benchmark::State& state, std::string_view piece) {
    std::string payload;
    while (payload.size() + piece.size() <= static_cast<std::size_t>(state.range(0)))
        payload += piece;
    read_messages(state, frames(ws::message_type::text, payload, {}), payload.size());
}
BENCHMARK_CAPTURE(read_text, ascii, "x")->Arg(16)->Arg(65536);
BENCHMARK_CAPTURE(read_text, german, "Prüfungsstraße der Messgeräte, ")->Arg(65536);
BENCHMARK_CAPTURE(read_text, greek, "κόσμε ")->Arg(65536);

void write_binary(benchmark::State& state) {
    const bytes payload(static_cast<std::size_t>(state.range(0)), 'x');
    const ws::message_writer writer;
    bytes out(payload.size() + ws::frame_header_bytes_max);
    for (auto _ : state) {
        benchmark::DoNotOptimize(writer.message(ws::message_type::binary, payload).put(out.data()));
        benchmark::ClobberMemory();
    }
    count_bytes(state, payload.size());
}
BENCHMARK(write_binary)->Arg(16)->Arg(65536);

// ---- Compression -------------------------------------------------------------------------------

// Readings of sensors, as JSON, that resemble one another without being the same.
std::vector<std::string> readings(std::size_t each) {
    std::vector<std::string> all;
    std::mt19937 random{1};
    while (all.size() < 64) {
        std::string one = R"({"site":"plant-7","unit":"celsius","readings":[)";
        while (one.size() < each)
            one += R"({"sensor":")" + std::to_string(random() % 10000) + R"(","value":)" +
                   std::to_string(random() % 1000) + "},";
        all.push_back(one.substr(0, each));
    }
    return all;
}

// Arguments: bytes a message, level, whether there is a context.
void deflate(benchmark::State& state) {
    const auto messages = readings(static_cast<std::size_t>(state.range(0)));
    const auto context = state.range(2) != 0 ? ws::deflate_context::kept : ws::deflate_context::reset_each_message;
    ws::deflater compressor{{.level = static_cast<int>(state.range(1)), .context = context}};
    std::size_t sent = 0;
    std::size_t i = 0;
    for (auto _ : state)
        sent += compressor.compress(wire::as_bytes(messages[i++ % messages.size()])).size();
    count_bytes(state, messages[0].size());
    state.counters["bytes_sent"] = benchmark::Counter(static_cast<double>(sent), benchmark::Counter::kAvgIterations);
}
BENCHMARK(deflate)->ArgsProduct({{256, 1024, 16384}, {1, 3, 6}, {0, 1}});

// Without a context each message makes an inflater of its own: the price of holding none while idle.
void read_deflated(benchmark::State& state) {
    const bool keeps = state.range(1) != 0;
    const auto messages = readings(static_cast<std::size_t>(state.range(0)));
    // Without a context even where one is kept, so that the stream can be read in a circle.
    ws::deflater compressor{{}};
    const ws::message_writer writer{compressor, 0};
    bytes stream;
    for (const std::string& each : messages)
        append(stream, writer.message(ws::message_type::binary, wire::as_bytes(each), ws::mask_key{}));
    bytes space(65536);
    ws::message_reader reader{{.deflate = true, .peer_keeps_context = keeps}, space};
    std::span<std::uint8_t> input;
    for (auto _ : state) {
        if (input.empty())
            input = stream;
        if (const auto told = reader.next(input); !told || !told->last)
            state.SkipWithError("refused, or in pieces");
    }
    count_bytes(state, messages[0].size());
}
BENCHMARK(read_deflated)->ArgsProduct({{256, 1024, 16384}, {0, 1}});

}  // namespace
