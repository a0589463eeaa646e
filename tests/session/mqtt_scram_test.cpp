// SCRAM-SHA-256 as MQTT 5 carries it: CONNECT, AUTH and CONNACK.

#include "protocol/http/base64.hpp"
#include "tests/session/conversation.hpp"
#include "tests/session/mqtt_conversation.hpp"
#include "tests/support/clause.hpp"

#include <fmt/format.h>

namespace linnet::session::test {
namespace {

using linnet::test::clause;
using linnet::test::mqtt_5;
using mqtt::property;
using mqtt::reason_code;
using mqtt::version;

some_properties scram_data(std::string_view data) {
    some_properties p;
    p.with<property::authentication_method>("SCRAM-SHA-256");
    p.with<property::authentication_data>(wire::as_bytes(data));
    return p;
}

class scram_client {
public:
    scram_client(world& w, std::string_view user) : peer(w) {
        const auto first = scram_data(fmt::format("n,,n={},r=client", user));
        peer.connect("me", {.spoken = version::v5, .user = "", .properties = first.block()});
    }
    void prove(std::string_view nonces, char proof = 'p', reason_code reason = reason_code::continue_authentication) {
        std::string text = fmt::format("c=biws,r={},p=", nonces);
        http::append_base64(text, std::string(32, proof));
        const auto last = scram_data(text);
        peer.send(mqtt::auth{.reason = reason, .properties = last.block()});
    }
    void again(std::string_view user) {
        const auto first = scram_data(fmt::format("n,,n={},r=more", user));
        peer.send(mqtt::auth{.reason = reason_code::reauthenticate, .properties = first.block()});
    }
    mqtt_peer peer;
};

TEST(MqttScram, LetsInWhoProvesToKnowThePassword) {
    clause(mqtt_5, {"MQTT-4.12.0-2", "MQTT-4.12.0-5", "MQTT-3.15.2-1", "MQTT-3.15.2-2", "MQTT-3.15.2-3"});
    world w;
    scram_client c(w, "guest");
    EXPECT_EQ(c.peer.said(), "AUTH 18 [Authentication Method=SCRAM-SHA-256, "
                             "Authentication Data=r=clientserver1,s=c2FsdCBvZiBndWVzdA==,i=4096]");
    c.prove("clientserver1");
    const auto welcome = c.peer.said();
    EXPECT_TRUE(welcome.starts_with("CONNACK 00 [")) << welcome;
    EXPECT_NE(welcome.find("Authentication Method=SCRAM-SHA-256, Authentication Data=v=c2lnbmF0dXJl"), welcome.npos);
    EXPECT_EQ(w.logins.scram_said, "n=guest,r=client,r=clientserver1,s=c2FsdCBvZiBndWVzdA==,i=4096,c=biws,"
                                   "r=clientserver1");
    c.peer.subscribed("t");
}

// reliability.md, A26
TEST(MqttScram, RefusesOthers) {
    clause(mqtt_5, {"MQTT-4.12.0-4"});
    const auto answer = [](std::string_view user, std::string_view nonces, char proof) {
        world w;
        scram_client c(w, user);
        static_cast<void>(c.peer.said());
        c.prove(nonces, proof);
        const auto said = c.peer.said();
        return said.substr(0, said.find(" [")) + (c.peer.closed ? " closed" : "");
    };
    EXPECT_EQ(answer("guest", "clientserver1", 'x'), "CONNACK 87 closed");
    EXPECT_EQ(answer("guest", "clientserver0", 'p'), "CONNACK 87 closed");  // replayed
    EXPECT_EQ(answer("other:guest", "clientserver1", 'p'), "CONNACK 87 closed");
    world w;
    mqtt_peer silent(w);
    some_properties method;
    method.with<property::authentication_method>("SCRAM-SHA-256");
    silent.connect("me", {.spoken = version::v5, .properties = method.block()});
    EXPECT_TRUE(silent.said().starts_with("CONNACK 87"));
    scram_client c(w, "guest");
    static_cast<void>(c.peer.said());
    c.peer.publish("t", "too early");
    EXPECT_EQ(c.peer.said(), "");
    EXPECT_TRUE(c.peer.closed);
}

TEST(MqttScram, IsRepeatedWhenTheClientWants) {
    clause(mqtt_5, {"MQTT-4.12.1-1", "MQTT-4.12.1-2", "MQTT-4.12.0-5"});
    world w;
    scram_client c(w, "/:guest");
    c.prove("clientserver1");
    static_cast<void>(c.peer.said());
    c.again("/:guest");
    EXPECT_EQ(c.peer.said(), "AUTH 18 [Authentication Method=SCRAM-SHA-256, "
                             "Authentication Data=r=moreserver2,s=c2FsdCBvZiBndWVzdA==,i=4096]");
    c.peer.publish("t", "still at work", 1, 1);
    EXPECT_EQ(c.peer.said(), "PUBACK 1 10");
    c.prove("moreserver2");
    EXPECT_EQ(c.peer.said(), "AUTH 00 [Authentication Method=SCRAM-SHA-256, Authentication Data=v=c2lnbmF0dXJl]");
    c.again("limited");
    static_cast<void>(c.peer.said());
    c.prove("moreserver3");
    EXPECT_EQ(c.peer.said(), "DISCONNECT 87 [Reason String=unknown user or wrong password]");
    EXPECT_TRUE(c.peer.closed);
}

TEST(MqttScram, IsForThoseWhoAskedForItAndInTurn) {
    clause(mqtt_5, {"MQTT-4.12.0-7", "MQTT-4.12.1-1"});
    world w;
    mqtt_peer p(w, "plain", v5);
    const auto first = scram_data("n,,n=guest,r=x");
    p.send(mqtt::auth{.reason = reason_code::reauthenticate, .properties = first.block()});
    EXPECT_EQ(p.said(), "DISCONNECT 82 [Reason String=AUTH with another authentication method than CONNECT]");
    scram_client c(w, "guest");
    c.prove("clientserver1");
    static_cast<void>(c.peer.said());
    c.prove("clientserver1");
    EXPECT_EQ(c.peer.said(), "DISCONNECT 82 [Reason String=AUTH out of turn]");
}

}  // namespace
}  // namespace linnet::session::test
