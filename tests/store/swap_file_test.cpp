#include "broker/store/swap_file.hpp"

#include "broker/core/queue_index.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <string>
#include <vector>

namespace linnet::store {
namespace {

class SwapFile : public testing::Test {
protected:
    void SetUp() override {
        std::array<char, 32> name{"/tmp/linnet-swap-XXXXXX"};
        ASSERT_NE(::mkdtemp(name.data()), nullptr);
        folder_ = name.data();
    }
    void TearDown() override { std::filesystem::remove_all(folder_); }

    std::string folder_;
};

TEST_F(SwapFile, LeavesNothingInItsFolder) {
    const auto swap = swap_file::open(folder_, 0);
    ASSERT_TRUE(swap);
    EXPECT_NE((*swap)->save(std::vector<std::uint8_t>(100, 1)), core::chunk_swap::none);
    EXPECT_TRUE(std::filesystem::is_empty(folder_));
}

TEST_F(SwapFile, GivesBackWhatItWasGivenAndReusesTheRoom) {
    const auto opened = swap_file::open(folder_, 0);
    ASSERT_TRUE(opened);
    auto& swap = **opened;
    const std::vector<std::uint8_t> a(17 * 1024, 'a');
    const std::vector<std::uint8_t> b(swap_file::slot_bytes, 'b');
    const auto first = swap.save(a);
    const auto second = swap.save(b);
    std::vector<std::uint8_t> into(a.size());
    swap.load(first, into);
    EXPECT_EQ(into, a);
    EXPECT_EQ(swap.save(a), first);
    EXPECT_EQ(swap.file_bytes(), 2 * swap_file::slot_bytes);
    into.resize(b.size());
    swap.load(second, into);
    EXPECT_EQ(into, b);
    swap.forget(first);
    EXPECT_EQ(swap.file_bytes(), 0U);
}

TEST_F(SwapFile, RefusesWhatIsLargerThanASlot) {
    const auto swap = swap_file::open(folder_, 0);
    ASSERT_TRUE(swap);
    EXPECT_EQ((*swap)->save(std::vector<std::uint8_t>(swap_file::slot_bytes + 1)), core::chunk_swap::none);
}

TEST_F(SwapFile, SaysWhyItCannotBeOpened) {
    const auto swap = swap_file::open(folder_ + "/none", 0);
    ASSERT_FALSE(swap);
    EXPECT_NE(swap.error().find("No such file"), std::string::npos);
}

// The largest chunk there is, with every column.
TEST_F(SwapFile, HoldsAnIndex) {
    const auto swap = swap_file::open(folder_, 200'000);
    ASSERT_TRUE(swap);
    core::queue_index x(swap->get());
    for (core::position p = 1; p <= 100'000; ++p) {
        core::index_entry e;
        e.pos = p;
        e.where = {p * 1000, 900, 300};
        e.deadline = static_cast<mono_ns>(p) * ns_per_ms;
        e.delivery_count = 1;
        e.state = core::entry_state::paged;
        x.add(e);
    }
    EXPECT_GT(x.swapped_chunks(), 80U);
    EXPECT_LE(x.bytes(), 250'000U);
    for (core::position p = 1; p <= 100'000; ++p) {
        const auto at = x.find(p);
        ASSERT_TRUE(at);
        ASSERT_EQ(x.get(*at).where.at, p * 1000);
        x.erase(*at);
    }
    EXPECT_EQ((*swap)->file_bytes(), 0U);
    EXPECT_LE((*swap)->held_bytes(), 2000U);  // a small chunk is kept for the next message
}

}  // namespace
}  // namespace linnet::store
