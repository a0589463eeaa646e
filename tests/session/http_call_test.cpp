// Calls through HTTP, against the core: repeated ones, callers who go away, a full vhost, readers of progress who do
// not read; on one shard and on two.

#include "tests/session/http_messaging_fixture.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session::test {
namespace {

using ::testing::AllOf;
using ::testing::EndsWith;
using ::testing::StartsWith;

constexpr std::string_view waits = "Prefer: wait=50\r\n";

class HttpCall : public HttpMessaging {
protected:
    // A worker at that queue: its poll, which takes one request.
    void work(line& worker, const std::string& queue) {
        declare(queue);
        ASSERT_EQ(ask(worker, "GET /v1/%2F/q/" + queue + "?wait=60"), "");
    }
    static std::string call_to(const std::string& queue) { return "POST /v1/%2F/rpc/amq.default/" + queue; }
    std::string answer(const std::string& request, std::string_view body, std::string_view more = {}) {
        return ask("POST /v1/%2F/q/" + field(request, "Reply-To"), body,
                   "Content-Type: text/plain\r\n" + std::string(more));
    }
    // A part of a turn of all.
    void step(std::size_t number) {
        auto& s = *w.shards[number % w.shards.size()];
        s.begin_turn();
        while (s.end_turn()) {}
        w.shard->begin_turn();
    }
    [[nodiscard]] static std::vector<std::string> ids_in(const std::string& said) {
        std::vector<std::string> ids;
        for (auto at = said.find("id: "); at != std::string::npos; at = said.find("id: ", at + 1)) {
            ids.push_back(said.substr(at + 4, said.find('\n', at) - at - 4));
        }
        return ids;
    }
};
INSTANTIATE_TEST_SUITE_P(Shards, HttpCall, ::testing::Values(1, 2));

TEST_P(HttpCall, ARepeatedOneIsMadeOnce) {
    for (const std::string q : {"one", "two", "three"}) {  // on whatever shards they and their keys are
        const auto once = "Idempotency-Key: " + q + "\r\n";
        line worker(w, settings);
        work(worker, q);
        const auto first = ask(call_to(q), "order", once);
        EXPECT_THAT(first, StartsWith("HTTP/1.1 202 "));
        const auto request = worker.written();
        EXPECT_THAT(request, EndsWith("order"));
        EXPECT_EQ(field(request, "Message-Id"), q);
        // Nobody consumes any more, which matters to new ones only.
        EXPECT_THAT(ask(call_to(q), "order"), StartsWith("HTTP/1.1 503 "));
        const auto again = ask(call_to(q), "order", once);
        EXPECT_THAT(again, StartsWith("HTTP/1.1 202 "));
        EXPECT_EQ(field(again, "Location"), field(first, "Location"));
        line waiting(w, settings);
        EXPECT_EQ(ask(waiting, call_to(q), "order", once + std::string(waits)), "");
        EXPECT_THAT(ask("GET /v1/%2F/q/" + q), StartsWith("HTTP/1.1 204 ")) << "there is no second request";
        EXPECT_THAT(answer(request, "done"), StartsWith("HTTP/1.1 201 "));
        EXPECT_THAT(waiting.written(), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("done")));
        EXPECT_THAT(ask(call_to(q), "order", once), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("done")));
        EXPECT_THAT(ask("GET " + field(first, "Location")), EndsWith("done"));
        w.pass(11 * 60 * ns_per_s);
        w.shard->begin_turn();
        EXPECT_THAT(ask(call_to(q), "order", once), StartsWith("HTTP/1.1 503 ")) << "a new one";
    }
}

TEST_P(HttpCall, OneThatFailedMayBeTriedAgainUnderItsKey) {
    const std::string once = "Idempotency-Key: k\r\n";
    declare("q");
    EXPECT_THAT(ask(call_to("q"), "order", once), StartsWith("HTTP/1.1 503 "));
    line worker(w, settings);
    work(worker, "q");
    line caller(w, settings);
    EXPECT_EQ(ask(caller, call_to("q"), "order", once + std::string(waits)), "");
    EXPECT_THAT(answer(worker.written(), "done"), StartsWith("HTTP/1.1 201 "));
    EXPECT_THAT(caller.written(), EndsWith("done"));
}

TEST_P(HttpCall, OfACallerWhoHasGoneNothingStays) {
    int answered = 0;
    int told = 0;
    for (const std::string_view more : {waits, std::string_view{}}) {
        for (std::size_t steps = 0; steps < 12; ++steps) {  // at whatever moment it goes
            line worker(w, settings);
            work(worker, "q");
            std::string said;
            {
                line caller(w, settings);
                said = caller.read(request(call_to("q"), "order", more));
                for (std::size_t i = 0; i < steps; ++i) {
                    step(i + 1);
                }
                said += caller.written();
                caller.talk.on_peer_closed();
            }
            turn();
            const auto got = worker.written();
            worker.talk.on_peer_closed();
            turn();
            if (got.empty()) {
                EXPECT_EQ(said, "") << "it had gone before the request went out";
            } else if (said.empty()) {
                ++answered;
                EXPECT_THAT(answer(got, "for nobody"), StartsWith("HTTP/1.1 404 ")) << steps;
            } else {
                ++told;
                EXPECT_THAT(answer(got, "for who comes back"), StartsWith("HTTP/1.1 201 ")) << steps;
                EXPECT_THAT(ask("GET " + field(said, "Location")), EndsWith("for who comes back"));
            }
        }
    }
    EXPECT_GT(answered, 0);
    EXPECT_GT(told, 0);
}

TEST_P(HttpCall, ACallerWithAKeyMayComeBack) {
    const auto more = "Idempotency-Key: k\r\n" + std::string(waits);
    line worker(w, settings);
    work(worker, "q");
    {
        line caller(w, settings);
        EXPECT_EQ(ask(caller, call_to("q"), "order", more), "");
        caller.talk.on_peer_closed();
    }
    turn();
    EXPECT_THAT(answer(worker.written(), "done"), StartsWith("HTTP/1.1 201 "));
    EXPECT_THAT(ask(call_to("q"), "order", more), AllOf(StartsWith("HTTP/1.1 200 "), EndsWith("done")));
}

// Else callers who wait would keep out who lets them go.
TEST_P(HttpCall, AnAnswerIsTakenThoughItsVhostIsFull) {
    const auto slash = core::topology_view::id_of(*w.shard->topology().find_vhost("/"));
    ASSERT_TRUE(w.parts.editor().set_vhost_limits(slash, core::vhost_limits{2, std::nullopt}).has_value());
    w.parts.publish_topology();
    declare("other");
    line worker(w, settings);
    work(worker, "q");
    line caller(w, settings);
    EXPECT_EQ(ask(caller, call_to("q"), "order", waits), "");
    const auto request = worker.written();
    line idle(w, settings);
    EXPECT_EQ(ask(idle, "GET /v1/%2F/q/other?wait=60"), "");
    EXPECT_THAT(ask("POST /v1/%2F/q/other", "m"), StartsWith("HTTP/1.1 429 "));
    EXPECT_THAT(answer(request, "done"), StartsWith("HTTP/1.1 201 "));
    EXPECT_THAT(caller.written(), EndsWith("done"));
}

TEST_P(HttpCall, AReaderOfProgressThatDoesNotReadMissesTheOldest) {
    constexpr std::size_t large = 80;
    for (const std::size_t small : {0, 100}) {
        line worker(w, settings);
        work(worker, "q");
        const auto place = field(ask(call_to("q"), "order"), "Location");
        const auto request = worker.written();
        line reader(w, settings);
        auto said = ask(reader, "GET " + place, {}, "Accept: text/event-stream\r\n");
        EXPECT_THAT(said, StartsWith("HTTP/1.1 200 "));
        reader.stuck = true;
        for (std::size_t i = 0; i < large + small; ++i) {
            const std::string body(i < large ? 50'000 : 10, 'x');
            EXPECT_THAT(answer(request, body, "X-H-x-progress: 1\r\n"), StartsWith("HTTP/1.1 201 "));
            reader.written();
        }
        EXPECT_THAT(answer(request, "done"), StartsWith("HTTP/1.1 201 "));
        reader.stuck = false;
        for (int i = 0; i < 20; ++i) {
            said += reader.written();
            turn();
        }
        // What had gone to the socket's output, and as much again at most.
        EXPECT_LT(said.size(), 2'400'000U);
        EXPECT_THAT(said, AllOf(::testing::HasSubstr("event: result\ndata: done\n"), EndsWith("0\r\n\r\n")));
        const auto ids = ids_in(said);
        std::size_t first = 0;
        while (first < ids.size() && ids[first] == std::to_string(first + 1)) {
            ++first;
        }
        ASSERT_GT(ids.size(), first + 1);
        EXPECT_EQ(ids.back(), "end");
        EXPECT_EQ(ids[ids.size() - 2], std::to_string(large + small));
        if (small != 0) {
            EXPECT_EQ(ids.size() - first, 64U);
        }
        EXPECT_EQ(ids[first], std::to_string(large + small + 2 - (ids.size() - first))) << "only the oldest went";
    }
}

}  // namespace
}  // namespace linnet::session::test
