#include "bench/load/http_messages.hpp"

#include "bench/load/http_words.hpp"
#include "bench/load/option_table.hpp"
#include "protocol/http/request_parser.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace linnet;
using namespace linnet::load;

options options_of(std::vector<std::string> arguments) {
    const auto o = parse_options(arguments);
    EXPECT_TRUE(o) << o.error();
    return *o;
}

std::string publish_target_of(std::vector<std::string> arguments) {
    const options o = options_of(std::move(arguments));
    const plan p = make_plan(o);
    return publish_target(o, o.uri, p, p.producers[0].targets[0].key);
}

TEST(HttpTargets, AreLinnetsUnlessToldOtherwise) {
    EXPECT_EQ(publish_target_of({"http", "-u", "a b"}), "/v1/%2F/q/a%20b");
    EXPECT_EQ(publish_target_of({"http", "-e", "amq.direct", "-k", "a/b"}), "/v1/%2F/x/amq.direct/a%2Fb");
    EXPECT_EQ(publish_target_of({"http", "-e", "logs", "-t", "fanout"}), "/v1/%2F/x/logs");
    EXPECT_EQ(publish_target_of({"sse", "-u", "house/at tic"}), "/v1/%2F/t/house/at%20tic");
    EXPECT_EQ(publish_target_of({"sse", "--reads", "stream"}), "/v1/%2F/q/linnet-bench");
    EXPECT_EQ(publish_target_of({"http", "--uri", "http://localhost/shop", "--post-to", "rabbitmq"}),
              "/api/exchanges/shop/amq.default/publish");
    EXPECT_EQ(publish_target_of({"http", "-u", "a/b", "--post-to", "/pub?id=%s"}), "/pub?id=a%2Fb");
}

TEST(HttpTargets, OfEventsAreWhatIsRead) {
    const auto target = [](std::vector<std::string> arguments) {
        const options o = options_of(std::move(arguments));
        return events_target(o, o.uri_of(protocol::http), "a/b");
    };
    EXPECT_EQ(target({"sse"}), "/v1/%2F/events?topic=a%2Fb");
    EXPECT_EQ(target({"sse", "--reads", "queue"}), "/v1/%2F/q/a%2Fb/events");
    EXPECT_EQ(target({"amqp-sse", "--http-uri", "http://localhost/shop"}), "/v1/shop/events?topic=a%2Fb");
    EXPECT_EQ(target({"sse", "--events-at", "/sub/%s"}), "/sub/a%2Fb");
}

TEST(HttpTargets, NameHostAndUser) {
    const auto uri = parse_broker_uri("http://user:pass@[::1]:8080");
    ASSERT_TRUE(uri);
    EXPECT_EQ(host_of(*uri), "[::1]:8080");
    EXPECT_EQ(authorization_of(*uri), "Basic dXNlcjpwYXNz");
}

struct sent {
    std::string target;
    std::string durability;
    std::string body;
};

// The first request, read back.
sent first_request(std::vector<std::string> arguments) {
    const options o = options_of(std::move(arguments));
    ready_messages messages = http_messages(make_plan(o), 0, o, o.uri);
    std::vector<std::uint8_t> bytes(messages.message_bytes_max());
    const auto placed = messages.put_next(bytes.data(), 0x1234);
    const wire::bytes_view text{bytes.data(), placed.end};
    sent s;
    http::request_parser parser;
    for (std::size_t at = 0;;) {
        const auto step = parser.next(text.subspan(at));
        at += step.taken;
        if (step.what == http::request_event::body)
            s.body += wire::as_text(step.body);
        if (step.what == http::request_event::end) {
            EXPECT_EQ(at, text.size());
            s.target = parser.request().target.path();
            s.durability = parser.request().fields.get("Durability");
            return s;
        }
        if (step.what == http::request_event::refused || step.what == http::request_event::need_more) {
            ADD_FAILURE() << "no whole request";
            return s;
        }
    }
}

TEST(HttpMessages, CarryTheStampedPayload) {
    const std::string stamp = "0000000000000000000012340000000";
    EXPECT_EQ(first_request({"http", "-s", "40"}).body, stamp + "0xxxxxxxx");
    EXPECT_EQ(first_request({"http"}).durability, "memory");
    EXPECT_EQ(first_request({"http", "-f", "persistent"}).durability, "stored");
    EXPECT_EQ(first_request({"http", "-s", "0"}).body, "");
    const sent elsewhere = first_request({"http", "--post-to", "/pub"});
    EXPECT_EQ(elsewhere.target, "/pub");
    EXPECT_EQ(elsewhere.durability, "");
}

TEST(HttpMessages, AreJsonForRabbitmq) {
    EXPECT_EQ(first_request({"http", "-u", "a\"b", "--post-to", "rabbitmq", "-f", "persistent"}).body,
              R"({"properties":{"delivery_mode":2},"routing_key":"a\"b",)"
              R"("payload":"00000000000000000000123400000000","payload_encoding":"string"})");
}

}  // namespace
