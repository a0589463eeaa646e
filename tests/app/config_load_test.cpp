#include "broker/app/config.hpp"
#include "broker/app/config_schema.hpp"
#include "broker/app/config_text.hpp"
#include "broker/app/memory_limit.hpp"
#include "broker/app/password.hpp"
#include "tests/app/certificates.hpp"
#include "tests/app/temporary_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

namespace linnet::app {
namespace {

using test::temporary_directory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

// Errors as one text each, the directory's name taken out.
std::vector<std::string> errors_of(const config_sources& sources, const temporary_directory& directory) {
    const auto loaded = load(sources);
    auto texts = std::vector<std::string>{};
    if (loaded) {
        return texts;
    }
    for (const auto& error : loaded.error()) {
        auto text = error.text();
        const auto prefix = directory.path() + '/';
        for (auto at = text.find(prefix); at != std::string::npos; at = text.find(prefix)) {
            text.erase(at, prefix.size());
        }
        texts.push_back(std::move(text));
    }
    return texts;
}

std::vector<std::string> errors_in(std::string_view toml, std::vector<std::string> environment = {}) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.files = {directory.write("linnet.toml", toml)};
    sources.environment = std::move(environment);
    return errors_of(sources, directory);
}

config loaded(const config_sources& sources) {
    auto result = load(sources);
    EXPECT_TRUE(result.has_value()) << (result ? "" : result.error().front().text());
    return result ? std::move(result->values) : config{};
}

config loaded_from(std::string_view toml, std::vector<std::string> environment = {},
                   std::vector<std::string> settings = {}) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.files = {directory.write("linnet.toml", toml)};
    sources.environment = std::move(environment);
    sources.settings = std::move(settings);
    return loaded(sources);
}

std::string text_of(const std::string& file) {
    auto stream = std::ifstream{file, std::ios::binary};
    auto text = std::ostringstream{};
    text << stream.rdbuf();
    return std::move(text).str();
}

// ---- Without any configuration -----------------------------------------------------------------

TEST(Defaults, LetLinnetStartWithoutAFile) {
    const auto c = loaded({});
    ASSERT_EQ(c.listeners.size(), 5U);
    EXPECT_EQ(c.listeners[0].protocol, listener_protocol::amqp);
    EXPECT_EQ(c.listeners[0].bind, (bind_address{"0.0.0.0", 5672}));
    EXPECT_FALSE(c.listeners[0].tls);
    EXPECT_EQ(c.listeners[1].protocol, listener_protocol::mqtt);
    EXPECT_EQ(c.listeners[1].bind, (bind_address{"0.0.0.0", 1883}));
    EXPECT_FALSE(c.listeners[1].tls);
    EXPECT_EQ(c.listeners[2].protocol, listener_protocol::http);
    EXPECT_EQ(c.listeners[2].bind, (bind_address{"0.0.0.0", 15672}));
    EXPECT_EQ(c.listeners[3].protocol, listener_protocol::http);
    EXPECT_EQ(c.listeners[3].bind, (bind_address{"0.0.0.0", 15675}));
    EXPECT_EQ(c.listeners[4].protocol, listener_protocol::metrics);
    EXPECT_EQ(c.listeners[4].bind, (bind_address{"0.0.0.0", 15692}));
    EXPECT_EQ(c.mqtt.exchange, "amq.topic");
    EXPECT_EQ(c.mqtt.topics, topic_mode::exact);
    EXPECT_EQ(c.mqtt.receive_maximum, 1024);
    EXPECT_EQ(c.mqtt.packet_bytes_max, 16'777'216U);
    EXPECT_EQ(c.shards, 0U);
    EXPECT_EQ(c.limits.channels, 2047);
    EXPECT_EQ(c.limits.frame_bytes_max, 131'072U);
    EXPECT_EQ(c.limits.message_bytes_max, 134'217'728U);
    EXPECT_EQ(c.limits.handshake_timeout_ms, 10'000U);
    EXPECT_EQ(c.limits.heartbeat_s, 60U);
    EXPECT_EQ(c.limits.consumer_timeout_ms, 1'800'000U);
    EXPECT_EQ(c.memory.budget, (memory_amount{60, 0}));
    EXPECT_EQ(c.auth.mechanisms, (std::vector{auth_mechanism::plain, auth_mechanism::amqplain}));
    EXPECT_EQ(c.compat.rabbitmq_version, "3.13.7");
    EXPECT_THAT(c.compat.node_name, ::testing::StartsWith("linnet@"));
    EXPECT_EQ(c.compat.cluster_name, c.compat.node_name);
    EXPECT_EQ(c.data_dir, "/var/lib/.local/state/linnet");
}

TEST(Defaults, LetGuestInFromThisMachineOnly) {
    const auto c = loaded({});
    ASSERT_EQ(c.users.size(), 1U);
    EXPECT_EQ(c.users[0].name, "guest");
    EXPECT_TRUE(c.users[0].loopback_only);
    EXPECT_THAT(c.users[0].tags, ElementsAre("administrator"));
    EXPECT_TRUE(password_hash::parse(c.users[0].password_hash)->matches("guest"));
    ASSERT_EQ(c.vhosts.size(), 1U);
    EXPECT_EQ(c.vhosts[0].name, "/");
    EXPECT_THAT(c.permissions, ElementsAre(permission_config{"guest", "/", ".*", ".*", ".*"}));
}

TEST(Defaults, GiveGuestEveryConfiguredVhost) {
    const auto c = loaded_from("[[vhost]]\nname = \"a\"\n[[vhost]]\nname = \"b\"\n");
    EXPECT_THAT(c.permissions, ElementsAre(permission_config{"guest", "a", ".*", ".*", ".*"},
                                           permission_config{"guest", "b", ".*", ".*", ".*"}));
}

TEST(Defaults, HaveNoGuestOnceAUserIsConfigured) {
    const auto c = loaded_from("[[user]]\nname = \"a\"\npassword = \"b\"\n");
    ASSERT_EQ(c.users.size(), 1U);
    EXPECT_EQ(c.users[0].name, "a");
    EXPECT_FALSE(c.users[0].loopback_only);
    EXPECT_THAT(c.permissions, IsEmpty());
}

TEST(Defaults, PutDataWhereTheSystemSays) {
    auto sources = config_sources{};
    sources.environment = {"HOME=/home/a"};
    EXPECT_EQ(loaded(sources).data_dir, "/home/a/.local/state/linnet");
    sources.environment = {"HOME=/home/a", "XDG_STATE_HOME=/x"};
    EXPECT_EQ(loaded(sources).data_dir, "/x/linnet");
    sources.environment = {"HOME=/home/a", "XDG_STATE_HOME=/x", "STATE_DIRECTORY=/var/lib/linnet"};
    EXPECT_EQ(loaded(sources).data_dir, "/var/lib/linnet");
}

// ---- The printed configuration -------------------------------------------------------------------

TEST(PrintedConfig, IsTheFileInConfig) {
    EXPECT_EQ(default_config_text(), text_of(LINNET_SOURCE_DIR "/config/linnet.toml"))
        << "run: linnetd --print-default-config > config/linnet.toml";
}

TEST(PrintedConfig, ShowsTheDefaults) {
    // Every setting of the tables, uncommented; the arrays of tables are examples.
    auto toml = std::string{};
    auto lines = std::istringstream{default_config_text()};
    for (auto line = std::string{}; std::getline(lines, line) && !line.starts_with("#[[");) {
        toml += line.starts_with('#') && line.size() > 1 && line[1] != ' ' ? line.substr(1) : line;
        toml += '\n';
    }
    EXPECT_THAT(toml, HasSubstr("\nchannels = 2047\n"));
    auto from_file = loaded_from(toml);
    auto from_nothing = loaded({});
    from_nothing.users[0].password_hash = from_file.users[0].password_hash;  // salted
    EXPECT_EQ(from_file, from_nothing);
}

TEST(PrintedConfig, HasExamplesThatLoad) {
    auto toml = std::string{};
    auto lines = std::istringstream{default_config_text()};
    for (auto line = std::string{}; std::getline(lines, line);) {
        toml += line.starts_with('#') && line.size() > 1 && line[1] != ' ' ? line.substr(1) : line;
        toml += '\n';
    }
    const auto c = loaded_from(toml);
    EXPECT_EQ(c.policies.size(), 1U);
    EXPECT_EQ(c.operator_policies.size(), 1U);
    EXPECT_EQ(c.listeners.at(0).bind, (bind_address{"127.0.0.1", 5672}));
}

TEST(PrintedConfig, ExampleFilesLoad) {
    for (auto name : {"linnet.toml", "dev.toml", "bench.toml"}) {
        auto sources = config_sources{};
        sources.files = {std::string{LINNET_SOURCE_DIR "/config/"} + name};
        EXPECT_TRUE(load(sources).has_value()) << name;
    }
}

// ---- Errors ---------------------------------------------------------------------------------------

struct error_case {
    const char* toml;
    const char* error;
};

class ConfigError : public ::testing::TestWithParam<error_case> {};

TEST_P(ConfigError, SaysWhatIsWrongAndWhere) { EXPECT_THAT(errors_in(GetParam().toml), ElementsAre(GetParam().error)); }

INSTANTIATE_TEST_SUITE_P(
    Names, ConfigError,
    ::testing::Values(
        error_case{"listners = 1\n", "linnet.toml:1:1 unknown key \"listners\"; did you mean \"listener\"?"},
        error_case{"\n  shard = 1\n", "linnet.toml:2:3 unknown key \"shard\"; did you mean \"shards\"?"},
        error_case{"[limts]\nqueues = 1\n", "linnet.toml:1:2 unknown key \"limts\"; did you mean \"limits\"?"},
        error_case{"[limits]\nqueus = 1\n", "linnet.toml:2:1 unknown key \"queus\"; did you mean \"queues\"?"},
        error_case{"[limits]\nsomething_else = 1\n", "linnet.toml:2:1 unknown key \"something_else\""},
        error_case{"limits.chanels = 1\n", "linnet.toml:1:8 unknown key \"chanels\"; did you mean \"channels\"?"},
        error_case{"[tls]\nkey_pasword_file = \"x\"\n",
                   "linnet.toml:2:1 unknown key \"key_pasword_file\"; did you mean \"key_password_file\"?"},
        error_case{"[[user]]\nname = \"a\"\npasswort = \"b\"\n",
                   "linnet.toml:3:1 unknown key \"passwort\"; did you mean \"password\"?"}));

INSTANTIATE_TEST_SUITE_P(
    Types, ConfigError,
    ::testing::Values(error_case{"shards = \"2\"\n", "linnet.toml:1:10 shards: expected an integer, got \"2\""},
                      error_case{"shards = 2.0\n", "linnet.toml:1:10 shards: expected an integer, got a float"},
                      error_case{"shards = true\n", "linnet.toml:1:10 shards: expected an integer, got a boolean"},
                      error_case{"data_dir = 1\n", "linnet.toml:1:12 data_dir: expected a string, got an integer"},
                      error_case{"data_dir = 2026-11-22\n",
                                 "linnet.toml:1:12 data_dir: expected a string, got a date or a time"},
                      error_case{"limits = 3\n", "linnet.toml:1:10 \"limits\": expected a table, got an integer"},
                      error_case{"user = 3\n", "linnet.toml:1:1 there may be several: write [[user]]"},
                      error_case{"[user]\nname = \"a\"\n", "linnet.toml:1:2 there may be several: write [[user]]"},
                      error_case{"user = [1]\n", "linnet.toml:1:9 user[0]: expected a table, got an integer"},
                      error_case{"[[user]]\nname = \"a\"\nloopback_only = \"yes\"\n",
                                 "linnet.toml:3:17 user[0].loopback_only: expected true or false, got \"yes\""},
                      error_case{"[[user]]\nname = \"a\"\ntags = \"administrator\"\n",
                                 "linnet.toml:3:8 user[0].tags: expected an array of strings, got \"administrator\""},
                      error_case{"[[user]]\nname = \"a\"\ntags = [\"x\", 1]\n",
                                 "linnet.toml:3:8 user[0].tags: expected an array of strings, got an integer in it"},
                      error_case{"[[user]]\nname = \"a\"\npassword = 1234\n",
                                 "linnet.toml:3:12 user[0].password: expected a string that is not empty"}));

INSTANTIATE_TEST_SUITE_P(
    Ranges, ConfigError,
    ::testing::Values(error_case{"shards = 257\n", "linnet.toml:1:10 shards: 257 is out of range (0 to 256)"},
                      error_case{"shards = -1\n", "linnet.toml:1:10 shards: -1 is out of range (0 to 256)"},
                      error_case{"[limits]\nchannels = 0\n",
                                 "linnet.toml:2:12 limits.channels: 0 is out of range (1 to 65535)"},
                      error_case{"[limits]\nchannels = 65536\n",
                                 "linnet.toml:2:12 limits.channels: 65536 is out of range (1 to 65535)"},
                      error_case{"[limits]\nframe_max = 4095\n",
                                 "linnet.toml:2:13 limits.frame_max: 4095B is out of range (4KiB to 16MiB)"},
                      error_case{"[limits]\nmessage_size = \"1GiB\"\n",
                                 "linnet.toml:2:16 limits.message_size: 1GiB is out of range (1B to 512MiB)"},
                      error_case{"[limits]\nhandshake_timeout = \"1ms\"\n",
                                 "linnet.toml:2:21 limits.handshake_timeout: 1ms is out of range (100ms to 1h)"},
                      error_case{"[limits]\nhandshake_timeout = 0\n",
                                 "linnet.toml:2:21 limits.handshake_timeout: 0ms is out of range (100ms to 1h)"}));

INSTANTIATE_TEST_SUITE_P(
    Forms, ConfigError,
    ::testing::Values(
        error_case{"drain_timeout = 30\n", "linnet.toml:1:17 drain_timeout: expected a duration such as \"30s\", "
                                           "\"500ms\" or \"1h30m\", got an integer"},
        error_case{
            "drain_timeout = \"30x\"\n",
            "linnet.toml:1:17 drain_timeout: expected a duration such as \"30s\", \"500ms\" or \"1h30m\", got \"30x\""},
        error_case{"[limits]\nmessage_size = \"64 MB\"\n",
                   "linnet.toml:2:16 limits.message_size: expected a size such as \"64MiB\", or bytes, got \"64 MB\""},
        error_case{"[memory]\nhigh_watermark = \"0%\"\n",
                   "linnet.toml:2:18 memory.high_watermark: expected a percentage such as \"60%\", or a size such as "
                   "\"512MiB\", got \"0%\""},
        error_case{"[log]\nlevel = \"wraning\"\n",
                   "linnet.toml:2:9 log.level: \"wraning\" is not one of \"debug\", \"info\", \"warning\", \"error\", "
                   "\"off\"; did you mean \"warning\"?"},
        error_case{"[auth]\nmechanisms = []\n", "linnet.toml:2:14 auth.mechanisms: must not be empty"},
        error_case{"[auth]\nmechanisms = [\"PLAIN\", \"PLAIN\"]\n",
                   "linnet.toml:2:14 auth.mechanisms: \"PLAIN\" stands there twice"},
        error_case{"[compat]\nrabbitmq_version = \"3.13\"\n",
                   "linnet.toml:2:20 compat.rabbitmq_version: expected a version such as \"3.13.7\", got \"3.13\""},
        error_case{
            "[[listener]]\nprotocol = \"amqp\"\nbind = \"localhost:5672\"\n",
            "linnet.toml:3:8 listener[0].bind: expected a numeric address and a port, such as \"0.0.0.0:5672\" or "
            "\"[::]:5672\", got \"localhost:5672\""},
        error_case{"[[policy]]\nname = \"p\"\npattern = \"(\"\ndefinition = { a = 1 }\n",
                   "linnet.toml:3:11 policy[0].pattern: \"(\" is not a regular expression"},
        error_case{"[[policy]]\nname = \"p\"\npattern = \"x\"\ndefinition = {}\n",
                   "linnet.toml:4:14 policy[0].definition: expected a table with at least one argument, got a table"},
        error_case{
            "[[policy]]\nname = \"p\"\npattern = \"x\"\ndefinition = { a = { b = 1 } }\n",
            "linnet.toml:4:14 policy[0].definition: \"a\": expected a boolean, a number, a string or an array of "
            "strings"}));

INSTANTIATE_TEST_SUITE_P(
    Wholes, ConfigError,
    ::testing::Values(
        error_case{"[[listener]]\nprotocol = \"amqp\"\n", "linnet.toml:1:1 [[listener]] needs \"bind\""},
        error_case{"[[user]]\npassword = \"x\"\n", "linnet.toml:1:1 [[user]] needs \"name\""},
        error_case{"[[user]]\nname = \"\"\n", "linnet.toml:2:8 user[0].name: must not be empty"},
        error_case{"[[user]]\nname = \"a\"\npassword = \"\"\n",
                   "linnet.toml:3:12 user[0].password: expected a string that is not empty"},
        error_case{"[[user]]\nname = \"a\"\n\n[[user]]\nname = \"a\"\n",
                   "linnet.toml:4:1 duplicate user \"a\"; the first is at linnet.toml:1:1"},
        error_case{"[[vhost]]\nname = \"/\"\n[[vhost]]\nname = \"/\"\n",
                   "linnet.toml:3:1 duplicate vhost \"/\"; the first is at linnet.toml:1:1"},
        error_case{"[[permission]]\nuser = \"guest\"\n[[permission]]\nuser = \"guest\"\nvhost = \"/\"\n",
                   "linnet.toml:3:1 duplicate permission \"guest\" \"/\"; the first is at linnet.toml:1:1"},
        error_case{"[[permission]]\nuser = \"gest\"\n",
                   "linnet.toml:2:8 permission[0].user: there is no user \"gest\"; did you mean \"guest\"?"},
        error_case{"[[permission]]\nuser = \"guest\"\nvhost = \"prod\"\n",
                   "linnet.toml:3:9 permission[0].vhost: there is no vhost \"prod\""},
        error_case{"[[vhost]]\nname = \"a\"\n[[permission]]\nuser = \"guest\"\n",
                   "linnet.toml:3:1 permission[0].vhost: there is no vhost \"/\""},
        error_case{"[[topic_permission]]\nuser = \"nobody\"\nexchange = \"amq.topic\"\n",
                   "linnet.toml:2:8 topic_permission[0].user: there is no user \"nobody\""},
        error_case{"[[policy]]\nname = \"p\"\nvhost = \"v\"\npattern = \"x\"\ndefinition = { a = 1 }\n",
                   "linnet.toml:3:9 policy[0].vhost: there is no vhost \"v\""},
        error_case{"[[user]]\nname = \"a\"\npassword_hash = \"secret\"\n",
                   "linnet.toml:3:17 user[0].password_hash: is in no known form (Argon2id, RabbitMQ's base64, crypt)"},
        error_case{"[[user]]\nname = \"a\"\npassword_file = \"/no/such\"\n",
                   "linnet.toml:3:17 user[0].password_file: \"/no/such\" cannot be read: No such file or directory"},
        error_case{"[[user]]\nname = \"a\"\npassword = \"x\"\npassword_file = \"/proc/version\"\n",
                   "linnet.toml:4:1 user[0].password_file: excludes \"password\", which is set too"},
        error_case{"[tls]\ncert_file = \"x\"\n", "linnet.toml:2:13 tls.cert_file: needs \"key_file\" beside it"},
        error_case{"[tls]\nkey_file = \"x\"\n", "linnet.toml:2:12 tls.key_file: needs \"cert_file\" beside it"},
        error_case{"[tls]\nverify = \"require\"\n",
                   "linnet.toml:2:10 tls.verify: needs \"ca_file\": the authorities to check clients against"},
        error_case{"[tls]\nca_file = \"/no/such\"\n",
                   "linnet.toml:2:11 tls.ca_file: \"/no/such\" cannot be read: No such file or directory"},
        error_case{"[[listener]]\nprotocol = \"amqps\"\nbind = \"[::]:5671\"\n",
                   "linnet.toml:1:1 listener[0]: TLS needs a certificate: set tls.cert_file and tls.key_file"},
        error_case{
            "[[listener]]\nprotocol = \"amqps\"\nbind = \"[::]:5671\"\ntls = false\n",
            "linnet.toml:4:7 listener[0].tls: amqps is amqp over TLS; write protocol = \"amqp\" for a plain listener"},
        error_case{"[[listener]]\nprotocol = \"amqp\"\nbind = \"[::]:1\"\n[[listener]]\nprotocol = \"amqp\"\nbind = "
                   "\"[::]:1\"\n",
                   "linnet.toml:6:8 listener[1].bind: \"[::]:1\" is taken by listener[0]"}));

TEST(ConfigErrors, AreReportedAllAtOnceInTheOrderOfTheFile) {
    EXPECT_THAT(errors_in("shards = \"x\"\n[limits]\nqueus = 1\nheartbeat = \"x\"\n[[permission]]\nuser = \"x\"\n"),
                ElementsAre("linnet.toml:1:10 shards: expected an integer, got \"x\"",
                            "linnet.toml:3:1 unknown key \"queus\"; did you mean \"queues\"?",
                            "linnet.toml:4:13 limits.heartbeat: expected a duration such as \"30s\", \"500ms\" or "
                            "\"1h30m\", got \"x\"",
                            "linnet.toml:6:8 permission[0].user: there is no user \"x\""));
}

TEST(ConfigErrors, OfSyntaxHaveAPlace) {
    const auto errors = errors_in("shards = 1\nlimits = {\n");
    ASSERT_EQ(errors.size(), 1U);
    EXPECT_THAT(errors[0], ::testing::StartsWith("linnet.toml:2:"));
}

TEST(ConfigErrors, OfSyntaxDoNotHideTheOtherFiles) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.files = {directory.write("a.toml", "= 1\n"), directory.write("b.toml", "shard = 1\n")};
    const auto errors = errors_of(sources, directory);
    ASSERT_EQ(errors.size(), 2U);
    EXPECT_THAT(errors[0], ::testing::StartsWith("a.toml:1:1 "));
    EXPECT_EQ(errors[1], "b.toml:1:1 unknown key \"shard\"; did you mean \"shards\"?");
}

TEST(ConfigErrors, NameAFileThatCannotBeRead) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.files = {directory.path("none.toml")};
    EXPECT_THAT(errors_of(sources, directory), ElementsAre("none.toml cannot be read: No such file or directory"));
    sources.files = {directory.path()};
    EXPECT_THAT(load(sources).error().front().what, HasSubstr("Is a directory"));
}

TEST(ConfigErrors, NeverShowASecret) {
    const auto texts = errors_in(
        "[[user]]\nname = \"a\"\npassword = [\"hunter2\"]\n[tls]\nkey_password = [\"hunter2\"]\n");
    EXPECT_EQ(texts.size(), 2U);
    for (const auto& text : texts) {
        EXPECT_THAT(text, ::testing::Not(HasSubstr("hunter2")));
    }
}

// ---- Sources and their order -----------------------------------------------------------------------

TEST(Precedence, IsFilesThenDropInsThenEnvironmentThenFlags) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.files = {directory.write("a.toml", "[limits]\nqueues = 1\nchannels = 1\nconnections = 1\n"
                                               "connections_per_address = 1\nconsumers_per_channel = 1\n"),
                     directory.write("b.toml", "[limits]\nchannels = 2\nconnections = 2\n"
                                               "connections_per_address = 2\nconsumers_per_channel = 2\n")};
    directory.write("conf.d/20.toml",
                    "[limits]\nconnections = 4\nconnections_per_address = 4\nconsumers_per_channel = 4\n");
    directory.write("conf.d/10.toml", "[limits]\nconnections = 3\n");
    directory.write("conf.d/30.conf", "not TOML");
    sources.environment = {"LINNET_LIMITS__CONNECTIONS_PER_ADDRESS=5", "LINNET_LIMITS__CONSUMERS_PER_CHANNEL=5"};
    sources.settings = {"limits.consumers_per_channel=6"};
    const auto c = loaded(sources);
    EXPECT_EQ(c.limits.queues, 1U);
    EXPECT_EQ(c.limits.channels, 2);
    EXPECT_EQ(c.limits.connections, 4U);
    EXPECT_EQ(c.limits.connections_per_address, 5U);
    EXPECT_EQ(c.limits.consumers_per_channel, 6U);
}

TEST(Precedence, TakesTheFirstFileOfTheSearchPathThatExists) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.search = {directory.path("none.toml"), directory.write("a.toml", "shards = 1\n"),
                      directory.write("b.toml", "shards = 2\n")};
    const auto result = load(sources);
    ASSERT_TRUE(result);
    EXPECT_EQ(result->values.shards, 1U);
    EXPECT_THAT(result->files, ElementsAre(directory.path("a.toml")));
    sources.files = {directory.path("b.toml")};
    EXPECT_EQ(loaded(sources).shards, 2U);
}

TEST(Precedence, MergesElementsOfOneNameAcrossFiles) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.files = {directory.write("linnet.toml",
                                     "[[user]]\nname = \"a\"\npassword = \"old\"\ntags = [\"monitoring\"]\n"
                                     "[[permission]]\nuser = \"a\"\nread = \"x\"\n")};
    directory.write("conf.d/x.toml", "[[user]]\nname = \"b\"\npassword = \"b\"\n"
                                     "[[user]]\nname = \"a\"\npassword = \"new\"\n"
                                     "[[permission]]\nuser = \"a\"\nvhost = \"/\"\nwrite = \"y\"\n");
    const auto c = loaded(sources);
    ASSERT_EQ(c.users.size(), 2U);
    EXPECT_EQ(c.users[0].name, "a");
    EXPECT_THAT(c.users[0].tags, ElementsAre("monitoring"));
    EXPECT_TRUE(password_hash::parse(c.users[0].password_hash)->matches("new"));
    EXPECT_EQ(c.users[1].name, "b");
    EXPECT_THAT(c.permissions, ElementsAre(permission_config{"a", "/", "", "y", "x"}));
}

TEST(Environment, ReachesEveryKindOfKey) {
    const auto c = loaded_from("", {"LINNET_SHARDS=3", "LINNET_LOG__FORMAT=json", "LINNET_LIMITS__HEARTBEAT=1500ms",
                                    "LINNET_LIMITS__MESSAGE_SIZE=1MiB", "LINNET_MEMORY__HIGH_WATERMARK=1GiB",
                                    "LINNET_AUTH__MECHANISMS=EXTERNAL,PLAIN", "LINNET_USER__0__NAME=a",
                                    "LINNET_USER__0__PASSWORD=b", "LINNET_USER__0__TAGS=x,y",
                                    "LINNET_USER__0__LOOPBACK_ONLY=true", "LINNET_LISTENER__0__PROTOCOL=amqp",
                                    "LINNET_LISTENER__0__BIND=127.0.0.1:1", "LINNET_POLICY__0__NAME=p",
                                    "LINNET_POLICY__0__PATTERN=^a", "LINNET_POLICY__0__DEFINITION={ max-length = 5 }"});
    EXPECT_EQ(c.shards, 3U);
    EXPECT_EQ(c.log.format, log::format::json);
    EXPECT_EQ(c.limits.heartbeat_s, 2U);
    EXPECT_EQ(c.limits.message_bytes_max, 1'048'576U);
    EXPECT_EQ(c.memory.budget, (memory_amount{0, 1'073'741'824}));
    EXPECT_EQ(c.auth.mechanisms, (std::vector{auth_mechanism::external, auth_mechanism::plain}));
    ASSERT_EQ(c.users.size(), 1U);
    EXPECT_EQ(c.users[0].name, "a");
    EXPECT_TRUE(c.users[0].loopback_only);
    EXPECT_THAT(c.users[0].tags, ElementsAre("x", "y"));
    EXPECT_EQ(c.listeners.at(0).bind, (bind_address{"127.0.0.1", 1}));
    EXPECT_EQ(c.policies.at(0).definition, (policy_definition{{"max-length", policy_value{std::int64_t{5}}}}));
}

TEST(Environment, CountsElementsInTheirOrder) {
    auto environment = std::vector<std::string>{};
    for (int i = 11; i >= 0; --i) {
        environment.push_back("LINNET_VHOST__" + std::to_string(i) + "__NAME=v" + std::to_string(i));
    }
    const auto c = loaded_from("", environment);
    ASSERT_EQ(c.vhosts.size(), 12U);
    EXPECT_EQ(c.vhosts[11].name, "v11");
    EXPECT_THAT(errors_in("", {"LINNET_VHOST__1__NAME=v"}),
                ElementsAre("LINNET_VHOST__1__NAME \"vhost\" has 0 elements: the next index is 0, not 1"));
    EXPECT_THAT(errors_in("", {"LINNET_VHOST__NAME=v"}),
                ElementsAre("LINNET_VHOST__NAME \"vhost\" is a list: write vhost.0.<key> for its first element"));
}

TEST(Environment, RefusesUnknownNamesButNotThoseOfKubernetes) {
    EXPECT_THAT(errors_in("", {"LINNET_LIMITS__QUEUS=1"}),
                ElementsAre("LINNET_LIMITS__QUEUS unknown key \"queus\"; did you mean \"queues\"?"));
    EXPECT_THAT(errors_in("", {"LINNET_PORT=tcp://10.0.0.1:5672", "LINNET_SERVICE_HOST=10.0.0.1",
                               "LINNET_PORT_5672_TCP_ADDR=10.0.0.1", "LINNET_URL=amqp://x"}),
                IsEmpty());
    auto sources = config_sources{};
    sources.environment = {"LINNET_SHARD=2"};
    EXPECT_THAT(load(sources)->warnings, ElementsAre("LINNET_SHARD is ignored; did you mean LINNET_SHARDS?"));
}

TEST(Environment, AcceptsRabbitMqsFirstUser) {
    const auto c = loaded_from("",
                               {"RABBITMQ_DEFAULT_USER=joe", "RABBITMQ_DEFAULT_PASS=pw", "RABBITMQ_DEFAULT_VHOST=v"});
    ASSERT_EQ(c.users.size(), 1U);
    EXPECT_EQ(c.users[0].name, "joe");
    EXPECT_FALSE(c.users[0].loopback_only);
    EXPECT_THAT(c.users[0].tags, ElementsAre("administrator"));
    EXPECT_TRUE(password_hash::parse(c.users[0].password_hash)->matches("pw"));
    ASSERT_EQ(c.vhosts.size(), 1U);
    EXPECT_EQ(c.vhosts[0].name, "v");
    EXPECT_THAT(c.permissions, ElementsAre(permission_config{"joe", "v", ".*", ".*", ".*"}));
}

TEST(Environment, ReadsRabbitMqsFirstUserFromFiles) {
    const auto directory = temporary_directory{};
    const auto file = directory.write("pass", "from file\n");
    const auto c = loaded_from("[[user]]\nname = \"other\"\n", {"RABBITMQ_DEFAULT_PASS_FILE=" + file});
    ASSERT_EQ(c.users.size(), 2U);
    EXPECT_EQ(c.users[1].name, "guest");
    EXPECT_TRUE(password_hash::parse(c.users[1].password_hash)->matches("from file"));
    EXPECT_THAT(errors_in("", {"RABBITMQ_DEFAULT_PASS_FILE=/no/such"}),
                ElementsAre("RABBITMQ_DEFAULT_PASS_FILE \"/no/such\" cannot be read: No such file or directory"));
}

TEST(Flags, SetKeysAndReplaceListeners) {
    auto sources = config_sources{};
    sources.settings = {"limits.queues=7", "vhost.0.name=a=b"};
    sources.listeners = {"amqp=127.0.0.1:0", "amqp=[::1]:0"};
    sources.environment = {"LINNET_LISTENER__0__PROTOCOL=amqp", "LINNET_LISTENER__0__BIND=0.0.0.0:9"};
    const auto c = loaded(sources);
    EXPECT_EQ(c.limits.queues, 7U);
    EXPECT_EQ(c.vhosts.at(0).name, "a=b");
    ASSERT_EQ(c.listeners.size(), 2U);
    EXPECT_EQ(c.listeners[0].bind, (bind_address{"127.0.0.1", 0}));
    EXPECT_EQ(c.listeners[1].bind, (bind_address{"::1", 0}));
    EXPECT_EQ(c.listeners[1].name, "amqp [::1]:0");
}

TEST(Flags, AreNamedInErrors) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.settings = {"limits.queus=7", "shards", "shards=x"};
    sources.listeners = {"5672", "amqb=127.0.0.1:1"};
    EXPECT_THAT(
        errors_of(sources, directory),
        ElementsAre("--set shards expected key.path=value", "--set shards shards: expected an integer, got \"x\"",
                    "--listen 5672 expected protocol=address:port, for example amqp=127.0.0.1:5672",
                    "--set limits.queus unknown key \"queus\"; did you mean \"queues\"?",
                    "--listen amqb=127.0.0.1:1 listener[0].protocol: \"amqb\" is not one of \"amqp\", "
                    "\"amqps\", \"mqtt\", \"mqtts\", \"http\", \"https\", \"metrics\"; did you mean \"amqp\"?"));
}

// ---- ${...} and secrets --------------------------------------------------------------------------

TEST(Interpolation, FillsStringsFromTheEnvironment) {
    const auto environment = std::vector<std::string>{"A=one", "N=5", "EMPTY="};
    EXPECT_EQ(loaded_from("data_dir = \"/x/${A}/y\"", environment).data_dir, "/x/one/y");
    EXPECT_EQ(loaded_from("data_dir = \"${B:-two}\"", environment).data_dir, "two");
    EXPECT_EQ(loaded_from("data_dir = \"${B:-${A}}${A:-x}\"", environment).data_dir, "oneone");
    EXPECT_EQ(loaded_from("data_dir = \"${EMPTY:-full}\"", environment).data_dir, "full");
    EXPECT_EQ(loaded_from("data_dir = \"${B:-}\"", environment).data_dir, "");
    EXPECT_EQ(loaded_from("data_dir = \"$${A} $A $\"", environment).data_dir, "${A} $A $");
    EXPECT_EQ(loaded_from("shards = \"${N}\"", environment).shards, 5U);
}

TEST(Interpolation, FailsWhereItStands) {
    EXPECT_THAT(
        errors_in("data_dir = \"${NOPE}\"\n"),
        ElementsAre("linnet.toml:1:12 environment variable \"NOPE\" is not set; ${NOPE:-default} gives a default"));
    EXPECT_THAT(errors_in("data_dir = \"${NOPE\"\n"),
                ElementsAre("linnet.toml:1:12 \"${\" without \"}\"; $${ stands for a literal one"));
    auto deep = std::string{"x"};
    for (int i = 0; i < 10; ++i) {
        deep = "${A:-" + deep + "}";
    }
    EXPECT_THAT(errors_in("data_dir = \"" + deep + "\"\n"),
                ElementsAre("linnet.toml:1:12 ${...} is nested too deeply"));
}

TEST(Secrets, ComeFromFiles) {
    const auto directory = temporary_directory{};
    const auto file = directory.write("pw", "s3cret\r\n");
    const auto toml = "[[user]]\nname = \"a\"\npassword_file = \"" + file + "\"\n";
    EXPECT_TRUE(password_hash::parse(loaded_from(toml).users[0].password_hash)->matches("s3cret"));
    const auto environment = std::vector<std::string>{"LINNET_TLS__KEY_PASSWORD_FILE=" + file};
    EXPECT_EQ(loaded_from("", environment).tls.key_password, "s3cret");
}

TEST(Secrets, FromAnEmptyFileAreRefused) {
    const auto directory = temporary_directory{};
    const auto file = directory.write("pw", "\n");
    EXPECT_THAT(errors_in("[[user]]\nname = \"a\"\npassword_file = \"" + file + "\"\n"),
                ElementsAre("linnet.toml:3:17 user[0].password_file: \"" + file +
                            "\" is empty: an empty secret protects nothing"));
}

TEST(Secrets, ComeFromSystemdsCredentials) {
    const auto directory = temporary_directory{};
    directory.write("tls.key_password", "one\n");
    directory.write("user.a.password", "two");
    directory.write("user.b.password", "three");
    const auto c = loaded_from("[[user]]\nname = \"a\"\n[[user]]\nname = \"b\"\npassword = \"own\"\n",
                               {"CREDENTIALS_DIRECTORY=" + directory.path()});
    EXPECT_EQ(c.tls.key_password, "one");
    EXPECT_TRUE(password_hash::parse(c.users[0].password_hash)->matches("two"));
    EXPECT_TRUE(password_hash::parse(c.users[1].password_hash)->matches("own"));
}

TEST(Secrets, OfALaterSourceReplaceThoseOfAnEarlier) {
    const auto hashed = salted_sha256("from hash");
    const auto toml = "[[user]]\nname = \"a\"\npassword_hash = \"" + hashed + "\"\n";
    const auto c = loaded_from(toml, {"LINNET_USER__0__PASSWORD=from environment"});
    EXPECT_TRUE(password_hash::parse(c.users[0].password_hash)->matches("from environment"));
    EXPECT_THAT(errors_in(toml + "password = \"x\"\n"),
                ElementsAre("linnet.toml:3:1 user[0].password_hash: excludes \"password\", which is set too"));
}

TEST(Secrets, StayOutOfThePlainConfiguration) {
    const auto c = loaded_from("[[user]]\nname = \"a\"\npassword = \"s3cret\"\n");
    EXPECT_THAT(c.users[0].password_hash, ::testing::Not(HasSubstr("s3cret")));
    EXPECT_EQ(c.users[0].password_hash.size(), 48U);  // base64 of 4 + 32 bytes
}

TEST(Secrets, NobodyGaveMeanNoPasswordLogin) {
    EXPECT_EQ(loaded_from("[[user]]\nname = \"a\"\n").users[0].password_hash, "");
}

// ---- TLS ------------------------------------------------------------------------------------------

class TlsConfig : public ::testing::Test {
protected:
    [[nodiscard]] config load_with(const std::string& more) const { return loaded_from(tls_table() + more); }
    [[nodiscard]] std::string tls_table() const {
        return "[tls]\ncert_file = \"" + cert_ + "\"\nkey_file = \"" + key_ + "\"\n";
    }

    temporary_directory directory_;
    test::pem_pair own_ = test::make_certificate();
    test::pem_pair foreign_ = test::make_certificate();
    std::string cert_ = directory_.write("cert.pem", own_.certificate);
    std::string key_ = directory_.write("key.pem", own_.key);
    std::string other_ = directory_.write("other.pem", foreign_.certificate);
};

// A broken certificate must stop a reload while the old one still serves.
TEST_F(TlsConfig, FilesMustHoldWhatTheirNamesSay) {
    directory_.write("key.pem", foreign_.key);
    EXPECT_THAT(errors_in(tls_table()),
                ElementsAre("linnet.toml:3:12 tls.key_file: \"" + key_ + "\" is not the key of the certificate"));
    directory_.write("key.pem", "nonsense");
    directory_.write("cert.pem", own_.key);
    directory_.write("other.pem", "");
    EXPECT_THAT(
        errors_in(tls_table() + "ca_file = \"" + other_ + "\"\n"),
        ElementsAre("linnet.toml:2:13 tls.cert_file: \"" + cert_ + "\" holds no PEM certificate",
                    "linnet.toml:3:12 tls.key_file: \"" + key_ + "\" holds no PEM private key, or needs key_password",
                    "linnet.toml:4:11 tls.ca_file: \"" + other_ + "\" holds no PEM certificate"));
}

TEST_F(TlsConfig, KeysMayBeEncrypted) {
    directory_.write("key.pem", test::encrypted_key(own_, "sesame"));
    EXPECT_THAT(errors_in(tls_table()), ElementsAre(HasSubstr("or needs key_password")));
    EXPECT_THAT(errors_in(tls_table() + "key_password = \"other\"\n"), ElementsAre(HasSubstr("key_password is wrong")));
    EXPECT_EQ(load_with("key_password = \"sesame\"\n").tls.key_password, "sesame");
}

TEST_F(TlsConfig, ACertificateOpensTheTlsPortToo) {
    const auto c = load_with("");
    ASSERT_EQ(c.listeners.size(), 8U);
    EXPECT_EQ(c.listeners[0].bind.port, 5672);
    EXPECT_FALSE(c.listeners[0].tls);
    EXPECT_EQ(c.listeners[5].protocol, listener_protocol::amqps);
    EXPECT_EQ(c.listeners[5].bind.port, 5671);
    EXPECT_EQ(c.listeners[5].tls, c.tls);
    EXPECT_EQ(c.listeners[6].protocol, listener_protocol::mqtts);
    EXPECT_EQ(c.listeners[6].bind.port, 8883);
    EXPECT_EQ(c.listeners[6].tls, c.tls);
    EXPECT_EQ(c.listeners[7].protocol, listener_protocol::https);
    EXPECT_EQ(c.listeners[7].bind.port, 15671);
    EXPECT_EQ(c.listeners[7].tls, c.tls);
}

TEST_F(TlsConfig, AListenerInheritsAndOverrides) {
    const auto c = load_with("[[listener]]\nprotocol = \"amqp\"\nbind = \"0.0.0.0:1\"\ntls = true\n"
                             "[[listener]]\nprotocol = \"amqps\"\nbind = \"0.0.0.0:2\"\n"
                             "[listener.tls]\nverify = \"require\"\nca_file = \"" +
                             other_ +
                             "\"\n"
                             "[[listener]]\nprotocol = \"amqp\"\nbind = \"0.0.0.0:3\"\n"
                             "[[listener]]\nprotocol = \"mqtt\"\nbind = \"0.0.0.0:4\"\ntls = true\n");
    ASSERT_EQ(c.listeners.size(), 4U);
    EXPECT_EQ(c.listeners[3].protocol, listener_protocol::mqtts);
    EXPECT_EQ(c.listeners[0].protocol, listener_protocol::amqps);
    EXPECT_EQ(c.listeners[0].tls, c.tls);
    ASSERT_TRUE(c.listeners[1].tls);
    EXPECT_EQ(c.listeners[1].tls->verify, tls_verify::require);
    EXPECT_EQ(c.listeners[1].tls->ca_file, other_);
    EXPECT_EQ(c.listeners[1].tls->cert_file, cert_);
    EXPECT_EQ(c.listeners[2].protocol, listener_protocol::amqp);
    EXPECT_FALSE(c.listeners[2].tls);
}

TEST_F(TlsConfig, FlagsCanOpenATlsListener) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.settings = {"tls.cert_file=" + cert_, "tls.key_file=" + key_};
    sources.listeners = {"amqps=127.0.0.1:0"};
    EXPECT_EQ(loaded(sources).listeners.at(0).tls->cert_file, cert_);
    sources.settings.clear();
    EXPECT_THAT(errors_of(sources, directory),
                ElementsAre("--listen amqps=127.0.0.1:0 listener[0]: TLS needs a certificate: set tls.cert_file and "
                            "tls.key_file"));
}

// ---- The rest --------------------------------------------------------------------------------------

TEST(Warnings, TellOfAVersionThatChangesClients) {
    auto sources = config_sources{};
    sources.settings = {"compat.rabbitmq_version=4.3.0"};
    EXPECT_EQ(load(sources)->warnings.size(), 1U);
    sources.settings = {"compat.rabbitmq_version=4.2.9"};
    EXPECT_THAT(load(sources)->warnings, IsEmpty());
}

TEST(Digest, ChangesWithEverythingThatWasRead) {
    const auto directory = temporary_directory{};
    auto sources = config_sources{};
    sources.files = {directory.write("a.toml", "shards = 1\n")};
    const auto before = load(sources)->digest;
    EXPECT_EQ(load(sources)->digest, before);
    EXPECT_THAT(before, ::testing::MatchesRegex("sha256:[0-9a-f]{64}"));
    sources.environment = {"LINNET_SHARDS=1"};
    EXPECT_NE(load(sources)->digest, before);
    sources.environment.clear();
    directory.write("a.toml", "shards = 2\n");
    EXPECT_NE(load(sources)->digest, before);
}

TEST(RestartNeeded, NamesTheKeysThatAReloadCannotChange) {
    const auto running = loaded({});
    EXPECT_THAT(restart_needed(running, running), IsEmpty());
    auto wanted = running;
    wanted.limits.queues = 5;
    wanted.log.level = log::level::debug;
    wanted.tls.ciphers = "x";
    EXPECT_THAT(restart_needed(running, wanted), IsEmpty());
    wanted.shards = 7;
    wanted.data_dir = "/elsewhere";
    wanted.compat.node_name = "other";
    wanted.listeners[0].bind.port = 1;
    EXPECT_THAT(restart_needed(running, wanted), ElementsAre("shards", "data_dir", "compat.node_name", "listener"));
}

TEST(Explain, SaysWhatAKeyIs) {
    const auto text = explain_key("limits.frame_max");
    ASSERT_TRUE(text);
    EXPECT_THAT(*text, HasSubstr("The largest AMQP frame."));
    EXPECT_THAT(*text, HasSubstr("4KiB to 16MiB"));
    EXPECT_THAT(*text, HasSubstr("\"128KiB\""));
    EXPECT_THAT(*text, HasSubstr("LINNET_LIMITS__FRAME_MAX"));
    EXPECT_THAT(*explain_key("user.password"), HasSubstr("LINNET_USER__0__PASSWORD\n  from a file  password_file"));
    EXPECT_THAT(*explain_key("listener.tls.verify"), HasSubstr("LINNET_LISTENER__0__TLS__VERIFY"));
    EXPECT_THAT(*explain_key("listener"), HasSubstr("[[listener]]"));
    EXPECT_FALSE(explain_key("limits.frame_mx"));
    EXPECT_EQ(nearest_key("limits.frame_mx"), "limits.frame_max");
}

TEST(EnvironmentText, NamesVariablesThatAreUnderstood) {
    // Those with a default can be fed back; the rest is examined by name alone.
    auto environment = std::vector<std::string>{};
    auto lines = std::istringstream{environment_text()};
    for (auto line = std::string{}; std::getline(lines, line);) {
        if (!line.ends_with('=') && line.find("__0__") == std::string::npos) {
            environment.push_back(line);
        }
    }
    EXPECT_GT(environment.size(), 20U);
    const auto c = loaded_from("", environment);
    EXPECT_EQ(c.limits, loaded({}).limits);
    EXPECT_THAT(environment_text(), HasSubstr("\nLINNET_USER__0__PASSWORD_FILE=\n"));
}

TEST(Schema, GivesEveryKeyADescriptionAndEveryRangeAnOrder) {
    for (const auto& section : schema::sections()) {
        for (const auto& key : section.keys) {
            EXPECT_FALSE(key.description.empty()) << section.name << '.' << key.name;
            EXPECT_LE(key.min, key.max == 0 ? key.min : key.max) << section.name << '.' << key.name;
            EXPECT_NE(key.at.store, nullptr);
            for (auto name : section.identity) {
                EXPECT_NE(schema::find_key(section, name), nullptr);
            }
        }
    }
}

// ---- Memory ------------------------------------------------------------------------------------------

TEST(MemoryLimit, IsTheLeastOfMachineAndCgroups) {
    const auto root = temporary_directory{};
    EXPECT_EQ(memory_available_bytes(root.path()), 0U);
    root.write("proc/meminfo", "MemTotal:        8000 kB\nMemFree: 1 kB\n");
    EXPECT_EQ(memory_available_bytes(root.path()), 8'192'000U);
    root.write("proc/self/cgroup", "0::/a/b\n");
    root.write("sys/fs/cgroup/a/b/memory.max", "max\n");
    EXPECT_EQ(memory_available_bytes(root.path()), 8'192'000U);
    root.write("sys/fs/cgroup/a/memory.max", "5000000\n");
    EXPECT_EQ(memory_available_bytes(root.path()), 5'000'000U);
    root.write("sys/fs/cgroup/a/b/memory.max", "4000000\n");
    EXPECT_EQ(memory_available_bytes(root.path()), 4'000'000U);
    // A container sees its own limit at the top of the mount.
    root.write("sys/fs/cgroup/memory.max", "3000000\n");
    EXPECT_EQ(memory_available_bytes(root.path()), 3'000'000U);
}

TEST(MemoryLimit, KnowsTheFirstVersionOfCgroups) {
    const auto root = temporary_directory{};
    root.write("proc/meminfo", "MemTotal:        8000 kB\n");
    root.write("proc/self/cgroup", "11:cpuset:/x\n7:cpu,memory:/docker/c\n");
    root.write("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    EXPECT_EQ(memory_available_bytes(root.path()), 8'192'000U);
    root.write("sys/fs/cgroup/memory/docker/c/memory.limit_in_bytes", "2000000\n");
    EXPECT_EQ(memory_available_bytes(root.path()), 2'000'000U);
}

TEST(MemoryLimit, ReadsThisMachine) { EXPECT_GT(memory_available_bytes(), 1'000'000U); }

TEST(MemoryAmount, IsAShareOrBytes) {
    EXPECT_EQ(resolve({60, 0}, 1'000'000), 600'000U);
    EXPECT_EQ(resolve({0, 12'345}, 1'000'000), 12'345U);
}

}  // namespace
}  // namespace linnet::app
