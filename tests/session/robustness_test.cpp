#include "broker/core/message_pool.hpp"
#include "tests/session/conversation.hpp"

namespace linnet::session::test {
namespace {

bytes raw_frame(std::uint8_t type, std::uint16_t channel, std::string_view payload,
                std::uint8_t end = amqp::frame_end) {
    bytes out(amqp::frame_overhead_bytes + payload.size());
    amqp::put_frame_header(out.data(), static_cast<amqp::frame_type>(type), channel, payload.size());
    std::copy(payload.begin(), payload.end(), out.begin() + amqp::frame_header_bytes);
    out.back() = end;
    return out;
}

// Nearly everything a client might say in one session, names given so that nothing in the answers is random.
// No consumer: when deliveries come between the answers depends on how input is cut, and may.
bytes whole_conversation() {
    amqp::table_builder headers;
    headers.put("k", std::string_view{"v"});
    headers.begin_array("CC").add(std::string_view{"other"}).end();
    const auto block = amqp::basic_properties_builder{}.set_headers(headers.view()).set_priority(3).encode();
    return protocol_header() + start_ok() + method_frame(0, amqp::connection_tune_ok{2047, 4096, 0}) +
           method_frame(0, amqp::connection_open{.virtual_host = "/"}) + method_frame(1, amqp::channel_open{}) +
           method_frame(1, amqp::queue_declare{.queue = "q"}) + method_frame(1, amqp::queue_declare{.queue = "other"}) +
           method_frame(1, amqp::confirm_select{}) + publish_frames(1, "", "q", "small") +
           publish_frames(1, "", "q", std::string(9000, 'b'), {.frame_max = 4096}) +
           publish_frames(1, "", "q", "copied", {.block = block}) + publish_frames(1, "", "q", "") +
           publish_frames(1, "", "nowhere", "back", {.mandatory = true}) + raw_frame(8, 0, "") +
           method_frame(1, amqp::basic_get{.queue = "q"}) + method_frame(1, amqp::basic_get{.queue = "q"}) +
           method_frame(1, amqp::basic_ack{.delivery_tag = 2, .multiple = true}) +
           method_frame(1, amqp::basic_get{.queue = "other"}) + method_frame(1, amqp::basic_recover{.requeue = true}) +
           method_frame(1, amqp::basic_get{.queue = "other"}) + method_frame(1, amqp::basic_nack{.delivery_tag = 4}) +
           method_frame(1, amqp::queue_declare{.queue = "missing", .passive = true}) +
           publish_frames(1, "", "q", "ignored") + method_frame(1, amqp::channel_close_ok{}) +
           method_frame(2, amqp::channel_open{}) + method_frame(2, amqp::queue_purge{.queue = "q"}) +
           method_frame(0, amqp::connection_close{.code = 200});
}

// Acks may be cumulative in one run and single in another: how many of a batch came together is no matter.
std::string without_confirms(const std::string& lines) {
    std::string out;
    std::size_t from = 0;
    while (from < lines.size()) {
        const auto end = std::min(lines.find('\n', from), lines.size());
        const auto line = lines.substr(from, end - from);
        out += line.find(" basic.ack ") == std::string::npos ? line + "\n" : "";
        from = end + 1;
    }
    return out;
}

TEST(AmqpRobustness, AnswersTheSameHoweverTheInputIsCut) {
    const auto all = whole_conversation();
    const auto answers = [&](std::size_t cut, std::size_t chunk) {
        world w;
        scripted_peer p(w);
        std::size_t at = 0;
        while (at < all.size()) {
            const auto n = chunk != 0 ? std::min(chunk, all.size() - at)
                           : at == 0  ? std::max<std::size_t>(cut, 1)
                                      : all.size() - at;
            p.send({all.begin() + static_cast<std::ptrdiff_t>(at),
                    all.begin() + static_cast<std::ptrdiff_t>(std::min(at + n, all.size()))});
            at += n;
        }
        return without_confirms(p.said());
    };
    const auto expected = answers(all.size(), 0);
    ASSERT_NE(expected.find("0 connection.close-ok"), std::string::npos) << expected;
    for (std::size_t cut = 1; cut < all.size(); ++cut) {
        ASSERT_EQ(answers(cut, 0), expected) << "cut at " << cut;
    }
    for (const std::size_t chunk : {1U, 2U, 3U, 7U, 64U, 1000U}) {
        ASSERT_EQ(answers(0, chunk), expected) << "in pieces of " << chunk;
    }
}

TEST(AmqpRobustness, NamesFramesThatAreNone) {
    const auto said = [](const bytes& in) {
        world w;
        scripted_peer p(w, 1);
        p.send(in);
        return p.said();
    };
    EXPECT_EQ(said(raw_frame(7, 1, "abc")),
              "0 connection.close 501 FRAME_ERROR - type 7, all octets = <<\"abc\">>: unknown_frame 0 0");
    EXPECT_EQ(said(raw_frame(8, 0, "abc")),
              "0 connection.close 501 FRAME_ERROR - type 8, all octets = <<\"abc\">>: unknown_frame 0 0");
    EXPECT_EQ(said(raw_frame(8, 1, "")), "0 connection.close 505 UNEXPECTED_FRAME - type 8, all octets = <<>> 0 0");
    EXPECT_EQ(said(raw_frame(3, 0, "x")),
              "0 connection.close 505 UNEXPECTED_FRAME - type 3, all octets = <<\"x\">> 0 0");
    EXPECT_EQ(said(raw_frame(1, 1, std::string_view{"\0\x3c", 2})),
              "0 connection.close 501 FRAME_ERROR - type 1, all octets = <<0,60>>: unknown_frame 0 0");
    EXPECT_EQ(said(raw_frame(1, 1, std::string_view{"\0\x3c\0\x0a\0\0\0\0\0\0\0", 11}, 0)),
              "0 connection.close 501 FRAME_ERROR - type 1, all octets = <<0,60,0,10,0,0,0,0,0,0,0>>: "
              "{invalid_frame_end_marker,0} 0 0");
    EXPECT_EQ(
        said({3, 0, 1, 0xff, 0xff, 0xff, 0xff}),
        "0 connection.close 501 FRAME_ERROR - type 3, all octets = <<>>: {frame_too_large,4294967295,131064} 0 0");
    EXPECT_EQ(said(raw_frame(1, 1, std::string_view{"\0\x32\0\x0a\0\0\3a", 8})),
              "0 connection.close 501 FRAME_ERROR - cannot decode <<0,0,3,97>> 50 10");
}

TEST(AmqpRobustness, HoldsContentsToTheirOrder) {
    const auto said = [](const bytes& in) {
        world w;
        scripted_peer p(w, 1);
        p.send(in);
        return p.said();
    };
    const auto publish = method_frame(1, amqp::basic_publish{.routing_key = "q"});
    bytes header(amqp::header_frame_size(amqp::no_properties));
    amqp::put_header_frame(header.data(), 1, 3, amqp::no_properties);
    bytes foreign = header;
    foreign[8] = 50;
    bytes weighty = header;
    weighty[10] = 1;
    const auto close = [](std::string_view text, std::string_view ids) {
        return fmt::format("0 connection.close 505 UNEXPECTED_FRAME - {} {}", text, ids);
    };
    const auto wants_header = "expected content header for class 60, got non content header frame instead";
    const auto wants_body = "expected content body, got non content body frame instead";
    const auto wants_method = "expected method frame, got non method frame instead";
    EXPECT_EQ(said(header), close(wants_method, "0 0"));
    EXPECT_EQ(said(raw_frame(3, 1, "x")), close(wants_method, "0 0"));
    EXPECT_EQ(said(publish + publish), close(wants_header, "60 40"));
    EXPECT_EQ(said(publish + raw_frame(3, 1, "x")), close(wants_header, "60 40"));
    EXPECT_EQ(said(publish + weighty), close(wants_header, "60 40"));
    EXPECT_EQ(said(publish + foreign),
              close("expected content header for class 60, got one for class 50 instead", "60 40"));
    EXPECT_EQ(said(publish + header + header), close(wants_body, "60 40"));
    EXPECT_EQ(said(publish + header + publish), close(wants_body, "60 40"));
    EXPECT_EQ(said(publish + header + method_frame(1, amqp::channel_close{})), close(wants_body, "60 40"));
    EXPECT_EQ(said(publish + header + raw_frame(3, 1, "four")), close(wants_body, "60 40"));
}

TEST(AmqpRobustness, ReservesNothingForABodyThatIsOnlyAnnounced) {
    world w;
    scripted_peer p(w, 1);
    const auto before = w.parts.bytes_of(core::memory_use::messages);
    bytes header(amqp::header_frame_size(amqp::no_properties));
    amqp::put_header_frame(header.data(), 1, 100'000'000, amqp::no_properties);
    p.send(method_frame(1, amqp::basic_publish{.routing_key = "q"}) + header + raw_frame(3, 1, "abc"));
    EXPECT_LT(w.parts.bytes_of(core::memory_use::messages) - before, 1'000'000U);
    EXPECT_EQ(p.said(), "");
}

TEST(AmqpRobustness, LetsGoOfAHalfReceivedMessage) {
    world w;
    {
        scripted_peer p(w, 1);
        auto in = publish_frames(1, "", "q", std::string(100'000, 'x'));
        in.resize(in.size() / 2);
        p.send(in);
    }
    EXPECT_EQ(w.shard->pool().held_bytes(), 0U);
}

// ---- Time and memory ---------------------------------------------------------------------------

TEST(AmqpRobustness, ConnectionsAndChannelsCountTowardsTheMemoryBudget) {
    world w;
    const auto held = [&] {
        w.pass(ns_per_s);
        return w.parts.bytes_of(core::memory_use::connections);
    };
    EXPECT_EQ(held(), 0U);
    {
        scripted_peer p(w, 1);
        const auto with_one = held();
        EXPECT_GT(with_one, sizeof(amqp_session));
        p.send(2, amqp::channel_open{});
        EXPECT_GT(held(), with_one);
    }
    EXPECT_EQ(held(), 0U);
}

TEST(AmqpHeartbeat, IsSentAtHalfTheIntervalToAQuietPeer) {
    world w;
    scripted_peer p(w);
    p.open("guest", {2047, 131072, 10});
    w.pass(4 * ns_per_s);
    EXPECT_EQ(p.said(), "");
    w.pass(2 * ns_per_s);
    EXPECT_EQ(p.said(), "0 heartbeat");
    w.pass(5 * ns_per_s);
    EXPECT_EQ(p.said(), "0 heartbeat");
}

TEST(AmqpHeartbeat, IsNotSentWhileThereIsTraffic) {
    world w;
    scripted_peer p(w);
    p.open("guest", {2047, 131072, 10});
    p.send(1, amqp::channel_open{});
    for (int i = 0; i < 10; ++i) {
        p.send(1, amqp::channel_flow{.active = true});
        w.pass(3 * ns_per_s);
    }
    EXPECT_EQ(p.said().find("heartbeat"), std::string::npos);
}

TEST(AmqpHeartbeat, EndsAPeerThatHasGoneSilent) {
    world w;
    scripted_peer p(w);
    p.open("guest", {2047, 131072, 10});
    w.pass(19 * ns_per_s);
    EXPECT_FALSE(p.aborted);
    p.send(raw_frame(8, 0, ""));
    w.pass(19 * ns_per_s);
    EXPECT_FALSE(p.aborted);
    w.pass(2 * ns_per_s);
    EXPECT_TRUE(p.aborted);
}

TEST(AmqpHeartbeat, IsOffWhenTheClientSaysSo) {
    world w;
    scripted_peer p(w);
    p.open("guest", {2047, 131072, 0});
    w.pass(300 * ns_per_s);
    EXPECT_FALSE(p.aborted);
    EXPECT_EQ(p.said(), "");
}

TEST(AmqpMemoryAlarm, BlocksWhoPublishesAndNobodyElse) {
    world w;
    scripted_peer p(w, 1);
    scripted_peer idle(w, 1);
    p.send(1, amqp::queue_declare{.queue = "q"});
    p.send(1, amqp::confirm_select{});
    static_cast<void>(p.said());
    const auto alarm = [&](bool on) {
        w.shard->begin_turn();
        p.talk->on_alarms({on, false});
        idle.talk->on_alarms({on, false});
        w.end_turn();
    };
    alarm(true);
    EXPECT_EQ(p.said(), "");
    p.publish(1, "", "q", "m");
    EXPECT_EQ(p.said(), "0 connection.blocked low on memory");
    EXPECT_TRUE(p.paused);
    idle.send(1, amqp::queue_declare{.queue = "q", .passive = true});
    EXPECT_EQ(idle.said(), "1 queue.declare-ok q 0 0");
    alarm(false);
    p.run();
    EXPECT_EQ(p.said(), "0 connection.unblocked\n1 basic.ack 1 0");
    EXPECT_EQ(idle.said(), "");
}

}  // namespace
}  // namespace linnet::session::test
