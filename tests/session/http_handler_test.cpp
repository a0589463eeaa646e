// What stands between an HTTP connection and its handlers: bodies, logins, order, answers now, later, never, in pieces.

#include "broker/core/message_builder.hpp"
#include "broker/core/scope_grant.hpp"
#include "protocol/wire/bytes.hpp"
#include "tests/session/http_line.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <zlib.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::session::test {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// Says what it was asked; keeps what it is to answer later.
class recorder final : public http_handler {
public:
    void on_request(const http_request& r, http_responder to) override {
        std::string said(r.head.method_name);
        for (const auto s : r.segments()) {
            said += " " + std::string(s);
        }
        said += " by " + r.user.name + ": " + std::string(r.body);
        seen.push_back(said);
        if (on_next) {
            std::exchange(on_next, nullptr)(std::move(to));
        } else if (late) {
            waiting.push_back(std::move(to));
            waiting.back().on_gone([this] { ++gone; });
        } else {
            std::move(to).answer({.fields = {{"Content-Type", "text/plain"}}, .body = said});
        }
    }
    [[nodiscard]] std::uint64_t body_bytes_max() const noexcept override { return 1000; }
    [[nodiscard]] bool takes_by_get(std::span<const std::string_view> path) const noexcept override {
        return path.back() == "take";
    }
    [[nodiscard]] std::optional<http_answer> before_body(const http_request& r) override {
        return r.query("full")
                   ? std::optional(problem_answer({.code = http::status::service_unavailable}, {{"Retry-After", "1"}}))
                   : std::nullopt;
    }

    bool late = false;
    std::function<void(http_responder)> on_next;
    std::vector<std::string> seen;
    std::vector<http_responder> waiting;
    int gone = 0;
};

// Writes pieces while it has some.
class pieces final : public http_source {
public:
    pieces(int count, std::string piece, bool* destroyed) : left_(count), piece_(std::move(piece)), gone_(destroyed) {}
    ~pieces() override { *gone_ = true; }
    progress write(http_body& to) override {
        ++asked;
        to.append(piece_);
        return --left_ == 0 ? progress::done : progress::more;
    }
    static inline int asked = 0;

private:
    int left_;
    std::string piece_;
    bool* gone_;
};

// The body of an answer in chunks.
std::string unchunked(std::string_view answer) {
    std::string body;
    answer.remove_prefix(answer.find("\r\n\r\n") + 4);
    while (!answer.empty()) {
        const auto size = std::stoul(std::string(answer.substr(0, answer.find("\r\n"))), nullptr, 16);
        answer.remove_prefix(answer.find("\r\n") + 2);
        body += answer.substr(0, size);
        answer.remove_prefix(size + 2);
    }
    return body;
}

// Not zipped to nothing.
std::string very_large_text() {
    std::string text(600'000, 'a');
    for (std::size_t i = 0; i < text.size(); ++i) {
        text[i] = static_cast<char>('a' + i * i % 23);
    }
    return text;
}

std::string unzipped(std::string_view packed) {
    constexpr int window_bits = 15 + 16;  // 16: gzip
    z_stream z{};
    EXPECT_EQ(inflateInit2(&z, window_bits), Z_OK);
    std::string text(2'000'000, '\0');
    z.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(packed.data()));  // zlib reads only
    z.avail_in = static_cast<uInt>(packed.size());
    z.next_out = reinterpret_cast<Bytef*>(text.data());
    z.avail_out = static_cast<uInt>(text.size());
    EXPECT_EQ(inflate(&z, Z_FINISH), Z_STREAM_END);
    text.resize(text.size() - z.avail_out);
    inflateEnd(&z);
    return text;
}

class HttpHandler : public ::testing::Test {
protected:
    HttpHandler() {
        settings.handlers = {{.prefix = "/v1/", .handler = &h},
                             {.prefix = "/open", .handler = &h, .who = http_settings::access::open}};
        settings.logins = &w.logins;
        settings.origins = {"https://shop.example", "https://*.desk.example"};
        w.shard->begin_turn();
    }
    // Basic guest:guest.
    static std::string ask(std::string_view what, std::string_view body = {}, std::string_view more = {}) {
        std::string text = std::string(what) + " HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n" +
                           std::string(more);
        if (!body.empty()) {
            text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
        }
        return text + "\r\n" + std::string(body);
    }

    world w;
    recorder h;
    http_settings settings;
};

TEST_F(HttpHandler, GetsARequestWhole) {
    line l(w, settings);
    const auto said = l.read(ask("POST /v1/%2F/a%2Fb//c?x=1", "body"));
    EXPECT_THAT(said, StartsWith("HTTP/1.1 200 OK\r\n"));
    EXPECT_THAT(said, EndsWith("\r\n\r\nPOST v1 / a/b  c by guest: body"));
    EXPECT_EQ(l.talk.user_name(), "guest");
    EXPECT_FALSE(l.closing);
    EXPECT_THAT(l.read("POST /v1/c HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n2\r\nch\r\n3\r\nunk\r\n0\r\n\r\n"),
                EndsWith("POST v1 c by guest: chunk"));
    EXPECT_THAT(l.read(ask("GET /v1")), EndsWith("GET v1 by guest: "));
    EXPECT_THAT(l.read(ask("GET /v10")), StartsWith("HTTP/1.1 404 "));
}

TEST_F(HttpHandler, BytesMayComeInAnyPieces) {
    const auto all = ask("POST /v1/a", "some body") + ask("PUT /v1/b", "other");
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        h.seen.clear();
        line l(w, settings);
        l.read(std::string_view(all).substr(0, cut));
        l.read(std::string_view(all).substr(cut));
        ASSERT_EQ(h.seen, (std::vector<std::string>{"POST v1 a by guest: some body", "PUT v1 b by guest: other"}))
            << cut;
    }
}

TEST_F(HttpHandler, ALoginIsMadeSureOfBeforeTheBody) {
    line none(w, settings);
    EXPECT_THAT(none.read("GET /v1/a HTTP/1.1\r\nHost: a\r\n\r\n"),
                ::testing::AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr("WWW-Authenticate: Basic realm=\"Linnet\"")));
    EXPECT_FALSE(none.closing);
    EXPECT_THAT(none.read(ask("GET /v1/a")), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(none.read("GET /v1/a HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Z3Vlc3Q6d3Jvbmc=\r\n\r\n"),
                StartsWith("HTTP/1.1 401 "));
    EXPECT_EQ(none.talk.user_name(), "");
    // What it was believed on is not what comes without it.
    EXPECT_THAT(none.read("GET /v1/a HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 401 "));
    line body(w, settings);
    EXPECT_THAT(body.read("POST /v1/a HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nsome"),
                ::testing::AllOf(StartsWith("HTTP/1.1 401 "), HasSubstr("Connection: close")));
    EXPECT_TRUE(body.closing);
    line open(w, settings);
    EXPECT_THAT(open.read("GET /open HTTP/1.1\r\nHost: a\r\n\r\n"), EndsWith("GET open by : "));
}

TEST_F(HttpHandler, ASlowLoginHoldsTheRestBack) {
    w.logins.slow = true;
    line l(w, settings);
    EXPECT_EQ(l.read(ask("POST /v1/a", "body") + ask("GET /v1/b")), "");
    ASSERT_NE(w.logins.waiting, nullptr);
    std::exchange(w.logins.waiting, nullptr)->on_login(fake_authenticator::verdict("guest", "guest"));
    EXPECT_THAT(l.written(), HasSubstr("POST v1 a by guest: body"));
    EXPECT_EQ(h.seen.size(), 2U);  // the second one's login is believed already
    {
        line leaves(w, settings);
        EXPECT_EQ(leaves.read(ask("GET /v1/a")), "");
        leaves.talk.on_peer_closed();
    }
    EXPECT_EQ(w.logins.waiting, nullptr);
}

TEST_F(HttpHandler, AnnouncedBodiesAreRefusedBeforeTheyAreRead) {
    line l(w, settings);
    EXPECT_THAT(l.read("POST /v1/a HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n"
                       "Content-Length: 1073741824\r\nExpect: 100-continue\r\n\r\n"),
                StartsWith("HTTP/1.1 413 "));
    EXPECT_TRUE(l.closing);
    line full(w, settings);
    EXPECT_THAT(full.read(ask("POST /v1/a?full=1", "body")),
                ::testing::AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: 1\r\n")));
    EXPECT_TRUE(full.closing);
    EXPECT_TRUE(h.seen.empty());
}

TEST_F(HttpHandler, WhoWaitsToBeAskedForABodyIsAsked) {
    line l(w, settings);
    const auto head = ask("POST /v1/a", "", "Content-Length: 4\r\nExpect: 100-continue\r\n");
    EXPECT_EQ(l.read(head), "HTTP/1.1 100 Continue\r\n\r\n");
    EXPECT_THAT(l.read("body"), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpHandler, AnswersLeaveInOrderHoweverLateTheyCome) {
    h.late = true;
    line l(w, settings);
    EXPECT_EQ(l.read(ask("GET /v1/1") + ask("GET /v1/2")), "");
    ASSERT_EQ(h.seen.size(), 1U);
    EXPECT_FALSE(l.reads());
    std::move(h.waiting[0]).answer({.body = "first"});
    EXPECT_THAT(l.written(), EndsWith("first"));
    ASSERT_EQ(h.seen.size(), 2U);
    EXPECT_TRUE(l.reads());  // so that the client's end is seen
    std::move(h.waiting[1]).answer({.body = "second"});
    EXPECT_THAT(l.written(), EndsWith("second"));
    EXPECT_EQ(h.gone, 0);
}

TEST_F(HttpHandler, TenThousandPipelinedRequestsAreAnsweredInOrder) {
    std::string all;
    for (int i = 0; i < 10'000; ++i) {
        all += ask("GET /v1/" + std::to_string(i));
    }
    line l(w, settings);
    std::string said;
    for (std::string_view left = all; !left.empty();) {
        const auto piece = left.substr(0, 256 * 1024);
        said += l.read(piece);
        left.remove_prefix(piece.size());
    }
    ASSERT_EQ(h.seen.size(), 10'000U);
    std::size_t at = 0;
    for (int i = 0; i < 10'000; ++i) {
        at = said.find("GET v1 " + std::to_string(i) + " by guest", at);
        ASSERT_NE(at, std::string::npos) << i;
    }
}

TEST_F(HttpHandler, WhoDoesNotReadIsNotAnsweredFurther) {
    line l(w, settings);
    l.stuck = true;
    const auto body = std::string(900, 'x');
    for (int i = 0; i < 3000; ++i) {
        l.read(ask("POST /v1/a", body));
    }
    EXPECT_LT(h.seen.size(), 1500U);
    EXPECT_LT(l.pending(), 2U * session::output_high_bytes);
    EXPECT_FALSE(l.reads());
    l.stuck = false;
    l.written();
    l.written();
    EXPECT_EQ(h.seen.size(), 3000U);
    l.stuck = true;
    for (int i = 0; i < 2000; ++i) {
        l.read(ask("POST /v1/a", body));
    }
    w.pass(settings.idle_timeout + ns_per_s);
    EXPECT_TRUE(l.aborted);
}

TEST_F(HttpHandler, WhoReadsSlowlyGetsTheWholeAnswer) {
    const std::string large(2'000'000, 'x');
    const auto whole = [&](http_responder to) { std::move(to).answer({.body = large}); };
    // Says nothing more while much of what it has said waits.
    struct waits final : http_source {
        progress write(http_body& to) override {
            to.append(std::string(100'000, 'p'));
            return ++asked < 20 ? progress::more : progress::waits;
        }
        int asked = 0;
    };
    const auto streamed = [](http_responder to) {
        static_cast<void>(std::move(to).stream({}, std::make_unique<waits>()));
    };
    for (const auto& answers : std::vector<std::function<void(http_responder)>>{whole, streamed}) {
        line l(w, settings);
        l.takes = 50'000;
        h.on_next = answers;
        auto said = l.read(ask("GET /v1/a"));
        for (int looks = 0; looks < 100 && !l.aborted && said.size() < 2'000'000; ++looks) {
            w.pass(settings.idle_timeout / 2);
            w.shard->begin_turn();
            said += l.written();
        }
        EXPECT_FALSE(l.aborted);
        EXPECT_GE(said.size(), 2'000'000U);
    }
}

TEST_F(HttpHandler, AnAnswerToNobodyGoesNowhere) {
    h.late = true;
    {
        line l(w, settings);
        EXPECT_EQ(l.read(ask("GET /v1/1")), "");
        l.talk.on_peer_closed();
        EXPECT_EQ(h.gone, 1);
    }
    EXPECT_TRUE(h.waiting[0].gone());
    std::move(h.waiting[0]).answer({.body = "late"});
    EXPECT_EQ(h.gone, 1);
}

TEST_F(HttpHandler, WhatNobodyAnswersIsAnErrorOfOurs) {
    line l(w, settings);
    h.on_next = [](http_responder) {};
    EXPECT_THAT(l.read(ask("GET /v1/1")), StartsWith("HTTP/1.1 500 "));
    EXPECT_THAT(l.read(ask("GET /v1/1")), StartsWith("HTTP/1.1 200 "));
}

TEST_F(HttpHandler, SlowBodiesHaveATimeForWhatTheyBring) {
    line l(w, settings);
    l.read(ask("POST /v1/a", "", "Content-Length: 900\r\n"));
    std::string said;
    for (int i = 0; i < 8; ++i) {
        said += l.read("x");
        w.pass(settings.request_timeout / 5);
        w.shard->begin_turn();
    }
    EXPECT_THAT(said + l.written(), StartsWith("HTTP/1.1 408 "));
    EXPECT_TRUE(l.closing);
    EXPECT_TRUE(h.seen.empty());
}

TEST_F(HttpHandler, HeadGetsTheHeadOfWhatGetWould) {
    line l(w, settings);
    const auto said = l.read(ask("HEAD /v1/a"));
    EXPECT_THAT(said, HasSubstr("Content-Length: 20\r\n"));
    EXPECT_THAT(said, EndsWith("\r\n\r\n"));
    bool gone = false;
    h.on_next = [&](http_responder to) {
        static_cast<void>(std::move(to).stream({}, std::make_unique<pieces>(3, "piece", &gone)));
    };
    EXPECT_THAT(l.read(ask("HEAD /v1/a")), EndsWith("\r\n\r\n"));
    EXPECT_TRUE(gone);
}

TEST_F(HttpHandler, AStreamIsMadeAsItIsRead) {
    line l(w, settings);
    l.stuck = true;
    bool gone = false;
    pieces::asked = 0;
    h.on_next = [&](http_responder to) {
        static_cast<void>(std::move(to).stream({}, std::make_unique<pieces>(400, std::string(16'000, 'p'), &gone)));
    };
    l.read(ask("GET /v1/a") + ask("GET /v1/b"));
    for (int turn = 0; turn < 50; ++turn) {
        w.pass(ns_per_ms);
        l.written();
    }
    EXPECT_LT(pieces::asked, 80);
    EXPECT_LT(l.pending(), session::output_high_bytes + 64U * 1024);
    l.stuck = false;
    std::string said;
    for (int turn = 0; turn < 100; ++turn) {
        said += l.written();
        w.pass(ns_per_ms);
    }
    EXPECT_EQ(pieces::asked, 400);
    EXPECT_TRUE(gone);
    EXPECT_THAT(said, HasSubstr("0\r\n\r\nHTTP/1.1 200"));
    EXPECT_GT(said.size(), 400U * 16'000);
    EXPECT_FALSE(l.closing);
}

TEST_F(HttpHandler, AStreamMayWaitAndBeWoken) {
    struct waiting final : http_source {
        explicit waiting(core::message_ptr large) : large_(std::move(large)) {}
        progress write(http_body& to) override {
            if (++asked == 2) {
                to.append_shared(large_, large_->body());
            }
            return asked == 3 ? progress::done : progress::waits;
        }
        int asked = 0;
        core::message_ptr large_;
    };
    line l(w, settings);
    http_stream s;
    const std::string body(5000, 'm');
    h.on_next = [&](http_responder to) {
        s = std::move(to).stream({.body = "begin"},
                                 std::make_unique<waiting>(core::make_message(
                                     w.shard->pool(), "", "", {}, wire::as_bytes(body), core::message_traits{})));
    };
    EXPECT_THAT(l.read(ask("GET /v1/a")), EndsWith("5\r\nbegin\r\n"));
    EXPECT_EQ(l.written(), "");
    s.wake();
    EXPECT_EQ(l.written(), "1388\r\n" + body + "\r\n");
    EXPECT_FALSE(s.ended());
    s.wake();
    EXPECT_EQ(l.written(), "0\r\n\r\n");
    EXPECT_TRUE(s.ended());
    s.wake();
    EXPECT_EQ(l.written(), "");
}

TEST_F(HttpHandler, AStreamOfAClientThatHasGoneEnds) {
    bool gone = false;
    line l(w, settings);
    h.on_next = [&](http_responder to) {
        static_cast<void>(std::move(to).stream({}, std::make_unique<pieces>(9999, std::string(16'000, 'p'), &gone)));
    };
    l.stuck = true;
    l.read(ask("GET /v1/a"));
    EXPECT_FALSE(gone);
    for (int turn = 0; turn < 20; ++turn) {
        l.written();
        w.pass(ns_per_ms);
    }
    EXPECT_FALSE(l.aborted);
    w.pass(settings.idle_timeout + 2 * ns_per_s);
    EXPECT_TRUE(l.aborted);
    EXPECT_TRUE(gone);
}

TEST_F(HttpHandler, LargeTextIsZippedForWhoTakesIt) {
    line l(w, settings);
    const std::string text(50'000, 'a');
    const auto answer = [&](http_responder to) {
        std::move(to).answer({.fields = {{"Content-Type", "application/json"}}, .body = text});
    };
    h.on_next = answer;
    const auto zipped = l.read(ask("GET /v1/a", "", "Accept-Encoding: br, gzip\r\n"));
    EXPECT_THAT(zipped, HasSubstr("Content-Encoding: gzip\r\n"));
    EXPECT_LT(zipped.size(), 1000U);
    h.on_next = answer;
    const auto plain = l.read(ask("GET /v1/a"));
    EXPECT_THAT(plain, Not(HasSubstr("Content-Encoding")));
    EXPECT_THAT(plain, HasSubstr("Vary: Accept-Encoding\r\n"));
    bool gone = false;
    h.on_next = [&](http_responder to) {
        static_cast<void>(std::move(to).stream({.fields = {{"Content-Type", "application/json"}}},
                                               std::make_unique<pieces>(4, text, &gone)));
    };
    const auto streamed = l.read(ask("GET /v1/a", "", "Accept-Encoding: gzip\r\n"));
    EXPECT_THAT(streamed, HasSubstr("Content-Encoding: gzip\r\n"));
    EXPECT_LT(streamed.size(), 1500U);
}

// Zipping it at once would take longer than others should have to wait.
TEST_F(HttpHandler, AVeryLargeTextIsZippedInPieces) {
    line l(w, settings);
    const auto text = very_large_text();
    h.on_next = [&](http_responder to) {
        std::move(to).answer({.fields = {{"Content-Type", "application/json"}}, .body = text});
    };
    auto said = l.read(ask("GET /v1/a", "", "Accept-Encoding: gzip\r\n"));
    EXPECT_THAT(said, HasSubstr("Content-Encoding: gzip\r\n"));
    ASSERT_THAT(said, HasSubstr("Transfer-Encoding: chunked\r\n"));
    EXPECT_THAT(said, Not(EndsWith("\r\n0\r\n\r\n"))) << "all of it in one turn";
    int turns = 1;
    for (; !said.ends_with("\r\n0\r\n\r\n") && turns < 100; ++turns) {
        w.pass(ns_per_ms);
        said += l.written();
    }
    EXPECT_GT(turns, 3);
    EXPECT_EQ(unzipped(unchunked(said)), text);
    // What follows on the connection is as ever.
    EXPECT_THAT(l.read(ask("GET /v1/b")), EndsWith("GET v1 b by guest: "));
    h.on_next = [&](http_responder to) {
        std::move(to).answer({.fields = {{"Content-Type", "application/json"}}, .body = text});
    };
    const auto head = l.read(ask("HEAD /v1/a", "", "Accept-Encoding: gzip\r\n"));
    EXPECT_THAT(head, HasSubstr("Content-Encoding: gzip\r\n"));
    EXPECT_THAT(head, EndsWith("\r\n\r\n"));
    EXPECT_THAT(l.read(ask("GET /v1/b")), StartsWith("HTTP/1.1 200 OK\r\n"));
}

// At a shutdown, or when the token that it was asked for with ends.
TEST_F(HttpHandler, AnAnswerThatIsAtHandIsSaidToItsEnd) {
    const auto text = very_large_text();
    for (const bool by_shutdown : {true, false}) {
        h.seen.clear();
        const wall_ns ends_at = w.shard->wall_now() + 2 * ns_per_ms;
        w.logins.grant = by_shutdown ? nullptr : core::scope_grant::make({}, ends_at);
        line l(w, settings);
        h.on_next = [&](http_responder to) {
            std::move(to).answer({.fields = {{"Content-Type", "application/json"}}, .body = text});
        };
        auto said = l.read(ask("GET /v1/a", "", "Accept-Encoding: gzip\r\n") + ask("GET /v1/b"));
        if (by_shutdown) {
            l.talk.on_shutdown("shutdown");
            l.talk.on_shutdown("user was deleted");
        } else {
            w.pass(2 * ns_per_ms);
            ASSERT_GE(w.shard->wall_now(), ends_at);
        }
        ASSERT_THAT(said, Not(EndsWith("\r\n0\r\n\r\n")));
        EXPECT_FALSE(l.closing);
        for (int turns = 0; !l.closing && turns < 100; ++turns) {
            w.pass(ns_per_ms);
            said += l.written();
        }
        EXPECT_TRUE(l.closing) << "the next request has no answer";
        EXPECT_FALSE(l.aborted);
        ASSERT_THAT(said, EndsWith("\r\n0\r\n\r\n"));
        EXPECT_EQ(unzipped(unchunked(said)), text);
        EXPECT_EQ(h.seen.size(), 1U);
    }
}

// What others have to find first may never come.
TEST_F(HttpHandler, AnAnswerThatIsNotAtHandEndsAtAShutdown) {
    line l(w, settings);
    bool gone = false;
    h.on_next = [&](http_responder to) {
        static_cast<void>(std::move(to).stream({.fields = {{"Content-Type", "application/json"}}},
                                               std::make_unique<pieces>(1'000, std::string(5'000, 'a'), &gone)));
    };
    EXPECT_THAT(l.read(ask("GET /v1/a")), Not(EndsWith("\r\n0\r\n\r\n")));
    l.talk.on_shutdown("shutdown");
    EXPECT_TRUE(l.closing);
    EXPECT_TRUE(gone);
    EXPECT_THAT(l.written(), Not(EndsWith("\r\n0\r\n\r\n")));
}

TEST_F(HttpHandler, OtherPagesNeedTheirOriginListed) {
    line l(w, settings);
    EXPECT_THAT(l.read(ask("POST /v1/a", "b", "Origin: https://shop.example\r\n")),
                HasSubstr("Access-Control-Allow-Origin: https://shop.example\r\n"));
    EXPECT_THAT(l.read(ask("POST /v1/a", "b", "Origin: https://order.desk.example\r\n")),
                HasSubstr("Access-Control-Allow-Origin: https://order.desk.example\r\n"));
    EXPECT_THAT(l.read(ask("POST /v1/a", "b", "Origin: http://a\r\n")), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(l.read("OPTIONS /v1/a HTTP/1.1\r\nHost: a\r\nOrigin: https://shop.example\r\n"
                       "Access-Control-Request-Method: POST\r\nAccess-Control-Request-Headers: x-h-a\r\n\r\n"),
                HasSubstr("Access-Control-Allow-Headers: x-h-a\r\n"));
    EXPECT_THAT(l.read(ask("GET /v1/a", "", "Origin: https://evil.example\r\n")),
                Not(HasSubstr("Access-Control-Allow-Origin")));
    EXPECT_THAT(l.read(ask("POST /v1/a", "b", "Origin: https://evil.example\r\n")), StartsWith("HTTP/1.1 403 "));
    EXPECT_EQ(h.seen.size(), 4U);
}

// A picture of another site's page is fetched with the credentials that the browser keeps, and without an Origin.
TEST_F(HttpHandler, OtherPagesTakeNothingByGet) {
    line l(w, settings);
    EXPECT_THAT(l.read(ask("GET /v1/a", "", "Sec-Fetch-Site: cross-site\r\n")), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(l.read(ask("GET /v1/take")), StartsWith("HTTP/1.1 200 "));
    for (const auto* of : {"Sec-Fetch-Site: same-origin\r\n", "Sec-Fetch-Site: none\r\n", "Origin: http://a\r\n",
                           "Origin: https://shop.example\r\nSec-Fetch-Site: cross-site\r\n"}) {
        EXPECT_THAT(l.read(ask("GET /v1/take", "", of)), StartsWith("HTTP/1.1 200 ")) << of;
    }
    for (const auto* of :
         {"Sec-Fetch-Site: cross-site\r\n", "Sec-Fetch-Site: same-site\r\n", "Origin: https://evil.example\r\n"}) {
        line other(w, settings);
        EXPECT_THAT(other.read(ask("GET /v1/take", "", of)), StartsWith("HTTP/1.1 403 ")) << of;
    }
}

TEST_F(HttpHandler, WhatIsUnderWayAtTheEndIsToldSo) {
    h.late = true;
    line l(w, settings);
    l.read(ask("GET /v1/a"));
    l.talk.on_shutdown("shutdown");
    EXPECT_THAT(l.written(), ::testing::AllOf(StartsWith("HTTP/1.1 503 "), HasSubstr("Retry-After: 1\r\n")));
    EXPECT_TRUE(l.closing);
    EXPECT_EQ(h.gone, 1);
}

}  // namespace
}  // namespace linnet::session::test
