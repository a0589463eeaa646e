#include "clients/cli/command_tree.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include <cstdio>
#include <filesystem>
#include <fstream>

namespace linnet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

struct run_result {
    int code = 0;
    std::string out;
    std::string err;
};

run_result run(std::vector<const char*> arguments, const std::vector<foreign_command>& foreign = {}) {
    arguments.insert(arguments.begin(), "linnet");
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    const int code = run_command_line(static_cast<int>(arguments.size()), arguments.data(), foreign);
    std::fflush(nullptr);
    return {code, ::testing::internal::GetCapturedStdout(), ::testing::internal::GetCapturedStderr()};
}

TEST(CommandTree, WantsAVerbItKnows) {
    EXPECT_EQ(run({}).code, 64);
    EXPECT_EQ(run({"no-such-verb"}).code, 64);
    EXPECT_EQ(run({"config"}).code, 64);
    EXPECT_EQ(run({"backup"}).code, 64);
    EXPECT_EQ(run({"restore"}).code, 64);
    EXPECT_EQ(run({"status", "-o", "xml"}).code, 64);
    EXPECT_EQ(run({"completion", "tcsh"}).code, 64);
    EXPECT_EQ(run({"health", "--timeout", "0"}).code, 64);
    EXPECT_EQ(run({"no-such-verb"}).out, "");
}

TEST(CommandTree, PrintsHelpAndVersion) {
    const auto help = run({"--help"});
    EXPECT_EQ(help.code, 0);
    for (auto verb : {"status", "health", "backup", "restore", "version", "config", "completion", "queue",
                      "definitions", "top", "pub"}) {
        EXPECT_THAT(help.out, HasSubstr(verb));
    }
    EXPECT_THAT(run({"version"}).out, ::testing::StartsWith("linnet "));
    EXPECT_EQ(run({"--version"}).out, run({"version"}).out);
    EXPECT_TRUE(nlohmann::json::parse(run({"version", "-o", "json"}).out).contains("commit"));
}

TEST(CommandTree, PrintsCompletionsOfItself) {
    const auto bash = run({"completion", "bash"}, {{"bench", "Load", {}}});
    EXPECT_EQ(bash.code, 0);
    for (auto part : {"'linnet config explain'", "'bash zsh fish -h --help'", "words='table json'", "bench"}) {
        EXPECT_THAT(bash.out, HasSubstr(part));
    }
    EXPECT_THAT(run({"completion", "zsh"}).out, HasSubstr("#compdef linnet"));
    EXPECT_THAT(run({"completion", "fish"}).out, HasSubstr("complete -c linnet"));
}

TEST(CommandTree, PrintsItsManualPage) {
    const auto page = run({"man"});
    EXPECT_EQ(page.code, 0);
    EXPECT_THAT(page.out, ::testing::StartsWith(".TH LINNET 1"));
    EXPECT_THAT(page.out, HasSubstr("linnet queue replay"));
}

TEST(CommandTree, RefusesWhatTheTablesDoNotHave) {
    for (auto words : std::vector<std::vector<const char*>>{
             {"queue"},
             {"queue", "ls", "-o", "xml"},
             {"queue", "show"},
             {"queue", "ls", "--filter", "x", "--url", "http://127.0.0.1:1", "--timeout", "x"},
             {"policy", "set", "name", "pattern"},
             {"queue", "ls", "--url", "gopher://x"}}) {
        EXPECT_EQ(run(words).code, 64) << words.front();
    }
}

TEST(CommandTree, SaysWhatWhyAndWhatNextWithoutABroker) {
    const auto result = run({"queue", "ls", "--url", "http://127.0.0.1:1"});
    EXPECT_EQ(result.code, 69);
    EXPECT_EQ(result.out, "");
    EXPECT_THAT(result.err, ::testing::StartsWith("linnet queue ls: http://127.0.0.1:1: Connection refused\n  Is "));
}

TEST(CommandTree, ItsCompletionParses) {
    const auto file = std::filesystem::temp_directory_path() / "linnet-completion-test.bash";
    std::ofstream{file} << run({"completion", "bash"}).out;
    EXPECT_EQ(std::system(("bash -n " + file.string()).c_str()), 0);
    std::filesystem::remove(file);
}

TEST(CommandTree, HandsForeignCommandsTheirArgumentsUntouched) {
    auto seen = std::vector<std::string>{};
    const auto bench = foreign_command{"bench", "Load", [&](std::span<const std::string> arguments) {
                                           seen.assign(arguments.begin(), arguments.end());
                                           return 42;
                                       }};
    EXPECT_EQ(run({"bench", "amqp", "-x", "2", "--help", "--flag=1", "status"}, {bench}).code, 42);
    EXPECT_THAT(seen, ElementsAre("amqp", "-x", "2", "--help", "--flag=1", "status"));
    EXPECT_EQ(run({"bench"}, {bench}).code, 42);
    EXPECT_THAT(seen, ElementsAre());
}

TEST(CommandTree, SaysWhatIsWrongWithAUrl) {
    for (auto verb : {"status", "health"}) {
        const auto result = run({verb, "--url", "http://x"});
        EXPECT_EQ(result.code, 64);
        EXPECT_THAT(result.err, HasSubstr("amqp://"));
    }
}

TEST(CommandTree, ReportsABrokerThatIsNotThere) {
    // Port 1 of the loopback: reserved, and nobody listens.
    const auto status = run({"status", "--url", "amqp://127.0.0.1:1"});
    EXPECT_EQ(status.code, 69);
    EXPECT_EQ(status.out, "");
    EXPECT_EQ(status.err, "linnet status: amqp://127.0.0.1:1/%2F: Connection refused\n");
    const auto health = run({"health", "--url", "amqp://127.0.0.1:1", "-o", "json"});
    EXPECT_EQ(health.code, 69);
    const auto parsed = nlohmann::json::parse(health.out);
    EXPECT_EQ(parsed["status"], "failed");
    EXPECT_EQ(parsed["reason"], "Connection refused");
}

}  // namespace
}  // namespace linnet::cli
