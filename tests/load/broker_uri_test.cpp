#include "bench/load/broker_uri.hpp"

#include <gtest/gtest.h>

namespace {

using linnet::load::parse_broker_uri;
using linnet::load::protocol;

TEST(BrokerUri, FillsInWhatIsLeftOut) {
    const auto uri = parse_broker_uri("amqp://");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->user, "guest");
    EXPECT_EQ(uri->host, "127.0.0.1");
    EXPECT_EQ(uri->port, "5672");
    EXPECT_EQ(uri->vhost, "/");
}

TEST(BrokerUri, ReadsEveryPart) {
    const auto uri = parse_broker_uri("amqp://us%3Aer:p%40ss@broker.example:5673/my%2Fhost?heartbeat=5");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->user, "us:er");
    EXPECT_EQ(uri->password, "p@ss");
    EXPECT_EQ(uri->host, "broker.example");
    EXPECT_EQ(uri->port, "5673");
    EXPECT_EQ(uri->vhost, "my/host");
}

TEST(BrokerUri, ReadsIpv6AndAnEmptyVhost) {
    const auto uri = parse_broker_uri("amqp://[::1]:5672/");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->host, "::1");
    EXPECT_EQ(uri->port, "5672");
    EXPECT_EQ(uri->vhost, "");
}

TEST(BrokerUri, KnowsMqttByItsScheme) {
    const auto uri = parse_broker_uri("mqtt://sensor:secret@10.0.0.1/factory");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->speaks, protocol::mqtt);
    EXPECT_EQ(uri->user, "sensor");
    EXPECT_EQ(uri->host, "10.0.0.1");
    EXPECT_EQ(uri->port, "1883");
    EXPECT_EQ(uri->vhost, "factory");
    EXPECT_EQ(parse_broker_uri("amqp://")->speaks, protocol::amqp);
}

TEST(BrokerUri, KnowsHttpByItsScheme) {
    const auto uri = parse_broker_uri("http://shop:secret@10.0.0.1:8080/orders");
    ASSERT_TRUE(uri) << uri.error();
    EXPECT_EQ(uri->speaks, protocol::http);
    EXPECT_EQ(uri->port, "8080");
    EXPECT_EQ(uri->vhost, "orders");
    EXPECT_EQ(parse_broker_uri("http://")->port, "15672");
}

TEST(BrokerUri, RefusesOtherSchemesAndBadEscapes) {
    EXPECT_FALSE(parse_broker_uri("https://localhost"));
    EXPECT_FALSE(parse_broker_uri("nats://localhost"));
    EXPECT_FALSE(parse_broker_uri("amqp://a%4@host/"));
    EXPECT_FALSE(parse_broker_uri("amqp://host/%zz"));
}

}  // namespace
