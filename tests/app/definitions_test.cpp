#include "broker/app/definitions_import.hpp"
#include "broker/app/placed_json.hpp"
#include "broker/core/topology_record.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>
#include <map>
#include <sstream>
#include <string>

namespace linnet::app {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

[[nodiscard]] std::string recorded() {
    std::ostringstream text;
    text << std::ifstream(LINNET_SOURCE_DIR "/tests/app/data/rabbitmq-definitions.json").rdbuf();
    return text.str();
}

// A broker's topology with nothing behind it.
struct place {
    place() { static_cast<void>(journal.restore(editor, make)); }
    ~place() { editor.listen(nullptr); }
    [[nodiscard]] import_result import(std::string_view text) {
        auto read = read_definitions(text, {"file"});
        return read ? import_definitions(*read, editor, journal, make) : import_result{std::move(read.error()), {}};
    }
    [[nodiscard]] std::string written(std::string vhost = {}) const {
        return write_definitions(all_definitions(editor, journal), {"3.13.7", "0.0.0", std::move(vhost)});
    }

    std::uint32_t next = 0;
    core::topology_journal::queue_maker make = [this](core::queue_spec&) { return core::queue_handle{next++, 1, {}}; };
    core::topology_editor editor;
    core::topology_journal journal{nullptr, {}};
};

[[nodiscard]] std::vector<std::string> texts(const import_result& r) {
    std::vector<std::string> all;
    for (const auto& e : r.errors) {
        all.push_back(e.text());
    }
    return all;
}

template <class T>
[[nodiscard]] const T* find(const definitions_document& all, std::string_view name) {
    for (const auto& d : all) {
        if (const T* found = std::get_if<T>(&d.what); found != nullptr && found->name == name) {
            return found;
        }
    }
    return nullptr;
}

TEST(Definitions, AreReadAsRabbitmqExportsThem) {
    place p;
    const auto done = p.import(recorded());
    EXPECT_EQ(texts(done), std::vector<std::string>{});
    // The exchange `hidden` is internal: RabbitMQ did not export it, but what is bound to it.
    EXPECT_THAT(done.warnings, testing::Each(HasSubstr("binding from 'hidden' to 'tmp.\xC3\xBC' in vhost")));
    EXPECT_EQ(done.warnings.size(), 2U);
    const auto view = p.editor.view();
    const auto* orders = view.find_vhost("orders");
    ASSERT_NE(orders, nullptr);
    EXPECT_NE(view.find_vhost("empty"), nullptr);
    const auto* queue = core::topology_view::find_queue(*orders, "orders.new");
    ASSERT_NE(queue, nullptr);
    EXPECT_TRUE(queue->spec.durable);
    EXPECT_EQ(*core::find(queue->spec.arguments, "x-max-length")->as_integer(), 10);
    EXPECT_EQ(queue->spec.operator_policy, "cap");
    EXPECT_EQ(core::topology_view::find_queue(*orders, "tmp.\xC3\xBC")->spec.policy, "short");
    EXPECT_EQ(core::topology_view::find_queue(*orders, "orders.stream")->spec.settings.type, core::queue_type::stream);
    const auto* routed = core::topology_view::find_exchange(*orders, "routed");
    ASSERT_NE(routed, nullptr);
    EXPECT_EQ(core::topology_view::spec_of(*routed).alternate_exchange, "alt");
    ASSERT_TRUE(p.journal.users().contains("ada"));
    EXPECT_THAT(p.journal.users().at("ada").tags, ElementsAre("administrator", "custom"));
    const auto* reader = view.rules_of("reader", core::topology_view::id_of(*orders));
    ASSERT_NE(reader, nullptr);
    EXPECT_TRUE(reader->allowed(core::right::read, "orders.new"));
    EXPECT_FALSE(reader->allowed(core::right::write, "orders.new"));
    EXPECT_TRUE(reader->topic_allowed(core::right::read, "events", "reader.x"));
    EXPECT_FALSE(reader->topic_allowed(core::right::read, "events", "ada.x"));
}

TEST(Definitions, AreWrittenSoThatTheyReadTheSame) {
    place first;
    ASSERT_TRUE(first.import(recorded()).errors.empty());
    const auto text = first.written();
    place second;
    EXPECT_EQ(texts(second.import(text)), std::vector<std::string>{});
    EXPECT_EQ(second.written(), text);
    const auto by_key = [](const place& p) {
        std::map<std::string, core::definition> all;
        for (auto& d : all_definitions(p.editor, p.journal)) {
            // Their own numbers are each place's own.
            if (auto* q = std::get_if<core::queue_definition>(&d)) {
                q->uid = 0;
            }
            if (auto* v = std::get_if<core::vhost_definition>(&d)) {
                v->number = 0;
            }
            all.emplace(core::key_of(d), std::move(d));
        }
        return all;
    };
    EXPECT_EQ(by_key(second), by_key(first));
    EXPECT_THAT(text, HasSubstr("Default virtual host"));
}

TEST(Definitions, WithAMistakeChangeNothing) {
    place p;
    ASSERT_TRUE(p.import(recorded()).errors.empty());
    const auto before = p.written();
    const auto done = p.import(R"({"vhosts":[{"name":"new"}], "users":[{"name":"new","password_hash":"","tags":""}],
"policies":[{"vhost":"orders","name":"all","pattern":".*","definition":{"max-length":1},"priority":99}],
"queues":[{"vhost":"orders","name":"new"},{"vhost":"new","name":"new","arguments":{"x-max-length":-1}}],
"permissions":[{"vhost":"nowhere","user":"new","configure":"","write":"","read":""}]})");
    EXPECT_THAT(texts(done), ElementsAre(HasSubstr("file:3:43 queue 'new' in vhost 'new': invalid arg 'x-max-length'"),
                                         HasSubstr("file:4:16 there is no vhost 'nowhere'")));
    EXPECT_TRUE(done.changed.empty());
    EXPECT_EQ(p.written(), before);
}

TEST(Definitions, NameTheQueuesWhoseSettingsTheyChange) {
    place p;
    ASSERT_TRUE(p.import(recorded()).errors.empty());
    const auto done = p.import(R"({"policies":[
{"vhost":"orders","name":"a","pattern":"^orders.new$","definition":{"max-length":3},"priority":98},
{"vhost":"orders","name":"b","pattern":"^orders.new$","definition":{"max-length":2},"priority":99}]})");
    ASSERT_EQ(done.changed.size(), 1U);
    EXPECT_EQ(done.changed[0].spec.name, "orders.new");
    EXPECT_EQ(done.changed[0].spec.policy, "b");
}

// A file that RabbitMQ finds a hash in that it does not know is refused by it, whole.
TEST(Definitions, KeepHashesThatRabbitmqCannotReadBesideAnEmptyOne) {
    constexpr std::string_view argon2 = "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$"
                                        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
    place first;
    first.journal.set(core::user_definition{"ann", std::string(argon2), {}, true});
    const auto text = first.written();
    EXPECT_THAT(text, HasSubstr(R"("password_hash":"","hashing_algorithm":"rabbit_password_hashing_sha256")"));
    place second;
    EXPECT_EQ(texts(second.import(text)), std::vector<std::string>{});
    EXPECT_EQ(second.journal.users(), first.journal.users());
    EXPECT_EQ(second.written(), text);
}

TEST(Definitions, OfVhostsHoldTheirLimitsAndWhatLiesBeyondThem) {
    place first;
    ASSERT_TRUE(first
                    .import(R"({"vhosts":[{"name":"v"}],"queues":[{"vhost":"v","name":"a"},{"vhost":"v","name":"b"}],
"parameters":[{"vhost":"v","component":"vhost-limits","name":"limits","value":{"max-queues":1,"max-connections":-1}}]})")
                    .errors.empty());
    const auto text = first.written();
    EXPECT_THAT(text, HasSubstr(R"("component":"vhost-limits","name":"limits","value":{"max-connections":-1,)"
                                R"("max-queues":1})"));
    place second;
    EXPECT_EQ(texts(second.import(text)), std::vector<std::string>{});
    EXPECT_EQ(second.written(), text);
    EXPECT_THAT(texts(second.import(R"({"queues":[{"vhost":"v","name":"c"}]})")),
                ElementsAre(HasSubstr("cannot declare queue 'c': queue limit in vhost 'v' (1) is reached")));
    EXPECT_THAT(texts(second.import(R"({"parameters":[{"vhost":"v","component":"vhost-limits","name":"limits",
"value":{"max-queues":"1"}}]})")),
                ElementsAre(HasSubstr("max-queues should be a number")));
}

TEST(Definitions, OfOneVhostNameNoneAndMoveToAnother) {
    place first;
    ASSERT_TRUE(first.import(recorded()).errors.empty());
    const auto text = first.written("orders");
    EXPECT_EQ(text.find("\"vhost\":"), std::string::npos);
    EXPECT_EQ(text.find("\"users\""), std::string::npos);
    place other;
    static_cast<void>(other.editor.add_vhost("moved"));
    auto read = read_definitions(text, {"file", "moved"});
    ASSERT_TRUE(read.has_value()) << read.error().front().text();
    EXPECT_TRUE(import_definitions(*read, other.editor, other.journal, other.make).errors.empty());
    EXPECT_EQ(other.written("moved"), text);
}

TEST(Definitions, AreReadInOlderForms) {
    const auto read = read_definitions("\xEF\xBB\xBF"
                                       R"({"vhosts":[{"name":"/"}],
        "users":[{"name":"a","password_hash":"","tags":"administrator, own"},{"name":"b","tags":"","password":"x"}],
        "policies":[{"vhost":"/","name":"p","pattern":"","definition":[["max-length",5]]}],
        "queues":[{"name":"q","vhost":"/","durable":true,"arguments":[]},
                  {"name":"s","vhost":"/","type":"stream"}]})",
                                       {"file"});
    ASSERT_TRUE(read.has_value()) << read.error().front().text();
    EXPECT_THAT(find<core::user_definition>(*read, "a")->tags, ElementsAre("administrator", "own"));
    EXPECT_TRUE(find<core::user_definition>(*read, "b")->tags.empty());
    EXPECT_FALSE(find<core::user_definition>(*read, "b")->password_hash.empty());
    EXPECT_TRUE(find<core::queue_definition>(*read, "q")->arguments.empty());
    EXPECT_EQ(*core::find(find<core::queue_definition>(*read, "s")->arguments, "x-queue-type")->as_string(), "stream");
}

TEST(Definitions, ShowEveryMistakeInItsPlace) {
    place p;
    EXPECT_THAT(
        texts(p.import(R"({
 "vhosts": [{"name": "/"}, {"nam": "x"}],
 "users": [{"name": "a", "password_hash": "zz"}],
 "queues": [{"name": 5, "vhost": "/"},
            {"name": "q", "vhost": "/", "durable": "yes"},
            {"name": "twice", "vhost": "/"}, {"name": "twice", "vhost": "/"}],
 "policies": [{"name": "p", "vhost": "/", "pattern": "", "apply-to": "all of it", "definition": {}}],
 "bindings": {}
})")),
        ElementsAre("file:2:28 \"name\" is missing",
                    "file:3:43 password_hash: is in no known form (RabbitMQ's base64, Argon2id, crypt, SCRAM-SHA-256)",
                    "file:4:22 name: expected a string, got an integer",
                    "file:5:52 durable: expected true or false, got a string",
                    "file:6:46 is defined twice; the first is at file:6:13",
                    "file:7:70 apply-to: \"all of it\" is not one of all, queues, classic_queues, "
                    "quorum_queues, streams, exchanges",
                    "file:8:14 bindings: expected a list, got an object"));
}

TEST(Definitions, AreImportedWholeOrNotAtAll) {
    place p;
    const auto before = p.written();
    EXPECT_THAT(texts(p.import(R"({"vhosts":[{"name":"/"}],
"users":[{"name":"a","password_hash":""}],
"queues":[{"name":"q","vhost":"/"},
 {"name":"bad","vhost":"/","arguments":{"x-max-length":-1}}],
"bindings":[{"source":"amq.topic","vhost":"/","destination":"q","routing_key":"a"},
            {"source":"x","vhost":"none","destination":"q"}],
"permissions":[{"user":"b","vhost":"/","configure":"(","write":"","read":""},
 {"user":"a","vhost":"none","configure":"","write":"","read":""},
 {"user":"a","vhost":"/","configure":"(","write":"","read":""}]})")),
                ElementsAre(HasSubstr("file:4:2 queue 'bad' in vhost '/': invalid arg 'x-max-length'"),
                            "file:6:13 there is no vhost 'none'", "file:7:16 there is no user 'b'",
                            "file:8:2 there is no vhost 'none'",
                            HasSubstr("file:9:2 permission of 'a' in vhost '/': invalid regular expression")));
    EXPECT_EQ(p.written(), before);
    EXPECT_EQ(p.next, 0U);
}

TEST(Definitions, KeepAQueueThatIsThereInAnotherWay) {
    place p;
    ASSERT_TRUE(p.import(R"({"vhosts":[{"name":"/"}],"queues":[{"name":"q","vhost":"/"}]})").errors.empty());
    const auto again = p.import(
        R"({"queues":[{"name":"q","vhost":"/","arguments":{"x-max-length":1}},{"name":"r","vhost":"/"}]})");
    EXPECT_TRUE(again.errors.empty());
    EXPECT_THAT(again.warnings, ElementsAre(HasSubstr("file:1:12 queue 'q' in vhost '/' is kept as it is")));
    EXPECT_EQ(p.next, 2U);
}

TEST(PlacedJson, SaysWhereItIsNoJson) {
    const auto place_of = [](std::string_view text) {
        const auto read = parse_json(text, "f");
        return read ? std::string("read") : read.error().at.text();
    };
    EXPECT_EQ(place_of("{}"), "read");
    EXPECT_EQ(place_of("\xEF\xBB\xBF[1, 2.5, true, null, \"\\\"\"]"), "read");
    EXPECT_EQ(place_of("[1,\n 2,\n}"), "f:3:1");
    EXPECT_EQ(place_of("{\"a\": 1,\n  \"a\": 2}"), "f:2:3");
    EXPECT_EQ(place_of("[\n 18446744073709551615]"), "f:2:2");
    EXPECT_EQ(place_of(std::string(65, '[')), "f:1:65");
    EXPECT_EQ(place_of("[\"\xff\"]"), "f:1:3");
    EXPECT_EQ(place_of(""), "f:1:1");
}

TEST(PlacedJson, PlacesEveryValue) {
    const auto read = parse_json("{\"a\\\\\": \"x\\\"y\",\n \"b\": [12 , -1.5e3,\ttrue]}", "f");
    ASSERT_TRUE(read.has_value()) << read.error().what;
    const auto& members = *read->as<placed_json::object>();
    EXPECT_EQ(members[0].first, "a\\");
    EXPECT_EQ(*members[0].second.as<std::string>(), "x\"y");
    EXPECT_EQ(members[0].second.column, 9U);
    const auto& list = *members[1].second.as<placed_json::list>();
    EXPECT_EQ(list[0].line, 2U);
    EXPECT_EQ(list[0].column, 8U);
    EXPECT_EQ(list[1].column, 13U);
    EXPECT_EQ(list[2].column, 21U);
    EXPECT_EQ(to_text(*read), "{\"a\\\\\":\"x\\\"y\",\"b\":[12,-1500.0,true]}");
}

}  // namespace
}  // namespace linnet::app
