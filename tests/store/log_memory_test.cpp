#include "broker/store/memory_log.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include <sys/eventfd.h>
#include <unistd.h>

namespace linnet::store {
namespace {

using core::log_health;
using core::log_record;

std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

core::durable_log::appended put(core::durable_log& log, std::string_view text, std::uint8_t kind = 1) {
    const std::array parts{bytes_of(text.substr(0, text.size() / 2)), bytes_of(text.substr(text.size() / 2))};
    return log.append(kind, 0, parts);
}

struct gathering final : core::log_reader {
    void on_record(std::size_t index, const log_record& r) override {
        EXPECT_EQ(index, shown.size());
        shown.emplace_back(r.payload.begin(), r.payload.end());
        kinds.push_back(r.kind);
    }
    void on_done() override { ++done; }

    std::vector<std::string> shown;
    std::vector<std::uint8_t> kinds;
    int done = 0;
};

TEST(MemoryLog, IsDurableAtThePollAfterAFlush) {
    memory_log log;
    EXPECT_GT(log.begin(), 0U);
    const auto a = put(log, "a");
    EXPECT_EQ(a.at, log.begin());
    EXPECT_FALSE(log.busy());
    EXPECT_FALSE(log.poll());
    EXPECT_EQ(log.durable(), a.at);
    log.flush();
    EXPECT_TRUE(log.busy());
    const auto b = put(log, "b");
    EXPECT_TRUE(log.poll());
    EXPECT_EQ(log.durable(), b.at);
    EXPECT_EQ(b.at, a.at + a.bytes);
    EXPECT_EQ(log.end(), b.at + b.bytes);
}

TEST(MemoryLog, HoldsDurabilityBackWhenTold) {
    memory_log log;
    log.hold();
    put(log, "a");
    log.flush();
    EXPECT_FALSE(log.poll());
    EXPECT_EQ(log.durable(), log.begin());
    EXPECT_FALSE(log.close());
    log.release();
    EXPECT_TRUE(log.poll());
    EXPECT_EQ(log.durable(), log.end());
}

TEST(MemoryLog, ConfirmsNothingOnceItFailed) {
    memory_log log;
    put(log, "a");
    log.set_health(log_health::failed, "played");
    log.flush();
    EXPECT_FALSE(log.poll());
    EXPECT_EQ(log.durable(), log.begin());
    EXPECT_EQ(log.complaint(), "played");
    EXPECT_FALSE(log.close());
}

TEST(MemoryLog, ShowsRecordsByPollInTheOrderAsked) {
    memory_log log;
    const auto a = put(log, "alpha", 3);
    const auto b = put(log, "beta", 4);
    const auto c = put(log, "", 5);
    log.damage(b.at);
    gathering g;
    const std::array wanted{core::record_range{c.at, c.bytes}, core::record_range{a.at, a.bytes},
                            core::record_range{b.at, b.bytes}, core::record_range{a.at + 1, 8}};
    log.read(wanted, g);
    EXPECT_EQ(g.done, 0);
    EXPECT_TRUE(log.poll());
    EXPECT_EQ(g.done, 1);
    EXPECT_EQ(g.shown, (std::vector<std::string>{"", "alpha", "", ""}));
    EXPECT_EQ(g.kinds, (std::vector<std::uint8_t>{5, 3, 0, 0}));
}

TEST(MemoryLog, ReadsOnThroughWhatIsDurable) {
    memory_log log;
    std::vector<core::log_position> at;
    for (int i = 0; i < 5; ++i)
        at.push_back(put(log, std::to_string(i)).at);
    log.flush();
    log.poll();
    put(log, "not yet");
    gathering g;
    log.read_on(at[1], static_cast<std::uint32_t>(at[3] - at[1]), g);
    // A record that begins before the range is none of it.
    gathering rest;
    log.read_on(at[3] + 1, 1 << 20, rest);
    log.poll();
    EXPECT_EQ(g.done + rest.done, 2);
    EXPECT_EQ(g.shown, (std::vector<std::string>{"1", "2"}));
    EXPECT_EQ(rest.shown, std::vector<std::string>{"4"});
    std::size_t seen = 0;
    log.scan(at[2], [&](const log_record&) { return ++seen < 2; });
    EXPECT_EQ(seen, 2U);
}

TEST(MemoryLog, DropsWholeSegments) {
    memory_log log{64 * 1024};
    const std::string kilobyte(1000, 'x');
    std::vector<core::durable_log::appended> all;
    for (int i = 0; i < 200; ++i)
        all.push_back(put(log, kilobyte));
    log.flush();
    log.poll();
    const auto first = log.begin();
    log.drop_before(first + 60 * 1024 - 8);
    EXPECT_EQ(log.begin(), first);
    log.drop_before(all[100].at);
    EXPECT_GT(log.begin(), first);
    EXPECT_LE(log.begin(), all[100].at);
    log.poll();
    gathering g;
    const std::array wanted{core::record_range{all[0].at, all[0].bytes},
                            core::record_range{all[100].at, all[100].bytes}};
    log.read(wanted, g);
    log.poll();
    EXPECT_EQ(g.shown[0], "");
    EXPECT_EQ(g.shown[1], kilobyte);
}

TEST(MemoryLog, WakesWhenThereIsSomethingToSee) {
    memory_log log;
    const int bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT_GE(bell, 0);
    const auto rings = [&] {
        eventfd_t count = 0;
        return ::eventfd_read(bell, &count) == 0 ? count : 0;
    };
    log.wake_through(bell);
    log.flush();
    EXPECT_EQ(rings(), 0U);
    put(log, "a");
    log.flush();
    EXPECT_EQ(rings(), 1U);
    gathering g;
    log.read_on(log.begin(), 100, g);
    EXPECT_EQ(rings(), 1U);
    ::close(bell);
}

// What a reader does while it is shown a record must not pull that record away.
TEST(MemoryLog, LetsAReaderAppendAndDrop) {
    memory_log log{64 * 1024};
    struct meddler final : core::log_reader {
        explicit meddler(memory_log& l) : log{l} {}
        void on_record(std::size_t, const log_record& r) override {
            for (int i = 0; i < 200; ++i)
                put(log, std::string(1000, 'y'));
            log.flush();
            log.drop_before(log.end());
            seen.emplace_back(r.payload.begin(), r.payload.end());
        }
        void on_done() override { log.read_on(log.begin(), 1, *this); }
        memory_log& log;
        std::vector<std::string> seen;
    };
    meddler m{log};
    const auto a = put(log, "first");
    log.flush();
    log.poll();
    log.read_on(a.at, 1, m);
    log.poll();
    EXPECT_EQ(m.seen, std::vector<std::string>{"first"});
}

}  // namespace
}  // namespace linnet::store
