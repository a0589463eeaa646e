#include "clients/cli/completion.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>

namespace linnet::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::UnorderedElementsAre;

command_description example() {
    auto status = command_description{"status", "It's a: \"test\" of $quoting `and` \\more", {}, {}, {}};
    status.options.push_back({{"-o", "--output"}, {"table", "json"}, true, "The form"});
    status.options.push_back({{"--url"}, {}, true, "Where"});
    auto completion = command_description{"completion", "Scripts", {}, {"bash", "zsh", "fish"}, {}};
    auto noun = command_description{"config", "Settings", {}, {}, {}};
    noun.commands.push_back({"check", "Check it", {{{"--strict"}, {}, false, "All"}}, {}, {}});
    noun.commands.push_back({"env", "Show it", {}, {}, {}});
    return {"linnet", "The tool", {{{"-h", "--help"}, {}, false, "Help"}}, {}, {status, completion, noun}};
}

// The output and the exit code of a shell command.
std::pair<std::string, int> run(const std::string& command) {
    auto* pipe = ::popen((command + " 2>&1").c_str(), "r");
    auto out = std::string{};
    auto part = std::array<char, 4096>{};
    for (std::size_t n = 0; (n = std::fread(part.data(), 1, part.size(), pipe)) > 0;) {
        out.append(part.data(), n);
    }
    return {out, ::pclose(pipe)};
}

class Completion : public ::testing::Test {
protected:
    Completion() {
        auto name = (std::filesystem::temp_directory_path() / "linnet-completion-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
    }
    ~Completion() override { std::filesystem::remove_all(directory_); }

    [[nodiscard]] std::string file(std::string_view name, std::string_view text) const {
        const auto path = directory_ + '/' + std::string{name};
        std::ofstream{path} << text;
        return path;
    }

    // What bash offers at the end of these words; the last is the one being written.
    [[nodiscard]] std::vector<std::string> offered(const std::string& words) const {
        const auto script = file("linnet.bash", completion_script(shell::bash, example()));
        const auto [out, status] = run(
            "bash -c 'source " + script + "; COMP_WORDS=(" + words +
            "); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); _linnet; printf \"%s\\n\" \"${COMPREPLY[@]}\"'");
        EXPECT_EQ(status, 0) << out;
        auto lines = std::vector<std::string>{};
        for (std::size_t begin = 0, end = 0; (end = out.find('\n', begin)) != std::string::npos; begin = end + 1) {
            lines.push_back(out.substr(begin, end - begin));
        }
        return lines;
    }

    std::string directory_;
};

TEST_F(Completion, ForBashIsAScriptThatParses) {
    const auto [out, status] = run("bash -n " + file("x.bash", completion_script(shell::bash, example())));
    EXPECT_EQ(status, 0) << out;
    EXPECT_EQ(out, "");
}

TEST_F(Completion, ForOtherShellsParsesWhereTheyAreInstalled) {
    for (auto [name, kind] : {std::pair{"zsh", shell::zsh}, std::pair{"fish", shell::fish}}) {
        if (run(std::string{"command -v "} + name).second != 0) {
            continue;
        }
        const auto [out, status] = run(std::string{name} + " -n " + file(name, completion_script(kind, example())));
        EXPECT_EQ(status, 0) << out;
    }
}

TEST_F(Completion, OffersCommandsAndOptions) {
    EXPECT_THAT(offered("linnet \"\""), UnorderedElementsAre("status", "completion", "config", "-h", "--help"));
    EXPECT_THAT(offered("linnet co"), ElementsAre("completion", "config"));
    EXPECT_THAT(offered("linnet status \"\""), UnorderedElementsAre("-o", "--output", "--url"));
    EXPECT_THAT(offered("linnet config \"\""), ElementsAre("check", "env"));
    EXPECT_THAT(offered("linnet config check --"), ElementsAre("--strict"));
}

TEST_F(Completion, OffersTheChoicesOfAValue) {
    EXPECT_THAT(offered("linnet status -o \"\""), ElementsAre("table", "json"));
    EXPECT_THAT(offered("linnet status --output j"), ElementsAre("json"));
    EXPECT_THAT(offered("linnet completion f"), ElementsAre("fish"));
}

TEST_F(Completion, KnowsItsPlaceBehindOptions) {
    EXPECT_THAT(offered("linnet status --url x --o"), ElementsAre("--output"));
}

// Without a fish to ask: every line is one complete command with balanced quotes, and nothing is left out.
TEST_F(Completion, ForFishNamesEverything) {
    const auto script = completion_script(shell::fish, example());
    for (auto part :
         {"-a 'status' -d 'It'\\''s a: \"test\" of $quoting `and` \\more'", "-s 'o' -l 'output' -x -a 'table json'",
          "-l 'url' -r", "'__linnet_at \"linnet config check\"' -l 'strict'", "-a 'fish'\n"}) {
        EXPECT_THAT(script, ::testing::HasSubstr(part));
    }
}

TEST_F(Completion, ForZshNamesEverything) {
    const auto script = completion_script(shell::zsh, example());
    EXPECT_THAT(script, ::testing::StartsWith("#compdef linnet\n"));
    for (auto part : {"'status:It'\\''s a\\: \"test\" of $quoting `and` \\more'", "'check:Check it'", "'--strict:All'",
                      "'linnet status -o'|'linnet status --output') compadd -- table json; return ;;"}) {
        EXPECT_THAT(script, ::testing::HasSubstr(part));
    }
}

TEST_F(Completion, OfACommandWithoutSubcommandsParses) {
    const auto root = command_description{"lone", "", {}, {}, {}};
    EXPECT_EQ(run("bash -n " + file("x.bash", completion_script(shell::bash, root))).second, 0);
}

}  // namespace
}  // namespace linnet::cli
