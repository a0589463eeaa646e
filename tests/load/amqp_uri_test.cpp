#include "bench/load/amqp_uri.hpp"

#include <gtest/gtest.h>

namespace {

using linnet::load::parse_amqp_uri;

TEST(AmqpUri, FillsInWhatIsLeftOut) {
    const auto uri = parse_amqp_uri("amqp://");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->user, "guest");
    EXPECT_EQ(uri->host, "127.0.0.1");
    EXPECT_EQ(uri->port, "5672");
    EXPECT_EQ(uri->vhost, "/");
}

TEST(AmqpUri, ReadsEveryPart) {
    const auto uri = parse_amqp_uri("amqp://us%3Aer:p%40ss@broker.example:5673/my%2Fhost?heartbeat=5");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->user, "us:er");
    EXPECT_EQ(uri->password, "p@ss");
    EXPECT_EQ(uri->host, "broker.example");
    EXPECT_EQ(uri->port, "5673");
    EXPECT_EQ(uri->vhost, "my/host");
}

TEST(AmqpUri, ReadsIpv6AndAnEmptyVhost) {
    const auto uri = parse_amqp_uri("amqp://[::1]:5672/");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->host, "::1");
    EXPECT_EQ(uri->port, "5672");
    EXPECT_EQ(uri->vhost, "");
}

TEST(AmqpUri, RefusesOtherSchemesAndBadEscapes) {
    EXPECT_FALSE(parse_amqp_uri("http://localhost"));
    EXPECT_FALSE(parse_amqp_uri("amqp://a%4@host/"));
    EXPECT_FALSE(parse_amqp_uri("amqp://host/%zz"));
}

}  // namespace
