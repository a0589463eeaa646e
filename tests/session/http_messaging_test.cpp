// Messages through HTTP, against the core: publishing, taking with leases, events, last values, rights; on one shard
// and on two.

#include "broker/session/http_messaging.hpp"

#include "broker/session/http_batch.hpp"
#include "broker/session/http_openapi.hpp"
#include "tests/session/http_messaging_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <algorithm>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::session::test {
namespace {

using ::testing::AllOf;
using ::testing::ContainsRegex;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::StartsWith;

INSTANTIATE_TEST_SUITE_P(Shards, HttpMessaging, ::testing::Values(1, 2, 3));

TEST_P(HttpMessaging, WhatIsPublishedIsTakenWithItsProperties) {
    for (const std::string q : {"one", "two", "three"}) {  // on whatever shards they are
        declare(q);
        const auto made = ask(
            "POST /v1/%2F/q/" + q, "hello",
            "Content-Type: text/plain\r\nCorrelation-Id: c1\r\nTTL: 1.5\r\nPriority: 3\r\nType: greeting\r\n"
            "Timestamp: 77\r\nX-H-color: red\r\ntraceparent: 00-1\r\nReply-To: back\r\n");
        EXPECT_THAT(made, StartsWith("HTTP/1.1 201 "));
        EXPECT_EQ(field(made, "Durability"), "memory");  // there is no store
        const auto got = ask("GET /v1/%2F/q/" + q);
        EXPECT_THAT(got, AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nhello")));
        EXPECT_EQ(field(got, "Message-Id"), field(made, "Message-Id"));
        EXPECT_EQ(field(got, "Content-Type"), "text/plain");
        EXPECT_EQ(field(got, "Correlation-Id"), "c1");
        EXPECT_EQ(field(got, "Priority"), "3");
        EXPECT_EQ(field(got, "TTL"), "1.500");
        EXPECT_EQ(field(got, "Type"), "greeting");
        EXPECT_EQ(field(got, "Timestamp"), "77");
        EXPECT_EQ(field(got, "X-H-color"), "red");
        EXPECT_EQ(field(got, "traceparent"), "00-1");
        // A place of its own to answer at, which needs no rights.
        EXPECT_THAT(field(got, "Reply-To"), StartsWith("amq.reply."));
        EXPECT_THAT(ask("POST /v1/%2F/q/" + field(got, "Reply-To"), "answer"), StartsWith("HTTP/1.1 "));
        EXPECT_EQ(field(got, "Delivery-Attempt"), "1");
        EXPECT_EQ(field(got, "Routing-Key"), q);
        EXPECT_THAT(ask("DELETE /v1/%2F/leases/" + field(got, "Lease")), StartsWith("HTTP/1.1 204 "));
        EXPECT_THAT(ask("DELETE /v1/%2F/leases/" + field(got, "Lease")), StartsWith("HTTP/1.1 410 "));
        EXPECT_THAT(ask("GET /v1/%2F/q/" + q), StartsWith("HTTP/1.1 204 "));
    }
}

TEST_P(HttpMessaging, ALeaseRunsOutIsExtendedOrGivenBack) {
    declare("q");
    ask("POST /v1/%2F/q/q", "m");
    auto got = ask("GET /v1/%2F/q/q?lease=2");
    ASSERT_NE(field(got, "Lease"), "");
    EXPECT_THAT(ask("PATCH /v1/%2F/leases/" + field(got, "Lease") + "?lease=10"), StartsWith("HTTP/1.1 204 "));
    w.pass(5 * ns_per_s);
    EXPECT_THAT(ask("GET /v1/%2F/q/q"), StartsWith("HTTP/1.1 204 "));
    w.pass(6 * ns_per_s);
    got = ask("GET /v1/%2F/q/q");
    EXPECT_EQ(field(got, "Delivery-Attempt"), "2");
    EXPECT_THAT(ask("POST /v1/%2F/leases/" + field(got, "Lease") + "/nack"), StartsWith("HTTP/1.1 204 "));
    got = ask("GET /v1/%2F/q/q");
    EXPECT_THAT(ask("POST /v1/%2F/leases/" + field(got, "Lease") + "/nack?requeue=false"), StartsWith("HTTP/1.1 204 "));
    EXPECT_THAT(ask("GET /v1/%2F/q/q"), StartsWith("HTTP/1.1 204 "));
    ask("POST /v1/%2F/q/q", "m");
    EXPECT_EQ(field(ask("GET /v1/%2F/q/q?lease=0"), "Lease"), "");
    EXPECT_THAT(ask("GET /v1/%2F/q/q"), StartsWith("HTTP/1.1 204 "));
    EXPECT_THAT(ask("PATCH /v1/%2F/leases/nonsense?lease=1"), StartsWith("HTTP/1.1 410 "));
    EXPECT_THAT(ask("PATCH /v1/%2F/leases/nonsense?lease=0"), AllOf(StartsWith("HTTP/1.1 4")));
}

TEST_P(HttpMessaging, ARejectedMessageTellsWhyItIsDead) {
    for (const std::string q : {"one", "two", "three"}) {  // on whatever shards they are
        const auto grave = "dead-" + q;
        declare(grave);
        declare(q, {{"x-dead-letter-exchange", core::make_string("")},
                    {"x-dead-letter-routing-key", core::make_string(grave)}});
        const auto nack = [&](const std::string& got, std::string_view asked, std::string_view why) {
            return ask("POST /v1/%2F/leases/" + field(got, "Lease") + "/nack" + std::string(asked), why);
        };
        ask("POST /v1/%2F/q/" + q, "body", "X-H-color: red\r\nContent-Type: text/plain\r\n");
        auto got = ask("GET /v1/%2F/q/" + q);
        // What is no reason leaves the lease as it is.
        EXPECT_THAT(nack(got, "", "why"), StartsWith("HTTP/1.1 400 ")) << "nobody would read it";
        EXPECT_THAT(nack(got, "?requeue=false", "two\r\nlines"), StartsWith("HTTP/1.1 400 "));
        EXPECT_THAT(nack(got, "?requeue=false", "\xff"), StartsWith("HTTP/1.1 400 "));
        EXPECT_THAT(nack(got, "?requeue=false", std::string(1025, 'x')), StartsWith("HTTP/1.1 400 "));
        EXPECT_THAT(nack(got, "?requeue=false", "card declined: 51 \xE2\x82\xAC short"), StartsWith("HTTP/1.1 204 "));
        EXPECT_THAT(nack(got, "?requeue=false", "again"), StartsWith("HTTP/1.1 410 "));

        got = ask("GET /v1/%2F/q/" + grave);
        EXPECT_THAT(got, AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\nbody")));
        EXPECT_EQ(field(got, "X-H-x-reject-reason"), "card declined: 51 \xE2\x82\xAC short");
        EXPECT_EQ(field(got, "X-H-color"), "red");
        EXPECT_EQ(field(got, "Content-Type"), "text/plain");
        EXPECT_EQ(field(got, "X-H-x-first-death-reason"), "rejected");
        EXPECT_EQ(field(got, "X-H-x-first-death-queue"), q);
    }
}

TEST_P(HttpMessaging, TheLastReasonCounts) {
    declare("end");
    declare("second", {{"x-dead-letter-exchange", core::make_string("")},
                       {"x-dead-letter-routing-key", core::make_string("end")}});
    declare("first", {{"x-dead-letter-exchange", core::make_string("")},
                      {"x-dead-letter-routing-key", core::make_string("second")}});
    ask("POST /v1/%2F/q/first", "body");
    for (const std::string q : {"first", "second"}) {
        const auto got = ask("GET /v1/%2F/q/" + q);
        EXPECT_THAT(ask("POST /v1/%2F/leases/" + field(got, "Lease") + "/nack?requeue=false", "not in " + q),
                    StartsWith("HTTP/1.1 204 "));
    }
    const auto got = ask("GET /v1/%2F/q/end");
    EXPECT_EQ(field(got, "X-H-x-reject-reason"), "not in second");
    EXPECT_THAT(field(got, "X-H-x-death"), AllOf(HasSubstr("first"), HasSubstr("second")));
    EXPECT_EQ(field(got, "X-H-x-first-death-queue"), "first");
}

TEST_P(HttpMessaging, SeveralAreTakenAsLines) {
    declare("q");
    for (int i = 0; i < 5; ++i) {
        ask("POST /v1/%2F/q/q", i == 1 ? "\xff" : "m" + std::to_string(i));
    }
    const auto got = ask("GET /v1/%2F/q/q?max=3");
    EXPECT_THAT(got, HasSubstr("Content-Type: application/x-ndjson\r\n"));
    const auto text = got.substr(got.find("\r\n\r\n") + 4);
    std::vector<nlohmann::json> lines;
    for (std::size_t at = 0; at < text.size();) {
        const auto end = text.find('\n', at);
        lines.push_back(nlohmann::json::parse(text.substr(at, end - at)));
        at = end + 1;
    }
    ASSERT_EQ(lines.size(), 3U);
    EXPECT_EQ(lines[0]["body"], "m0");
    EXPECT_EQ(lines[1]["base64"], "/w==");
    EXPECT_EQ(lines[2]["attempt"], 1);
    EXPECT_THAT(ask("DELETE /v1/%2F/leases/" + lines[2]["lease"].get<std::string>()), StartsWith("HTTP/1.1 204 "));
}

TEST_P(HttpMessaging, WhoWaitsIsAnsweredWhenSomethingComes) {
    declare("q");
    line waits(w, settings);
    EXPECT_EQ(ask(waits, "GET /v1/%2F/q/q?wait=5"), "");
    ask("POST /v1/%2F/q/q", "late");
    turn();
    EXPECT_THAT(waits.written(), EndsWith("late"));
    EXPECT_EQ(ask(waits, "GET /v1/%2F/q/q?wait=5"), "");
    w.pass(6 * ns_per_s);
    EXPECT_THAT(waits.written(), StartsWith("HTTP/1.1 204 "));
    {
        line leaves(w, settings);
        w.shard->begin_turn();
        EXPECT_EQ(ask(leaves, "GET /v1/%2F/q/q?wait=50"), "");
        leaves.talk.on_peer_closed();
    }
    turn();
    ask("POST /v1/%2F/q/q", "kept");
    EXPECT_THAT(ask("GET /v1/%2F/q/q"), EndsWith("kept"));
}

TEST_P(HttpMessaging, RepeatedRequestsPublishOnce) {
    declare("q");
    const auto once = "Idempotency-Key: k\r\n";
    const auto first = ask("POST /v1/%2F/q/q", "m", once);
    const auto again = ask("POST /v1/%2F/q/q", "m", once);
    EXPECT_THAT(again, AllOf(StartsWith("HTTP/1.1 201 "), HasSubstr("Idempotent-Replayed: true\r\n")));
    EXPECT_EQ(field(first, "Message-Id"), "k");
    EXPECT_EQ(field(again, "Message-Id"), "k");
    EXPECT_THAT(ask("GET /v1/%2F/q/q"), EndsWith("m"));
    EXPECT_THAT(ask("GET /v1/%2F/q/q"), StartsWith("HTTP/1.1 204 "));
    w.pass(11 * 60 * ns_per_s);
    w.shard->begin_turn();
    EXPECT_THAT(ask("POST /v1/%2F/q/q", "m", once), Not(HasSubstr("Replayed")));
}

TEST_P(HttpMessaging, ARepeatedBatchIsPublishedOnce) {
    const std::string_view lines = "{\"body\":\"a\"}\n{\"body\":\"b\",\"message_id\":\"mine\"}\n";
    const std::string_view once = "Content-Type: application/x-ndjson\r\nIdempotency-Key: k\r\n";
    const auto text_of = [](const std::string& answer) { return answer.substr(answer.find("\r\n\r\n") + 4); };
    for (const std::string q : {"one", "two", "three"}) {  // on whatever shards they and their keys are
        declare(q);
        const auto first = ask("POST /v1/%2F/q/" + q, lines, once);
        EXPECT_EQ(text_of(first), "{\"status\":201,\"id\":\"k:1\"}\n{\"status\":201,\"id\":\"mine\"}\n");
        const auto again = ask("POST /v1/%2F/q/" + q, lines, once);
        EXPECT_THAT(again, AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("Idempotent-Replayed: true\r\n")));
        EXPECT_EQ(text_of(again), text_of(first));
        EXPECT_THAT(ask("GET /v1/%2F/q/" + q), EndsWith("a"));
        EXPECT_THAT(ask("GET /v1/%2F/q/" + q), EndsWith("b"));
        EXPECT_THAT(ask("GET /v1/%2F/q/" + q), StartsWith("HTTP/1.1 204 "));
    }
    // One of which nothing was published may be tried again.
    EXPECT_THAT(ask("POST /v1/%2F/x/amq.default/later", lines, once), HasSubstr("{\"status\":404,"));
    declare("later");
    EXPECT_THAT(ask("POST /v1/%2F/x/amq.default/later", lines, once),
                AllOf(HasSubstr("{\"status\":201,"), Not(HasSubstr("Replayed"))));
    const auto longer = "Content-Type: application/x-ndjson\r\nIdempotency-Key: " + std::string(201, 'k') + "\r\n";
    EXPECT_THAT(ask("POST /v1/%2F/q/later", lines, longer), StartsWith("HTTP/1.1 400 "));
}

TEST_P(HttpMessaging, TheLatestOfAnswersThatAreKeptStay) {
    declare("q");
    std::string lines;
    for (int i = 0; i < 1000; ++i) {
        lines += "{}\n";
    }
    const auto ask_with = [&](int key) {
        return ask("POST /v1/%2F/q/q", lines,
                   "Content-Type: application/x-ndjson\r\nIdempotency-Key: k" + std::to_string(key) + "\r\n");
    };
    for (int key = 0; key < 10; ++key) {
        EXPECT_THAT(ask_with(key), AllOf(StartsWith("HTTP/1.1 200 "), Not(HasSubstr("Replayed"))));
    }
    EXPECT_THAT(ask_with(9), HasSubstr("Replayed"));
    EXPECT_THAT(ask_with(0), Not(HasSubstr("Replayed"))) << "each is some 30 kB";
}

TEST_P(HttpMessaging, WhatNoLeaseIsThereForStaysInItsQueue) {
    declare("q");
    std::string lines;
    for (int i = 0; i < 60; ++i) {
        lines += "{\"body\":\"m\"}\n";
    }
    ask("POST /v1/%2F/q/q", lines, "Content-Type: application/x-ndjson\r\n");
    const auto taken = [](const std::string& answer) {
        return std::ranges::count(answer.substr(answer.find("\r\n\r\n") + 4), '\n');
    };
    const auto first = ask("GET /v1/%2F/q/q?max=48");
    EXPECT_EQ(taken(first), 48);
    EXPECT_EQ(taken(ask("GET /v1/%2F/q/q?max=20")), 2) << "as many as there may still be";
    for (const auto* of : {"", "?max=20", "?wait=5"}) {
        EXPECT_THAT(ask("GET /v1/%2F/q/q" + std::string(of)), StartsWith("HTTP/1.1 429 ")) << of;
    }
    EXPECT_EQ(field(ask("GET /v1/%2F/q/q?lease=0"), "Delivery-Attempt"), "1") << "that takes no lease";
    const auto begin = first.find("{\"lease\":\"") + 10;
    EXPECT_THAT(ask("DELETE /v1/%2F/leases/" + first.substr(begin, first.find('"', begin) - begin)),
                StartsWith("HTTP/1.1 204 "));
    EXPECT_EQ(field(ask("GET /v1/%2F/q/q"), "Delivery-Attempt"), "1") << "no attempt was spent";
}

TEST_P(HttpMessaging, WhatLeadsNowhereIsToldSo) {
    EXPECT_THAT(ask("POST /v1/%2F/q/none", "m"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("POST /v1/%2F/x/none/key", "m"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("POST /v1/%2F/x/amq.direct/key", "m"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("POST /v1/%2F/t/a/b", "m"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("POST /v1/none/t/a/b", "m"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("GET /v1/%2F/what"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("GET /v1/%2F/q/none"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("GET /v1"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("DELETE /v1/%2F/q"), AllOf(StartsWith("HTTP/1.1 405 "), HasSubstr("Allow: GET, HEAD\r\n")));
    declare("q");
    EXPECT_THAT(ask("POST /v1/%2F/q/q", "m", "Prefer: respond-async\r\n"), StartsWith("HTTP/1.1 202 "));
    for (const auto bad : {"TTL: -1\r\n", "TTL: soon\r\n", "Timestamp: x\r\n", "Durability: paper\r\n"}) {
        EXPECT_THAT(ask("POST /v1/%2F/q/q", "m", bad), StartsWith("HTTP/1.1 400 ")) << bad;
    }
    for (const auto bad : {"wait=61", "max=0", "max=x", "bytes=-1", "lease=99999"}) {
        EXPECT_THAT(ask("GET /v1/%2F/q/q?" + std::string(bad)), StartsWith("HTTP/1.1 400 ")) << bad;
    }
    // What browsers send is not for us.
    EXPECT_THAT(ask("POST /v1/%2F/q/q", "m", "Priority: u=1, i\r\n"), StartsWith("HTTP/1.1 201 "));
}

TEST_P(HttpMessaging, RightsAreAskedOnEveryPath) {
    declare("q");
    declare("open.q");
    constexpr std::string_view limited = "bGltaXRlZDpsaW1pdGVk";
    constexpr std::string_view nobody = "bm9ib2R5Om5vYm9keQ==";
    EXPECT_THAT(ask("GET /v1/%2F/q", {}, {}, nobody), StartsWith("HTTP/1.1 403 "));
    EXPECT_THAT(ask("GET /v1/other/q"), StartsWith("HTTP/1.1 403 "));
    for (const auto what : {"POST /v1/%2F/q/q", "POST /v1/%2F/x/amq.direct/k", "POST /v1/%2F/t/a", "PUT /v1/%2F/t/a",
                            "DELETE /v1/%2F/t/a", "GET /v1/%2F/t/a", "GET /v1/%2F/q/q", "GET /v1/%2F/q/q/events",
                            "GET /v1/%2F/events?topic=a"}) {
        const bool body = what[1] == 'O' || what[1] == 'U';
        EXPECT_THAT(ask(what, body ? "m" : "", {}, limited), StartsWith("HTTP/1.1 403 ")) << what;
    }
    EXPECT_THAT(ask("GET /v1/%2F/q/open.q", {}, {}, limited), StartsWith("HTTP/1.1 204 "));
    EXPECT_THAT(ask("GET /v1/%2F/q", {}, {}, limited), AllOf(HasSubstr("open.q"), Not(HasSubstr("\"q\""))));
    EXPECT_THAT(ask("GET /v1/%2F/x"), HasSubstr("\"name\":\"amq.topic\",\"type\":\"topic\""));
    // A lease is its user's.
    ask("POST /v1/%2F/q/open.q", "m");
    const auto got = ask("GET /v1/%2F/q/open.q");
    EXPECT_THAT(ask("DELETE /v1/%2F/leases/" + field(got, "Lease"), {}, {}, limited), StartsWith("HTTP/1.1 410 "));
}

TEST_P(HttpMessaging, ManyArePublishedAtOnce) {
    declare("q");
    const auto said = ask("POST /v1/%2F/q/q",
                          "{\"body\":\"a\",\"headers\":{\"n\":1}}\n\n{\"base64\":\"/w==\",\"message_id\":\"two\"}\n"
                          "{\"body\":\"c\",\"key\":\"none\"}\n",
                          "Content-Type: application/x-ndjson\r\n");
    EXPECT_THAT(said,
                AllOf(StartsWith("HTTP/1.1 200 "), HasSubstr("{\"status\":201,\"id\":\"two\"}\n{\"status\":404")));
    const auto got = ask("GET /v1/%2F/q/q?max=10");
    EXPECT_THAT(got, AllOf(HasSubstr("\"headers\":{\"n\":1}"), HasSubstr("\"base64\":\"/w==\"")));
    EXPECT_THAT(ask("POST /v1/%2F/q/q", "{\"body\":1}", "Content-Type: application/x-ndjson\r\n"),
                AllOf(StartsWith("HTTP/1.1 400 "), HasSubstr("line 1")));
}

TEST_P(HttpMessaging, ATopicHasALastValue) {
    EXPECT_THAT(ask("GET /v1/%2F/t/house/temp"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("PUT /v1/%2F/t/house/temp", "21", "Content-Type: text/plain\r\n"), StartsWith("HTTP/1.1 201 "));
    const auto got = ask("GET /v1/%2F/t/house/temp");
    EXPECT_THAT(got, AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("\r\n\r\n21")));
    const auto known = "If-None-Match: " + field(got, "ETag") + "\r\n";
    EXPECT_THAT(ask("GET /v1/%2F/t/house/temp", {}, known), StartsWith("HTTP/1.1 304 "));
    ask("PUT /v1/%2F/t/house/temp", "22");
    EXPECT_THAT(ask("GET /v1/%2F/t/house/temp", {}, known), EndsWith("22"));
    EXPECT_THAT(ask("DELETE /v1/%2F/t/house/temp"), StartsWith("HTTP/1.1 201 "));
    EXPECT_THAT(ask("GET /v1/%2F/t/house/temp"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(ask("GET /v1/%2F/t/a%2Fb"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask("GET /v1/%2F/t/%2B"), StartsWith("HTTP/1.1 400 "));
}

TEST_P(HttpMessaging, TopicsAreListenedTo) {
    line one(w, settings);
    line two(w, settings);
    EXPECT_THAT(ask(one, "GET /v1/%2F/events?topic=a/%2B&topic=b/%23"),
                AllOf(HasSubstr("Content-Type: text/event-stream\r\n"), HasSubstr("retry: 2000\n")));
    ask(two, "GET /v1/%2F/events?topic=b/%23&topic=a/%2B");
    EXPECT_THAT(ask("POST /v1/%2F/t/a/x", "plain\ntext", "Content-Type: text/plain\r\n"), StartsWith("HTTP/1.1 201 "));
    for (auto* const l : {&one, &two}) {
        EXPECT_THAT(l->written(), ContainsRegex("id: [0-9]+:1\nevent: text/plain\ndata: plain\ndata: text\n\n"));
    }
    ask("POST /v1/%2F/t/b", "\x01\xff", "Type: odd\r\n");
    EXPECT_THAT(one.written(), HasSubstr("event: odd;base64\ndata: {"));
    w.pass(16 * ns_per_s);
    EXPECT_THAT(one.written(), HasSubstr(":\n\n"));
    one.talk.on_peer_closed();
    two.talk.on_peer_closed();
    turn();
    EXPECT_THAT(ask("POST /v1/%2F/t/a/x", "they may come back"), StartsWith("HTTP/1.1 201 "));
    w.pass(11 * ns_per_s);
    EXPECT_THAT(ask("POST /v1/%2F/t/a/x", "nobody"), StartsWith("HTTP/1.1 404 "));  // its queue has gone
    EXPECT_THAT(ask("GET /v1/%2F/events"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask("GET /v1/%2F/events?topic=a%23"), StartsWith("HTTP/1.1 400 "));
    EXPECT_THAT(ask("GET /v1/%2F/events?topic=a&after=x"), StartsWith("HTTP/1.1 400 "));
}

// The ids and data of events, in order.
std::vector<std::pair<std::string, std::string>> events_in(const std::string& said) {
    std::vector<std::pair<std::string, std::string>> found;
    const auto value = [](const std::string& block, std::string_view field) {
        const auto at = block.find(field);
        return at == std::string::npos ? std::string{}
                                       : block.substr(at + field.size(), block.find('\n', at + 1) - at - field.size());
    };
    for (std::size_t at = 0, end = said.find("\n\n"); end != std::string::npos;
         at = end + 1, end = said.find("\n\n", at + 1)) {
        const auto block = said.substr(at, end + 1 - at);
        if (auto data = value(block, "\ndata: "); !data.empty()) {
            found.emplace_back(value(block, "\nid: "), std::move(data));
        }
    }
    return found;
}

std::vector<std::string> data_in(const std::string& said) {
    std::vector<std::string> data;
    for (const auto& [id, text] : events_in(said)) {
        data.push_back(text);
    }
    return data;
}

TEST_P(HttpMessaging, AReaderOfTopicsThatWasCutOffGoesOnWhereItWas) {
    constexpr auto listen = "GET /v1/%2F/events?topic=a";
    const auto publish = [&](std::string_view body) { ask("POST /v1/%2F/t/a", body, "Content-Type: text/plain\r\n"); };
    std::string second;
    {
        line l(w, settings);
        std::string said = ask(l, listen);
        publish("1");
        publish("2");
        publish("3");
        said += l.written();
        const auto seen = events_in(said);
        ASSERT_EQ(seen.size(), 3U);
        second = seen[1].first;
        l.talk.on_peer_closed();
        turn();
    }
    publish("4");
    w.pass(9 * ns_per_s);
    line l(w, settings);
    EXPECT_THAT(data_in(ask(l, listen, {}, "Last-Event-ID: " + second + "\r\n")), ElementsAre("3", "4"));
    w.pass(60 * ns_per_s);  // the tail stays for who is there
    l.written();
    publish("5");
    EXPECT_THAT(data_in("\n" + l.written()), ElementsAre("5"));
    line other(w, settings);
    EXPECT_THAT(data_in(ask(other, listen)), IsEmpty()) << "who has seen nothing misses nothing";
    line asks(w, settings);
    EXPECT_THAT(data_in(ask(asks, std::string(listen) + "&after=" + second)), ElementsAre("3", "4", "5"));
}

// Wherever the history is, and whichever shard it comes back to.
TEST_P(HttpMessaging, AReaderOfTopicsGoesOnOnAnotherShard) {
    if (parts.size() == 1) {
        GTEST_SKIP() << "there is no other";
    }
    auto there = settings;
    there.handlers = {{.prefix = "/v1/", .handler = parts[1].get()}};
    for (const std::string topic : {"a", "b", "c", "d", "e", "f", "g", "h"}) {
        const auto listen = "GET /v1/%2F/events?topic=" + topic;
        const auto publish = [&](std::string_view body) {
            ask("POST /v1/%2F/t/" + topic, body, "Content-Type: text/plain\r\n");
        };
        std::string last;
        std::vector<std::string> seen;
        int published = 0;
        for (int visit = 0; visit < 6; ++visit) {
            const bool away = visit % 2 == 1;
            line stays(w, settings);  // now and then somebody keeps the other shard's tail
            if (visit % 3 == 0) {
                ask(stays, listen);
            }
            line l(w, away ? there : settings, *w.shards[away ? 1 : 0]);
            w.shards[away ? 1 : 0]->begin_turn();
            auto said = ask(l, listen, {}, last.empty() ? "" : "Last-Event-ID: " + last + "\r\n");
            publish(std::to_string(++published));
            publish(std::to_string(++published));
            said += l.written();
            EXPECT_THAT(said, Not(HasSubstr("event: gap")));
            for (const auto& [id, data] : events_in(said)) {
                last = id;
                seen.push_back(data);
            }
            l.talk.on_peer_closed();
            turn();
            publish(std::to_string(++published));  // while it is away
        }
        std::vector<std::string> all;
        for (int i = 1; i < published; ++i) {
            all.push_back(std::to_string(i));
        }
        EXPECT_EQ(seen, all) << topic;
    }
}

TEST_P(HttpMessaging, AReaderOfTopicsIsToldAtOnceWhereItIs) {
    constexpr auto listen = "GET /v1/%2F/events?topic=a";
    std::string place;
    {
        line l(w, settings);
        const auto said = ask(l, listen);
        const auto at = said.find("id: ");
        ASSERT_NE(at, std::string::npos);
        place = said.substr(at + 4, said.find('\n', at) - at - 4);
        EXPECT_THAT(place, EndsWith(":0"));
        l.talk.on_peer_closed();
        turn();
    }
    ask("POST /v1/%2F/t/a", "1", "Content-Type: text/plain\r\n");
    line l(w, settings);
    EXPECT_THAT(data_in(ask(l, listen, {}, "Last-Event-ID: " + place + "\r\n")), ElementsAre("1"));
}

// Nobody comes to what others listen to by asking for something that reads alike.
TEST_P(HttpMessaging, ReadersOfOtherTopicsAreOthers) {
    for (const std::string group : {"", "&group=g"}) {
        line one(w, settings);
        line two(w, settings);
        ask(one, "GET /v1/%2F/events?topic=a&topic=b" + group);
        ask(two, "GET /v1/%2F/events?event=%0Aa&topic=b" + group);
        ask("POST /v1/%2F/t/a", "1", "Content-Type: text/plain\r\n");
        EXPECT_THAT(one.written(), HasSubstr("data: 1\n")) << group;
        EXPECT_THAT(two.written(), Not(HasSubstr("data: 1\n"))) << group;
    }
    const auto longer = "&group=" + std::string(90, 'g') + "&topic=" + std::string(200, 't');
    EXPECT_THAT(ask("GET /v1/%2F/events?topic=a" + longer), StartsWith("HTTP/1.1 400 "));
}

TEST_P(HttpMessaging, AReaderOfTopicsIsToldWhatItHasMissed) {
    constexpr auto listen = "GET /v1/%2F/events?topic=a";
    line l(w, settings);
    ask(l, listen);
    const std::string body(50'000, 'x');
    std::string first;
    for (int i = 0; i < 30; ++i) {
        ask("POST /v1/%2F/t/a", body, "Content-Type: text/plain\r\n");
        const auto seen = events_in("\n" + l.written());
        ASSERT_EQ(seen.size(), 1U);
        first = first.empty() ? seen[0].first : first;
    }
    const auto again = "Last-Event-ID: " + first + "\r\n";
    const auto come_back = [&](const std::string& field) {
        line back(w, settings);
        std::string said = ask(back, listen, {}, field);
        for (int i = 0; i < 30; ++i) {
            turn();
            said += back.written();
        }
        return events_in(said);
    };
    const auto seen = come_back(again);
    // Some went, 1 MiB of them stayed, and their ids say the same.
    ASSERT_GT(seen.size(), 1U);
    ASSERT_LT(seen.size(), 30U);
    const auto history = first.substr(0, first.find(':') + 1);
    const auto dropped = 30 - seen.size();
    EXPECT_EQ(seen[0],
              std::pair(history + std::to_string(1 + dropped), "{\"dropped\":" + std::to_string(dropped) + "}"));
    EXPECT_EQ(seen[1].first, history + std::to_string(2 + dropped));
    EXPECT_EQ(seen.back().first, history + "30");
    // Another history's, or no history's: nobody knows how many.
    for (const std::string id : {"7:1", "1", "0:0"}) {
        EXPECT_THAT(come_back("Last-Event-ID: " + id + "\r\n"),
                    ElementsAre(std::pair(history + "30", std::string("{\"dropped\":null}"))))
            << id;
    }
    l.talk.on_peer_closed();
    turn();
    w.pass(11 * ns_per_s);
    const auto late = come_back(again);
    ASSERT_EQ(late.size(), 1U);
    EXPECT_EQ(late[0].second, "{\"dropped\":null}");
}

TEST_P(HttpMessaging, AReaderThatNeverReadsMissesWhatIsOldAndIsTold) {
    line l(w, settings);
    ask(l, "GET /v1/%2F/events?topic=a");
    l.stuck = true;
    line p(w, settings);
    const std::string body(50'000, 'x');
    for (int i = 0; i < 80; ++i) {
        ask(p, "POST /v1/%2F/t/a", body, "Content-Type: text/plain\r\n");
        l.written();
    }
    EXPECT_LT(l.pending(), 2U * 1024 * 1024);
    l.stuck = false;
    std::string said;
    for (int i = 0; i < 20; ++i) {
        said += l.written();
        turn();
    }
    EXPECT_THAT(said, ContainsRegex("id: [0-9]+:[0-9]+\nevent: gap\ndata: [{]\"dropped\":[1-9]"));
}

TEST_P(HttpMessaging, AQueuesReadersCompete) {
    declare("q");
    line one(w, settings);
    line two(w, settings);
    EXPECT_THAT(ask(one, "GET /v1/%2F/q/q/events?event=message"), HasSubstr("text/event-stream"));
    ask(two, "GET /v1/%2F/q/q/events");
    ask("POST /v1/%2F/q/q", "1", "Content-Type: text/plain\r\n");
    ask("POST /v1/%2F/q/q", "2", "Content-Type: text/plain\r\n");
    const auto a = one.written();
    const auto b = two.written();
    EXPECT_THAT(a + b, AllOf(HasSubstr("data: 1\n"), HasSubstr("data: 2\n")));
    EXPECT_NE(a, "");
    EXPECT_NE(b, "");
    EXPECT_THAT(a, HasSubstr("event: message\n"));
    one.talk.on_peer_closed();
    two.talk.on_peer_closed();
    turn();
    ask("POST /v1/%2F/q/q", "3");
    EXPECT_THAT(ask("GET /v1/%2F/q/q"), EndsWith("3"));
}

TEST_P(HttpMessaging, AQueueHearsAtOnceOfWhatAReaderHasBeenSent) {
    declare("q");
    line l(w, settings);
    ask(l, "GET /v1/%2F/q/q/events");
    constexpr int more_than_is_lent = 200;
    for (int i = 0; i < more_than_is_lent; ++i) {
        ask("POST /v1/%2F/q/q", "x", "Content-Type: text/plain\r\n");
    }
    // What is sent is settled after a turn's end. A shard that slept on it would have the rest wait for whatever comes.
    std::string got = l.written();
    while (!w.shard->prepare_to_sleep()) {
        w.turn();
        got += l.written();
    }
    w.shard->awake();
    std::size_t events = 0;
    for (auto at = got.find("data: x\n"); at != std::string::npos; at = got.find("data: x\n", at + 1)) {
        ++events;
    }
    EXPECT_EQ(events, more_than_is_lent);
}

TEST_P(HttpMessaging, AGroupSharesWhatIsPublishedAndMissesNothing) {
    constexpr auto listen = "GET /v1/%2F/events?topic=a/%23&group=g&event=message";
    std::string got;
    {
        line one(w, settings);
        line two(w, settings);
        EXPECT_THAT(ask(one, listen), HasSubstr("text/event-stream"));
        EXPECT_THAT(ask(two, listen), HasSubstr("text/event-stream"));
        for (const std::string n : {"1", "2", "3", "4"}) {
            ask("POST /v1/%2F/t/a/b", n, "Content-Type: text/plain\r\n");
        }
        const auto a = one.written();
        const auto b = two.written();
        EXPECT_NE(a, "");
        EXPECT_NE(b, "");
        got = a + b;
        one.talk.on_peer_closed();
        two.talk.on_peer_closed();
        turn();
    }
    for (const std::string n : {"1", "2", "3", "4"}) {
        const auto event = "data: " + n + "\n";
        EXPECT_NE(got.find(event), std::string::npos) << n;
        EXPECT_EQ(got.find(event), got.rfind(event)) << n;
    }
    EXPECT_THAT(ask("POST /v1/%2F/t/a/b", "5", "Content-Type: text/plain\r\n"), StartsWith("HTTP/1.1 201 "));
    line again(w, settings);
    EXPECT_THAT(ask(again, listen), HasSubstr("data: 5\n"));
    EXPECT_THAT(ask("GET /v1/%2F/events?topic=a&group="), StartsWith("HTTP/1.1 400 "));
}

TEST_P(HttpMessaging, SaysWhatItOffers) {
    const auto said = ask("GET /v1/openapi.json");
    EXPECT_THAT(said, StartsWith("HTTP/1.1 200 "));
    const auto doc = nlohmann::json::parse(openapi_json);
    declare("queue");
    // Whatever it names is there: no path answers as one that is not, no method as one that is not allowed.
    for (const auto& [path, item] : doc["paths"].items()) {
        for (const std::string method : {"get", "post", "put", "delete", "patch"}) {
            std::string at = path;
            for (const auto& [name, value] :
                 std::vector<std::pair<std::string, std::string>>{{"{vhost}", "%2F"},
                                                                  {"{topic}", "a/b"},
                                                                  {"{queue}", "queue"},
                                                                  {"{exchange}", "amq.direct"},
                                                                  {"{key}", "k"},
                                                                  {"{lease}", "l"},
                                                                  {"{reply}", "0"}}) {
                if (const auto found = at.find(name); found != std::string::npos) {
                    at.replace(found, name.size(), value);
                }
            }
            std::string upper = method;
            for (auto& c : upper) {
                c = static_cast<char>(c - 'a' + 'A');
            }
            const auto body = method == "post" || method == "put" ? "m" : "";
            const auto answer = ask(upper + " /v1" + at, body);
            const bool allowed = !answer.starts_with("HTTP/1.1 405 ") &&
                                 answer.find("nothing is served at this path") == std::string::npos;
            EXPECT_EQ(allowed, item.contains(method)) << upper << " " << at << "\n" << answer;
            if (!item.contains(method) || item[method].value("requestBody", nlohmann::json{}).is_null()) {
                continue;
            }
            // Many messages at once, where it says so and nowhere else.
            const auto batch = ask(upper + " /v1" + at, "{}\n", "Content-Type: application/x-ndjson\r\n");
            EXPECT_EQ(batch.find("Content-Type: application/x-ndjson") != std::string::npos,
                      item[method]["responses"].value("200", nlohmann::json{}).dump().find("ndjson") !=
                          std::string::npos)
                << upper << " " << at << "\n"
                << batch;
        }
    }
}

TEST(HttpBatch, RefusesWhatMakesNoSense) {
    std::string deep;
    for (int i = 0; i < 10'000; ++i) {
        deep += "{\"headers\":";
    }
    for (const std::string& bad :
         {std::string("[]"), std::string("{"), std::string("{\"body\":{}}"), deep,
          std::string("{\"headers\":{\"a\":{\"b\":{}}}}"), std::string("{\"what\":\"x\"}"), std::string("{\"ttl\":-1}"),
          std::string("{\"priority\":256}"), std::string("{\"base64\":\"=\"}"), std::string(100'000, '[')}) {
        EXPECT_FALSE(read_batch(bad)) << bad.substr(0, 50);
    }
    std::string many;
    for (std::size_t i = 0; i <= batch_lines_max; ++i) {
        many += "{}\n";
    }
    EXPECT_FALSE(read_batch(many));
    EXPECT_TRUE(read_batch(""));
}

}  // namespace
}  // namespace linnet::session::test
