#include "tests/session/conversation.hpp"
#include "tests/session/mqtt_conversation.hpp"

#include <malloc.h>

#include <atomic>
#include <cstdlib>
#include <new>

// Every allocation of this program is counted; the hot path must make none once its buffers have grown.
namespace {

std::atomic<std::uint64_t> allocations{0};
std::atomic<std::uint64_t> live_bytes{0};

void* counted(std::size_t size) {
    allocations.fetch_add(1, std::memory_order_relaxed);
    void* p = std::malloc(size == 0 ? 1 : size);
    if (p == nullptr) {
        throw std::bad_alloc();
    }
    live_bytes.fetch_add(malloc_usable_size(p), std::memory_order_relaxed);
    return p;
}

void release(void* p) noexcept {
    if (p != nullptr) {
        live_bytes.fetch_sub(malloc_usable_size(p), std::memory_order_relaxed);
    }
    std::free(p);
}

}  // namespace

void* operator new(std::size_t size) { return counted(size); }
void* operator new[](std::size_t size) { return counted(size); }
void operator delete(void* p) noexcept { release(p); }
void operator delete[](void* p) noexcept { release(p); }
void operator delete(void* p, std::size_t) noexcept { release(p); }
void operator delete[](void* p, std::size_t) noexcept { release(p); }

namespace linnet::session::test {
namespace {

// Discards what it is told, as a socket that takes everything at once.
template <class Session>
class sink_of final : public host {
public:
    template <class Settings>
    sink_of(world& w, const Settings& settings) : out_(w.blocks) {
        info_.loopback = true;
        talk = std::make_unique<Session>(*this, *w.shard, w.logins, settings);
    }
    explicit sink_of(world& w) : sink_of(w, w.settings) {}
    void feed(std::span<const std::uint8_t> in) { ASSERT_EQ(talk->on_bytes(in), in.size()); }
    void discard() { out_.consume(out_.pending()); }

    [[nodiscard]] output& out() noexcept override { return out_; }
    void flush_soon() noexcept override {}
    void close_after_flush() noexcept override {}
    void abort() noexcept override {}
    void pause_reading() noexcept override {}
    void resume_reading() noexcept override {}
    [[nodiscard]] linnet::session::peer_info peer() const override { return info_; }

    std::unique_ptr<Session> talk;

private:
    output out_;
    peer_info info_{};
};
using sink_peer = sink_of<amqp_session>;
using mqtt_sink_peer = sink_of<mqtt_session>;

bytes greeting() {
    return protocol_header() + start_ok() + method_frame(0, amqp::connection_tune_ok{2047, 131072, 0}) +
           method_frame(0, amqp::connection_open{.virtual_host = "/"}) + method_frame(1, amqp::channel_open{});
}

// How many allocations a steady turn of `batch` makes, in which `p` also may answer what it was told.
template <class Turn>
std::uint64_t allocations_of(Turn turn) {
    for (int i = 0; i < 50; ++i) {
        turn();
    }
    const auto before = allocations.load();
    for (int i = 0; i < 100; ++i) {
        turn();
    }
    return allocations.load() - before;
}

class AllocationFree : public testing::Test {
protected:
    void SetUp() override {
        w.shard->begin_turn();
        publisher = std::make_unique<sink_peer>(w);
        consumer = std::make_unique<sink_peer>(w);
        publisher->feed(greeting());
        consumer->feed(greeting());
        publisher->feed(method_frame(1, amqp::queue_declare{.queue = "q"}));
        w.end_turn();
        publisher->discard();
        consumer->discard();
    }
    void TearDown() override {
        w.shard->begin_turn();
        publisher->talk->on_peer_closed();
        consumer->talk->on_peer_closed();
        publisher.reset();
        consumer.reset();
        w.end_turn();
    }
    void turn(std::span<const std::uint8_t> published, std::span<const std::uint8_t> acks) {
        w.shard->begin_turn();
        publisher->feed(published);
        if (!acks.empty()) {
            consumer->feed(acks);
        }
        w.end_turn();
        publisher->discard();
        consumer->discard();
    }

    world w;
    std::unique_ptr<sink_peer> publisher;
    std::unique_ptr<sink_peer> consumer;
    static constexpr int batch_size = 100;
};

TEST_F(AllocationFree, FromPublishToDeliveryWithoutAcks) {
    w.shard->begin_turn();
    consumer->feed(method_frame(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t", .no_ack = true}));
    w.end_turn();
    for (const std::size_t size : {16U, 1024U, 20'000U}) {
        bytes batch;
        for (int i = 0; i < batch_size; ++i) {
            batch = batch + publish_frames(1, "", "q", std::string(size, 'x'),
                                           {.block = amqp::basic_properties_builder{}.set_delivery_mode(2).encode()});
        }
        const auto n = allocations_of([&] { turn(batch, {}); });
        // A message too large for the pool's classes is one block of its own.
        EXPECT_LE(n, size > output::reference_bytes ? 100U * batch_size + 10U : 0U) << size;
    }
}

TEST_F(AllocationFree, WithConfirmsAndCumulativeAcks) {
    w.shard->begin_turn();
    publisher->feed(method_frame(1, amqp::confirm_select{}));
    consumer->feed(method_frame(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"}));
    w.end_turn();
    bytes batch;
    for (int i = 0; i < batch_size; ++i) {
        batch = batch + publish_frames(1, "", "q", "0123456789abcdef");
    }
    const auto ack = method_frame(1, amqp::basic_ack{.delivery_tag = 0, .multiple = true});
    EXPECT_EQ(allocations_of([&] { turn(batch, ack); }), 0U);
}

TEST_F(AllocationFree, ThroughATopicExchangeWithSingleAcks) {
    w.shard->begin_turn();
    publisher->feed(method_frame(1, amqp::queue_bind{.queue = "q", .exchange = "amq.topic", .routing_key = "a.*.#"}));
    consumer->feed(method_frame(1, amqp::basic_consume{.queue = "q", .consumer_tag = "t"}));
    w.end_turn();
    bytes batch;
    for (int i = 0; i < batch_size; ++i) {
        batch = batch + publish_frames(1, "amq.topic", "a.b.c", "0123456789abcdef");
    }
    std::uint64_t tag = 0;
    bytes acks;
    const auto first = method_frame(1, amqp::basic_ack{.delivery_tag = 0});
    for (int i = 0; i < batch_size; ++i) {
        acks = acks + first;
    }
    // Acks of the turn before: their tags are written into the frames that are there already.
    const auto n = allocations_of([&] {
        turn(batch, {});
        for (int i = 0; i < batch_size; ++i) {
            wire::store(acks.data() + first.size() * static_cast<std::size_t>(i) + amqp::frame_header_bytes + 4, ++tag);
        }
        w.shard->begin_turn();
        consumer->feed(acks);
        w.end_turn();
        consumer->discard();
    });
    EXPECT_EQ(n, 0U);
}

TEST_F(AllocationFree, AnIdleSessionWithAChannelStaysUnderTwoKilobytes) {
    constexpr std::size_t many = 200;
    const auto hello = greeting();
    std::vector<std::unique_ptr<sink_peer>> idle;
    idle.reserve(2 * many);
    const auto add_many = [&] {
        w.shard->begin_turn();
        for (std::size_t i = 0; i < many; ++i) {
            idle.push_back(std::make_unique<sink_peer>(w));
            idle.back()->feed(hello);
            idle.back()->discard();
        }
        w.end_turn();
    };
    add_many();  // what the shard needs once, it has after these
    const auto before = live_bytes.load();
    add_many();
    const auto each = (live_bytes.load() - before) / many - sizeof(sink_peer);
    RecordProperty("bytes_each", static_cast<int>(each));
    EXPECT_LE(each, 2048U);
    EXPECT_EQ(w.blocks.lent_bytes(), 0U);
    w.shard->begin_turn();
    for (auto& p : idle) {
        p->talk->on_peer_closed();
    }
    idle.clear();
    w.end_turn();
}

// Connected clients with names of their own, with a subscription each or without: session, registry and topology.
std::uint64_t bytes_of_mqtt_clients(world& w, const std::optional<std::string>& filter) {
    constexpr std::size_t many = 500;
    std::vector<std::unique_ptr<mqtt_sink_peer>> idle;
    idle.reserve(2 * many);
    const auto add_many = [&] {
        w.shard->begin_turn();
        for (std::size_t i = 0; i < many; ++i) {
            const auto name = "bench-" + std::to_string(1000 + idle.size());
            idle.push_back(std::make_unique<mqtt_sink_peer>(w, w.mqtt));
            packet_bytes said;
            mqtt::connect c{.spoken = mqtt::version::v5, .clean_start = true, .keep_alive_s = 60};
            c.client_id = name;
            c.user_name = "guest";
            c.password = wire::as_bytes(std::string_view("guest"));
            mqtt::append_packet(said, c, mqtt::version::v5);
            if (filter) {
                packet_bytes list;
                mqtt::append_subscription(list, {*filter, {}});
                mqtt::append_packet(
                    said, mqtt::subscribe{.packet_id = 1, .subscriptions = mqtt::subscription_list::trusted(list)},
                    mqtt::version::v5);
            }
            idle.back()->feed(said);
            idle.back()->discard();
        }
        w.end_turn();
    };
    add_many();  // what the shard needs once, it has after these
    const auto before = live_bytes.load();
    add_many();
    const auto each = (live_bytes.load() - before) / many - sizeof(mqtt_sink_peer);
    EXPECT_EQ(w.blocks.lent_bytes(), 0U);
    w.shard->begin_turn();
    for (auto& p : idle) {
        p->talk->on_peer_closed();
    }
    idle.clear();
    w.end_turn();
    return each;
}

TEST(IdleMqtt, ASessionStaysUnderAKilobyte) {
    world w;
    const auto each = bytes_of_mqtt_clients(w, std::nullopt);
    testing::Test::RecordProperty("bytes_each", static_cast<int>(each));
    EXPECT_LE(each, 820U);
}

TEST(IdleMqtt, ASubscriptionTakesOneMore) {
    world w;
    const auto each = bytes_of_mqtt_clients(w, "sensors/all");
    testing::Test::RecordProperty("bytes_each", static_cast<int>(each));
    EXPECT_LE(each, 2000U);
}

}  // namespace
}  // namespace linnet::session::test
