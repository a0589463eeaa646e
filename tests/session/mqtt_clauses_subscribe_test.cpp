// Chapters 3.3.1, 3.8 to 3.11, 4.5, 4.7 and 4.8: subscriptions, and what is retained.
#include "tests/session/mqtt_clauses.hpp"

namespace linnet::session::test {
namespace {

using mqtt::property;
using mqtt::reason_code;
using mqtt::retain_handling;

template <class... Filters>
packet_bytes filters_with_qos(unsigned qos, const Filters&... filters) {
    packet_bytes list;
    mqtt::subscription_options o;
    o.maximum_qos = static_cast<mqtt::qos>(qos);
    (mqtt::append_subscription(list, {filters, o}), ...);
    return list;
}

TEST_P(MqttClauses, SubscribeIsAnsweredWithACodeForEachFilter) {
    clause(mqtt_5, {"MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.8.4-5", "MQTT-3.8.4-6", "MQTT-3.8.4-7", "MQTT-3.9.3-1",
                    "MQTT-3.9.3-2", "MQTT-2.2.1-6"});
    clause(mqtt_3_1_1, {"MQTT-3.8.4-1", "MQTT-3.8.4-2", "MQTT-3.8.4-4", "MQTT-3.8.4-5", "MQTT-3.9.3-1", "MQTT-3.9.3-2",
                        "MQTT-2.3.1-7", "MQTT-3.8.3-2"});
    world w;
    auto l = clean();
    l.user = "limited";
    mqtt_peer limited(w, "limited", l);
    limited.subscribe("a", 1, 700);
    EXPECT_EQ(limited.said(), is_v5() ? "SUBACK 700 87" : "SUBACK 700 80");
    mqtt_peer p(w, "me", clean());
    packet_bytes list;
    for (unsigned qos = 0; qos < 3; ++qos) {
        const auto one = filters_with_qos(qos, fmt::format("a/{}", qos));
        list.insert(list.end(), one.begin(), one.end());
    }
    const auto bad = filters_with_qos(1, std::string("$exchange/no/way"), std::string("a/+/#"));
    list.insert(list.end(), bad.begin(), bad.end());
    p.send(mqtt::subscribe{.packet_id = 65535, .subscriptions = mqtt::subscription_list::trusted(list)});
    EXPECT_EQ(p.said(), is_v5() ? "SUBACK 65535 00 01 02 8f 01" : "SUBACK 65535 00 01 02 80 01");
    p.publish("a/1", "x", 2, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/1 x qos 1 id 1\nPUBREC 1") << "each of them counts";
}

TEST_P(MqttClauses, LowerQosCounts) {
    clause(mqtt_5, {"MQTT-3.8.4-8"});
    clause(mqtt_3_1_1, {"MQTT-3.8.4-6"});
    for (unsigned granted = 0; granted < 3; ++granted) {
        for (unsigned published = 0; published < 3; ++published) {
            world w;
            mqtt_peer p(w, "me", clean());
            mqtt_peer publisher(w, "publisher");
            p.subscribed("t", granted);
            publisher.publish("t", "x", published, published == 0 ? 0 : 1);
            const auto qos = std::min(granted, published);
            EXPECT_EQ(p.said(), qos == 0 ? "PUBLISH t x" : fmt::format("PUBLISH t x qos {} id 1", qos));
        }
    }
}

TEST_P(MqttClauses, OverlappingSubscriptionsDeliverOnceWithTheHighestQos) {
    clause(mqtt_5, {"MQTT-3.3.4-2", "MQTT-3.3.2-3"});
    clause(mqtt_3_1_1, {"MQTT-3.3.5-1", "MQTT-3.3.2-3"});
    world w;
    mqtt_peer p(w, "me", clean());
    p.subscribed("a/#", 0);
    p.subscribed("+/b", 2);
    p.subscribed("a/b", 1);
    p.publish("a/b", "x", 2, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/b x qos 2 id 1\nPUBREC 1");
    p.publish("a/c", "y", 2, 2);
    EXPECT_EQ(p.said(), "PUBLISH a/c y\nPUBREC 2");
}

TEST_P(Mqtt5Clauses, SubscriptionIdentifiersAreAllSent) {
    clause(mqtt_5, {"MQTT-3.3.4-3", "MQTT-3.3.4-4", "MQTT-3.3.4-5"});
    world w;
    mqtt_peer p(w, "me", clean());
    some_properties one;
    one.with<property::subscription_identifier>(1);
    some_properties large;
    large.with<property::subscription_identifier>(268'435'455);
    p.subscribed("a/#", 0, {}, one.block());
    p.subscribed("a/+", 0);
    p.subscribed("a/b", 0, {}, large.block());
    p.publish("a/b", "x");
    const auto said = p.said();
    EXPECT_NE(said.find("Subscription Identifier=1"), said.npos) << said;
    EXPECT_NE(said.find("Subscription Identifier=268435455"), said.npos) << said;
    EXPECT_EQ(said.find("PUBLISH", 1), said.npos) << said;
    // What also comes through a shared subscription is a packet of its own, with that one's identifier.
    some_properties of_group;
    of_group.with<property::subscription_identifier>(9);
    p.subscribed("$share/g/a/b", 0, {}, of_group.block());
    p.publish("a/b", "y");
    const auto two = p.said();
    EXPECT_NE(two.find("PUBLISH a/b y [Subscription Identifier=9]"), two.npos) << two;
    EXPECT_EQ(std::count(two.begin(), two.end(), '\n'), 1) << two;
}

TEST_P(MqttClauses, SameFilterReplacesTheSubscription) {
    clause(mqtt_5, {"MQTT-3.8.4-3", "MQTT-3.8.4-4"});
    clause(mqtt_3_1_1, {"MQTT-3.8.4-3"});
    world w;
    mqtt_peer publisher(w, "publisher");
    publisher.retain("t", "kept", 1, 1);
    mqtt_peer p(w, "me", clean());
    p.subscribe("t", 1);
    EXPECT_EQ(p.said(), "SUBACK 1 01\nPUBLISH t kept qos 1 id 32768 retain");
    p.subscribe("t", 0, 2);
    EXPECT_EQ(p.said(), "SUBACK 2 00\nPUBLISH t kept retain");
    publisher.publish("t", "x", 1, 2);
    EXPECT_EQ(p.said(), "PUBLISH t x") << "once, with the new QoS";
    p.unsubscribe("t");
    publisher.publish("t", "y", 1, 3);
    EXPECT_EQ(p.said().find("PUBLISH"), std::string::npos);
}

TEST_P(Mqtt5Clauses, NoLocalHoldsBackOnesOwn) {
    clause(mqtt_5, {"MQTT-3.8.3-3", "MQTT-3.8.3-4"});
    world w;
    mqtt_peer p(w, "me", clean());
    mqtt_peer other(w, "other", clean());
    p.subscribed("t", 1, {.no_local = true});
    p.publish("t", "mine", 1, 1);
    EXPECT_EQ(p.said().find("PUBLISH"), std::string::npos);
    other.publish("t", "theirs", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH t theirs qos 1 id 2");
    p.subscribe("$share/g/t", 1, 2, {.no_local = true});
    EXPECT_EQ(end_of(p), "DISCONNECT 82");
}

TEST_P(MqttClauses, UnsubscribeEndsWhatIsEqualAndFinishesWhatHasBegun) {
    clause(mqtt_5, {"MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.10.4-3", "MQTT-3.10.4-4", "MQTT-3.10.4-5",
                    "MQTT-3.10.4-6", "MQTT-3.11.3-1", "MQTT-3.11.3-2", "MQTT-2.2.1-6"});
    clause(mqtt_3_1_1, {"MQTT-3.10.4-1", "MQTT-3.10.4-2", "MQTT-3.10.4-3", "MQTT-3.10.4-4", "MQTT-3.10.4-5",
                        "MQTT-3.10.4-6", "MQTT-2.3.1-7"});
    world w;
    mqtt_peer publisher(w, "publisher");
    mqtt_peer p(w, "me", kept());
    for (const auto* filter : {"a/+", "a/b", "A/b"}) {
        p.subscribed(filter, 2);
    }
    publisher.publish("a/b", "1", 2, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/b 1 qos 2 id 1");
    packet_bytes list;
    for (const auto* filter : {"a/+", "never", "a/b"}) {
        mqtt::append_filter(list, filter);
    }
    p.send(mqtt::unsubscribe{.packet_id = 700, .filters = mqtt::filter_list::trusted(list)});
    EXPECT_EQ(p.said(), is_v5() ? "UNSUBACK 700 00 11 00" : "UNSUBACK 700");
    p.unsubscribe("a/#", 701);
    EXPECT_EQ(p.said(), is_v5() ? "UNSUBACK 701 11" : "UNSUBACK 701");
    publisher.publish("a/b", "2", 2, 2);
    EXPECT_EQ(p.said(), "");
    publisher.publish("A/b", "3", 1, 3);
    EXPECT_EQ(p.said(), "PUBLISH A/b 3 qos 1 id 2");
    // What has begun goes on, across connections, too.
    p.go();
    mqtt_peer again(w, "me", kept());
    EXPECT_NE(again.welcome.find("PUBLISH a/b 1 qos 2 id 1 dup"), again.welcome.npos) << again.welcome;
    again.pubrec(1);
    again.pubcomp(1);
    EXPECT_EQ(again.said(), "PUBREL 1");
}

TEST_P(MqttClauses, AcceptedMessagesGoToAllMatchingSessions) {
    clause(mqtt_5, {"MQTT-4.5.0-1"});
    clause(mqtt_3_1_1, {"MQTT-4.5.0-1"});
    world w;
    { mqtt_peer(w, "away", kept()).subscribed("a/#", 2); }
    mqtt_peer here(w, "here", clean());
    here.subscribed("+/b", 1);
    mqtt_peer publisher(w, "publisher");
    publisher.publish("a/b", "x", 2, 1);
    EXPECT_EQ(publisher.said(), "PUBREC 1");
    EXPECT_EQ(here.said(), "PUBLISH a/b x qos 1 id 1");
    mqtt_peer back(w, "away", kept());
    EXPECT_TRUE(back.welcome.ends_with("PUBLISH a/b x qos 2 id 1")) << back.welcome;
}

// ---- What is retained ------------------------------------------------------------------------------

TEST_P(MqttClauses, RetainedMessagesAreReplacedAndRemoved) {
    clause(mqtt_5, {"MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT-3.3.1-8", "MQTT-3.3.1-12"});
    clause(mqtt_3_1_1, {"MQTT-3.3.1-5", "MQTT-3.3.1-6", "MQTT-3.3.1-7", "MQTT-3.3.1-8", "MQTT-3.3.1-9", "MQTT-3.3.1-10",
                        "MQTT-3.3.1-11", "MQTT-3.3.1-12", "MQTT-3.1.2-7"});
    world w;
    mqtt_peer live(w, "live", clean());
    live.subscribed("t", 2);
    const auto retained = [&] {
        mqtt_peer late(w, "late", clean());
        late.subscribe("t", 2);
        return late.said().substr(11);
    };
    {
        mqtt_peer p(w, "me", clean());
        p.retain("t", "2", 2, 1);
        p.pubrel(1);
    }
    EXPECT_EQ(live.said(), "PUBLISH t 2 qos 2 id 1") << "without the flag";
    EXPECT_EQ(retained(), "\nPUBLISH t 2 qos 2 id 32768 retain") << "with its QoS, after its publisher's session";
    mqtt_peer p(w, "me", clean());
    p.publish("t", "not kept", 1, 2);
    p.publish("t", "");
    EXPECT_EQ(retained(), "\nPUBLISH t 2 qos 2 id 32768 retain");
    p.retain("t", "0");
    EXPECT_EQ(retained(), "\nPUBLISH t 0 retain");
    static_cast<void>(live.said());
    p.retain("t", "", 1, 3);
    EXPECT_EQ(live.said(), "PUBLISH t  qos 1 id 5") << "an empty one is delivered";
    EXPECT_EQ(retained(), "") << "and leaves nothing";
    p.retain("t", "", 1, 4);
    EXPECT_EQ(retained(), "");
}

TEST_P(Mqtt5Clauses, RetainHandlingDecidesWhatASubscriptionBrings) {
    clause(mqtt_5, {"MQTT-3.3.1-9", "MQTT-3.3.1-10", "MQTT-3.3.1-11", "MQTT-3.3.1-13"});
    world w;
    mqtt_peer publisher(w, "publisher");
    publisher.retain("t/1", "1");
    publisher.retain("t/2", "2");
    mqtt_peer p(w, "me", clean());
    const auto brings = [&](retain_handling how) {
        p.subscribe("t/+", 0, 1, {.retained = how});
        const auto said = p.said();
        return std::count(said.begin(), said.end(), '\n');
    };
    EXPECT_EQ(brings(retain_handling::do_not_send), 0);
    p.unsubscribe("t/+");
    static_cast<void>(p.said());
    EXPECT_EQ(brings(retain_handling::send_if_new), 2);
    EXPECT_EQ(brings(retain_handling::send_if_new), 0);
    EXPECT_EQ(brings(retain_handling::send), 2);
    EXPECT_EQ(brings(retain_handling::send), 2);
    p.subscribed("asis", 0, {.retain_as_published = true});
    publisher.retain("asis", "flag");
    publisher.publish("asis", "none");
    EXPECT_EQ(p.said(), "PUBLISH asis flag retain\nPUBLISH asis none");
}

TEST_P(MqttClauses, UnfinishedRetainedMessagesGoOn) {
    clause(mqtt_5, {"MQTT-4.4.0-1"});
    clause(mqtt_3_1_1, {"MQTT-4.4.0-1"});
    world w;
    mqtt_peer publisher(w, "publisher");
    publisher.retain("t/1", "1", 1, 1);
    publisher.retain("t/2", "2", 2, 2);
    {
        mqtt_peer p(w, "me", kept());
        p.subscribe("t/+", 2);
        EXPECT_EQ(p.said(), "SUBACK 1 02\nPUBLISH t/1 1 qos 1 id 32768 retain\nPUBLISH t/2 2 qos 2 id 32769 retain");
        p.pubrec(32769);
    }
    mqtt_peer p(w, "me", kept());
    EXPECT_NE(p.welcome.find("PUBLISH t/1 1 qos 1 id 32768 dup retain"), p.welcome.npos) << p.welcome;
    EXPECT_NE(p.welcome.find("PUBREL 32769"), p.welcome.npos) << p.welcome;
    p.puback(32768);
    p.pubcomp(32769);
    p.go();
    EXPECT_EQ(mqtt_peer(w, "me", kept()).welcome.find("\n"), std::string::npos);
}

// ---- Topics ----------------------------------------------------------------------------------------

TEST_P(MqttClauses, TopicsBeginningWithADollarAreHiddenFromLeadingWildcards) {
    clause(mqtt_5, {"MQTT-4.7.2-1"});
    clause(mqtt_3_1_1, {"MQTT-4.7.2-1"});
    world w;
    mqtt_peer p(w, "me", clean());
    for (const auto* filter : {"#", "+/a", "+/#"}) {
        p.subscribed(filter);
    }
    p.publish("$mine/a", "x");
    p.retain("$mine/b", "x");
    EXPECT_EQ(p.said(), "");
    p.subscribe("#", 0, 2);
    EXPECT_EQ(p.said(), "SUBACK 2 00") << "retained ones, too";
    p.subscribe("$mine/+", 0, 3);
    EXPECT_EQ(p.said(), "SUBACK 3 00\nPUBLISH $mine/b x retain");
    p.publish("$mine/a", "y");
    EXPECT_TRUE(p.said().ends_with("PUBLISH $mine/a y"));
}

TEST_P(MqttClauses, TopicsAreTakenAsTheyAre) {
    clause(mqtt_5, {"MQTT-4.7.3-1", "MQTT-4.7.3-3", "MQTT-4.7.3-4", "MQTT-1.5.4-3"});
    clause(mqtt_3_1_1, {"MQTT-4.7.3-1", "MQTT-4.7.3-3", "MQTT-4.7.3-4", "MQTT-1.5.3-3"});
    world w;
    mqtt_peer p(w, "me", clean());
    const std::vector<std::string> topics{"/",
                                          "//",
                                          "a",
                                          "A",
                                          "a/",
                                          "/a",
                                          "a//b",
                                          "caf\xC3\xA9",
                                          "cafe\xCC\x81",
                                          "a b c",
                                          "\xEF\xBB\xBF"
                                          "a",
                                          "a.b/c",
                                          "a%2Eb",
                                          "\xE2\x84\xAB"};
    for (const auto& topic : topics) {
        p.subscribed(topic);
    }
    for (const auto& topic : topics) {
        p.publish(topic, "x");
        EXPECT_EQ(p.said(), "PUBLISH " + topic + " x");
    }
    p.publish("", "x");
    EXPECT_EQ(end_of(p), disconnect("82"));
}

// ---- Shared subscriptions --------------------------------------------------------------------------

TEST_P(Mqtt5Clauses, SharedSubscriptionsAreNamedProperly) {
    clause(mqtt_5, {"MQTT-4.8.2-1", "MQTT-4.8.2-2"});
    for (const auto* filter : {"$share/", "$share//a", "$share/g", "$share/g/", "$share/g+/a", "$share/#/a"}) {
        world w;
        mqtt_peer p(w, "me", clean());
        p.subscribe(filter);
        EXPECT_EQ(end_of(p), "DISCONNECT 8f") << filter;
    }
    world w;
    mqtt_peer p(w, "me", clean());
    p.subscribed("$share/g/+/x", 1);
    p.publish("a/x", "y", 1, 1);
    EXPECT_EQ(p.said(), "PUBLISH a/x y qos 1 id 32768\nPUBACK 1");
}

TEST_P(Mqtt5Clauses, MembersGetTheirOwnQosAndRefuseForAll) {
    clause(mqtt_5, {"MQTT-4.8.2-3", "MQTT-4.8.2-6"});
    world w;
    mqtt_peer zero(w, "zero", clean());
    mqtt_peer publisher(w, "publisher");
    zero.subscribed("$share/g/t", 0);
    publisher.publish("t", "x", 1, 1);
    EXPECT_EQ(zero.said(), "PUBLISH t x");
    zero.go();
    w.turn();
    mqtt_peer one(w, "one", clean());
    mqtt_peer two(w, "two", clean());
    one.subscribed("$share/h/t", 1);
    two.subscribed("$share/h/t", 1);
    publisher.publish("t", "y", 1, 2);
    auto* const got = one.said().empty() ? &two : &one;
    got->send(mqtt::puback{.packet_id = 32768, .reason = reason_code::unspecified_error});
    got->go();
    w.turn();
    EXPECT_EQ((got == &one ? two : one).said(), "");
}

TEST_P(Mqtt5Clauses, SharedQos2StaysWithItsMember) {
    clause(mqtt_5, {"MQTT-4.8.2-4", "MQTT-4.8.2-5"});
    world w;
    mqtt_peer publisher(w, "publisher");
    mqtt_peer other(w, "other", clean());
    const auto lost_by = [&](const mqtt_login& l, bool acknowledged) {
        auto p = std::make_unique<mqtt_peer>(w, "me", l);
        p->subscribed("$share/g/t", 2);
        // The other member comes later, so the message is ours.
        publisher.publish("t", "x", 2, 1);
        publisher.pubrel(1);
        EXPECT_EQ(p->said(), "PUBLISH t x qos 2 id 32768");
        other.subscribed("$share/g/t", 2);
        if (acknowledged) {
            p->pubrec(32768);
            EXPECT_EQ(p->said(), "PUBREL 32768");
        }
        p->go();
        w.turn();
        EXPECT_EQ(other.said(), "") << "nobody else gets it";
        other.unsubscribe("$share/g/t");
        static_cast<void>(other.said());
    };
    for (const bool acknowledged : {false, true}) {
        lost_by(kept(), acknowledged);
        {
            mqtt_peer back(w, "me", kept());
            EXPECT_TRUE(back.welcome.ends_with(acknowledged ? "PUBREL 32768" : "PUBLISH t x qos 2 id 32768 dup"))
                << back.welcome;
            if (!acknowledged) {
                back.pubrec(32768);
                EXPECT_EQ(back.said(), "PUBREL 32768");
            }
            back.pubcomp(32768);
            back.unsubscribe("$share/g/t");
            static_cast<void>(back.said());
        }
        EXPECT_EQ(mqtt_peer(w, "me", kept()).welcome.find("PUB"), std::string::npos) << "it is done with";
        // The session ends with its connection: the message does, too.
        lost_by(clean(), acknowledged);
        w.pass(ns_per_s);
        EXPECT_EQ(other.said(), "");
    }
}

}  // namespace
}  // namespace linnet::session::test
