// HTTP connections: probes, refusals, time, and what they carry as WebSockets.

#include "broker/session/http_session.hpp"

#include "protocol/wire/bytes.hpp"
#include "protocol/ws/deflater.hpp"
#include "protocol/ws/message_writer.hpp"
#include "tests/session/http_line.hpp"
#include "tests/session/world.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::session::test {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

// Takes units of four bytes and says them again; "wait" makes it stop reading, "last" end, "much" talk.
class echo final : public session {
public:
    explicit echo(host& h) : host_(h) {}

    [[nodiscard]] std::size_t on_bytes(std::span<const std::uint8_t> in) override {
        std::size_t taken = 0;
        while (!paused && in.size() - taken >= 4) {
            const auto unit = in.subspan(taken, 4);
            taken += 4;
            if (wire::as_text(unit) == "wait") {
                paused = true;
                host_.pause_reading();
            } else if (wire::as_text(unit) == "much") {
                say(std::string(output_high_bytes + 1, 'm'));
            } else {
                say(wire::as_text(unit));
            }
            if (wire::as_text(unit) == "last") {
                host_.close_after_flush();
            }
        }
        return taken;
    }
    void say(std::string_view text) {
        host_.flush_soon();
        host_.out().append(wire::as_bytes(text));
    }
    void resume() {
        paused = false;
        host_.resume_reading();
    }
    void on_output_drained() override { ++drained; }
    void on_peer_closed() override { gone = true; }
    [[nodiscard]] std::string_view user_name() const noexcept override { return "echo"; }
    void on_reply(core::reply&&) override {}
    void on_publish_settled(std::uint64_t, std::uint64_t, bool) override {}
    void on_settled_batch() override {}
    [[nodiscard]] core::delivery_sink* find_sink(std::uint64_t) override { return nullptr; }
    void on_alarms(core::alarms) override {}
    void on_shutdown(std::string_view) override {
        say("over");
        host_.close_after_flush();
    }

    bool paused = false;
    bool gone = false;
    int drained = 0;

private:
    host& host_;
};

class HttpSession : public ::testing::Test {
protected:
    HttpSession() {
        http_settings::carried c;
        c.protocols = {"echo", "echo2"};
        c.paths = {"/ws/echo"};
        c.message_bytes_max = 4 * 1024 * 1024;
        c.make = [this](host& h, core::shard&) {
            auto made = std::make_unique<echo>(h);
            inner = made.get();
            return made;
        };
        settings.websockets = {c};
        settings.origins = {"https://shop.example"};
        settings.ready = [this] { return ready; };
        // Tests come back to a shard that is at work on their input.
        w.shard->begin_turn();
    }
    // What a browser sends, but for `more`.
    static std::string upgrade(std::string_view path = "/",
                               std::string_view more = "Sec-WebSocket-Protocol: echo\r\n") {
        return "GET " + std::string(path) +
               " HTTP/1.1\r\nHost: broker.example\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
               "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n" +
               std::string(more) + "\r\n";
    }
    static std::string masked(std::string_view payload, ws::message_type type = ws::message_type::binary) {
        std::string out;
        ws::append(out, ws::message_writer{}.message(type, wire::as_bytes(payload), ws::mask_key{0x04030201}));
        return out;
    }
    static std::string plain(std::string_view payload) {
        std::string out;
        ws::append(out, ws::message_writer{}.message(ws::message_type::binary, wire::as_bytes(payload)));
        return out;
    }
    static std::string text_of(const ws::control_frame& f) { return std::string(wire::as_text(f.view())); }
    // An open WebSocket.
    void open(line& l) {
        ASSERT_THAT(l.read(upgrade()), StartsWith("HTTP/1.1 101 "));
        ASSERT_NE(inner, nullptr);
    }

    world w;
    http_settings settings;
    echo* inner = nullptr;
    bool ready = true;
};

TEST_F(HttpSession, ProbesAreAnswered) {
    line l(w, settings);
    EXPECT_THAT(l.read("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(l.read("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"), HasSubstr(R"({"status":"ok"})"));
    ready = false;
    EXPECT_THAT(l.read("GET /readyz HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
    EXPECT_THAT(l.read("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 200 "));
    EXPECT_THAT(l.read("POST /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n"),
                HasSubstr("Allow: GET, HEAD\r\n"));
    EXPECT_FALSE(l.closing);
    EXPECT_THAT(l.read("GET /startupz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"), StartsWith("HTTP/1.1 503 "));
    EXPECT_TRUE(l.closing);
}

TEST_F(HttpSession, WhatIsNotServedIsRefused) {
    line l(w, settings);
    EXPECT_THAT(l.read("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n"), StartsWith("HTTP/1.1 404 "));
    EXPECT_THAT(l.read("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n"), StartsWith("HTTP/1.1 413 "));
    EXPECT_TRUE(l.closing);
    line other(w, settings);
    EXPECT_THAT(other.read("nonsense\r\n\r\n"), StartsWith("HTTP/1.1 400 "));
    EXPECT_TRUE(other.closing);
}

TEST_F(HttpSession, SlowRequestsAndIdleConnectionsEnd) {
    line slow(w, settings);
    EXPECT_EQ(slow.read("GET /livez HT"), "");
    w.pass(settings.request_timeout + ns_per_s);
    EXPECT_THAT(slow.written(), StartsWith("HTTP/1.1 408 "));
    EXPECT_TRUE(slow.closing);
    line idle(w, settings);
    EXPECT_NE(idle.read("GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"), "");
    w.pass(settings.idle_timeout - ns_per_s);
    EXPECT_FALSE(idle.closing);
    w.pass(2 * ns_per_s);
    EXPECT_EQ(idle.written(), "");
    EXPECT_TRUE(idle.closing);
}

TEST_F(HttpSession, AWebSocketCarriesASession) {
    line l(w, settings);
    const auto answer = l.read(upgrade());
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));  // RFC 6455, 1.3
    EXPECT_THAT(answer, HasSubstr("Sec-WebSocket-Protocol: echo\r\n"));
    EXPECT_EQ(l.talk.user_name(), "echo");
    EXPECT_EQ(l.read(masked("one two ")), plain("one two "));
    // Units need not match messages.
    EXPECT_EQ(l.read(masked("th") + masked("re") + masked("e fo")), plain("three fo"));
    inner->say("by itself");
    EXPECT_EQ(l.written(), plain("by itself"));
}

TEST_F(HttpSession, ASilentWebSocketIsAskedAndGivenUp) {
    settings.ping_interval = 10 * ns_per_s;
    line l(w, settings);
    open(l);
    static_cast<void>(l.written());
    w.pass(9 * ns_per_s);
    EXPECT_EQ(l.written(), "");
    w.pass(2 * ns_per_s);
    EXPECT_EQ(l.written(), text_of(ws::control_frame::ping()));
    w.shard->begin_turn();
    EXPECT_EQ(l.read(text_of(ws::control_frame::pong({}, ws::mask_key{0x04030201}))), "");
    w.pass(9 * ns_per_s);
    EXPECT_EQ(l.written(), "");
    w.pass(2 * ns_per_s);
    EXPECT_EQ(l.written(), text_of(ws::control_frame::ping()));
    w.pass(11 * ns_per_s);
    EXPECT_TRUE(l.closing);
}

TEST_F(HttpSession, APathChoosesWhatNoSubProtocolDoes) {
    line l(w, settings);
    EXPECT_THAT(l.read(upgrade("/ws/echo", "")), StartsWith("HTTP/1.1 101 "));
    line other(w, settings);
    EXPECT_THAT(other.read(upgrade("/ws/what", "")), StartsWith("HTTP/1.1 404 "));
    EXPECT_TRUE(other.closing);
}

TEST_F(HttpSession, OriginsAreChecked) {
    line l(w, settings);
    EXPECT_THAT(l.read(upgrade("/ws/echo", "Origin: https://evil.example\r\n")), StartsWith("HTTP/1.1 403 "));
    EXPECT_TRUE(l.closing);
    line ours(w, settings);
    EXPECT_THAT(ours.read(upgrade("/ws/echo", "Origin: https://shop.example\r\n")), StartsWith("HTTP/1.1 101 "));
}

TEST_F(HttpSession, BytesMayComeInAnyPieces) {
    const std::string all = upgrade() + masked("one two ") + masked("three fo");
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        line l(w, settings);
        auto said = l.read(std::string_view(all).substr(0, cut));
        said += l.read(std::string_view(all).substr(cut));
        const auto behind = said.find("\r\n\r\n");
        ASSERT_NE(behind, std::string::npos);
        std::string units;
        for (std::string_view left = std::string_view(said).substr(behind + 4); !left.empty();) {
            const auto n = static_cast<std::uint8_t>(left[1]);
            units += left.substr(2, n);
            left.remove_prefix(2U + n);
        }
        ASSERT_EQ(units, "one two three fo") << "cut at " << cut;
    }
}

TEST_F(HttpSession, APausedSessionIsGivenTheRestLater) {
    line l(w, settings);
    open(l);
    EXPECT_EQ(l.read(masked("one wait"
                            "two ") +
                     masked("more")),
              plain("one "));
    EXPECT_EQ(l.read(masked("last")), "");
    inner->resume();
    const auto rest = l.written();
    EXPECT_THAT(rest, HasSubstr("two more"));
    EXPECT_THAT(rest, HasSubstr("last" + text_of(ws::control_frame::close(ws::close_code::normal))));
    EXPECT_TRUE(l.closing);
}

TEST_F(HttpSession, ControlFramesAreAnswered) {
    line l(w, settings);
    open(l);
    const ws::mask_key mask{0x06070809};
    EXPECT_EQ(l.read(wire::as_text(ws::control_frame::ping(wire::as_bytes("hello"), mask).view())),
              text_of(ws::control_frame::pong(wire::as_bytes("hello"))));
    EXPECT_EQ(l.read(wire::as_text(ws::control_frame::close(ws::close_code::going_away, "", mask).view())),
              text_of(ws::control_frame::close(ws::close_code::going_away)));
    EXPECT_TRUE(l.closing);
    inner->say("too late");
    EXPECT_EQ(l.written(), "");
    l.talk.on_peer_closed();
    EXPECT_TRUE(inner->gone);
}

TEST_F(HttpSession, WhatBreaksTheProtocolIsToldWhy) {
    const std::vector<std::pair<std::string, ws::close_code>> cases{
        {plain("unmasked"), ws::close_code::protocol_error},
        {masked("text", ws::message_type::text), ws::close_code::unsupported_data},
        {masked(std::string(5 * 1024 * 1024, 'x')), ws::close_code::message_too_big}};
    for (const auto& [bytes, code] : cases) {
        line l(w, settings);
        open(l);
        const auto said = l.read(bytes);
        ASSERT_GE(said.size(), 4U);
        EXPECT_EQ(static_cast<std::uint8_t>(said[0]), 0x88U);
        EXPECT_EQ((static_cast<std::uint8_t>(said[2]) << 8) + static_cast<std::uint8_t>(said[3]),
                  static_cast<int>(code));
        EXPECT_TRUE(l.closing);
        l.talk.on_peer_closed();
    }
}

TEST_F(HttpSession, ASlowReaderHoldsUpItsOwnSessionOnly) {
    line l(w, settings);
    open(l);
    l.stuck = true;
    EXPECT_EQ(l.read(masked("much")), "");
    inner->say("behind");
    EXPECT_EQ(l.written(), "");
    EXPECT_LE(l.out().pending(), session::output_high_bytes + 16);
    EXPECT_EQ(inner->drained, 0);
    l.stuck = false;
    const auto all = l.written();
    EXPECT_EQ(all.size(), 10 + session::output_high_bytes + 1 + 2 + 6);
    EXPECT_THAT(all.substr(all.size() - 6), "behind");
    EXPECT_EQ(inner->drained, 1);
}

TEST_F(HttpSession, MessagesAreCompressedWhenBothWantIt) {
    settings.compress = true;
    line l(w, settings);
    const auto answer = l.read(
        upgrade("/", "Sec-WebSocket-Protocol: echo\r\nSec-WebSocket-Extensions: permessage-deflate\r\n"));
    EXPECT_THAT(answer, HasSubstr("permessage-deflate"));
    std::string long_one;
    for (int i = 0; i < 100; ++i) {
        long_one += "unit";
    }
    ws::deflater d{ws::deflater_settings{}};
    std::string sent;
    ws::append(sent, ws::message_writer{d}.message(ws::message_type::binary, wire::as_bytes(long_one),
                                                   ws::mask_key{0x05050505}));
    ASSERT_LT(sent.size(), 100U);
    const auto said = l.read(sent);
    std::string expected;
    ws::append(expected, ws::message_writer{d}.message(ws::message_type::binary, wire::as_bytes(long_one)));
    EXPECT_EQ(said, expected);
    settings.compress = false;
    line without(w, settings);
    EXPECT_THAT(without.read(upgrade("/", "Sec-WebSocket-Extensions: permessage-deflate\r\n"
                                          "Sec-WebSocket-Protocol: echo\r\n")),
                ::testing::Not(HasSubstr("permessage-deflate")));
}

TEST_F(HttpSession, AShutdownIsSaidInTheWordsWithin) {
    line l(w, settings);
    open(l);
    l.talk.on_shutdown("shutdown");
    EXPECT_EQ(l.written(), plain("over") + text_of(ws::control_frame::close(ws::close_code::normal)));
    EXPECT_TRUE(l.closing);
    line idle(w, settings);
    idle.talk.on_shutdown("shutdown");
    EXPECT_TRUE(idle.closing);
}

}  // namespace
}  // namespace linnet::session::test
