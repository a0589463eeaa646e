#include "broker/core/administer.hpp"
#include "broker/core/counts.hpp"
#include "broker/core/exchange_tally.hpp"
#include "broker/core/topology_journal.hpp"
#include "tests/core/cluster.hpp"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace linnet::core {
namespace {

TEST(SizeHistogram, CountsAtItsBounds) {
    size_histogram h;
    for (const std::uint64_t n : {0ULL, 100ULL, 101ULL, 1'000ULL, 100'000'000ULL, 100'000'001ULL}) {
        h.add(n);
    }
    EXPECT_EQ(h.counts[0], 2U);
    EXPECT_EQ(h.counts[1], 2U);
    EXPECT_EQ(h.counts[7], 1U);
    EXPECT_EQ(h.counts[8], 1U);
    EXPECT_EQ(h.sum, 200'001'202U);
}

TEST(RateWindow, TellsWhatHasComeLately) {
    rate_window<exchange_counts> w;
    const auto rate = [&](std::uint64_t in, mono_ns at) {
        const auto seen = w.look({in, 0}, at, at);
        return rate_of(in, seen.before.in, seen.seconds);
    };
    EXPECT_EQ(rate(100, 1 * ns_per_s), 0) << "nothing to compare with";
    EXPECT_EQ(rate(110, 2 * ns_per_s), 10);
    EXPECT_EQ(rate(150, 6 * ns_per_s), 10);
    EXPECT_EQ(rate(150, 11 * ns_per_s), 0) << "the rate of the last five to ten seconds, not of all times";
    EXPECT_EQ(rate(150, 1000 * ns_per_s), 0);
    EXPECT_EQ(w.look({150, 0}, 1001 * ns_per_s, 1001 * ns_per_s).moved, 6 * ns_per_s);
}

TEST(ExchangeTally, DropsThoseThatAreGoneWhenItGrows) {
    exchange_tally t;
    const auto only_kept = [](vhost_id, std::string_view x) { return x == "kept"; };
    t.of({1}, "kept", only_kept).in = 5;
    const auto epoch = t.epoch();
    for (int i = 0; i < 5'000; ++i) {
        ++t.of({1}, "x" + std::to_string(i), only_kept).in;
    }
    EXPECT_NE(t.epoch(), epoch);
    EXPECT_EQ(t.look({1}, "kept", 1, 1).counts.in, 5U);
    EXPECT_EQ(t.look({2}, "kept", 1, 1).counts.in, 0U);
    EXPECT_EQ(t.look({1}, "x0", 1, 1).counts.in, 0U);
}

queue_figures figures_of(cluster& c, const queue_info& q) {
    const auto look = c.enter(q.handle.shard.value).look_at(q.handle);
    EXPECT_TRUE(look);
    return look->figures();
}

// Wherever the queue lives.
class QueueLook : public testing::TestWithParam<std::size_t> {};

TEST_P(QueueLook, CountsWhatPasses) {
    cluster c{2};
    test_session s{c.at(0)};
    const auto name = c.name_on(s, GetParam());
    const auto q = c.declare(s, name);
    for (const auto* body : {"one", "three", "seven"}) {
        c.publish(s, "", name, body);
    }
    c.settle();
    auto f = figures_of(c, q);
    EXPECT_EQ(f.ready, 3U);
    EXPECT_EQ(f.ready_bytes, 13U);
    EXPECT_EQ(f.counts.publish, 3U);

    c.consume_from(s, name, 2);
    c.settle();
    f = figures_of(c, q);
    EXPECT_EQ(f.ready, 1U);
    EXPECT_EQ(f.unacked, 2U);
    EXPECT_EQ(f.unacked_bytes, 8U);
    EXPECT_EQ(f.consumers, 1U);
    EXPECT_EQ(f.counts.deliver, 2U);

    ASSERT_EQ(s.got.size(), 2U);
    std::vector<delivery> first;
    first.push_back(std::move(s.got[0]));
    c.enter(0).settle(first, settlement::requeued);
    c.settle();
    f = figures_of(c, q);
    EXPECT_EQ(f.counts.redeliver, 1U);
    EXPECT_EQ(f.counts.ack, 0U) << "a requeue is no ack";
    for (int round = 0; round < 4; ++round) {
        std::vector<delivery> batch;
        std::swap(batch, s.got);
        std::erase_if(batch, [](const delivery& d) { return d.msg.get() == nullptr; });
        c.enter(0).settle(batch, settlement::accepted);
        c.settle();
    }
    f = figures_of(c, q);
    EXPECT_EQ(f.counts.ack, 3U);
    EXPECT_EQ(f.messages(), 0U);
    EXPECT_EQ(f.unacked_bytes, 0U);
    EXPECT_EQ(c.enter(0).look_at(c.vhost(), "").counts, (exchange_counts{3, 3}));
}
INSTANTIATE_TEST_SUITE_P(HereAndThere, QueueLook, testing::Values(0, 1));

TEST(Looks, ShowEachQueueOnceInPieces) {
    cluster c{1};
    test_session s{c.at(0)};
    std::set<std::string> declared;
    for (int i = 0; i < 10; ++i) {
        declared.insert(c.declare(s, "q" + std::to_string(i)).name);
    }
    std::multiset<std::string> seen;
    std::uint32_t at = 0;
    do {
        std::size_t in_this_piece = 0;
        at = c.enter(0).for_some_queues(at, 3, [&](const queue_look& q) {
            seen.insert(q.spec().name);
            ++in_this_piece;
        });
        EXPECT_LE(in_this_piece, 3U);
    } while (at != 0);
    EXPECT_EQ(seen, std::multiset<std::string>(declared.begin(), declared.end()));
}

TEST(Administer, ChangesBetweenOperationsAndEndsQueues) {
    topology_journal journal(nullptr, {});
    cluster c{2};
    c.parts().set_keeper(&journal);
    test_session s{c.at(1)};
    c.declare(s, c.name_on(s, 0));
    c.declare(s, c.name_on(s, 1));
    auto refused = c.ask(s, administer{[](topology_editor&, topology_journal&) -> outcome<administered> {
                             return fail(error{error_kind::not_found, "nothing of the kind"});
                         }});
    ASSERT_FALSE(refused.result);
    EXPECT_EQ(refused.result.error().text, "nothing of the kind");
    auto done = c.ask(
        s, administer{[](topology_editor& editor, topology_journal& j) -> outcome<administered> {
            j.set(user_definition{"ann", "", {}, false});
            auto gone = editor.remove_vhost("/");
            return gone ? outcome<administered>(administered{{}, std::move(*gone)}) : fail(std::move(gone.error()));
        }});
    EXPECT_TRUE(done.result);
    EXPECT_TRUE(journal.users().contains("ann"));
    for (std::size_t i = 0; i < 2; ++i) {
        EXPECT_EQ(c.enter(i).for_some_queues(0, 1'000, [](const queue_look&) { ADD_FAILURE() << "it is still there"; }),
                  first_stream_slot);
    }
}

}  // namespace
}  // namespace linnet::core
