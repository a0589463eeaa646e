#include "broker/lockfree/snapshot.hpp"

#include "random_run.hpp"

#include <gtest/gtest.h>

#include <deque>
#include <map>
#include <set>
#include <vector>

namespace linnet::lockfree {
namespace {

std::multiset<int> alive;

struct version {
    explicit version(int n) : number(n) { alive.insert(n); }
    version(const version&) = delete;
    version& operator=(const version&) = delete;
    ~version() { alive.erase(number); }
    int number;
};

std::unique_ptr<const version> make(int n) { return std::make_unique<const version>(n); }

class SnapshotTest : public ::testing::Test {
protected:
    void SetUp() override { alive.clear(); }
};

TEST_F(SnapshotTest, AReaderSeesTheNewestVersion) {
    snapshot_domain domain(1);
    snapshot<version> routes(domain, make(1));
    auto& reader = domain.reader(0);
    reader.online();
    EXPECT_EQ(routes.read(reader)->number, 1);
    routes.publish(make(2));
    EXPECT_EQ(routes.read(reader)->number, 2);
    EXPECT_EQ(routes.current()->number, 2);
    reader.offline();
}

TEST_F(SnapshotTest, AnOldVersionLivesUntilEveryOnlineReaderHasSpoken) {
    snapshot_domain domain(3);
    snapshot<version> routes(domain, make(1));
    domain.reader(0).online();
    domain.reader(1).online();
    routes.publish(make(2));
    EXPECT_EQ(domain.reclaim(), 0u);
    domain.reader(0).quiescent();
    EXPECT_EQ(domain.reclaim(), 0u);
    EXPECT_EQ(domain.laggard(), 1u);
    EXPECT_EQ(alive, (std::multiset<int>{1, 2}));
    domain.reader(1).quiescent();
    EXPECT_EQ(domain.reclaim(), 1u);
    EXPECT_EQ(domain.laggard(), std::nullopt);
    EXPECT_EQ(alive, std::multiset<int>{2});
    domain.reader(0).offline();
    domain.reader(1).offline();
}

TEST_F(SnapshotTest, AQuiescenceBeforeTheRoundDoesNotCount) {
    snapshot_domain domain(1);
    snapshot<version> routes(domain, make(1));
    auto& reader = domain.reader(0);
    reader.online();
    routes.publish(make(2));
    reader.quiescent();  // the round has not begun: nothing says that this came after the unlinking
    EXPECT_EQ(domain.reclaim(), 0u);
    reader.quiescent();
    EXPECT_EQ(domain.reclaim(), 1u);
    reader.offline();
}

TEST_F(SnapshotTest, OfflineReadersHoldBackNothing) {
    snapshot_domain domain(2);
    snapshot<version> routes(domain, make(1));
    domain.reader(0).online();
    routes.publish(make(2));
    domain.reader(0).offline();
    EXPECT_FALSE(domain.reader(0).is_online());
    EXPECT_EQ(domain.reclaim(), 1u);
}

TEST_F(SnapshotTest, AReaderThatComesOnlineLaterHoldsBackNothingOlder) {
    snapshot_domain domain(1);
    snapshot<version> routes(domain, make(1));
    routes.publish(make(2));
    EXPECT_EQ(domain.reclaim(), 1u);
    domain.reader(0).online();
    routes.publish(make(3));
    EXPECT_EQ(domain.reclaim(), 0u);
    EXPECT_EQ(alive, (std::multiset<int>{2, 3}));
    domain.reader(0).offline();
}

TEST_F(SnapshotTest, FreesInTheOrderOfRetiringAndCounts) {
    static std::vector<int> freed;
    freed.clear();
    int numbers[] = {0, 1, 2};
    snapshot_domain domain(1);
    for (int& n : numbers) {
        domain.retire(&n, [](void* p) noexcept { freed.push_back(*static_cast<int*>(p)); });
    }
    EXPECT_EQ(domain.garbage_count(), 3u);
    EXPECT_EQ(domain.reclaim(), 3u);
    EXPECT_EQ(freed, (std::vector<int>{0, 1, 2}));
    EXPECT_EQ(domain.garbage_count(), 0u);
    EXPECT_EQ(domain.retired_total(), 3u);
    EXPECT_EQ(domain.freed_total(), 3u);
}

TEST_F(SnapshotTest, ADeleterMayRetireMore) {
    static snapshot_domain* domain_of_deleter;
    static int inner_freed;
    inner_freed = 0;
    int object = 0;
    snapshot_domain domain(1);
    domain_of_deleter = &domain;
    domain.retire(&object,
                  [](void* p) noexcept { domain_of_deleter->retire(p, [](void*) noexcept { ++inner_freed; }); });
    EXPECT_EQ(domain.reclaim(), 1u);
    EXPECT_EQ(inner_freed, 0);
    EXPECT_EQ(domain.reclaim(), 1u);
    EXPECT_EQ(inner_freed, 1);
}

TEST_F(SnapshotTest, TheDomainFreesWhatIsLeft) {
    {
        snapshot_domain domain(1);
        snapshot<version> routes(domain, make(1));
        routes.publish(make(2));
        routes.publish(make(3));
    }
    EXPECT_EQ(alive, std::multiset<int>{});
}

// Any sequence of operations frees exactly what a model that keeps, for every retired version, the
// set of readers it still waits for would free. The model knows nothing of epochs.
TEST_F(SnapshotTest, FreesWhatAModelWithoutEpochsFrees) {
    constexpr std::size_t readers = 3;
    testing::dice dice(testing::seed_of_this_run("FreesWhatAModelWithoutEpochsFrees"));
    snapshot_domain domain(readers);
    snapshot<version> routes(domain, make(0));
    struct retired {
        int number;
        bool round_begun;
        std::set<std::size_t> waits_for;
    };
    std::deque<retired> model;
    int newest = 0;
    for (int step = 0; step < 100'000; ++step) {
        const std::size_t r = dice.roll(readers);
        auto& reader = domain.reader(r);
        auto forget = [&] {
            for (auto& v : model) {
                if (v.round_begun) {
                    v.waits_for.erase(r);
                }
            }
        };
        switch (dice.roll(5)) {
            case 0:
                model.push_back({newest, false, {}});
                routes.publish(make(++newest));
                break;
            case 1:
                if (reader.is_online()) {
                    ASSERT_EQ(routes.read(reader)->number, newest);
                    reader.quiescent();
                    forget();
                }
                break;
            case 2:
                if (reader.is_online()) {
                    reader.offline();
                    forget();
                } else {
                    reader.online();
                }
                break;
            default: {
                for (auto& v : model) {
                    if (!v.round_begun) {
                        v.round_begun = true;
                        for (std::size_t i = 0; i < readers; ++i) {
                            if (domain.reader(i).is_online()) {
                                v.waits_for.insert(i);
                            }
                        }
                    }
                }
                std::size_t freed = 0;
                while (!model.empty() && model.front().waits_for.empty()) {
                    model.pop_front();
                    ++freed;
                }
                ASSERT_EQ(domain.reclaim(), freed);
            }
        }
        ASSERT_EQ(domain.garbage_count(), model.size());
        std::multiset<int> expected{newest};
        for (const auto& v : model) {
            expected.insert(v.number);
        }
        ASSERT_EQ(alive, expected);
    }
    for (std::size_t i = 0; i < readers; ++i) {
        if (domain.reader(i).is_online()) {
            domain.reader(i).offline();
        }
    }
}

using SnapshotDeathTest = SnapshotTest;

TEST_F(SnapshotDeathTest, ADomainMayNotDieUnderAReader) {
    EXPECT_DEATH(
        {
            snapshot_domain domain(1);
            domain.reader(0).online();
        },
        "is online");
}

#if defined(LINNET_DEBUG_CHECKS)
TEST_F(SnapshotDeathTest, AnOfflineReaderMayNotRead) {
    EXPECT_DEATH(
        {
            snapshot_domain domain(1);
            snapshot<version> routes(domain, make(1));
            static_cast<void>(routes.read(domain.reader(0)));
        },
        "offline reader");
}
#endif

}  // namespace
}  // namespace linnet::lockfree
