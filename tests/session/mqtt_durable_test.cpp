// MQTT over simulated disks: QoS 2 is exactly once, QoS 1 at least once, wherever the broker stops.
//
//     LINNET_SEED=<seed>             the same run again
//     LINNET_CRASH_POINTS=1000000    more of them
#include "tests/core/client_fixture.hpp"
#include "tests/core/durable_cluster.hpp"
#include "tests/session/mqtt_conversation.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace linnet::session::test {
namespace {

using core::disk_images;
using core::durable_cluster;

// Shards over disks, and what their sessions need.
class durable_ground final : public ground {
public:
    explicit durable_ground(const durable_cluster::options& o, disk_images found = {}) : cluster(o, std::move(found)) {
        shard = &cluster.at(0);
        cluster.list_user("guest");
        core::set_rights(cluster, "guest", ".*");
    }
    void end_turn(core::shard* at_work) override {
        static_cast<void>((at_work == nullptr ? shard : at_work)->end_turn());
        static_cast<void>(cluster.enter(0));
    }
    // Whatever its disks are to do, they do.
    void finish() {
        for (auto& m : cluster.media()) {
            m->set_prompt(true);
            m->finish_all();
        }
        cluster.finish_transactions();
        cluster.settle();
    }

    durable_cluster cluster;
};

[[nodiscard]] durable_cluster::options some_options(std::uint16_t shards, std::uint16_t logs, std::uint64_t seed = 0) {
    durable_cluster::options o;
    o.shards = shards;
    o.logs = logs;
    o.seed = seed;
    o.reader = &mqtt_reader();
    return o;
}

constexpr std::array<const char*, 3> topics{"", "t/1", "t/2"};  // by quality

// Numbers sent by turns with QoS 1 and 2, to the letter of MQTT 3.1.1: what is unfinished is sent again with its id.
struct publisher {
    std::uint64_t last = 0;
    struct publish {
        unsigned qos;
        std::uint64_t number;
    };
    std::map<std::uint16_t, publish> unanswered;  // of QoS 2: until PUBREC
    std::set<std::uint16_t> released;             // PUBREL sent, until PUBCOMP

    static constexpr std::size_t window = 6;
    [[nodiscard]] bool idle() const { return unanswered.empty() && released.empty(); }
    [[nodiscard]] bool full() const { return unanswered.size() + released.size() >= window; }

    void send_again(mqtt_peer& p) const {
        std::map<std::uint64_t, std::uint16_t> in_order;
        for (const auto& [id, one] : unanswered) {
            in_order[one.number] = id;
        }
        for (const auto& [number, id] : in_order) {
            send(p, id, true);
        }
        for (const auto id : released) {
            p.pubrel(id);
        }
    }
    void send_next(mqtt_peer& p) {
        std::uint16_t id = 1;
        while (unanswered.contains(id) || released.contains(id)) {
            ++id;
        }
        ++last;
        unanswered[id] = {static_cast<unsigned>(1 + last % 2), last};
        send(p, id, false);
    }
    void send(mqtt_peer& p, std::uint16_t id, bool again) const {
        const auto& one = unanswered.at(id);
        const auto body = std::to_string(one.number);
        auto packet = mqtt_peer::a_publish(topics[one.qos], body, one.qos, id);
        packet.dup = again;
        p.send(packet);
    }
    template <class Packet>
    void hear(mqtt_peer& p, const Packet& packet) {
        if constexpr (std::is_same_v<Packet, mqtt::puback>) {
            unanswered.erase(packet.packet_id);
        } else if constexpr (std::is_same_v<Packet, mqtt::pubrec>) {
            if (unanswered.erase(packet.packet_id) != 0) {
                released.insert(packet.packet_id);
            }
            p.pubrel(packet.packet_id);
        } else if constexpr (std::is_same_v<Packet, mqtt::pubcomp>) {
            released.erase(packet.packet_id);
        }
    }
};

// Counts what it receives; of QoS 2 an id is known until PUBREL.
struct subscriber {
    std::array<std::map<std::uint64_t, int>, 3> got;  // by quality
    std::set<std::uint16_t> taken;

    template <class Packet>
    void hear(mqtt_peer& p, const Packet& packet) {
        if constexpr (std::is_same_v<Packet, mqtt::publish>) {
            const auto qos = static_cast<unsigned>(packet.qos);
            const auto number = std::strtoull(std::string(wire::as_text(packet.payload)).c_str(), nullptr, 10);
            if (qos == 1 || taken.insert(packet.packet_id).second) {
                ++got[qos][number];
            }
            qos == 1 ? p.puback(packet.packet_id) : p.pubrec(packet.packet_id);
        } else if constexpr (std::is_same_v<Packet, mqtt::pubrel>) {
            taken.erase(packet.packet_id);
            p.pubcomp(packet.packet_id);
        }
    }
};

// A client's connection. What has been received and not looked at is lost with it.
template <class Party>
class line {
public:
    line(durable_ground& g, std::size_t shard, const char* name) : peer_(g, g.cluster.at(shard)) {
        peer_.connect(name, {.clean = false});
    }
    [[nodiscard]] mqtt_peer& peer() noexcept { return peer_; }
    [[nodiscard]] bool welcome() const noexcept { return welcome_; }
    // Looks at up to so many packets. False: there was none.
    bool hear(Party& who, std::size_t most) {
        auto fresh = peer_.said_packets();
        std::move(fresh.begin(), fresh.end(), std::back_inserter(waiting_));
        std::size_t n = 0;
        for (; n < most && n < waiting_.size(); ++n) {
            const mqtt::dialect spoken{mqtt::version::v3_1_1, mqtt::role::server};
            const auto f = mqtt::decode_frame(waiting_[n], spoken);
            const auto wrong = mqtt::visit_packet(*f, spoken, [&](const auto& packet) {
                if constexpr (std::is_same_v<std::decay_t<decltype(packet)>, mqtt::connack>) {
                    welcome_ = true;
                    if constexpr (std::is_same_v<Party, publisher>) {
                        who.send_again(peer_);
                    }
                } else {
                    who.hear(peer_, packet);
                }
            });
            EXPECT_FALSE(wrong);
        }
        waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(n));
        return n != 0;
    }

private:
    mqtt_peer peer_;
    std::vector<packet_bytes> waiting_;
    bool welcome_ = false;
};

class conversation {
public:
    explicit conversation(std::uint64_t seed) : random_(seed), shards_(some_shards()) {
        ground_ = std::make_unique<durable_ground>(some_options(shards_, logs, seed));
        line<subscriber> first(*ground_, 0, "subscriber");
        first.peer().subscribe(topics[1], 1);
        first.peer().subscribe(topics[2], 2);
        for (int i = 0; i < 10; ++i) {
            first.peer().run();
            ground_->cluster.settle();
        }
        EXPECT_EQ(first.peer().said(), "CONNACK 00\nSUBACK 1 01\nSUBACK 1 02");
        begin_life();
    }
    ~conversation() { hang_up(); }

    // Some traffic, then a crash that is looked into; the broker goes on from it, or as if nothing had been.
    void crash_point() {
        for (auto steps = 1 + random_.among(10); steps != 0; --steps) {
            step();
        }
        const auto shards = some_shards();
        auto images = ground_->cluster.crash(random_.among(1U << 30));
        check(images, shards);
        if (random_.among(10) == 0) {
            hang_up();
            shards_ = shards;
            ground_.reset();
            ground_ = std::make_unique<durable_ground>(some_options(shards, logs, random_.among(1U << 30)),
                                                       std::move(images));
            ground_->cluster.finish_transactions();
            begin_life();
        }
    }
    [[nodiscard]] const std::vector<std::string>& broken() const { return broken_; }

private:
    static constexpr std::uint16_t logs = 3;

    [[nodiscard]] std::uint16_t some_shards() { return static_cast<std::uint16_t>(1 + random_.among(3)); }
    void begin_life() {
        for (std::uint16_t i = 0; i < logs; ++i) {
            ground_->cluster.medium(i).set_prompt(false);
        }
        connect_publisher();
        connect_subscriber();
    }
    void hang_up() {
        publishing_.reset();
        subscribing_.reset();
    }
    void connect_publisher() {
        publishing_.reset();
        publishing_ = std::make_unique<line<publisher>>(*ground_, random_.among(shards_), "publisher");
    }
    void connect_subscriber() {
        subscribing_.reset();
        subscribing_ = std::make_unique<line<subscriber>>(*ground_, random_.among(shards_), "subscriber");
    }

    void step() {
        auto& c = ground_->cluster;
        switch (random_.among(24)) {
            case 0: connect_publisher(); break;
            case 1: connect_subscriber(); break;
            case 2:
                subscribing_->peer().disconnect();
                connect_subscriber();
                break;
            case 3:
            case 4:
            case 5:
            case 6:
                if (publishing_->welcome() && !publisher_.full()) {
                    publisher_.send_next(publishing_->peer());
                }
                break;
            case 7:
            case 8:
            case 9: publishing_->hear(publisher_, 1 + random_.among(3)); break;
            case 10:
            case 11:
            case 12: subscribing_->hear(subscriber_, 1 + random_.among(3)); break;
            case 13: c.settle(); break;
            case 14:
            case 15:
            case 16:
            case 17:
            case 18: c.medium(random_.among(logs)).finish(1 + random_.among(4)); break;
            default: c.turn(random_.among(shards_)); break;
        }
        publishing_->peer().run();
        subscribing_->peer().run();
    }

    // Both clients go on from where they are with what the crash has left, until all is said.
    void check(const disk_images& images, std::uint16_t shards) {
        durable_ground left(some_options(shards, logs), images);
        left.finish();
        publisher publishing = publisher_;
        subscriber subscribing = subscriber_;
        {
            line<publisher> p(left, random_.among(shards), "publisher");
            line<subscriber> s(left, random_.among(shards), "subscriber");
            for (int idle = 0; idle < 3; ++idle) {
                p.peer().run();
                s.peer().run();
                left.cluster.settle();
                const bool heard = p.hear(publishing, 1000);
                idle = s.hear(subscribing, 1000) || heard ? 0 : idle;
            }
            if (!p.welcome() || !s.welcome() || !publishing.idle()) {
                broken_.emplace_back("the publisher's packets are not answered");
            }
        }
        judge(publishing, subscribing);
    }
    void judge(const publisher& sent, const subscriber& at) {
        for (std::uint64_t number = 1; number <= sent.last; ++number) {
            const auto qos = 1 + number % 2;
            const auto found = at.got[qos].find(number);
            if (found == at.got[qos].end()) {
                broken_.push_back(fmt::format("{} of QoS {} is lost", number, qos));
            } else if (qos == 2 && found->second != 1) {
                broken_.push_back(fmt::format("{} of QoS 2 came {} times", number, found->second));
            }
        }
        if (!at.taken.empty()) {
            broken_.push_back(fmt::format("id {} is never released", *at.taken.begin()));
        }
    }

    store::random_choices random_;
    std::uint16_t shards_;
    std::unique_ptr<durable_ground> ground_;
    publisher publisher_;
    subscriber subscriber_;
    std::unique_ptr<line<publisher>> publishing_;
    std::unique_ptr<line<subscriber>> subscribing_;
    std::vector<std::string> broken_;
};

// Until all that was asked for has been answered, over prompt disks.
void settle(durable_ground& g, mqtt_peer& p) {
    for (int i = 0; i < 10; ++i) {
        p.run();
        g.cluster.settle();
    }
}

// What it hears when it has come back.
std::string welcome_of(durable_ground& g, mqtt_peer& p) {
    p.connect("me", {.clean = false});
    settle(g, p);
    return p.said();
}

// "me" leaves while a retained message of QoS 2 is under way to it.
void leave_one_under_way(durable_ground& g, mqtt_peer& publisher) {
    publisher.retain("r", "value", 2, 1);
    settle(g, publisher);
    {
        mqtt_peer me(g);
        EXPECT_EQ(welcome_of(g, me), "CONNACK 00");
        me.subscribe("r", 2);
        settle(g, me);
        EXPECT_EQ(me.said(), "SUBACK 1 02\nPUBLISH r value qos 2 id 32768 retain");
    }
    g.cluster.settle();
}

// A retained message lies in no queue of the client's: its session alone knows how far it had come. Once the next
// connection goes on with it a crash forgets it; that connection may have finished it.
TEST(MqttDurable, WhatHasBeenFinishedIsNotSentAgainAfterACrash) {
    disk_images cut_short;
    disk_images left;
    {
        durable_ground g(some_options(1, 1));
        mqtt_peer publisher(g, "publisher");
        leave_one_under_way(g, publisher);
        cut_short = g.cluster.crash(1);
        mqtt_peer me(g);
        EXPECT_EQ(welcome_of(g, me), "CONNACK present 00\nPUBLISH r value qos 2 id 32768 dup retain");
        me.pubrec(32768);
        EXPECT_EQ(me.said(), "PUBREL 32768");
        me.pubcomp(32768);
        settle(g, me);
        left = g.cluster.crash(1);
    }
    {
        durable_ground g(some_options(1, 1), std::move(cut_short));
        mqtt_peer me(g);
        EXPECT_EQ(welcome_of(g, me), "CONNACK present 00\nPUBLISH r value qos 2 id 32768 dup retain");
    }
    durable_ground g(some_options(1, 1), std::move(left));
    mqtt_peer me(g);
    EXPECT_EQ(welcome_of(g, me), "CONNACK present 00\nPUBREL 32768") << "the id is free again, in any case";
    me.pubcomp(32768);
    EXPECT_EQ(me.said(), "");
}

// Nor is its id released again, once a change of the subscriptions has been kept after it.
TEST(MqttDurable, AnIdThatIsFreeIsNotReleasedAfterACrash) {
    disk_images left;
    {
        durable_ground g(some_options(1, 1));
        mqtt_peer publisher(g, "publisher");
        leave_one_under_way(g, publisher);
        mqtt_peer me(g);
        EXPECT_EQ(welcome_of(g, me), "CONNACK present 00\nPUBLISH r value qos 2 id 32768 dup retain");
        me.pubrec(32768);
        EXPECT_EQ(me.said(), "PUBREL 32768");
        me.pubcomp(32768);
        me.subscribe("another", 1);
        settle(g, me);
        EXPECT_EQ(me.said(), "SUBACK 1 01");
        left = g.cluster.crash(1);
    }
    durable_ground g(some_options(1, 1), std::move(left));
    mqtt_peer me(g);
    EXPECT_EQ(welcome_of(g, me), "CONNACK present 00");
}

// The one that had it from the state is gone before its CONNACK.
TEST(MqttDurable, WhatIsUnderWayOutlastsAConnectionThatIsNotLetIn) {
    durable_ground g(some_options(1, 1));
    mqtt_peer publisher(g, "publisher");
    leave_one_under_way(g, publisher);
    g.cluster.medium(0).set_prompt(false);
    {
        mqtt_peer me(g, g.cluster.at(0));
        me.connect("me", {.clean = false});
        for (int i = 0; i < 4; ++i) {
            g.cluster.settle();
            me.run();
        }
        EXPECT_EQ(me.said(), "");
    }
    g.cluster.settle();
    g.finish();
    g.cluster.medium(0).set_prompt(true);
    g.cluster.settle();
    mqtt_peer me(g);
    EXPECT_EQ(welcome_of(g, me), "CONNACK present 00\nPUBLISH r value qos 2 id 32768 dup retain");
}

// [MQTT-3.1.4-3] Also of one whose own CONNACK is still waiting for the disk.
TEST(MqttDurable, WhoComesWhileTheFirstIsStillBeingLetInGetsTheName) {
    for (std::size_t at = 0; at < 2; ++at) {
        durable_ground g(some_options(2, 2));
        g.cluster.medium(0).set_prompt(false);
        g.cluster.medium(1).set_prompt(false);
        mqtt_peer first(g, g.cluster.at(at));
        mqtt_peer second(g, g.cluster.at(0));
        first.connect("me", {.clean = false});
        g.cluster.settle();
        second.connect("me", {.clean = false});
        g.cluster.settle();
        EXPECT_EQ(first.said() + second.said(), "");
        g.finish();
        for (int i = 0; i < 10; ++i) {
            first.run();
            second.run();
            g.cluster.settle();
        }
        EXPECT_TRUE(first.closed);
        EXPECT_EQ(second.said(), "CONNACK present 00");
    }
}

// Subscriptions that come and go one by one are kept by what each changes: whatever the disks have of it is what the
// client has been told, and at most what it was just asking for.
TEST(MqttDurable, EachChangeOfTheSubscriptionsIsKept) {
    const auto seed = linnet::test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    store::random_choices random(seed);
    durable_ground g(some_options(1, 1, seed));
    mqtt_peer me(g);
    EXPECT_EQ(welcome_of(g, me), "CONNACK 00");
    std::map<std::string, unsigned> wanted;
    for (int i = 0; i < 300; ++i) {
        const auto number = random.among(60);
        const auto filter = fmt::format("{}a/rather/long/filter/{}", number % 7 == 0 ? "$share/g/" : "", number);
        if (random.among(3) != 0) {
            const auto qos = static_cast<unsigned>(random.among(3));
            me.subscribe(filter, qos);
            settle(g, me);
            EXPECT_EQ(me.said(), fmt::format("SUBACK 1 {:02x}", qos));
            wanted[filter] = qos;
        } else {
            wanted.erase(filter);
            me.unsubscribe(filter);
            settle(g, me);
            EXPECT_EQ(me.said(), "UNSUBACK 1") << filter;
        }
        if (i % 10 != 9) {
            continue;
        }
        durable_ground left(some_options(1, 1), g.cluster.crash(seed + static_cast<std::uint64_t>(i)));
        left.finish();
        core::client_session asking(left.cluster.at(0));
        auto a = core::of_name("me");
        a.durable = true;
        const auto there = core::attach(left.cluster, asking, std::move(a));
        ASSERT_TRUE(there);
        const auto state = decode_state(there->state);
        ASSERT_TRUE(state);
        std::map<std::string, unsigned> found;
        for (const auto* list : {&state->subscriptions, &state->sources}) {
            for (const auto& s : *list) {
                EXPECT_TRUE(found.emplace(s.filter, s.qos).second) << s.filter;
            }
        }
        ASSERT_EQ(found, wanted) << "after " << i + 1 << " changes";
    }
}

TEST(MqttDurable, SubscribingOneByOneCostsWhatIsSubscribed) {
    auto options = some_options(1, 1);
    options.segment_bytes = std::uint64_t{32} << 20;
    durable_ground g(options);
    mqtt_peer me(g);
    EXPECT_EQ(welcome_of(g, me), "CONNACK 00");
    constexpr int count = 500;
    for (int i = 0; i < count; ++i) {
        me.subscribe(fmt::format("a/rather/long/filter/{}", i), 0);
        settle(g, me);
        EXPECT_EQ(me.said(), "SUBACK 1 00");
    }
    // The whole of 500 is some 20 KB; one by one that would be 5 MB.
    EXPECT_LT(g.cluster.at(0).store_figures().log_bytes, 300'000U);
}

// As many bytes of filters as a session may have, and each of them changed: the state and its additions together would
// be more than the core keeps.
TEST(MqttDurable, AllThatASessionMayHaveCanBeChanged) {
    auto options = some_options(1, 1);
    options.segment_bytes = std::uint64_t{256} << 20;
    durable_ground g(options);
    g.mqtt.subscriptions_max = 400'000;
    mqtt_peer me(g);
    const auto expiry = some_properties().with<mqtt::property::session_expiry_interval>(1000);
    me.connect("me", {.spoken = mqtt::version::v5, .properties = expiry.block()});
    settle(g, me);
    EXPECT_TRUE(me.said().starts_with("CONNACK 00"));
    constexpr std::size_t beside_filter = 9;
    constexpr std::size_t filter_bytes = 16'000;
    std::vector<std::string> filters;
    for (auto bytes = g.mqtt.subscription_bytes_max(); bytes > beside_filter + 10;) {
        const auto size = std::min(filter_bytes, bytes - beside_filter);
        filters.push_back(fmt::format("{:0>{}}", filters.size(), size));
        bytes -= size + beside_filter;
    }
    for (const bool as_published : {false, true}) {
        packet_bytes list;
        mqtt::subscription_options how;
        how.retain_as_published = as_published;
        how.retained = mqtt::retain_handling::do_not_send;
        for (const auto& filter : filters) {
            mqtt::append_subscription(list, {filter, how});
        }
        me.send(mqtt::subscribe{.packet_id = 1, .subscriptions = mqtt::subscription_list::trusted(list)});
        std::string said;
        for (int i = 0; i < 100 && said.empty(); ++i) {  // its disk takes many writes for it
            g.cluster.settle();
            me.run();
            said = me.said();
        }
        EXPECT_TRUE(said.starts_with("SUBACK 1 00")) << said.substr(0, 100);
    }
    durable_ground left(options, g.cluster.crash(1));
    left.finish();
    core::client_session asking(left.cluster.at(0));
    auto a = core::of_name("me");
    a.durable = true;
    EXPECT_FALSE(core::ask_later(left.cluster, asking, std::move(a)));
    for (int i = 0; i < 100 && asking.replies.empty(); ++i) {
        left.cluster.settle();
    }
    const auto there = asking.attached();
    ASSERT_TRUE(there);
    const auto state = decode_state(there->state);
    ASSERT_TRUE(state);
    EXPECT_EQ(state->subscriptions.size(), filters.size());
    EXPECT_TRUE(std::ranges::all_of(state->subscriptions, &mqtt_subscription::retain_as_published));
}

constexpr std::uint64_t points_a_run = 50;

[[nodiscard]] std::uint64_t points_wanted() {
    const char* given = std::getenv("LINNET_CRASH_POINTS");
    return given == nullptr ? 2'000 : std::strtoull(given, nullptr, 10);
}

TEST(MqttCrash, KeepsItsPromisesWhereverItStops) {
    const auto first = linnet::test::fresh_seed();
    const std::uint64_t runs = (points_wanted() + points_a_run - 1) / points_a_run;
    for (std::uint64_t i = 0; i < runs; ++i) {
        LINNET_TRACE_SEED(first + i);
        conversation talk(first + i);
        for (std::uint64_t n = 0; n < points_a_run && talk.broken().empty(); ++n) {
            talk.crash_point();
        }
        for (const auto& what : talk.broken()) {
            ADD_FAILURE() << what;
        }
        if (HasFailure()) {
            return;
        }
    }
}

}  // namespace
}  // namespace linnet::session::test
