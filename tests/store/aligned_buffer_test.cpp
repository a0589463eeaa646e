// Every byte of a buffer is on the account for as long as it is somebody's, small or mapped, moved or not.

#include "broker/store/aligned_buffer.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <utility>
#include <vector>

namespace linnet::test {
namespace {

using store::aligned_buffer;
using store::buffer_pool;

constexpr std::size_t small_bytes = store::disk::block;
constexpr std::size_t large_bytes = 256 * 1024;

class AlignedBuffer : public testing::Test {
protected:
    [[nodiscard]] std::uint64_t ours() const { return aligned_buffer::all_bytes() - before_; }

private:
    const std::uint64_t before_ = aligned_buffer::all_bytes();
};

TEST_F(AlignedBuffer, BeginsAtABlockAndHoldsWholeOnes) {
    for (const std::size_t bytes : {std::size_t{1}, small_bytes, small_bytes + 1, large_bytes - 1, large_bytes}) {
        aligned_buffer b{bytes};
        EXPECT_EQ(reinterpret_cast<std::uintptr_t>(b.data()) % store::disk::block, 0U);
        EXPECT_EQ(b.size(), (bytes + store::disk::block - 1) / store::disk::block * store::disk::block);
        EXPECT_EQ(ours(), b.size());
        b.data()[0] = b.data()[b.size() - 1] = 1;
    }
    EXPECT_EQ(ours(), 0U);
}

TEST_F(AlignedBuffer, IsCountedOnceWhereverItGoes) {
    for (const std::size_t bytes : {small_bytes, large_bytes}) {
        aligned_buffer first{bytes};
        first.data()[7] = 42;
        aligned_buffer second{std::move(first)};
        EXPECT_EQ(first.size(), 0U);  // NOLINT(bugprone-use-after-move): it says so
        EXPECT_EQ(ours(), bytes);
        aligned_buffer third{bytes};
        EXPECT_EQ(ours(), 2 * bytes);
        third = std::move(second);
        EXPECT_EQ(ours(), bytes) << "what it had before is given back";
        EXPECT_EQ(third.data()[7], 42);
        third = {};
        EXPECT_EQ(third.size(), 0U);
        EXPECT_EQ(ours(), 0U);
    }
}

TEST_F(AlignedBuffer, APoolKeepsAFewUntilItIsTrimmed) {
    buffer_pool pool{large_bytes};
    std::vector<aligned_buffer> taken;
    for (int i = 0; i < 100; ++i)
        taken.push_back(pool.take());
    EXPECT_EQ(ours(), 100 * large_bytes);
    for (auto& b : taken)
        pool.give(std::move(b));
    taken.clear();
    EXPECT_GT(ours(), 0U);
    EXPECT_LE(ours(), 16 * large_bytes);
    const auto kept = ours();
    EXPECT_EQ(pool.take().size(), large_bytes);
    EXPECT_EQ(ours(), kept - large_bytes) << "the one taken came from those that were kept";
    pool.trim();
    EXPECT_EQ(ours(), 0U);
}

}  // namespace
}  // namespace linnet::test
