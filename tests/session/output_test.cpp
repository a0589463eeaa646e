#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/session/output.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <memory>
#include <numeric>
#include <vector>

namespace linnet::session {
namespace {

constexpr std::size_t KiB = 1024;

std::vector<std::uint8_t> content(output& out) {
    std::vector<std::uint8_t> all;
    std::array<iovec, 4> pieces;
    while (!out.empty()) {
        const auto n = out.gather(pieces);
        std::size_t sum = 0;
        for (const auto& p : std::span(pieces).first(n)) {
            const auto* from = static_cast<const std::uint8_t*>(p.iov_base);
            all.insert(all.end(), from, from + p.iov_len);
            sum += p.iov_len;
        }
        out.consume(sum);
    }
    return all;
}

TEST(Output, TheMoreIsLentTheLessAnyMayHold) {
    block_pool pool;
    pool.allow(1024 * KiB);
    std::vector<block_pool::block> taken;
    const auto take_until = [&](std::size_t bytes) {
        while (pool.lent_bytes() < bytes) {
            taken.push_back(pool.take(1, false));
        }
    };
    EXPECT_EQ(pool.high_bytes(false), 1024 * KiB);
    EXPECT_EQ(pool.high_bytes(true), 1024 * KiB);
    take_until(256 * KiB);
    EXPECT_EQ(pool.high_bytes(true), 128 * KiB);
    const auto first = pool.take(1, true);
    EXPECT_EQ(first.bytes, 4 * KiB);
    pool.give_back(first);
    take_until(512 * KiB);
    EXPECT_EQ(pool.high_bytes(true), 32 * KiB);
    EXPECT_EQ(taken.back().bytes, 64 * KiB);
    take_until(768 * KiB);
    EXPECT_EQ(pool.high_bytes(true), 0U);
    EXPECT_EQ(pool.high_bytes(false), 16 * KiB) << "who reads goes on";
    taken.push_back(pool.take(4 * KiB, false));
    EXPECT_EQ(taken.back().bytes, 4 * KiB);
    taken.push_back(pool.take(4 * KiB + 1, true));
    EXPECT_EQ(taken.back().bytes, 64 * KiB) << "what is asked for must have room";
    for (const auto b : taken) {
        pool.give_back(b);
    }
    EXPECT_EQ(pool.lent_bytes(), 0U);
    EXPECT_EQ(pool.high_bytes(true), 1024 * KiB);
}

// They take no block, but are in memory all the same.
TEST(Output, BodiesThatAreReferredToWeighAsMuch) {
    core::message_pool messages{core::shard_id{0}};
    core::message_pool::enter(&messages);
    block_pool pool;
    pool.allow(1024 * KiB);
    {
        output out(pool);
        for (int i = 0; i < 13; ++i) {
            auto m = core::make_message(messages, "", "q", {}, std::vector<std::uint8_t>(20 * KiB), {});
            const auto body = m->body();
            out.append_reference(std::move(m), body);
        }
        EXPECT_EQ(pool.lent_bytes(), 0U);
        EXPECT_EQ(pool.high_bytes(true), 128 * KiB);
        EXPECT_EQ(pool.high_bytes_of_blocks(true), 1024 * KiB) << "they may all be one";
        out.consume(5 * KiB);
        EXPECT_EQ(pool.high_bytes(true), 1024 * KiB);
        out.append(std::vector<std::uint8_t>(3 * 64 * KiB));
        EXPECT_EQ(pool.high_bytes(true), 128 * KiB);
    }
    EXPECT_EQ(pool.high_bytes(true), 1024 * KiB);
    core::message_pool::enter(nullptr);
}

TEST(Output, ItsDrainingIsToldOnce) {
    block_pool pool;
    output out(pool);
    const std::vector<std::uint8_t> some(1024 * KiB);
    out.append(some);
    EXPECT_FALSE(out.passes_high());
    EXPECT_FALSE(out.has_drained());
    out.append(std::span(some).first(1));
    EXPECT_TRUE(out.passes_high());
    out.consume(700 * KiB);
    EXPECT_FALSE(out.passes_high());
    EXPECT_FALSE(out.has_drained());
    out.consume(200 * KiB);
    EXPECT_TRUE(out.has_drained());
    EXPECT_FALSE(out.has_drained());
}

// Its socket takes nothing and memory is scarce: anything at all is too much, and only when all of it has gone there is
// room again.
TEST(Output, AStuckOneIsFullWithOneByte) {
    block_pool pool;
    pool.allow(1);
    output out(pool);
    const std::array<std::uint8_t, 2> two{1, 2};
    out.append(two);
    EXPECT_FALSE(out.passes_high());
    out.set_stuck(true);
    EXPECT_TRUE(out.passes_high());
    out.consume(1);
    EXPECT_FALSE(out.has_drained());
    out.consume(1);
    EXPECT_TRUE(out.has_drained());
}

TEST(Output, BlocksOfAnySizeHoldTheSame) {
    block_pool pool;
    std::vector<std::uint8_t> bytes(300 * KiB);
    std::iota(bytes.begin(), bytes.end(), std::uint8_t{0});
    output out(pool);
    out.append(std::span(bytes).first(100 * KiB));
    pool.allow(1);
    out.append(std::span(bytes).subspan(100 * KiB, 100 * KiB));
    auto* at = out.reserve(50 * KiB);  // in one piece, small blocks or not
    std::ranges::copy(std::span(bytes).subspan(200 * KiB, 50 * KiB), at);
    out.commit(50 * KiB);
    pool.allow(SIZE_MAX);
    out.append(std::span(bytes).subspan(250 * KiB));
    EXPECT_EQ(out.pending(), bytes.size());
    EXPECT_EQ(content(out), bytes);
    EXPECT_EQ(pool.lent_bytes(), 0U);
}

}  // namespace
}  // namespace linnet::session
