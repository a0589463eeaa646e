#include "broker/app/command_line.hpp"
#include "tests/app/temporary_directory.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>

namespace linnet::app {
namespace {

using test::temporary_directory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

result<command_line, answer> parse(std::vector<const char*> arguments, config_sources sources = {}) {
    arguments.insert(arguments.begin(), "linnetd");
    return parse_command_line(static_cast<int>(arguments.size()), arguments.data(), std::move(sources));
}

answer answer_to(std::vector<const char*> arguments) {
    const auto line = parse(std::move(arguments));
    return line ? answer_at_once(*line).value() : line.error();
}

TEST(CommandLine, WithoutFlagsRuns) {
    const auto line = parse({});
    ASSERT_TRUE(line);
    EXPECT_EQ(line->what, action::run);
    EXPECT_EQ(answer_at_once(*line).has_value(), false);
}

TEST(CommandLine, CopiesInsteadOfServing) {
    const auto backup = parse({"--backup-to=/b", "--data-dir=/d", "-q", "--json"});
    ASSERT_TRUE(backup);
    EXPECT_EQ(backup->what, action::back_up);
    EXPECT_EQ(backup->folder, "/b");
    EXPECT_TRUE(backup->quiet && backup->json);
    EXPECT_EQ(answer_at_once(*backup).has_value(), false);
    const auto restore = parse({"--restore-from", "/b"});
    ASSERT_TRUE(restore);
    EXPECT_EQ(restore->what, action::restore);
    EXPECT_EQ(restore->folder, "/b");
    EXPECT_FALSE(restore->quiet || restore->json);
    EXPECT_EQ(answer_to({"--restore-from", "/b", "--backup-to", "/c"}).code, exit_code::usage);
}

TEST(CommandLine, CollectsFilesSettingsAndListeners) {
    const auto line = parse({"-c",
                             "a.toml",
                             "--config",
                             "b.toml",
                             "--set",
                             "limits.queues=1",
                             "--set",
                             "shards=2",
                             "--listen",
                             "amqp=127.0.0.1:0",
                             "--listen=amqp=[::1]:0",
                             "--data-dir",
                             "/d",
                             "--shards",
                             "3",
                             "--log-level",
                             "debug",
                             "--log-format",
                             "json",
                             "--pid-file",
                             "/p",
                             "--ports-file",
                             "/q"});
    ASSERT_TRUE(line);
    EXPECT_THAT(line->sources.files, ElementsAre("a.toml", "b.toml"));
    EXPECT_THAT(line->sources.listeners, ElementsAre("amqp=127.0.0.1:0", "amqp=[::1]:0"));
    const auto c = load({.files = {},
                         .search = {},
                         .environment = {},
                         .settings = line->sources.settings,
                         .listeners = line->sources.listeners});
    ASSERT_TRUE(c);
    EXPECT_EQ(c->values.limits.queues, 1U);
    EXPECT_EQ(c->values.shards, 3U);  // a flag of its own is stronger than --set
    EXPECT_EQ(c->values.data_dir, "/d");
    EXPECT_EQ(c->values.log.level, log::level::debug);
    EXPECT_EQ(c->values.log.format, log::format::json);
    EXPECT_EQ(c->values.pid_file, "/p");
    EXPECT_EQ(c->values.ports_file, "/q");
    EXPECT_EQ(c->values.listeners.size(), 2U);
}

TEST(CommandLine, RefusesWhatItDoesNotKnow) {
    for (auto arguments : {std::vector{"--no-such-flag"}, std::vector{"stray"}, std::vector{"--config"}}) {
        const auto line = parse(arguments);
        ASSERT_FALSE(line);
        EXPECT_EQ(line.error().code, exit_code::usage);
        EXPECT_EQ(line.error().out, "");
        EXPECT_NE(line.error().err, "");
    }
}

TEST(CommandLine, PrintsHelp) {
    const auto help = answer_to({"--help"});
    EXPECT_EQ(help.code, exit_code::ok);
    for (auto flag : {"--config", "--set", "--check-config", "--version", "--listen", "--ports-file", "--explain"}) {
        EXPECT_THAT(help.out, HasSubstr(flag));
    }
}

TEST(CommandLine, PrintsItsVersionOnOneLine) {
    for (auto flag : {"-V", "--version"}) {
        const auto version = answer_to({flag});
        EXPECT_EQ(version.code, exit_code::ok);
        EXPECT_THAT(version.out, MatchesRegex("linnet [0-9]+\\.[0-9]+\\.[0-9]+ \\([0-9a-z-]+, (gcc|clang) [0-9.]+, "
                                              "asio 1\\.[0-9.]+, openssl 3[0-9.]+\\)\n"));
    }
    EXPECT_THAT(answer_to({"--build-info"}).out, HasSubstr("\nbuild type: "));
}

TEST(CommandLine, ChecksAConfiguration) {
    const auto directory = temporary_directory{};
    const auto good = directory.write("good.toml", "shards = 1\n");
    const auto bad = directory.write("bad.toml", "shards = 1\nlistners = 2\n[limits]\nqueues = -1\n");
    for (auto flag : {"-t", "--check-config", "--test-config"}) {
        const auto valid = answer_to({flag, "-c", good.c_str()});
        EXPECT_EQ(valid.code, exit_code::ok);
        EXPECT_THAT(valid.out, MatchesRegex(".*/good\\.toml is valid \\(sha256:[0-9a-f]+\\)\n"));
        const auto invalid = answer_to({flag, "-c", bad.c_str()});
        EXPECT_EQ(invalid.code, exit_code::config);
        EXPECT_EQ(static_cast<int>(invalid.code), 78);
        EXPECT_EQ(invalid.out, "");
        EXPECT_EQ(invalid.err, bad + ":2:1 unknown key \"listners\"; did you mean \"listener\"?\n" + bad +
                                   ":4:10 limits.queues: -1 is out of range (0 to 100000000)\n");
    }
    EXPECT_THAT(answer_to({"-t"}).out, ::testing::StartsWith("the built-in configuration is valid (sha256:"));
}

TEST(CommandLine, WarnsButAcceptsOddConfigurations) {
    const auto odd = answer_to({"-t", "--set", "compat.rabbitmq_version=4.3.0"});
    EXPECT_EQ(odd.code, exit_code::ok);
    EXPECT_THAT(odd.err, ::testing::StartsWith("warning: compat.rabbitmq_version"));
}

TEST(CommandLine, ExplainsAndPrintsTheConfiguration) {
    EXPECT_THAT(answer_to({"--explain", "limits.queues"}).out, HasSubstr("LINNET_LIMITS__QUEUES"));
    const auto unknown = answer_to({"--explain", "limits.queus"});
    EXPECT_EQ(unknown.code, exit_code::usage);
    EXPECT_EQ(unknown.err, "unknown key \"limits.queus\"; did you mean \"limits.queues\"?\n");
    EXPECT_THAT(answer_to({"--print-default-config"}).out, HasSubstr("\n[limits]\n"));
    EXPECT_THAT(answer_to({"--print-env"}).out, HasSubstr("\nLINNET_TLS__CERT_FILE=\n"));
}

}  // namespace
}  // namespace linnet::app
