// What does the codec cost a message, and what does it save to write a PUBLISH once for many receivers?
//
// A message of 16 bytes on a topic of 24, unless the name says otherwise. Decoding is frame, packet and all that is
// judged in it; encoding writes into a buffer as a connection's output is, one behind the other.
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/publish_image.hpp"
#include "protocol/mqtt/topic_key.hpp"

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

namespace {

using namespace linnet;
using mqtt::version;
using bytes = std::vector<std::uint8_t>;

constexpr std::string_view topic = "plant/4/line/7/temp/mean";

std::string usual_properties() {
    std::string out;
    mqtt::append_property<mqtt::property::message_expiry_interval>(out, 60U);
    mqtt::append_property<mqtt::property::content_type>(out, "application/json");
    mqtt::append_user_property(out, "trace", "abcdefgh");
    return out;
}

mqtt::publish message(mqtt::qos level, std::string_view properties, wire::bytes_view payload) {
    return {.topic = topic,
            .payload = payload,
            .properties = mqtt::property_block::trusted(wire::as_bytes(properties)),
            .packet_id = static_cast<std::uint16_t>(level == mqtt::qos::at_most_once ? 0 : 4711),
            .qos = level};
}

void decode_publish(benchmark::State& state, version spoken, mqtt::qos level, const std::string& properties,
                    std::size_t payload_bytes) {
    const bytes payload(payload_bytes, 'x');
    bytes stream;
    while (stream.size() < 65536)
        mqtt::append_packet(stream, message(level, properties, payload), spoken);
    const mqtt::dialect client{spoken, mqtt::role::client};
    wire::bytes_view rest = stream;
    for (auto _ : state) {
        if (rest.empty())
            rest = stream;
        const auto frame = mqtt::decode_frame(rest, client);
        const auto p = mqtt::decode<mqtt::publish>(*frame, client);
        if (!p)
            state.SkipWithError("publish refused");
        rest = rest.subspan(frame->size());
        benchmark::DoNotOptimize(p->topic.data());
        benchmark::DoNotOptimize(p->payload.data());
        benchmark::DoNotOptimize(p->packet_id);
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(decode_publish, v3_1_1_qos0, version::v3_1_1, mqtt::qos::at_most_once, std::string(), 16);
BENCHMARK_CAPTURE(decode_publish, v3_1_1_qos1, version::v3_1_1, mqtt::qos::at_least_once, std::string(), 16);
BENCHMARK_CAPTURE(decode_publish, v5_qos0, version::v5, mqtt::qos::at_most_once, std::string(), 16);
BENCHMARK_CAPTURE(decode_publish, v5_qos1_properties, version::v5, mqtt::qos::at_least_once, usual_properties(), 16);
BENCHMARK_CAPTURE(decode_publish, v5_qos0_1KiB, version::v5, mqtt::qos::at_most_once, std::string(), 1024);

// Where the next packet goes.
class output {
public:
    std::uint8_t* room_for(std::size_t size) {
        if (out_.size() - used_ < size)
            used_ = 0;
        std::uint8_t* const at = out_.data() + used_;
        used_ += size;
        return at;
    }

private:
    bytes out_ = bytes(1 << 16);
    std::size_t used_ = 0;
};

void encode_publish(benchmark::State& state, version spoken, mqtt::qos level, const std::string& properties,
                    std::size_t payload_bytes) {
    const bytes payload(payload_bytes, 'x');
    mqtt::publish p = message(level, properties, payload);
    output out;
    for (auto _ : state) {
        ++p.packet_id;
        benchmark::DoNotOptimize(p);  // or the lengths of its strings would be constants
        benchmark::DoNotOptimize(mqtt::encode(out.room_for(mqtt::encoded_size(p, spoken)), p, spoken));
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(encode_publish, v3_1_1_qos0, version::v3_1_1, mqtt::qos::at_most_once, std::string(), 16);
BENCHMARK_CAPTURE(encode_publish, v5_qos1_properties, version::v5, mqtt::qos::at_least_once, usual_properties(), 16);
BENCHMARK_CAPTURE(encode_publish, v5_qos0_1KiB, version::v5, mqtt::qos::at_most_once, std::string(), 1024);

// The same packets from an image.
void put_image(benchmark::State& state, version spoken, mqtt::qos level, const std::string& properties,
               std::size_t payload_bytes) {
    const bytes payload(payload_bytes, 'x');
    const mqtt::publish p = message(level, properties, payload);
    bytes buffer(mqtt::encoded_size(p, spoken));
    mqtt::publish_image image = mqtt::make_image(buffer.data(), p, spoken);
    output out;
    std::uint16_t id = 0;
    for (auto _ : state) {
        benchmark::DoNotOptimize(image);
        benchmark::DoNotOptimize(mqtt::put_image(out.room_for(image.size()), image, ++id));
        benchmark::ClobberMemory();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(state.iterations()));
}
BENCHMARK_CAPTURE(put_image, v3_1_1_qos0, version::v3_1_1, mqtt::qos::at_most_once, std::string(), 16);
BENCHMARK_CAPTURE(put_image, v5_qos1_properties, version::v5, mqtt::qos::at_least_once, usual_properties(), 16);
BENCHMARK_CAPTURE(put_image, v5_qos0_1KiB, version::v5, mqtt::qos::at_most_once, std::string(), 1024);

void decode_puback(benchmark::State& state) {
    bytes stream;
    while (stream.size() < 4096)
        mqtt::append_packet(stream, mqtt::puback{.packet_id = 77}, version::v5);
    constexpr mqtt::dialect client{version::v5, mqtt::role::client};
    wire::bytes_view rest = stream;
    for (auto _ : state) {
        if (rest.empty())
            rest = stream;
        const auto frame = mqtt::decode_frame(rest, client);
        const auto ack = mqtt::decode<mqtt::puback>(*frame, client);
        if (!ack)
            state.SkipWithError("puback refused");
        rest = rest.subspan(frame->size());
        benchmark::DoNotOptimize(ack->packet_id);
    }
}
BENCHMARK(decode_puback);

void encode_puback(benchmark::State& state) {
    output out;
    mqtt::puback ack;
    for (auto _ : state) {
        ++ack.packet_id;
        benchmark::DoNotOptimize(ack);
        benchmark::DoNotOptimize(mqtt::encode(out.room_for(mqtt::encoded_size(ack, version::v5)), ack, version::v5));
        benchmark::ClobberMemory();
    }
}
BENCHMARK(encode_puback);

void name_to_key(benchmark::State& state, const std::string& name) {
    std::string key;
    for (auto _ : state) {
        benchmark::DoNotOptimize(name.data());
        mqtt::topic_to_key(name, mqtt::name_mode::exact, key);
        benchmark::DoNotOptimize(key.data());
        benchmark::ClobberMemory();
    }
}
BENCHMARK_CAPTURE(name_to_key, plain, std::string(topic));
BENCHMARK_CAPTURE(name_to_key, with_dots, std::string("spBv1.0/plant.4/NDATA/n7"));

}  // namespace
