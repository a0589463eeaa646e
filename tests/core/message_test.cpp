#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace linnet::core {
namespace {

[[nodiscard]] std::span<const std::uint8_t> bytes(std::string_view s) {
    return {reinterpret_cast<const std::uint8_t*>(s.data()), s.size()};
}
[[nodiscard]] std::string text(std::span<const std::uint8_t> b) { return {b.begin(), b.end()}; }

class Message : public testing::Test {
protected:
    Message() { message_pool::enter(&home_); }
    ~Message() override { message_pool::enter(nullptr); }
    message_pool home_{shard_id{0}};
    message_pool away_{shard_id{1}};
};

TEST_F(Message, HoldsItsPartsInOneBlock) {
    message_traits traits;
    traits.persistent = true;
    traits.priority = 7;
    const auto m = make_message(home_, "exchange", "routing.key", bytes("props"), bytes("body"), traits);
    EXPECT_EQ(m->exchange(), "exchange");
    EXPECT_EQ(m->routing_key(), "routing.key");
    EXPECT_EQ(text(m->properties()), "props");
    EXPECT_EQ(text(m->body()), "body");
    EXPECT_TRUE(m->persistent());
    EXPECT_EQ(m->priority(), 7);
    EXPECT_EQ(home_.held_bytes(), m->footprint());
}

TEST_F(Message, EmptyPartsAreFine) {
    const auto m = make_message(home_, "", "", {}, {}, {});
    EXPECT_TRUE(m->exchange().empty());
    EXPECT_TRUE(m->body().empty());
}

TEST_F(Message, LastReferenceFreesIt) {
    auto m = make_message(home_, "", "k", {}, bytes("x"), {});
    auto second = m.share();
    m.reset();
    EXPECT_NE(home_.held_bytes(), 0U);
    second.reset();
    EXPECT_EQ(home_.held_bytes(), 0U);
}

TEST_F(Message, FanOutCountsOnce) {
    auto m = make_message(home_, "", "k", {}, bytes("x"), {});
    m.retain(2);
    auto* raw = m.detach();
    for (int i = 0; i < 3; ++i) {
        EXPECT_NE(home_.held_bytes(), 0U);
        auto copy = message_ptr::adopt(raw);
    }
    EXPECT_EQ(home_.held_bytes(), 0U);
}

TEST_F(Message, GoesHomeInAChainFromAnotherShard) {
    std::vector<message_ptr> messages;
    for (int i = 0; i < 3; ++i) {
        messages.push_back(make_message(home_, "", "k", {}, bytes("x"), {}));
        messages.back().get()->mark_shared();
    }
    message_pool::enter(&away_);
    messages.clear();
    EXPECT_NE(home_.held_bytes(), 0U);
    auto* chain = away_.take_chain(shard_id{0});
    ASSERT_NE(chain, nullptr);
    EXPECT_EQ(away_.take_chain(shard_id{0}), nullptr);
    message_pool::enter(&home_);
    home_.accept_chain(chain);
    EXPECT_EQ(home_.held_bytes(), 0U);
}

TEST_F(Message, ArrivesInPieces) {
    const std::string body(300'000, 'b');
    message_builder b;
    b.begin(home_, "x", "k", bytes("p"), body.size(), {});
    for (std::size_t at = 0; at < body.size(); at += 7001) {
        b.append(bytes(std::string_view(body).substr(at, 7001)));
    }
    EXPECT_EQ(b.missing(), 0U);
    const auto m = b.finish();
    EXPECT_EQ(text(m->body()), body);
    EXPECT_EQ(m->exchange(), "x");
    EXPECT_EQ(text(m->properties()), "p");
    EXPECT_EQ(home_.held_bytes(), m->footprint());
}

TEST_F(Message, AnAnnouncedBodyCostsOnlyWhatHasArrived) {
    message_builder b;
    b.begin(home_, "x", "k", {}, 120ULL << 20, {});
    EXPECT_LT(home_.held_bytes(), 70'000U);
    b.append(std::vector<std::uint8_t>(100'000));
    EXPECT_LT(home_.held_bytes(), 300'000U);
    b.abandon();
    EXPECT_EQ(home_.held_bytes(), 0U);
}

TEST_F(Message, EverySizeFitsItsBlock) {
    for (std::size_t n = 0; n < 70'000; n = n < 1200 ? n + 1 : n + 613) {
        const std::vector<std::uint8_t> body(n, 0x5a);
        const auto m = make_message(home_, "x", "k", {}, body, {});
        ASSERT_EQ(m->body().size(), n);
        ASSERT_GE(m->footprint(), sizeof(message) + n + 2);
        // Not much more than needed either.
        ASSERT_LE(m->footprint(), (sizeof(message) + n + 2) * 5 / 4 + 64);
    }
    EXPECT_EQ(home_.held_bytes(), 0U);
}

}  // namespace
}  // namespace linnet::core
