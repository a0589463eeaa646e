#include "protocol/mqtt/topic.hpp"
#include "protocol/mqtt/topic_key.hpp"
#include "protocol/wire/utf8.hpp"
#include "tests/protocol/mqtt_support.hpp"
#include "tests/support/clause.hpp"

#include <gtest/gtest.h>

namespace linnet::mqtt::test {
namespace {

using linnet::test::clause;
using linnet::test::mqtt_3_1_1;
using linnet::test::mqtt_5;

using levels = std::vector<std::string>;

// Figure 1-2: "A" and U+2A6D4. [MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.4-3]; 3.1.1: [MQTT-1.5.3-1] to [MQTT-1.5.3-3]
TEST(MqttString, IsUtf8WithoutNul) {
    clause(mqtt_5, {"MQTT-1.5.4-1", "MQTT-1.5.4-3"});
    clause(mqtt_3_1_1, {"MQTT-1.5.3-1", "MQTT-1.5.3-3"});
    const std::string_view good[] = {"",
                                     "A\xF0\xAA\x9B\x94",
                                     "\xEF\xBB\xBF"
                                     "bom",
                                     "\xEF\xBF\xBF",      // U+FFFF, a non-character
                                     "\xF0\x9F\xBF\xBE",  // U+1FFFE
                                     "\xEE\x80\x80",      // U+E000, behind the surrogates
                                     "\xED\x9F\xBF",      // U+D7FF, before them
                                     "\x01\x1F\x7F",      // control characters
                                     "\xC2\x80",
                                     "\xF4\x8F\xBF\xBF"};
    for (const std::string_view each : good)
        EXPECT_FALSE(judge_string(each)) << to_hex(wire::as_bytes(each));
    const std::string_view bad[] = {"\xED\xA0\x80",  // U+D800
                                    "\xED\xBF\xBF",  // U+DFFF
                                    "\xC0\x80",      // an overlong U+0000
                                    "\xE0\x80\xAF", "\xF5\x80\x80\x80", "\xF4\x90\x80\x80", "\x80",
                                    "\xC3",         "a\xE2\x82"};
    for (const std::string_view each : bad)
        EXPECT_EQ(judge_string(each), fault::string_not_utf8) << to_hex(wire::as_bytes(each));
}

// The quick look agrees with the plain one at every length and place.
TEST(MqttString, IsJudgedAlikeWhateverItsLength) {
    clause(mqtt_5, {"MQTT-1.5.4-2", "MQTT-4.7.3-2"});
    clause(mqtt_3_1_1, {"MQTT-1.5.3-2", "MQTT-4.7.3-2"});
    for (std::size_t size = 0; size < 40; ++size) {
        EXPECT_FALSE(judge_topic_name(std::string(size, 'x')));
        for (std::size_t at = 0; at < size; ++at) {
            for (unsigned byte = 0; byte < 256; ++byte) {
                std::string text(size, 'x');
                text[at] = static_cast<char>(byte);
                const verdict string = byte == 0     ? verdict{fault::string_has_nul}
                                       : byte < 0x80 ? verdict{}
                                                     : verdict{fault::string_not_utf8};
                ASSERT_EQ(judge_string(text), string);
                const bool wild = byte == '+' || byte == '#';
                ASSERT_EQ(judge_topic_name(text), wild ? verdict{fault::topic_name_has_wildcard} : string);
            }
        }
    }
}

// [MQTT-4.7.1-1] [MQTT-4.7.1-2] [MQTT-4.7.3-1] [MQTT-4.8.2-1] [MQTT-4.8.2-2]; section 4.7.1's own examples among them
TEST(MqttFilter, IsJudged) {
    clause(mqtt_5, {"MQTT-4.7.1-1", "MQTT-4.7.1-2", "MQTT-4.7.3-1", "MQTT-4.8.2-1", "MQTT-4.8.2-2"});
    clause(mqtt_3_1_1, {"MQTT-4.7.1-2", "MQTT-4.7.1-3", "MQTT-4.7.3-1"});
    for (const std::string_view good :
         {"#", "+", "/", "a", "sport/tennis/player1/#", "sport/#", "+/tennis/#", "sport/+/player1", "/+", "+/+", "//",
          "a//", "$SYS/#", "$SYS/monitor/+", "$share", "$shared/x", "Accounts payable", "$", "a b/c"}) {
        const auto found = parse_topic_filter(good);
        ASSERT_TRUE(found) << good;
        EXPECT_EQ(*found, (topic_filter{"", good}));
    }
    const std::pair<std::string_view, fault> bad[] = {
        {"", fault::topic_filter_empty},
        {"sport/tennis#", fault::topic_filter_wildcard_misplaced},
        {"sport/tennis/#/ranking", fault::topic_filter_wildcard_misplaced},
        {"#/", fault::topic_filter_wildcard_misplaced},
        {"##", fault::topic_filter_wildcard_misplaced},
        {"sport+", fault::topic_filter_wildcard_misplaced},
        {"+sport", fault::topic_filter_wildcard_misplaced},
        {"a/+b/c", fault::topic_filter_wildcard_misplaced},
        {"++", fault::topic_filter_wildcard_misplaced},
        {"+#", fault::topic_filter_wildcard_misplaced},
        {"$share/", fault::share_name_invalid},
        {"$share//a", fault::share_name_invalid},
        {"$share/+/a", fault::share_name_invalid},
        {"$share/g#/a", fault::share_name_invalid},
        {"$share/g", fault::shared_filter_missing},
        {"$share/g/", fault::shared_filter_missing},
        {"$share/g/#/a", fault::topic_filter_wildcard_misplaced},
        {"a\xFF", fault::string_not_utf8},
    };
    for (const auto& [filter, why] : bad) {
        const auto found = parse_topic_filter(filter);
        ASSERT_TRUE(found.is_malformed()) << filter;
        EXPECT_EQ(found.reason(), why) << filter;
    }
}

// 4.8.2: "$share/consumer1//finance" has the filter "/finance".
TEST(MqttFilter, IsSplitFromItsGroup) {
    EXPECT_EQ(*parse_topic_filter("$share/consumer1/sport/tennis/+"), (topic_filter{"consumer1", "sport/tennis/+"}));
    EXPECT_EQ(*parse_topic_filter("$share/consumer1//finance"), (topic_filter{"consumer1", "/finance"}));
    EXPECT_EQ(*parse_topic_filter("$share/g/#"), (topic_filter{"g", "#"}));
    EXPECT_TRUE(parse_topic_filter("$share/g/$SYS/x")->is_shared());
}

// [MQTT-4.7.2-1] [MQTT-4.7.3-4] and the examples of section 4.7.
TEST(MqttFilter, MatchesAsTheExamplesSay) {
    clause(mqtt_5, {"MQTT-4.7.2-1", "MQTT-4.7.3-4"});
    clause(mqtt_3_1_1, {"MQTT-4.7.2-1", "MQTT-4.7.3-4"});
    const std::pair<std::string_view, std::string_view> yes[] = {
        {"sport/tennis/player1/#", "sport/tennis/player1"},
        {"sport/tennis/player1/#", "sport/tennis/player1/ranking"},
        {"sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon"},
        {"sport/#", "sport"},
        {"#", "a/b/c"},
        {"#", "/"},
        {"sport/tennis/+", "sport/tennis/player1"},
        {"sport/+", "sport/"},
        {"+/+", "/finance"},
        {"/+", "/finance"},
        {"$SYS/#", "$SYS/a"},
        {"$SYS/monitor/+", "$SYS/monitor/Clients"},
        {"+/#", "a"},
        {"a//b", "a//b"},
        {"a/+/b", "a//b"},
    };
    for (const auto& [filter, topic] : yes)
        EXPECT_TRUE(filter_matches(filter, topic)) << filter << " " << topic;
    const std::pair<std::string_view, std::string_view> no[] = {
        {"sport/tennis/+", "sport/tennis/player1/ranking"},
        {"sport/+", "sport"},
        {"+", "/finance"},
        {"#", "$SYS/a"},
        {"+/monitor/Clients", "$SYS/monitor/Clients"},
        {"a", "a/"},
        {"/a", "a"},
        {"ACCOUNTS", "Accounts"},
        {"a/+/#", "a"},
    };
    for (const auto& [filter, topic] : no)
        EXPECT_FALSE(filter_matches(filter, topic)) << filter << " " << topic;
}

// ---- Names on both sides -------------------------------------------------------------------------------------

TEST(MqttTopicKey, IsTheTableOfItsHeader) {
    const std::pair<std::string_view, std::string_view> both_ways[] = {
        {"a/b", "a.b"},
        {"v1.2/temp", "v1%2E2.temp"},
        {"a/*", "a.%2A"},
        {"a%2Fb", "a/b"},
        {"a%2Bb", "a+b"},
        {"a%23b", "a%23b"},
        {"a%252Fb", "a%2Fb"},
        {"a%25252Fb", "a%252Fb"},
        {"50%25", "50%25"},
        {"%2E/x", "%252E.x"},
        {"%252E", "%25252E"},
        {"%2523", "%2523"},
        {"%2A", "%252A"},
        {"%2f", "%2f"},
        {"%", "%"},
        {"%%2F", "%/"},
        {"%2%2F", "%2/"},
        {"/", "."},
        {"//", ".."},
        {"/a/", ".a."},
        {" ", " "},
        {"\xC3\xA4/\xE2\x82\xAC", "\xC3\xA4.\xE2\x82\xAC"},
        {"spBv1.0/group/NBIRTH/node", "spBv1%2E0.group.NBIRTH.node"},
        {"a long topic/without anything/to escape", "a long topic.without anything.to escape"},
    };
    for (const auto& [topic, key] : both_ways) {
        EXPECT_EQ(topic_to_key(topic), key);
        EXPECT_EQ(key_to_topic(key), topic);
    }
    // A bare wildcard in a key is the character.
    EXPECT_EQ(key_to_topic("a.*"), "a/*");
    EXPECT_EQ(key_to_topic("#"), "%23");
    EXPECT_EQ(key_to_topic("+"), "%2B");
}

TEST(MqttTopicKey, RefusesWhatMqttCannotSay) {
    EXPECT_FALSE(key_to_topic(""));
    EXPECT_FALSE(key_to_topic(std::string_view{"a\0b", 3}));
    EXPECT_FALSE(key_to_topic("\xFF"));
    EXPECT_TRUE(key_to_topic(std::string(65535, 'a')));
    EXPECT_FALSE(key_to_topic(std::string(65536, 'a')));
    EXPECT_FALSE(key_to_topic(std::string(30000, '/')));  // grows
    EXPECT_FALSE(key_to_topic("", name_mode::rabbitmq));
}

TEST(MqttTopicKey, ReplacesOnlySeparatorsInRabbitmqsMode) {
    EXPECT_EQ(topic_to_key("v1.2/temp/*%2F", name_mode::rabbitmq), "v1.2.temp.*%2F");
    EXPECT_EQ(key_to_topic("v1.2.temp.*%2F", name_mode::rabbitmq), "v1/2/temp/*%2F");
    EXPECT_EQ(key_to_topic("a/b.c", name_mode::rabbitmq), "a/b/c");
    EXPECT_EQ(filter_to_pattern("a.b/+/#", name_mode::rabbitmq), "a.b.*.#");
    // No topic name may hold them.
    EXPECT_EQ(key_to_topic("+.#.a", name_mode::rabbitmq), "%2B/%23/a");
}

TEST(MqttTopicKey, MakesPatternsOfFilters) {
    EXPECT_EQ(filter_to_pattern("a/+/b"), "a.*.b");
    EXPECT_EQ(filter_to_pattern("a/#"), "a.#");
    EXPECT_EQ(filter_to_pattern("+"), "*");
    EXPECT_EQ(filter_to_pattern("#"), "#");
    EXPECT_EQ(filter_to_pattern("/a"), ".a");
    EXPECT_EQ(filter_to_pattern("a.b/*/%2B/%23"), "a%2Eb.%2A.+.%23");
    EXPECT_EQ(filter_to_pattern("%2A/+"), "%252A.*");
}

// The model: level by level, from the definition.
struct model_side {
    char separator;
    std::pair<char, std::string_view> escapes[3];
};
constexpr model_side mqtt_side{'/', {{'/', "%2F"}, {'+', "%2B"}, {'#', "%23"}}};
constexpr model_side key_side{'.', {{'.', "%2E"}, {'*', "%2A"}, {'#', "%23"}}};

// How many bytes "%", "25" any number of times, and one of the side's codes have here; 0 if it is not that.
std::size_t escape_like(const model_side& side, std::string_view text) {
    for (std::size_t quotes = 0; text.substr(0, 1) == "%"; ++quotes) {
        const std::string_view tail = text.substr(1 + 2 * quotes);
        for (const auto& [c, code] : side.escapes) {
            if (tail.substr(0, 2) == code.substr(1))
                return 3 + 2 * quotes;
        }
        if (tail.substr(0, 2) != "25")
            break;
    }
    return 0;
}

std::string render_level(const model_side& side, std::string_view level) {
    std::string out;
    for (std::size_t i = 0; i < level.size(); ++i) {
        std::string piece(1, level[i]);
        for (const auto& [c, code] : side.escapes) {
            if (level[i] == c)
                piece = code;
        }
        if (escape_like(side, level.substr(i)) != 0)
            piece = "%25";
        out += piece;
    }
    return out;
}

std::string render(const model_side& side, const levels& v) {
    std::string out;
    for (const std::string& level : v)
        out += (&level == v.data() ? "" : std::string(1, side.separator)) + render_level(side, level);
    return out;
}

std::string parse_level(const model_side& side, std::string_view text) {
    std::string out;
    while (!text.empty()) {
        const std::size_t like = escape_like(side, text);
        std::string piece(text.substr(0, 1));
        std::size_t read = 1;
        if (like == 3) {
            for (const auto& [c, code] : side.escapes)
                piece = text.substr(0, 3) == code ? std::string(1, c) : piece;
            read = 3;
        } else if (like != 0) {
            piece = "%" + std::string(text.substr(3, like - 3));
            read = like;
        }
        out += piece;
        text.remove_prefix(read);
    }
    return out;
}

levels parse(const model_side& side, std::string_view text) {
    levels out;
    for (;;) {
        const std::size_t end = text.find(side.separator);
        out.push_back(parse_level(side, text.substr(0, end)));
        if (end == std::string_view::npos)
            return out;
        text.remove_prefix(end + 1);
    }
}

levels random_levels(random_mqtt& random) {
    static constexpr std::string_view pieces[] = {"a",  "b",  "/",  ".",  "+",  "*",  "#",  ">",
                                                  "%",  "%",  "%",  "25", "25", "2F", "2E", "2A",
                                                  "2B", "23", "20", "2",  "F",  " ",  "$",  "\xC3\xA4"};
    levels v(1 + random.below(4));
    for (std::string& level : v) {
        for (std::size_t count = random.below(7); count > 0; --count)
            level += pieces[random.below(std::size(pieces))];
    }
    return v;
}

// parse(render(v)) == v, through topic and key and back, for any list of levels. LINNET_LEVEL_VECTORS=1000000 is the
// full count; each run takes as many as its time allows, and goes elsewhere.
TEST(MqttTopicKey, ParsesWhatItRenderedForAnyLevels) {
    const char* wanted = std::getenv("LINNET_LEVEL_VECTORS");
    const long count = wanted != nullptr ? std::strtol(wanted, nullptr, 10) : 200'000;
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    std::string topic;
    std::string key;
    for (long i = 0; i < count; ++i) {
        const levels v = random_levels(random);
        if (v == levels{""})
            continue;  // the one list that MQTT has no name for
        const std::string expected_key = render(key_side, v);
        const std::string expected_topic = render(mqtt_side, v);
        ASSERT_TRUE(key_to_topic(expected_key, name_mode::exact, topic));
        ASSERT_EQ(topic, expected_topic);
        ASSERT_EQ(parse(mqtt_side, topic), v);
        ASSERT_FALSE(judge_topic_name(topic));
        topic_to_key(topic, name_mode::exact, key);
        ASSERT_EQ(key, expected_key);
        ASSERT_EQ(parse(key_side, key), v);
    }
}

// No two topics meet in one key, and none gains a level or a wildcard.
TEST(MqttTopicKey, GivesEveryTopicBack) {
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    for (int i = 0; i < 50'000; ++i) {
        const std::string_view topic = random.keep("/" + std::string(random.text(30, "+#")));
        const std::string key = topic_to_key(topic);
        ASSERT_EQ(key_to_topic(key), topic);
        ASSERT_EQ(key.find_first_of("*#"), std::string::npos);
        ASSERT_EQ(std::count(key.begin(), key.end(), '.'), std::count(topic.begin(), topic.end(), '/'));
        ASSERT_EQ(filter_to_pattern(topic), key);
    }
}

// A pattern matches the keys of exactly those topics that the filter matches.
bool pattern_matches(const levels& pattern, std::size_t p, const levels& key, std::size_t k) {
    if (p == pattern.size())
        return k == key.size();
    if (pattern[p] == "#")
        return true;
    return k < key.size() && (pattern[p] == "*" || pattern[p] == key[k]) && pattern_matches(pattern, p + 1, key, k + 1);
}
levels split(std::string_view text) {
    levels out;
    for (std::size_t end = text.find('.'); end != std::string_view::npos; end = text.find('.')) {
        out.emplace_back(text.substr(0, end));
        text.remove_prefix(end + 1);
    }
    out.emplace_back(text);
    return out;
}

TEST(MqttTopicKey, PatternsMatchWhatTheirFiltersDo) {
    const auto seed = test_seed();
    SCOPED_TRACE(seed);
    random_mqtt random{seed};
    constexpr std::string_view words[] = {"a", "", "*", ".", "%2F", "%"};
    int matched = 0;
    for (int i = 0; i < 50'000; ++i) {
        std::string filter;
        std::string topic;
        for (std::size_t count = random.below(4); count > 0; --count)
            filter += std::string(random.coin() ? "+" : words[random.below(6)]) + "/";
        for (std::size_t count = random.below(4); count > 0; --count)
            topic += std::string(words[random.below(6)]) + "/";
        filter += random.coin() ? "#" : "a";
        topic += "a";
        ASSERT_TRUE(parse_topic_filter(filter));
        const bool expected = filter_matches(filter, topic);
        ASSERT_EQ(pattern_matches(split(filter_to_pattern(filter)), 0, split(topic_to_key(topic)), 0), expected)
            << filter << " " << topic;
        matched += expected ? 1 : 0;
    }
    EXPECT_GT(matched, 1000);
}

}  // namespace
}  // namespace linnet::mqtt::test
