#include "tests/core/topology_fixture.hpp"

#include <limits>

#include <functional>

namespace linnet::core {
namespace {

using testing::Test;

std::string shown(error_kind k) {
    constexpr std::array<std::string_view, 10> names{
        "not_found",       "access_refused", "precondition_failed", "resource_locked", "not_allowed",
        "command_invalid", "quota_exceeded", "resource_error",      "not_implemented", "internal"};
    return std::string(names.at(static_cast<std::size_t>(k)));
}

template <class T>
[[nodiscard]] std::string told(const outcome<T>& o) {
    return o ? "ok" : shown(o.error().kind) + ": " + o.error().text;
}

[[nodiscard]] value of(value_type t, std::int64_t n) { return {t, n, 0}; }
[[nodiscard]] value text(std::string_view s) { return make_string(s); }

// ---- Arguments of queues -----------------------------------------------------------------------

struct argument_row {
    value_table arguments;
    std::string expected;  // after "invalid arg '<first key>' for queue 'q' in vhost '/': "; "ok"; or whole
};

class QueueArguments : public topology_fixture {
protected:
    [[nodiscard]] std::string declared(const value_table& arguments) {
        declare_queue q;
        q.name = "q";
        q.durable = true;
        q.arguments = arguments;
        return told(editor.check_declare_queue(vhost, q, me));
    }
    void expect(const value_table& arguments, std::string_view reason) {
        const std::string expected = reason == "ok" ? "ok"
                                                    : "precondition_failed: invalid arg '" + arguments.front().first +
                                                          "' for queue 'q' in vhost '/': " + std::string(reason);
        EXPECT_EQ(declared(arguments), expected);
    }
};

TEST_F(QueueArguments, TimesAreNumbersUpToTenYears) {
    for (const std::string key : {"x-message-ttl", "x-expires", "x-consumer-timeout"}) {
        expect({{key, of(value_type::int32, 1)}}, "ok");
        expect({{key, of(value_type::int64, 315'360'000'000)}}, "ok");
        expect({{key, of(value_type::int64, 315'360'000'001)}}, "{value_too_large,315360000001}");
        expect({{key, of(value_type::int8, -1)}}, "{value_negative,-1}");
        expect({{key, text("60000")}}, "\"expected integer, got longstr\"");
        expect({{key, value{value_type::float64, 1.5, 0}}}, "\"expected integer, got double\"");
        expect({{key, of(value_type::timestamp, 5)}}, "\"expected integer, got timestamp\"");
        expect({{key, make_bool(true)}}, "\"expected integer, got bool\"");
        expect({{key, value{}}}, "\"expected integer, got void\"");
    }
    expect({{"x-message-ttl", of(value_type::int32, 0)}}, "ok");
    expect({{"x-expires", of(value_type::int32, 0)}}, "{value_zero,0}");
}

TEST_F(QueueArguments, LimitsAreNaturalNumbers) {
    for (const std::string key : {"x-max-length", "x-max-length-bytes"}) {
        expect({{key, of(value_type::uint16, 0)}}, "ok");
        expect({{key, of(value_type::int64, INT64_MAX)}}, "ok");
        expect({{key, of(value_type::int64, -5)}}, "{value_negative,-5}");
        expect({{key, text("10")}}, "\"expected integer, got longstr\"");
        expect({{key, value{value_type::array, value_array{}, 0}}}, "\"expected integer, got array\"");
        expect({{key, value{value_type::table, value_table{}, 0}}}, "\"expected integer, got table\"");
    }
    expect({{"x-max-priority", of(value_type::uint8, 255)}}, "ok");
    expect({{"x-max-priority", of(value_type::int32, 256)}}, "{max_value_exceeded,256}");
    expect({{"x-max-priority", of(value_type::int32, -1)}}, "{value_negative,-1}");
    expect({{"x-max-priority", value{value_type::float32, 1.0, 0}}}, "\"expected integer, got float\"");
}

TEST_F(QueueArguments, WordsAreOfTheirList) {
    expect({{"x-overflow", text("reject-publish")}}, "ok");
    expect({{"x-overflow", text("reject")}}, "invalid_overflow");
    expect({{"x-overflow", of(value_type::int32, 1)}}, "{unacceptable_type,signedint}");
    expect({{"x-queue-mode", text("lazy")}}, "ok");
    expect({{"x-queue-mode", text("eager")}}, "\"unsupported queue mode 'eager'\"");
    expect({{"x-queue-mode", of(value_type::int64, 1)}}, "{unacceptable_type,long}");
    expect({{"x-queue-version", of(value_type::int32, 2)}}, "ok");
    expect({{"x-queue-version", of(value_type::int32, 3)}}, "\"unsupported queue version '3'\"");
    expect({{"x-queue-type", text("mirrored")}}, "\"unsupported queue type 'mirrored'\"");
    expect({{"x-queue-type", of(value_type::int32, 1)}}, "{unacceptable_type,signedint}");
    expect({{"x-single-active-consumer", make_bool(true)}}, "ok");
    expect({{"x-single-active-consumer", text("true")}}, "{unacceptable_type,longstr}");
}

TEST_F(QueueArguments, DeadLetteringNeedsAnExchange) {
    expect({{"x-dead-letter-exchange", text("")}}, "ok");
    expect({{"x-dead-letter-routing-key", text("k")}}, "routing_key_but_no_dlx_defined");
    expect({{"x-dead-letter-routing-key", text("k")}, {"x-dead-letter-exchange", text("x")}}, "ok");
    expect({{"x-dead-letter-routing-key", of(value_type::int32, 1)}, {"x-dead-letter-exchange", text("x")}},
           "{unacceptable_type,signedint}");
    EXPECT_EQ(declared({{"x-dead-letter-exchange", of(value_type::int32, 1)}}),
              "precondition_failed: invalid type 'signedint' for arg 'x-dead-letter-exchange' in queue 'q' in vhost "
              "'/'");
}

TEST_F(QueueArguments, EachTypeOfQueueHasItsOwn) {
    EXPECT_EQ(declared({{"x-queue-type", text("quorum")}, {"x-max-priority", of(value_type::int32, 1)}}),
              "precondition_failed: invalid arg 'x-max-priority' for queue 'q' in vhost '/' of queue type "
              "rabbit_quorum_queue");
    EXPECT_EQ(declared({{"x-delivery-limit", of(value_type::int32, 1)}}),
              "precondition_failed: invalid arg 'x-delivery-limit' for queue 'q' in vhost '/' of queue type "
              "rabbit_classic_queue");
    EXPECT_EQ(declared({{"x-queue-type", text("stream")}, {"x-message-ttl", of(value_type::int32, 1)}}),
              "precondition_failed: invalid arg 'x-message-ttl' for queue 'q' in vhost '/' of queue type "
              "rabbit_stream_queue");
    EXPECT_EQ(declared({{"x-queue-type", text("stream")}, {"x-max-age", text("7D")}}), "ok");
    for (const auto age : {"7", "D", "0D", "7X", "7DD", "-1D"}) {
        EXPECT_EQ(declared({{"x-queue-type", text("stream")}, {"x-max-age", text(age)}}),
                  "precondition_failed: invalid arg 'x-max-age' for queue 'q' in vhost '/': invalid_max_age")
            << age;
    }
    EXPECT_EQ(declared({{"x-queue-type", text("stream")},
                        {"x-stream-max-segment-size-bytes", of(value_type::int64, 3'000'000'001)}}),
              "precondition_failed: Exceeded max value for x-stream-max-segment-size-bytes");
    EXPECT_EQ(declared({{"x-of-some-plugin", text("anything")}}), "ok");
}

TEST_F(QueueArguments, ReplicatedQueuesAreDurableAndShared) {
    const auto with = [&](std::string_view type, bool durable, bool exclusive, bool auto_delete) {
        declare_queue q;
        q.name = "q";
        q.durable = durable;
        q.exclusive = exclusive;
        q.auto_delete = auto_delete;
        q.arguments = {{"x-queue-type", text(type)}};
        return told(editor.check_declare_queue(vhost, q, me));
    };
    for (const auto type : {"quorum", "stream"}) {
        EXPECT_EQ(with(type, true, false, false), "ok");
        EXPECT_EQ(with(type, false, false, false),
                  "precondition_failed: invalid property 'non-durable' for queue 'q' in vhost '/'");
        EXPECT_EQ(with(type, true, true, false),
                  "precondition_failed: invalid property 'exclusive-owner' for queue 'q' in vhost '/'");
        EXPECT_EQ(with(type, true, false, true),
                  "precondition_failed: invalid property 'auto-delete' for queue 'q' in vhost '/'");
    }
    declare_queue server_named;
    server_named.name = "amq.gen-1";
    server_named.server_named = true;
    EXPECT_EQ(told(editor.check_declare_queue(vhost, server_named, me)), "ok");
    server_named.arguments = {{"x-queue-type", text("quorum")}};
    EXPECT_EQ(told(editor.check_declare_queue(vhost, server_named, me)),
              "precondition_failed: Cannot declare a server-named queue for type rabbit_quorum_queue");
}

TEST_F(QueueArguments, OfRetriesAreTimesAFactorAndALimit) {
    for (const std::string key : {"x-retry-base", "x-retry-max"}) {
        expect({{key, of(value_type::int32, 0)}}, "ok");
        expect({{key, of(value_type::int64, 315'360'000'001)}}, "{value_too_large,315360000001}");
        expect({{key, of(value_type::int8, -1)}}, "{value_negative,-1}");
        expect({{key, text("1")}}, "\"expected integer, got longstr\"");
    }
    expect({{"x-retry-factor", of(value_type::int32, 1)}}, "ok");
    expect({{"x-retry-factor", value{value_type::float64, 1.5, 0}}}, "ok");
    expect({{"x-retry-factor", value{value_type::float64, 0.99, 0}}}, "invalid_retry_factor");
    expect({{"x-retry-factor", value{value_type::float64, std::numeric_limits<double>::infinity(), 0}}},
           "invalid_retry_factor");
    expect({{"x-retry-factor", value{value_type::float64, std::numeric_limits<double>::quiet_NaN(), 0}}},
           "invalid_retry_factor");
    expect({{"x-retry-factor", of(value_type::int32, -2)}}, "invalid_retry_factor");
    expect({{"x-retry-factor", text("2")}}, "\"expected number, got longstr\"");
    expect({{"x-retry-limit", of(value_type::int32, 1)}}, "ok");
    expect({{"x-retry-limit", of(value_type::int32, 0)}}, "{value_zero,0}");
    EXPECT_EQ(declared({{"x-queue-type", text("stream")}, {"x-retry-base", integer(1)}}),
              "precondition_failed: invalid arg 'x-retry-base' for queue 'q' in vhost '/' of queue type "
              "rabbit_stream_queue");
}

TEST_F(QueueArguments, OfDeduplicationAreATimeALengthAndAHeader) {
    expect({{"x-deduplication-window", integer(1)}}, "ok");
    expect({{"x-deduplication-window", integer(2'147'483'647)}}, "ok");
    expect({{"x-deduplication-window", integer(2'147'483'648)}}, "{value_too_large,2147483648}");
    expect({{"x-deduplication-window", integer(0)}}, "{value_zero,0}");
    expect({{"x-deduplication-window", integer(-1)}}, "{value_negative,-1}");
    expect({{"x-deduplication-window", text("1s")}}, "\"expected integer, got longstr\"");
    expect({{"x-deduplication-window-length", integer(1)}}, "ok");
    expect({{"x-deduplication-window-length", integer(0)}}, "{value_zero,0}");
    expect({{"x-deduplication-window-length", integer(1'000'000'001)}}, "{value_too_large,1000000001}");
    expect({{"x-deduplication-header", text("id")}}, "ok");
    expect({{"x-deduplication-header", text("")}}, "empty_header_name");
    expect({{"x-deduplication-header", integer(1)}}, "{unacceptable_type,signedint}");
}

TEST_F(QueueArguments, OfGroupsAllowNoOtherOrder) {
    expect({{"x-group-by", text("customer")}}, "ok");
    expect({{"x-group-by", text("")}}, "empty_header_name");
    expect({{"x-group-by", make_bool(true)}}, "{unacceptable_type,bool}");
    expect({{"x-group-by", text("k")}, {"x-max-priority", integer(3)}}, "group_by_with_max_priority");
    expect({{"x-group-by", text("k")}, {"x-single-active-consumer", make_bool(true)}},
           "group_by_with_single_active_consumer");
    expect({{"x-group-by", text("k")}, {"x-single-active-consumer", make_bool(false)}}, "ok");
}

TEST_F(QueueArguments, OfOurOwnBecomeSettings) {
    queue("q", {{"x-retry-base", integer(100)},
                {"x-retry-factor", value{value_type::float64, 1.5, 0}},
                {"x-retry-max", integer(5000)},
                {"x-retry-limit", integer(4)},
                {"x-deduplication-window", integer(2000)},
                {"x-deduplication-window-length", integer(50)},
                {"x-deduplication-header", text("order")},
                {"x-group-by", text("customer")}});
    const auto& s = topology_view::find_queue(node(), "q")->spec.settings;
    EXPECT_EQ(s.retry, (retry_policy{100 * ns_per_ms, 1.5, 5000 * ns_per_ms, 4}));
    EXPECT_EQ(s.dedup, (dedup_settings{2000 * ns_per_ms, 50, "order"}));
    EXPECT_EQ(s.group_by, "customer");
    queue("plain");
    const auto& none = topology_view::find_queue(node(), "plain")->spec.settings;
    EXPECT_FALSE(none.retry || none.dedup || none.group_by);
}

TEST_F(QueueArguments, BecomeSettings) {
    queue("q", {{"x-message-ttl", integer(5)},
                {"x-expires", integer(7)},
                {"x-max-length", integer(3)},
                {"x-max-length-bytes", integer(4)},
                {"x-overflow", text("reject-publish-dlx")},
                {"x-dead-letter-exchange", text("dlx")},
                {"x-dead-letter-routing-key", text("dlk")},
                {"x-max-priority", integer(9)},
                {"x-single-active-consumer", make_bool(true)},
                {"x-consumer-timeout", integer(11)}});
    const auto& s = topology_view::find_queue(node(), "q")->spec.settings;
    EXPECT_EQ(s.message_ttl, 5 * ns_per_ms);
    EXPECT_EQ(s.expires, 7 * ns_per_ms);
    EXPECT_EQ(s.max_length, 3U);
    EXPECT_EQ(s.max_length_bytes, 4U);
    EXPECT_EQ(s.overflow, overflow_policy::reject_publish_dlx);
    EXPECT_EQ(s.dead_letter_exchange, "dlx");
    EXPECT_EQ(s.dead_letter_routing_key, "dlk");
    EXPECT_EQ(s.max_priority, 9);
    EXPECT_TRUE(s.single_active_consumer);
    EXPECT_EQ(s.consumer_timeout, 11 * ns_per_ms);
}

// ---- Redeclaring -------------------------------------------------------------------------------

class Redeclaring : public topology_fixture {
protected:
    [[nodiscard]] std::string again(const declare_queue& first, const declare_queue& second) {
        create(first, me);
        const auto result = told(editor.check_declare_queue(vhost, second, me));
        editor.remove_queue(vhost, first.name);
        return result;
    }
    [[nodiscard]] static declare_queue with(value_table arguments) {
        declare_queue q;
        q.name = "q";
        q.arguments = std::move(arguments);
        return q;
    }
};

constexpr std::string_view locked =
    "resource_locked: cannot obtain exclusive access to locked queue 'q' in vhost '/'. It could be originally "
    "declared on another connection or the exclusive property value does not match that of the original declaration.";

TEST_F(Redeclaring, AQueueComparesItsProperties) {
    declare_queue plain = with({});
    declare_queue durable = plain;
    durable.durable = true;
    declare_queue auto_delete = plain;
    auto_delete.auto_delete = true;
    declare_queue exclusive = plain;
    exclusive.exclusive = true;
    declare_queue exclusive_durable = exclusive;
    exclusive_durable.durable = true;
    EXPECT_EQ(again(plain, plain), "ok");
    EXPECT_EQ(again(plain, durable), "precondition_failed: inequivalent arg 'durable' for queue 'q' in vhost '/': "
                                     "received 'true' but current is 'false'");
    EXPECT_EQ(again(auto_delete, plain), "precondition_failed: inequivalent arg 'auto_delete' for queue 'q' in vhost "
                                         "'/': received 'false' but current is 'true'");
    EXPECT_EQ(again(exclusive, exclusive), "ok");
    EXPECT_EQ(again(exclusive, exclusive_durable), "ok") << "an exclusive queue is never durable";
    EXPECT_EQ(again(exclusive, plain), locked);
    EXPECT_EQ(again(plain, exclusive), locked);
}

TEST_F(Redeclaring, AQueueComparesItsArguments) {
    const auto ttl = [](value v) { return with({{"x-message-ttl", std::move(v)}}); };
    const std::string start = "precondition_failed: inequivalent arg 'x-message-ttl' for queue 'q' in vhost '/': ";
    EXPECT_EQ(again(ttl(of(value_type::int32, 1000)), ttl(of(value_type::int64, 1000))), "ok");
    EXPECT_EQ(again(ttl(of(value_type::int32, 1000)), ttl(of(value_type::int32, 2000))),
              start + "received '2000' but current is '1000'");
    EXPECT_EQ(again(ttl(of(value_type::int32, 1000)), with({})),
              start + "received none but current is the value '1000' of type 'signedint'");
    EXPECT_EQ(again(with({}), ttl(of(value_type::int64, 1000))),
              start + "received the value '1000' of type 'long' but current is none");
    EXPECT_EQ(again(with({{"x-dead-letter-exchange", text("a")}}), with({{"x-dead-letter-exchange", text("b")}})),
              "precondition_failed: inequivalent arg 'x-dead-letter-exchange' for queue 'q' in vhost '/': received "
              "'b' but current is 'a'");
    EXPECT_EQ(again(with({}), with({{"x-single-active-consumer", make_bool(true)}})),
              "precondition_failed: inequivalent arg 'x-single-active-consumer' for queue 'q' in vhost '/': received "
              "the value 'true' of type 'bool' but current is none");
    EXPECT_EQ(again(with({}), with({{"x-queue-type", text("classic")}})), "ok");
    EXPECT_EQ(again(with({{"x-queue-type", text("classic")}}), with({})), "ok");
    EXPECT_EQ(again(with({}), with({{"x-unknown", text("counts not")}})), "ok");
}

TEST_F(Redeclaring, AnExchangeComparesWhatItIs) {
    declare_exchange x;
    x.name = "x";
    x.type = "direct";
    ASSERT_EQ(told(editor.declare_exchange(vhost, x)), "ok");
    ASSERT_EQ(told(editor.declare_exchange(vhost, x)), "ok");
    const std::string start = "precondition_failed: inequivalent arg ";
    const std::string where = " for exchange 'x' in vhost '/': ";
    const auto again_with = [&](const std::function<void(declare_exchange&)>& change) {
        declare_exchange next = x;
        change(next);
        return told(editor.declare_exchange(vhost, next));
    };
    EXPECT_EQ(again_with([](auto& d) { d.type = "topic"; }),
              start + "'type'" + where + "received 'topic' but current is 'direct'");
    EXPECT_EQ(again_with([](auto& d) { d.type = "x-random"; }),
              start + "'type'" + where + "received ''x-random'' but current is 'direct'");
    EXPECT_EQ(again_with([](auto& d) { d.durable = true; }),
              start + "'durable'" + where + "received 'true' but current is 'false'");
    EXPECT_EQ(again_with([](auto& d) { d.auto_delete = true; }),
              start + "'auto_delete'" + where + "received 'true' but current is 'false'");
    EXPECT_EQ(again_with([](auto& d) { d.internal = true; }),
              start + "'internal'" + where + "received 'true' but current is 'false'");
    EXPECT_EQ(again_with([](auto& d) {
                  d.arguments = {{"alternate-exchange", make_string("y")}};
              }),
              start + "'alternate-exchange'" + where + "received the value 'y' of type 'longstr' but current is none");
}

// ---- Names, presence, use ----------------------------------------------------------------------

class Declaring : public topology_fixture {};

TEST_F(Declaring, ExchangesHaveKnownTypesAndFreeNames) {
    EXPECT_EQ(told(try_exchange("x", "nonsense")), "command_invalid: unknown exchange type 'nonsense'");
    EXPECT_EQ(told(try_exchange("x", "")), "command_invalid: invalid exchange type ''");
    EXPECT_EQ(told(try_exchange("", "direct")), "access_refused: operation not permitted on the default exchange");
    EXPECT_EQ(told(try_exchange("amq.mine", "direct")),
              "access_refused: exchange name 'amq.mine' contains reserved prefix 'amq.*'");
    EXPECT_EQ(told(try_exchange("amq.direct", "fanout")),
              "precondition_failed: inequivalent arg 'type' for exchange 'amq.direct' in vhost '/': received 'fanout' "
              "but current is 'direct'");
    EXPECT_EQ(
        told(try_exchange("x", "direct", {{"alternate-exchange", integer(1)}})),
        "precondition_failed: invalid type 'signedint' for arg 'alternate-exchange' in exchange 'x' in vhost '/'");
    for (const auto type : {"direct", "fanout", "topic", "headers", "x-consistent-hash", "x-modulus-hash", "x-random",
                            "x-local-random", "x-recent-history"}) {
        EXPECT_EQ(told(try_exchange(std::string("x-") + type, type)), "ok");
    }
}

TEST_F(Declaring, PluginExchangesCheckTheirArguments) {
    const auto delayed = "precondition_failed: Invalid argument, 'x-delayed-type' must be an existing exchange type";
    EXPECT_EQ(told(try_exchange("x", "x-delayed-message")), delayed);
    EXPECT_EQ(told(try_exchange("x", "x-delayed-message", {{"x-delayed-type", integer(1)}})), delayed);
    EXPECT_EQ(told(try_exchange("x", "x-delayed-message", {{"x-delayed-type", text("x-delayed-message")}})), delayed);
    EXPECT_EQ(told(try_exchange("x", "x-delayed-message", {{"x-delayed-type", text("no")}})),
              "command_invalid: unknown exchange type 'no'");
    EXPECT_EQ(told(try_exchange("x", "x-recent-history", {{"x-recent-history-length", integer(0)}})),
              "precondition_failed: Invalid argument 0, 'x-recent-history-length' must be a positive integer");
    EXPECT_EQ(told(try_exchange("x", "x-recent-history", {{"x-recent-history-length", text("5")}})),
              "precondition_failed: Invalid argument <<\"5\">>, 'x-recent-history-length' must be a positive integer");
    EXPECT_EQ(told(try_exchange("x", "x-consistent-hash",
                                {{"hash-header", text("h")}, {"hash-property", text("message_id")}})),
              "precondition_failed: hash-header and hash-property are mutually exclusive");
    EXPECT_EQ(told(try_exchange("x", "x-consistent-hash", {{"hash-property", text("app_id")}})),
              "precondition_failed: Unsupported property: app_id");
}

TEST_F(Declaring, BindingsFitTheirExchange) {
    queue("q");
    exchange("h", "x-consistent-hash");
    EXPECT_EQ(told(try_bind("h", "q", "abc")), "precondition_failed: The binding key must be an integer: <<\"abc\">>");
    EXPECT_EQ(told(try_bind("h", "q", "")), "precondition_failed: The binding key must be an integer: <<\"\">>");
    EXPECT_EQ(told(try_bind("h", "q", "0")), "precondition_failed: The binding key must be greater than 0");
    EXPECT_EQ(told(try_bind("h", "q", "-3")), "precondition_failed: The binding key must be greater than 0");
    EXPECT_EQ(told(try_bind("h", "q", "3")), "ok");
    EXPECT_EQ(told(try_bind("amq.headers", "q", "", {{"x-match", text("some")}})),
              "precondition_failed: Invalid x-match field value <<\"some\">>; expected all, any, all-with-x, or "
              "any-with-x");
    EXPECT_EQ(told(try_bind("amq.headers", "q", "", {{"x-match", integer(5)}})),
              "precondition_failed: Invalid x-match field type signedint (value 5); expected longstr");
}

TEST_F(Declaring, BindingNamesWhatIsMissing) {
    queue("q");
    EXPECT_EQ(told(try_bind("none", "q", "k")), "not_found: no exchange 'none' in vhost '/'");
    EXPECT_EQ(told(try_bind("amq.direct", "none", "k")), "not_found: no queue 'none' in vhost '/'");
    EXPECT_EQ(told(try_bind("none", "nor", "k")), "not_found: no exchange 'none' in vhost '/'");
    EXPECT_EQ(told(try_bind("amq.direct", "none", "k", {}, bind_destination::exchange)),
              "not_found: no exchange 'none' in vhost '/'");
    EXPECT_EQ(told(try_bind("", "q", "k")), "access_refused: operation not permitted on the default exchange");
    EXPECT_EQ(told(try_bind("amq.direct", "", "k", {}, bind_destination::exchange)),
              "access_refused: operation not permitted on the default exchange");
}

TEST_F(Declaring, PassiveAsksOnlyForPresence) {
    declare_exchange x;
    x.absent = if_absent::fail;
    x.name = "none";
    EXPECT_EQ(told(editor.declare_exchange(vhost, x)), "not_found: no exchange 'none' in vhost '/'");
    x.name = "amq.direct";
    x.type = "anything";
    EXPECT_EQ(told(editor.declare_exchange(vhost, x)), "ok");
    declare_queue q;
    q.absent = if_absent::fail;
    q.name = "none";
    EXPECT_EQ(told(editor.check_declare_queue(vhost, q, me)), "not_found: no queue 'none' in vhost '/'");
}

TEST_F(Declaring, DeletingIsIdempotentAndGuarded) {
    EXPECT_EQ(told(editor.delete_exchange(vhost, {"none", false})), "ok");
    EXPECT_EQ(told(editor.delete_exchange(vhost, {"", false})),
              "access_refused: operation not permitted on the default exchange");
    EXPECT_EQ(told(editor.delete_exchange(vhost, {"amq.topic", false})),
              "access_refused: deletion of system exchange 'amq.topic' in vhost '/' not allowed");
    exchange("x", "direct");
    queue("q");
    bind("x", "q", "k");
    EXPECT_EQ(told(editor.delete_exchange(vhost, {"x", true})),
              "precondition_failed: exchange 'x' in vhost '/' in use");
    EXPECT_EQ(told(editor.delete_exchange(vhost, {"x", false})), "ok");
    EXPECT_TRUE(topology_view::find_exchange(node(), "x") == nullptr);
    const auto gone = editor.check_delete_queue(vhost, {"none", false, false}, me);
    ASSERT_TRUE(gone.has_value());
    EXPECT_FALSE(gone->has_value());
}

TEST_F(Declaring, ExclusiveQueuesAreTheirSessionsAlone) {
    declare_queue q;
    q.name = "q";
    q.exclusive = true;
    const auto handle = create(q, me);
    EXPECT_EQ(told(editor.check_queue(vhost, "q", me)), "ok");
    EXPECT_EQ(told(editor.check_queue(vhost, "q", other)), locked);
    EXPECT_EQ(told(editor.check_delete_queue(vhost, {"q", false, false}, other)), locked);
    EXPECT_EQ(told(editor.bind(vhost, {"amq.direct", "q", bind_destination::queue, "k", {}, {}}, other)), locked);
    q.absent = if_absent::fail;
    EXPECT_EQ(told(editor.check_declare_queue(vhost, q, other)), locked);
    ASSERT_EQ(editor.queues_of_session(me).size(), 1U);
    EXPECT_EQ(editor.queues_of_session(me).front().handle, handle);
    EXPECT_TRUE(editor.queues_of_session(other).empty());
    editor.remove_queue(handle);
    EXPECT_TRUE(editor.queues_of_session(me).empty());
    EXPECT_EQ(editor.find_queue(handle), nullptr);
}

TEST_F(Declaring, ReservedNamesAreRefused) {
    declare_queue q;
    q.name = "amq.mine";
    EXPECT_EQ(told(editor.check_declare_queue(vhost, q, me)),
              "access_refused: queue name 'amq.mine' contains reserved prefix 'amq.*'");
}

TEST_F(Declaring, LimitsHold) {
    editor.set_limits({2, 3, 1});
    queue("a");
    queue("b");
    declare_queue c;
    c.name = "c";
    EXPECT_EQ(told(editor.check_declare_queue(vhost, c, me)),
              "quota_exceeded: cannot declare queue 'c': queue limit in vhost '/' (2) is reached");
    EXPECT_EQ(queue("a"), editor.check_queue(vhost, "a", me)->handle) << "what exists is not counted again";
    editor.set_limits({std::nullopt, 2, 1});
    EXPECT_EQ(told(editor.check_declare_queue(vhost, c, me)),
              "quota_exceeded: cannot declare queue 'c': queue limit in cluster (2) is reached");
    editor.remove_queue(vhost, "a");
    EXPECT_EQ(told(editor.check_declare_queue(vhost, c, me)), "ok");
    exchange("x", "direct");
    EXPECT_EQ(told(try_exchange("y", "direct")),
              "quota_exceeded: cannot declare exchange 'y': exchange limit of 1 is reached");
}

// Of levels behind a '#' and another wildcard: what patterns share counts once, and their last level not at all.
TEST_F(Declaring, PatternsThatAKeyIsComparedWithAgainAndAgainAreLimited) {
    topology_limits limits;
    limits.roaming_nodes = 3;
    editor.set_limits(limits);
    queue("a");
    queue("b");
    const auto full = [](std::string_view exchange) {
        return "quota_exceeded: cannot bind to exchange '" + std::string(exchange) +
               "': limit of levels behind '#' and another wildcard (3) is reached";
    };
    // None of these has a level that counts.
    for (const auto key : {"#", "*.*.*.*.a.b.c.#", "#.a.b.c.d.e.f.#", "a.b.c.d.#.e.f", "#.a.b.c.*"}) {
        bind("amq.topic", "a", key);
    }
    EXPECT_EQ(told(try_bind("amq.topic", "a", "#.a.#.b.#.c.#")), "ok") << "at 'a.#', 'b' and 'b.#'";
    EXPECT_EQ(told(try_bind("amq.topic", "b", "#.a.#.b.#.c.#")), "ok") << "the same levels";
    EXPECT_EQ(told(try_bind("amq.topic", "b", "#.a.#.b.#.d")), "ok") << "a last level";
    EXPECT_EQ(told(try_bind("amq.topic", "b", "#.a.#.b.#.c.#")), "ok") << "there already";
    EXPECT_EQ(told(try_bind("amq.topic", "b", "*.#.a")), full("amq.topic"));
    EXPECT_EQ(told(try_bind("amq.topic", "b", "*.#.a.b")), full("amq.topic"));
    exchange("x", "topic");
    EXPECT_EQ(told(try_bind("x", "b", "*.#.a")), "ok") << "each exchange has its own";
    EXPECT_EQ(told(try_bind("x", "b", "*.#.a.b.c.d")), full("x"));
    EXPECT_EQ(told(try_bind("amq.direct", "b", "#.a.#.b.#.c.#.d.#.e.#")), "ok") << "no pattern";
    // What goes makes room.
    unbind("amq.topic", "a", "#.a.#.b.#.c.#");
    unbind("amq.topic", "b", "#.a.#.b.#.c.#");
    EXPECT_EQ(told(try_bind("amq.topic", "b", "*.#.a")), full("amq.topic")) << "another needs them";
    unbind("amq.topic", "b", "#.a.#.b.#.d");
    EXPECT_EQ(told(try_bind("amq.topic", "b", "*.#.a")), "ok");
    editor.set_limits({});
    EXPECT_EQ(told(try_bind("amq.topic", "b", "#.a.#.b.#.c.#.d.#.e.#")), "ok");
    // What the log has is there, whatever the limit is by now.
    editor.set_limits(limits);
    const binding_definition long_one{"/", "amq.topic", "a", bind_destination::queue, "*.#.a.b.c.d.e", false, true, {}};
    EXPECT_EQ(told(editor.import_binding(long_one)), full("amq.topic"));
    EXPECT_EQ(told(editor.restore_binding(long_one)), "ok");
    EXPECT_EQ(told(editor.import_binding(long_one)), "ok") << "there already";
}

TEST_F(Declaring, AVhostsOwnLimitHoldsBesideTheConfiguredOne) {
    declare_queue c;
    c.name = "c";
    const auto declared = [&] { return told(editor.check_declare_queue(vhost, c, me)); };
    const auto at_most = [&](std::int64_t n) {
        return editor.set_vhost_limits(vhost, vhost_limits{std::nullopt, n}).has_value();
    };
    queue("a");
    queue("b");
    ASSERT_TRUE(at_most(1));
    EXPECT_EQ(declared(), "quota_exceeded: cannot declare queue 'c': queue limit in vhost '/' (1) is reached");
    EXPECT_NE(editor.find_queue(queue("b")), nullptr) << "what there is beyond it stays";
    ASSERT_TRUE(at_most(0));
    EXPECT_EQ(declared(), "quota_exceeded: cannot declare queue 'c': queue limit in vhost '/' (0) is reached");
    ASSERT_TRUE(at_most(-1));
    EXPECT_EQ(declared(), "ok") << "a negative one allows any";
    ASSERT_TRUE(at_most(3));
    EXPECT_EQ(declared(), "ok");
    editor.set_limits({2, {}, {}});
    EXPECT_EQ(declared(), "quota_exceeded: cannot declare queue 'c': queue limit in vhost '/' (2) is reached");
    EXPECT_FALSE(editor.set_vhost_limits(vhost_id{77}, vhost_limits{std::nullopt, 1}).has_value());
}

TEST_F(Declaring, AForkIsTriedAndThrownAway) {
    queue("a");
    exchange("x", "topic");
    bind("x", "a", "#");
    policy short_ones;
    short_ones.name = "short";
    short_ones.pattern = ".";
    short_ones.definition = {{"max-length", integer(1)}};
    const auto version = editor.view().version();
    {
        const auto fork = editor.fork();
        EXPECT_TRUE(fork->set_policy(vhost, short_ones).has_value());
        fork->remove_queue(vhost, "a");
        EXPECT_TRUE(fork->delete_exchange(vhost, {"x", false}).has_value());
        EXPECT_EQ(fork->add_vhost("other"), vhost_id{vhost.value + 1});
        EXPECT_EQ(fork->find_queue(queue("a")), nullptr);
    }
    EXPECT_EQ(editor.view().version(), version);
    EXPECT_EQ(editor.view().find_vhost("other"), nullptr);
    ASSERT_NE(editor.find_queue(queue("a")), nullptr);
    EXPECT_EQ(editor.find_queue(queue("a"))->spec.policy, "");
    EXPECT_EQ(route("x", "k"), names_of_queues{"a"});
}

TEST_F(Declaring, SeatsInAVhostAreCountedAcrossItsVersions) {
    const auto sit = [&] { return topology_view::take_seat(*editor.view().find_vhost(vhost), "ann"); };
    auto first = sit();
    ASSERT_TRUE(first.has_value());
    ASSERT_TRUE(editor.set_vhost_limits(vhost, vhost_limits{2, std::nullopt}).has_value());
    queue("another version");
    auto second = sit();
    ASSERT_TRUE(second.has_value());
    EXPECT_EQ(told(sit()),
              "quota_exceeded: access to vhost '/' refused for user 'ann': connection limit (2) is reached");
    const auto moved = std::move(*second);
    EXPECT_FALSE(sit().has_value());
    first->release();
    first->release();
    EXPECT_TRUE(sit().has_value()) << "and it has gone again";
    EXPECT_TRUE(sit().has_value());
    ASSERT_TRUE(editor.set_vhost_limits(vhost, vhost_limits{0, std::nullopt}).has_value());
    EXPECT_FALSE(sit().has_value());
}

TEST(VhostLimits, AreReadAsRabbitmqNamesThem) {
    const auto read = [](value_table t) {
        const auto done = read_vhost_limits(t);
        return done ? to_table(*done) == t ? "as it was" : "otherwise" : done.error();
    };
    EXPECT_EQ(read({}), "as it was");
    EXPECT_EQ(read({{"max-connections", make_int64(-1)}, {"max-queues", make_int64(7)}}), "as it was");
    EXPECT_EQ(read({{"max-queues", make_string("7")}}), "max-queues should be a number, actually was <<\"7\">>");
    EXPECT_EQ(read({{"max-cats", make_int64(7)}}), "Unrecognised terms [{<<\"max-cats\">>,7}] in limits");
}

// ---- What falls with what ----------------------------------------------------------------------

class Falling : public topology_fixture {};

TEST_F(Falling, AnAutoDeleteExchangeGoesWithItsLastBinding) {
    auto_delete_exchange("x", "direct");
    queue("q");
    bind("x", "q", "a");
    bind("x", "q", "b");
    EXPECT_TRUE(unbind("x", "q", "a").exchanges.empty());
    EXPECT_EQ(unbind("x", "q", "b").exchanges, std::vector<std::string>{"x"});
    EXPECT_EQ(topology_view::find_exchange(node(), "x"), nullptr);
}

TEST_F(Falling, ChainsFallWhole) {
    // Long enough to overflow a stack, were it recursive.
    constexpr int length = 30'000;
    for (int i = 0; i < length; ++i) {
        auto_delete_exchange("x" + std::to_string(i), "fanout");
    }
    for (int i = 0; i + 1 < length; ++i) {
        bind_exchange("x" + std::to_string(i), "x" + std::to_string(i + 1), "");
    }
    queue("q");
    bind("x" + std::to_string(length - 1), "q", "");
    EXPECT_EQ(editor.remove_queue(vhost, "q").exchanges.size(), static_cast<std::size_t>(length));
}

TEST_F(Falling, CyclesOfAutoDeleteExchangesFallOnce) {
    auto_delete_exchange("x", "fanout");
    auto_delete_exchange("y", "fanout");
    bind_exchange("x", "y", "");
    bind_exchange("y", "x", "");
    bind_exchange("x", "x", "");
    const auto gone = editor.delete_exchange(vhost, {"x", false});
    ASSERT_TRUE(gone.has_value());
    EXPECT_EQ(gone->exchanges, std::vector<std::string>{"y"});
    EXPECT_EQ(topology_view::find_exchange(node(), "y"), nullptr);
}

TEST_F(Falling, ARemovedQueueLeavesNoBinding) {
    queue("q");
    queue("stays");
    bind("amq.topic", "q", "a.#");
    bind("amq.direct", "q", "k");
    bind("amq.fanout", "q", "");
    bind("amq.headers", "q", "", {{"h", integer(1)}});
    bind("amq.topic", "stays", "a.*");
    editor.remove_queue(vhost, "q");
    EXPECT_EQ(route("amq.topic", "a.b"), names_of_queues{"stays"});
    queue("q");
    for (const auto x : {"amq.direct", "amq.fanout", "amq.headers"}) {
        EXPECT_EQ(topology_view::find_exchange(node(), x)->outbound_count, 0U) << x;
        EXPECT_EQ(route(x, "k"), names_of_queues{}) << x;
    }
}

TEST_F(Falling, ADuplicateBindingIsOneBinding) {
    queue("q");
    bind("amq.headers", "q", "", {{"a", integer(1)}, {"b", integer(2)}});
    bind("amq.headers", "q", "", {{"b", integer(2)}, {"a", integer(1)}});
    EXPECT_EQ(topology_view::find_exchange(node(), "amq.headers")->outbound_count, 1U);
    bind("amq.headers", "q", "", {{"a", integer(1)}, {"b", integer(3)}});
    EXPECT_EQ(topology_view::find_exchange(node(), "amq.headers")->outbound_count, 2U);
}

TEST_F(Falling, AVhostGoesWithItsQueues) {
    queue("q");
    const auto gone = editor.remove_vhost("/");
    ASSERT_TRUE(gone.has_value());
    ASSERT_EQ(gone->size(), 1U);
    EXPECT_EQ(editor.view().find_vhost("/"), nullptr);
    EXPECT_EQ(editor.find_queue(gone->front().handle), nullptr);
    EXPECT_EQ(told(try_exchange("x", "direct")), "not_found: vhost not found");
    EXPECT_EQ(told(editor.remove_vhost("/")), "not_found: vhost '/' not found");
    EXPECT_NE(editor.add_vhost("/"), vhost) << "ids are not used again";
}

}  // namespace
}  // namespace linnet::core
