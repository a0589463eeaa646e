#include "broker/store/simulated_disk.hpp"

#include "tests/store/disk_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <set>

namespace linnet::store {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

constexpr std::uint64_t small_file = 4 * disk::block;

// A medium with one file of zeros that is there for good.
struct bench {
    explicit bench(const simulation& how = {}) : medium(how), d(medium.attach()), f(must(d->create("a", small_file))) {
        must(d->sync_folder());
    }
    simulated_disk medium;
    std::unique_ptr<disk> d;
    file_id f;
};

// The values that the sectors of a block may hold after a crash, over every way that it may go.
std::set<std::vector<std::uint8_t>> outcomes(const simulated_disk& medium, std::size_t block_index) {
    std::set<std::vector<std::uint8_t>> all;
    every_choice fate;
    do {
        const disk_image found = medium.crash(fate);
        std::vector<std::uint8_t> sectors;
        for (std::size_t at = 0; at < disk::block; at += simulated_disk::sector) {
            sectors.push_back(found.at("a")[block_index * disk::block + at]);
        }
        all.insert(sectors);
    } while (fate.next());
    return all;
}

TEST(EveryChoice, GoesEachWayOnce) {
    std::multiset<std::string> ways;
    every_choice c;
    do {
        std::string way;
        if (c.yes()) {
            way = std::to_string(c.among(3));
        } else {
            way = "no";
        }
        ways.insert(way);
    } while (c.next());
    EXPECT_THAT(ways, ElementsAre("0", "1", "2", "no"));
}

TEST(SimulatedDisk, AWriteIsThereForGoodOnceItHasFinished) {
    bench b;
    const block_buffer ones(1, 1);
    b.d->write(b.f, disk::block, ones.bytes(), 7);
    b.d->submit();
    EXPECT_THAT(polled(*b.d), IsEmpty());
    EXPECT_EQ(b.medium.under_way(), 1U);
    b.medium.finish(1);
    const auto done = polled(*b.d);
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].tag, 7U);
    EXPECT_EQ(done[0].error, 0);
    EXPECT_THAT(outcomes(b.medium, 1), ElementsAre(std::vector<std::uint8_t>(8, 1)));
}

TEST(SimulatedDisk, AWriteUnderWayMayTearAtEverySector) {
    bench b;
    const block_buffer ones(1, 1);
    b.d->write(b.f, 0, ones.bytes(), 1);
    EXPECT_EQ(outcomes(b.medium, 0).size(), 1U) << "what was not submitted never happens";
    b.d->submit();
    EXPECT_EQ(outcomes(b.medium, 0).size(), 256U);
    EXPECT_THAT(b.medium.snapshot().at("a"), ::testing::Each(0));
}

TEST(SimulatedDisk, WritesUnderWayAreTornEachForItself) {
    bench b;
    const block_buffer ones(1, 1);
    const block_buffer twos(1, 2);
    b.d->write(b.f, 0, ones.bytes(), 1);
    b.d->write(b.f, disk::block, twos.bytes(), 2);
    b.d->submit();
    std::set<std::pair<int, int>> found;
    for (std::uint64_t seed = 0; seed < 200; ++seed) {
        const disk_image i = b.medium.crash(seed);
        found.emplace(i.at("a").front(), i.at("a")[disk::block]);
    }
    EXPECT_THAT(found, ElementsAre(Pair(0, 0), Pair(0, 2), Pair(1, 0), Pair(1, 2)));
}

TEST(SimulatedDisk, TheSameSeedDoesTheSame) {
    const auto run = [](std::uint64_t seed) {
        bench b({.seed = seed});
        const block_buffer x(1, 1);
        for (std::uint64_t i = 0; i < 4; ++i) {
            b.d->write(b.f, i * disk::block, x.bytes(), i);
        }
        b.d->submit();
        b.medium.finish(2);
        return b.medium.crash(seed);
    };
    std::set<disk_image> all;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const disk_image once = run(seed);
        EXPECT_EQ(once, run(seed));
        all.insert(once);
    }
    EXPECT_GT(all.size(), 10U);
}

TEST(SimulatedDisk, NamesStayOnceTheFolderIsSynced) {
    bench b;
    must(b.d->create("b", disk::block));
    must(b.d->rename("a", "c"));
    const auto names = [&] {
        std::set<std::string> all;
        every_choice fate;
        do {
            std::string folder;
            for (const auto& [name, content] : b.medium.crash(fate)) {
                folder += name;
            }
            all.insert(folder);
        } while (fate.next());
        return all;
    };
    EXPECT_THAT(names(), ElementsAre("a", "ab", "bc", "c"));
    must(b.d->sync_folder());
    EXPECT_THAT(names(), ElementsAre("bc"));
    must(b.d->remove("b"));
    EXPECT_THAT(names(), ElementsAre("bc", "c"));
}

TEST(SimulatedDisk, APreparedFileIsThereWholeOrNotAtAll) {
    bench b;
    b.d->prepare("b", small_file, 3);
    b.d->submit();
    std::set<std::size_t> sizes;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        const disk_image i = b.medium.crash(seed);
        sizes.insert(i.contains("b") ? i.at("b").size() : 0);
    }
    EXPECT_THAT(sizes, ElementsAre(0U, small_file));
    EXPECT_FALSE(b.d->open("b").has_value());
    b.medium.finish_all();
    EXPECT_EQ(b.medium.crash(1).at("b"), std::vector<std::uint8_t>(small_file));
    EXPECT_EQ(must(b.d->size(must(b.d->open("b")))), small_file);
}

TEST(SimulatedDisk, ALieIsFoundOutByACrashOnly) {
    bench b({.prompt = true, .lie = disk_lie::writes});
    const block_buffer ones(1, 1);
    b.d->write(b.f, 0, ones.bytes(), 1);
    b.d->submit();
    ASSERT_EQ(polled(*b.d).at(0).error, 0);
    EXPECT_EQ(b.medium.snapshot().at("a").front(), 1);
    EXPECT_EQ(outcomes(b.medium, 0).size(), 256U);

    bench n({.lie = disk_lie::names});
    std::size_t missing = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed) {
        missing += n.medium.crash(seed).empty() ? 1 : 0;
    }
    EXPECT_GT(missing, 0U);
    EXPECT_LT(missing, 20U);
}

TEST(SimulatedDisk, FailsTheOperationThatWasNamed) {
    bench b({.prompt = true});
    const block_buffer x(1, 1);
    b.medium.fail_at(2, EIO);
    EXPECT_TRUE(b.d->write_now(b.f, 0, x.bytes()).has_value());
    EXPECT_FALSE(b.medium.failed());
    b.d->write(b.f, 0, x.bytes(), 1);
    b.d->submit();
    EXPECT_EQ(polled(*b.d).at(0).error, EIO);
    EXPECT_TRUE(b.medium.failed());
    EXPECT_TRUE(b.d->write_now(b.f, 0, x.bytes()).has_value());

    b.medium.fail_from(1, ENOSPC);
    EXPECT_EQ(b.d->create("b", 0).error().code, ENOSPC);
    EXPECT_EQ(b.d->sync_folder().error().code, ENOSPC);
    b.medium.fail_from(0, 0);
    EXPECT_TRUE(b.d->sync_folder().has_value());
}

TEST(SimulatedDisk, AFailedWriteMayHaveHappenedInPart) {
    bench b({.prompt = true});
    const block_buffer ones(1, 1);
    b.medium.fail_at(1, EIO);
    b.d->write(b.f, 0, ones.bytes(), 1);
    b.d->submit();
    ASSERT_EQ(polled(*b.d).at(0).error, EIO);
    EXPECT_EQ(outcomes(b.medium, 0).size(), 256U);
}

TEST(SimulatedDisk, AFailedWriteDoesNotComeBackOverALaterOne) {
    bench b({.prompt = true});
    const block_buffer ones(3, 1);
    const block_buffer twos(1, 2);
    b.medium.fail_at(1, EIO);
    b.d->write(b.f, 0, ones.bytes(), 1);
    b.d->submit();
    ASSERT_EQ(polled(*b.d).at(0).error, EIO);
    b.d->write(b.f, disk::block, twos.bytes(), 2);
    b.d->submit();
    ASSERT_EQ(polled(*b.d).at(0).error, 0);
    std::set<int> before;
    std::set<int> after;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const disk_image i = b.medium.crash(seed);
        EXPECT_EQ(i.at("a")[disk::block], 2);
        EXPECT_EQ(i.at("a")[2 * disk::block - 1], 2);
        before.insert(i.at("a")[disk::block - 1]);
        after.insert(i.at("a")[2 * disk::block]);
    }
    EXPECT_THAT(before, ElementsAre(0, 1));
    EXPECT_THAT(after, ElementsAre(0, 1));
}

TEST(SimulatedDisk, AWriteWhoseSyncFailedIsSeenUntilItIsLookedForAgain) {
    for (const failed_write how : {failed_write::remembered, failed_write::believed}) {
        bench b({.prompt = true});
        const block_buffer ones(1, 1);
        const block_buffer twos(1, 2);
        block_buffer seen(1);
        b.medium.fail_write_at(2, EIO, how);
        for (const std::uint64_t at : {2 * disk::block, std::size_t{0}, disk::block}) {
            b.d->write(b.f, at, ones.bytes(), at);
            b.d->submit();
            EXPECT_EQ(polled(*b.d).at(0).error, at == 0 && how == failed_write::remembered ? EIO : 0);
        }
        EXPECT_TRUE(b.medium.failed());
        must(b.d->sync_now(b.f));
        must(b.d->read_now(b.f, 0, seen.bytes()));
        EXPECT_TRUE(seen.all(1)) << "readers see it";
        EXPECT_EQ(outcomes(b.medium, 0), (std::set<std::vector<std::uint8_t>>{std::vector<std::uint8_t>(8)}))
            << "and the medium has nothing of it";
        EXPECT_EQ(b.medium.crash(1).at("a")[disk::block], 1);

        simulated_disk left = b.medium.kill(1);
        const auto d = left.attach();
        const file_id f = must(d->open("a"));
        must(d->read_now(f, 0, seen.bytes()));
        EXPECT_TRUE(seen.all(0));
        must(d->write_now(f, 0, twos.bytes()));
        EXPECT_EQ(left.crash(1).at("a").front(), 2);
    }
}

TEST(SimulatedDisk, AFailedWriteIsDecidedWhenItsProcessHasEnded) {
    bench b({.prompt = true});
    const block_buffer ones(1, 1);
    b.medium.fail_write_at(1, EIO, failed_write::unsure);
    b.d->write(b.f, 0, ones.bytes(), 1);
    b.d->submit();
    ASSERT_EQ(polled(*b.d).at(0).error, EIO);
    EXPECT_EQ(outcomes(b.medium, 0).size(), 256U);
    std::set<int> first;
    for (std::uint64_t seed = 0; seed < 50; ++seed) {
        const simulated_disk left = b.medium.kill(seed);
        EXPECT_EQ(outcomes(left, 0).size(), 1U);
        EXPECT_EQ(left.crash(seed), left.snapshot());
        first.insert(left.snapshot().at("a").front());
    }
    EXPECT_THAT(first, ElementsAre(0, 1));
}

TEST(SimulatedDisk, IsFullWhenItIs) {
    bench b({.capacity_bytes = 2 * small_file, .prompt = true});
    EXPECT_EQ(must(b.d->free_bytes()), small_file);
    must(b.d->create("b", small_file));
    b.d->prepare("c", disk::block, 9);
    b.d->submit();
    EXPECT_EQ(polled(*b.d).at(0).error, ENOSPC);
    must(b.d->remove("b"));
    EXPECT_TRUE(b.d->create("c", disk::block).has_value());
}

TEST(SimulatedDisk, ADiskCutOffDoesNothingMore) {
    bench b;
    const block_buffer ones(1, 1);
    b.d->write(b.f, 0, ones.bytes(), 1);
    b.d->submit();
    const auto second = b.medium.attach();
    EXPECT_EQ(b.d->sync_folder().error().code, ENODEV);
    EXPECT_EQ(outcomes(b.medium, 0).size(), 256U) << "what was under way is as in a crash";
    b.d.reset();
    EXPECT_THAT(must(second->list()), ElementsAre("a"));
}

TEST(SimulatedDiskDeathTest, NoticesMistakes) {
    bench b;
    block_buffer x(2, 1);
    EXPECT_DEATH(b.d->write(b.f, 1, x.bytes(), 1), "not in blocks");
    EXPECT_DEATH(b.d->write(b.f, small_file, x.bytes(), 1), "beyond the end");
    b.d->write(b.f, 0, x.bytes(), 1);
    EXPECT_DEATH(b.d->write(b.f, disk::block, x.bytes().first(disk::block), 2), "two writes to one block");
    b.d->submit();
    EXPECT_DEATH(b.d->close(b.f), "under way");
    x.bytes()[5] = 9;
    EXPECT_DEATH(b.d->wait(), "has changed");
}

}  // namespace
}  // namespace linnet::store
