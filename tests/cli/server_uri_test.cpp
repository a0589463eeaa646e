#include "clients/cli/server_uri.hpp"

#include <gtest/gtest.h>
#include <stdlib.h>

namespace linnet::cli {
namespace {

server_uri good(std::string_view text) {
    const auto uri = parse_server_uri(text);
    EXPECT_TRUE(uri) << text << ": " << (uri ? "" : uri.error());
    return uri.value_or(server_uri{});
}

TEST(ServerUri, HasDefaultsForEveryPart) {
    for (auto text : {"amqp://", "amqp://127.0.0.1", "amqp://:5672", "amqp://127.0.0.1:"}) {
        const auto uri = good(text);
        EXPECT_FALSE(uri.tls);
        EXPECT_EQ(uri.host, "127.0.0.1");
        EXPECT_EQ(uri.port, 5672);
        EXPECT_EQ(uri.vhost, "/");
        EXPECT_FALSE(uri.user);
    }
    EXPECT_EQ(good("amqps://a").port, 5671);
    EXPECT_TRUE(good("amqps://a").tls);
}

TEST(ServerUri, ReadsEveryPart) {
    const auto uri = good(
        "amqp://us%40er:p%3Aw%2f@host.example:1234/v%2Fh?heartbeat=5&verify=verify_none&cacertfile=%2Fca");
    EXPECT_EQ(uri.user, "us@er");
    EXPECT_EQ(uri.password, "p:w/");
    EXPECT_EQ(uri.host, "host.example");
    EXPECT_EQ(uri.port, 1234);
    EXPECT_EQ(uri.vhost, "v/h");
    EXPECT_FALSE(uri.verify);
    EXPECT_EQ(uri.ca_file, "/ca");
}

TEST(ServerUri, TellsTheVhostsApart) {
    EXPECT_EQ(good("amqp://h").vhost, "/");
    EXPECT_EQ(good("amqp://h/").vhost, "");
    EXPECT_EQ(good("amqp://h/%2F").vhost, "/");
    EXPECT_EQ(good("amqp://h/%2f").vhost, "/");
    EXPECT_EQ(good("amqp://h/prod").vhost, "prod");
}

TEST(ServerUri, ReadsIpv6) {
    const auto uri = good("amqp://u:p@[::1]:99/x");
    EXPECT_EQ(uri.host, "::1");
    EXPECT_EQ(uri.port, 99);
    EXPECT_EQ(good("amqp://[fe80::1]").port, 5672);
}

TEST(ServerUri, RefusesTheRest) {
    for (auto text :
         {"", "ftp://h", "amqp:h", "amqp://h:0", "amqp://h:65536", "amqp://h:x", "amqp://h:1x", "amqp://[::1",
          "amqp://[::1]x", "amqp://%zz", "amqp://h/%2", "amqp://%:p@h", "amqp://u:%@h", "amqp://h?cacertfile=%"}) {
        EXPECT_FALSE(parse_server_uri(text)) << text;
    }
}

TEST(ServerUri, KnowsTheOtherProtocols) {
    EXPECT_EQ(good("mqtt://h").port, 1883);
    EXPECT_EQ(good("mqtts://h").port, 8883);
    EXPECT_EQ(good("http://u@h").port, 15672);
    EXPECT_TRUE(good("https://h:443/").tls);
    EXPECT_EQ(good("https://h:443/").vhost, "/");
    EXPECT_EQ(good("http://h/tenant").vhost, "tenant");
    EXPECT_EQ(good("http://h/tenant").through(protocol::amqp).text(), "amqp://h:5672/tenant");
    EXPECT_EQ(good("amqps://u:p@h:99").through(protocol::http).text(), "https://u@h:15671");
}

TEST(ServerUri, ShowsNoPassword) {
    EXPECT_EQ(good("amqp://us%40er:secret@[::1]:99/%2F").text(), "amqp://us%40er@[::1]:99/%2F");
    EXPECT_EQ(good("amqps://h").text(), "amqps://h:5671/%2F");
}

TEST(BrokerUri, ComesFromTheFlagThenTheEnvironmentThenThisMachine) {
    for (auto name : {"LINNET_URL", "AMQP_URL", "RABBITMQ_URL", "CLOUDAMQP_URL", "RABBITMQ_DEFAULT_USER",
                      "RABBITMQ_DEFAULT_PASS"}) {
        ::unsetenv(name);
    }
    EXPECT_EQ(broker_uri("")->host, "127.0.0.1");
    EXPECT_FALSE(broker_uri("")->user);
    ::setenv("CLOUDAMQP_URL", "amqp://four", 1);
    EXPECT_EQ(broker_uri("")->host, "four");
    ::setenv("LINNET_URL", "amqp://one", 1);
    EXPECT_EQ(broker_uri("")->host, "one");
    EXPECT_EQ(broker_uri("amqp://flag")->host, "flag");
    ::setenv("RABBITMQ_DEFAULT_USER", "joe", 1);
    ::setenv("RABBITMQ_DEFAULT_PASS", "pw", 1);
    EXPECT_EQ(broker_uri("amqp://flag")->user, "joe");
    EXPECT_EQ(broker_uri("amqp://flag")->password, "pw");
    EXPECT_EQ(broker_uri("amqp://other:x@flag")->user, "other");
    for (auto name : {"LINNET_URL", "CLOUDAMQP_URL", "RABBITMQ_DEFAULT_USER", "RABBITMQ_DEFAULT_PASS"}) {
        ::unsetenv(name);
    }
}

}  // namespace
}  // namespace linnet::cli
