// What the tests of MQTT's numbered statements share: each runs once for every version that it names statements of.
#pragma once

#include "tests/session/mqtt_conversation.hpp"
#include "tests/support/clause.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace linnet::session::test {

using linnet::test::mqtt_3_1_1;
using linnet::test::mqtt_5;

class MqttClauses : public ::testing::TestWithParam<mqtt::version> {
protected:
    // Of the version at hand only.
    void clause(linnet::test::specification of, std::initializer_list<std::string_view> ids) const {
        if ((of == mqtt_5) == is_v5()) {
            linnet::test::clause(of, ids);
        }
    }
    [[nodiscard]] bool is_v5() const { return GetParam() == mqtt::version::v5; }
    [[nodiscard]] mqtt_login clean() const { return {.spoken = GetParam()}; }
    // Its session outlives the connection: by a minute in MQTT 5.
    [[nodiscard]] mqtt_login kept() const {
        auto l = clean();
        l.clean = false;
        l.properties = is_v5() ? minute_.block() : mqtt::property_block{};
        return l;
    }
    [[nodiscard]] mqtt_login with_will(std::string_view topic, std::string_view text, unsigned qos = 0) const {
        auto l = clean();
        l.will = mqtt::will{};
        l.will->topic = topic;
        l.will->payload = wire::as_bytes(text);
        l.will->qos = static_cast<mqtt::qos>(qos);
        return l;
    }
    // What the client hears of its end, without properties: "" and closed in MQTT 3, "DISCONNECT 82" in MQTT 5.
    [[nodiscard]] static std::string end_of(mqtt_peer& p) {
        auto said = p.said();
        EXPECT_TRUE(p.closed) << said;
        return said.substr(0, said.find(" ["));
    }
    [[nodiscard]] std::string disconnect(std::string_view code) const {
        return is_v5() ? "DISCONNECT " + std::string(code) : "";
    }
    // What is said after CONNECT and whether the connection is over.
    [[nodiscard]] static std::string answer_to(const mqtt_login& l, std::string_view id = "me") {
        world w;
        mqtt_peer p(w);
        p.connect(id, l);
        auto said = p.said();
        return said.substr(0, said.find(" [")) + (p.closed ? " closed" : "");
    }

private:
    some_properties minute_ = some_properties{}.with<mqtt::property::session_expiry_interval>(60);
};

class Mqtt5Clauses : public MqttClauses {};

}  // namespace linnet::session::test
