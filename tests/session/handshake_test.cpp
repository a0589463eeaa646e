#include "tests/session/conversation.hpp"

#include "broker/core/topology_editor.hpp"
#include "broker/session/amqp_handshake.hpp"

#include <gmock/gmock.h>

namespace linnet::session::test {
namespace {

bytes tune_and_open(amqp::connection_tune_ok tune, std::string_view vhost = "/") {
    return method_frame(0, tune) + method_frame(0, amqp::connection_open{.virtual_host = vhost});
}

std::string plain(std::string_view user, std::string_view password) {
    return std::string(1, '\0') + std::string(user) + std::string(1, '\0') + std::string(password);
}

TEST(AmqpHandshake, RunsFromHeaderToOpen) {
    world w;
    scripted_peer p(w);
    p.send(protocol_header());
    const auto start = p.said();
    EXPECT_TRUE(start.starts_with("0 connection.start 0 9 table[")) << start;
    EXPECT_TRUE(start.ends_with(" AMQPLAIN PLAIN en_US")) << start;
    p.send(start_ok());
    EXPECT_EQ(p.said(), "0 connection.tune 2047 131072 60");
    p.send(tune_and_open({2047, 131072, 60}));
    EXPECT_EQ(p.said(), "0 connection.open-ok \"\"");
}

TEST(AmqpHandshake, ShowsProductVersionAndCapabilities) {
    const auto encoded = server_properties(amqp_settings{});
    const auto table = amqp::table_view::parse(wire::as_bytes(encoded));
    ASSERT_TRUE(table);
    EXPECT_EQ(table->find("product")->as_string(), "Linnet");
    EXPECT_EQ(table->find("version")->as_string(), "3.13.7");
    const auto capabilities = *table->find("capabilities")->as_table();
    for (const auto* name : {"publisher_confirms", "exchange_exchange_bindings", "basic.nack", "consumer_cancel_notify",
                             "connection.blocked", "consumer_priorities", "authentication_failure_close",
                             "per_consumer_qos", "direct_reply_to"}) {
        EXPECT_EQ(capabilities.find(name)->as_bool(), true) << name;
    }
}

TEST(AmqpHandshake, AnswersAForeignHeaderWithItsOwnAndCloses) {
    for (const std::string_view greeting : {"GET / HTTP/1.1\r\n\r\n", "AMQP\x01\x01\x00\x0a", "\x16\x03\x01", "x"}) {
        world w;
        scripted_peer p(w);
        const auto view = wire::as_bytes(greeting);
        p.send({view.begin(), view.end()});
        EXPECT_TRUE(p.closed);
        EXPECT_EQ(p.said_raw(), protocol_header());
    }
}

TEST(AmqpHandshake, RefusesAWrongPasswordInRabbitsWords) {
    world w;
    scripted_peer p(w);
    p.send(protocol_header() + start_ok("PLAIN", plain("guest", "wrong")));
    EXPECT_TRUE(p.said().ends_with("0 connection.close 403 ACCESS_REFUSED - Login was refused using authentication "
                                   "mechanism PLAIN. For details see the broker logfile. 0 0"));
    p.send(0, amqp::connection_close_ok{});
    EXPECT_TRUE(p.closed);
}

TEST(AmqpHandshake, LetsAClientWithoutTheCapabilityWaitForTheEnd) {
    world w;
    scripted_peer p(w);
    p.send(protocol_header() + method_frame(0, amqp::connection_start_ok{.client_properties = {},
                                                                         .mechanism = "PLAIN",
                                                                         .response = {"\0guest\0no"},
                                                                         .locale = "en_US"}));
    EXPECT_TRUE(p.said().starts_with("0 connection.start"));
    EXPECT_FALSE(p.aborted);
    w.pass(w.settings.refusal_delay + ns_per_s);
    EXPECT_TRUE(p.aborted);
    EXPECT_EQ(p.said(), "");
}

TEST(AmqpHandshake, TakesAmqplain) {
    world w;
    scripted_peer p(w);
    amqp::table_builder login;
    login.put("LOGIN", std::string_view{"guest"}).put("PASSWORD", std::string_view{"guest"});
    p.send(protocol_header() + start_ok("AMQPLAIN", login.take()));
    EXPECT_TRUE(p.said().ends_with("0 connection.tune 2047 131072 60"));
}

TEST(AmqpHandshake, OffersExternalToAVerifiedCertificateOnly) {
    world w;
    scripted_peer p(w);
    p.info().tls = true;
    p.info().certificate_name = "guest";
    p.send(protocol_header() + start_ok("EXTERNAL", ""));
    const auto lines = p.said();
    EXPECT_NE(lines.find(" EXTERNAL AMQPLAIN PLAIN "), std::string::npos) << lines;
    EXPECT_TRUE(lines.ends_with("0 connection.tune 2047 131072 60"));

    scripted_peer without(w);
    without.send(protocol_header() + start_ok("EXTERNAL", ""));
    EXPECT_EQ(without.said().find("connection.tune"), std::string::npos);
}

TEST(AmqpHandshake, WaitsForASlowAuthenticatorAndKeepsWhatTheClientSentMeanwhile) {
    world w;
    w.logins.slow = true;
    scripted_peer p(w);
    p.send(protocol_header() + start_ok() + tune_and_open({2047, 131072, 0}));
    EXPECT_TRUE(p.paused);
    EXPECT_EQ(p.said().find("connection.tune"), std::string::npos);
    ASSERT_NE(w.logins.waiting, nullptr);
    w.shard->begin_turn();
    w.logins.waiting->on_login(fake_authenticator::verdict("guest", "guest"));
    w.end_turn();
    p.run();
    EXPECT_EQ(p.said(), "0 connection.tune 2047 131072 60\n0 connection.open-ok \"\"");
}

TEST(AmqpHandshake, ForgetsTheLoginOfAPeerThatLeaves) {
    world w;
    w.logins.slow = true;
    {
        scripted_peer p(w);
        p.send(protocol_header() + start_ok());
        ASSERT_NE(w.logins.waiting, nullptr);
    }
    EXPECT_EQ(w.logins.waiting, nullptr);
}

TEST(AmqpHandshake, RefusesLimitsBeyondItsOwn) {
    amqp_settings s;
    EXPECT_TRUE(negotiate(s, {2047, 131072, 60}));
    EXPECT_TRUE(negotiate(s, {1, 4096, 0}));
    EXPECT_EQ(negotiate(s, {2048, 131072, 60}).error(),
              "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)");
    EXPECT_EQ(negotiate(s, {0, 131072, 60}).error(),
              "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)");
    EXPECT_EQ(negotiate(s, {2047, 4095, 60}).error(),
              "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)");
    EXPECT_EQ(negotiate(s, {2047, 131073, 60}).error(),
              "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)");
}

TEST(AmqpHandshake, KeepsForeignersOutOfAVhost) {
    const auto attempt = [](std::string_view user, std::string_view vhost) {
        world w;
        scripted_peer p(w);
        p.send(protocol_header() + start_ok("PLAIN", plain(user, user)) + tune_and_open({2047, 131072, 0}, vhost));
        const auto lines = p.said();
        return lines.substr(lines.rfind('\n') + 1);
    };
    EXPECT_EQ(attempt("guest", "nowhere"), "0 connection.close 530 NOT_ALLOWED - vhost nowhere not found 10 40");
    EXPECT_EQ(attempt("guest", "other"),
              "0 connection.close 530 NOT_ALLOWED - access to vhost 'other' refused for user 'guest' 10 40");
    EXPECT_EQ(attempt("nobody", "/"),
              "0 connection.close 530 NOT_ALLOWED - access to vhost '/' refused for user 'nobody' 10 40");
}

TEST(AmqpHandshake, KeepsToTheVhostsLimit) {
    world w;
    const auto slash = w.parts.editor().view().find_vhost("/");
    ASSERT_TRUE(w.parts.editor()
                    .set_vhost_limits(core::topology_view::id_of(*slash), core::vhost_limits{1, std::nullopt})
                    .has_value());
    w.parts.publish_topology();
    const auto attempt = [](scripted_peer& p) {
        p.send(protocol_header() + start_ok() + tune_and_open({2047, 131072, 0}));
        const auto lines = p.said();
        return lines.substr(lines.rfind('\n') + 1);
    };
    const std::string full = "0 connection.close 530 NOT_ALLOWED - access to vhost '/' refused for user 'guest': "
                             "connection limit (1) is reached 10 40";
    scripted_peer first(w);
    EXPECT_THAT(attempt(first), ::testing::StartsWith("0 connection.open-ok"));
    scripted_peer second(w);
    EXPECT_EQ(attempt(second), full);
    first.send(method_frame(0, amqp::connection_close{}));
    EXPECT_EQ(first.said(), "0 connection.close-ok");
    scripted_peer third(w);
    EXPECT_THAT(attempt(third), ::testing::StartsWith("0 connection.open-ok")) << "its place is free again";
    scripted_peer fourth(w);
    EXPECT_EQ(attempt(fourth), full);
}

TEST(AmqpHandshake, EndsWhoDoesNotFinishInTime) {
    for (const bool said_hello : {false, true}) {
        world w;
        scripted_peer p(w);
        p.send(said_hello ? protocol_header() : bytes{'A', 'M'});
        w.pass(w.settings.handshake_timeout - ns_per_s);
        EXPECT_FALSE(p.aborted);
        w.pass(2 * ns_per_s);
        EXPECT_TRUE(p.aborted);
    }
}

TEST(AmqpHandshake, HangsUpOnMethodsOutOfOrder) {
    world w;
    scripted_peer p(w);
    p.send(protocol_header() + method_frame(0, amqp::connection_tune_ok{2047, 131072, 0}));
    EXPECT_TRUE(p.said().starts_with("0 connection.start"));
    p.send(start_ok());  // too late: nothing is listened to any more
    EXPECT_EQ(p.said(), "");
    w.pass(2 * ns_per_s);
    EXPECT_TRUE(p.aborted);
}

TEST(AmqpHandshake, RefusesChannelFramesBeforeOpen) {
    world w;
    scripted_peer p(w);
    p.send(protocol_header() + start_ok() + method_frame(0, amqp::connection_tune_ok{2047, 131072, 0}) +
           method_frame(1, amqp::channel_open{}));
    EXPECT_TRUE(
        p.said().ends_with("0 connection.close 505 UNEXPECTED_FRAME - type 1, all octets = <<0,20,0,10,0>> 0 0"));
}

TEST(AmqpHandshake, AnswersTheClientsClose) {
    world w;
    scripted_peer p(w, 1);
    p.send(0, amqp::connection_close{.code = 200, .text = "bye"});
    EXPECT_EQ(p.said(), "0 connection.close-ok");
    EXPECT_TRUE(p.closed);
}

TEST(AmqpHandshake, AnswersUpdateSecret) {
    world w;
    scripted_peer p(w, 1);
    p.send(0, amqp::connection_update_secret{.new_secret = {"token"}, .reason = "expires"});
    EXPECT_EQ(p.said(), "0 connection.update-secret-ok");
}

TEST(AmqpHandshake, SaysGoodbyeWhenTheBrokerGoesDown) {
    world w;
    scripted_peer p(w, 1);
    w.shard->begin_turn();
    p.talk->on_shutdown("broker forced connection closure with reason 'shutdown'");
    w.end_turn();
    EXPECT_EQ(p.said(), "0 connection.close 320 CONNECTION_FORCED - broker forced connection closure with reason "
                        "'shutdown' 0 0");
    EXPECT_FALSE(p.closed);
    p.send(0, amqp::connection_close_ok{});
    EXPECT_TRUE(p.closed);
}

TEST(AmqpHandshake, StopsWaitingForACloseOk) {
    world w;
    scripted_peer p(w, 1);
    p.send(0, amqp::connection_start_ok{});
    EXPECT_EQ(p.said(), "0 connection.close 504 CHANNEL_ERROR - unexpected method in connection state running 10 11");
    p.send(1, amqp::channel_open{});  // ignored now
    EXPECT_EQ(p.said(), "");
    w.pass(w.settings.close_timeout + ns_per_s);
    EXPECT_TRUE(p.aborted);
}

}  // namespace
}  // namespace linnet::session::test
