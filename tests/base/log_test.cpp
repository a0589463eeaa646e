#include "broker/base/log.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <regex>
#include <thread>

namespace linnet::log {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::MatchesRegex;

class Log : public ::testing::Test {
protected:
    Log() {
        auto name = (std::filesystem::temp_directory_path() / "linnet-log-XXXXXX").string();
        directory_ = ::mkdtemp(name.data());
        file_ = directory_ + "/linnet.log";
    }
    ~Log() override {
        static_cast<void>(configure({}));
        std::filesystem::remove_all(directory_);
    }

    void log_as(format form, level threshold = level::info) {
        ASSERT_EQ(configure({threshold, form, file_, false}), "");
    }
    [[nodiscard]] std::vector<std::string> lines() const { return lines_of(file_); }
    static std::vector<std::string> lines_of(const std::string& file) {
        auto result = std::vector<std::string>{};
        auto stream = std::ifstream{file};
        for (auto line = std::string{}; std::getline(stream, line);) {
            result.push_back(line);
        }
        return result;
    }
    // What one message looks like as text, without its time.
    std::string text_of(const context& c, std::string_view message) {
        log_as(format::text);
        write(level::info, c, message);
        const auto all = lines();
        EXPECT_EQ(all.size(), 1U);
        std::filesystem::remove(file_);
        return all.empty() ? "" : all.back().substr(std::string_view{"2026-11-22T13:05:01.123456Z "}.size());
    }
    nlohmann::json json_of(const context& c, std::string_view message) {
        log_as(format::json);
        write(level::info, c, message);
        const auto all = lines();
        EXPECT_EQ(all.size(), 1U);
        std::filesystem::remove(file_);
        return all.empty() ? nlohmann::json{} : nlohmann::json::parse(all.back());
    }

    std::string directory_;
    std::string file_;
};

TEST_F(Log, WritesTextForPeople) {
    log_as(format::text);
    warning({.domain = "connection", .conn = "127.0.0.1:1 -> 127.0.0.1:2", .vhost = "/", .user = "guest"}, "closed: {}",
            320);
    info({}, "plain");
    EXPECT_THAT(lines(),
                ElementsAre(MatchesRegex("[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{6}Z warning "
                                         "connection: closed: 320 conn=127.0.0.1:1 -> 127.0.0.1:2 vhost=/ user=guest"),
                            MatchesRegex("[0-9T:.-]+Z info broker: plain")));
}

TEST_F(Log, WritesJsonForCollectors) {
    const auto line = json_of({.domain = "amqp", .conn = "a -> b", .vhost = "v", .user = "u"},
                              "hello \"you\" \\ there");
    EXPECT_THAT(line["time"].get<std::string>(), MatchesRegex("[0-9-]{10}T[0-9:]{8}\\.[0-9]{6}Z"));
    EXPECT_EQ(line["level"], "info");
    EXPECT_EQ(line["msg"], "hello \"you\" \\ there");
    EXPECT_EQ(line["domain"], "amqp");
    EXPECT_EQ(line["pid"], ::getpid());
    EXPECT_EQ(line["conn"], "a -> b");
    EXPECT_EQ(line["vhost"], "v");
    EXPECT_EQ(line["user"], "u");
    EXPECT_FALSE(json_of({}, "x").contains("conn"));
}

TEST_F(Log, TellsTheTimeInUtcToTheMicrosecond) {
    const auto now = std::time(nullptr);
    const auto text = json_of({}, "x")["time"].get<std::string>();
    auto parts = std::tm{};
    ASSERT_NE(::strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts), nullptr);
    EXPECT_NEAR(static_cast<double>(::timegm(&parts)), static_cast<double>(now), 2.0);
}

// [A29] Whatever a peer sends, a line stays one line and a terminal stays as it was.
TEST_F(Log, EscapesWhatCouldForgeALine) {
    EXPECT_EQ(text_of({}, "a\nb\r\tc"), "info broker: a\\nb\\r\\tc");
    EXPECT_EQ(text_of({}, "\x1b[31mred"), "info broker: \\x1b[31mred");
    EXPECT_EQ(text_of({}, std::string_view{"a\0b\x7f", 4}), "info broker: a\\x00b\\x7f");
    EXPECT_EQ(text_of({.domain = "x\ny", .conn = "c\nd", .vhost = "v\nw", .user = "u\nt"}, "m"),
              "info x\\ny: m conn=c\\nd vhost=v\\nw user=u\\nt");
}

TEST_F(Log, KeepsTextOfAnyLanguage) {
    EXPECT_EQ(text_of({}, "Grüße, 世界 🐦"), "info broker: Grüße, 世界 🐦");
    EXPECT_EQ(json_of({}, "Grüße, 世界 🐦")["msg"], "Grüße, 世界 🐦");
}

TEST_F(Log, EscapesCharactersThatDoNotShowThemselves) {
    EXPECT_EQ(text_of({}, "a\u0085b"), "info broker: a\\xc2\\x85b");       // C1: next line
    EXPECT_EQ(text_of({}, "a\u2028b"), "info broker: a\\xe2\\x80\\xa8b");  // line separator
    EXPECT_EQ(text_of({}, "a\u202Eb"), "info broker: a\\xe2\\x80\\xaeb");  // right to left from here
    EXPECT_EQ(text_of({}, "a\u2066b"), "info broker: a\\xe2\\x81\\xa6b");
}

TEST_F(Log, EscapesBytesThatAreNoUtf8) {
    for (std::string_view bytes :
         {"\x80", "\xff", "\xc0\xaf", "\xe0\x80\xaf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf0\x9f", "\xc3"}) {
        auto expected = std::string{"info broker: <"};
        for (char c : bytes) {
            expected += fmt::format("\\x{:02x}", static_cast<unsigned char>(c));
        }
        EXPECT_EQ(text_of({}, fmt::format("<{}>", bytes)), expected + '>');
    }
}

TEST_F(Log, IsValidJsonWhateverTheBytes) {
    for (int first = 0; first < 256; ++first) {
        auto message = std::string{};
        message += static_cast<char>(first);
        message += "\"\\";
        message += static_cast<char>(255 - first);
        const auto line = json_of({.user = message}, message);  // parse() throws on bad JSON and on bad UTF-8
        EXPECT_EQ(line["msg"], line["user"]);
        if (first < 0x80) {
            EXPECT_EQ(line["msg"].get<std::string>().front(), static_cast<char>(first));
        }
    }
}

TEST_F(Log, WritesWhatIsImportantEnough) {
    for (auto [threshold, count] :
         {std::pair{level::debug, 4U}, {level::info, 3U}, {level::warning, 2U}, {level::error, 1U}, {level::off, 0U}}) {
        log_as(format::text, threshold);
        debug({}, "d");
        info({}, "i");
        warning({}, "w");
        error({}, "e");
        write(level::off, {}, "never");
        EXPECT_EQ(lines().size(), count);
        std::filesystem::remove(file_);
    }
}

// Counts how often it is formatted.
struct counted {
    int* count;
};
}  // namespace
}  // namespace linnet::log

template <>
struct fmt::formatter<linnet::log::counted> : fmt::formatter<int> {
    auto format(const linnet::log::counted& c, fmt::format_context& to) const {
        return fmt::formatter<int>::format(++*c.count, to);
    }
};

namespace linnet::log {
namespace {

TEST_F(Log, DoesNotFormatWhatIsNotWritten) {
    log_as(format::text, level::warning);
    int count = 0;
    info({}, "{}", counted{&count});
    EXPECT_EQ(count, 0);
    warning({}, "{}", counted{&count});
    EXPECT_EQ(count, 1);
    EXPECT_FALSE(enabled(level::info));
    EXPECT_FALSE(enabled(level::off));
}

TEST_F(Log, GoesOnInTheOldFileWhenTheNewOneCannotBeOpened) {
    log_as(format::text);
    EXPECT_NE(configure({level::debug, format::json, directory_, false}), "");
    info({}, "still here");
    debug({}, "and the level is as it was");
    ASSERT_EQ(lines().size(), 1U);
    EXPECT_THAT(lines()[0], ::testing::EndsWith("info broker: still here"));
}

TEST_F(Log, FollowsARotation) {
    log_as(format::text);
    info({}, "before");
    std::filesystem::rename(file_, file_ + ".1");
    info({}, "between");  // still into the renamed file
    EXPECT_EQ(reopen(), "");
    info({}, "after");
    EXPECT_EQ(lines_of(file_ + ".1").size(), 2U);
    ASSERT_EQ(lines().size(), 1U);
    EXPECT_THAT(lines()[0], ::testing::EndsWith("after"));
}

TEST_F(Log, AppendsToAnExistingFile) {
    log_as(format::text);
    info({}, "one");
    log_as(format::text);
    info({}, "two");
    EXPECT_EQ(lines().size(), 2U);
}

TEST_F(Log, KeepsLinesOfManyThreadsWhole) {
    log_as(format::json);
    constexpr int threads = 4;
    constexpr int each = 500;
    auto writers = std::vector<std::thread>{};
    for (int t = 0; t < threads; ++t) {
        writers.emplace_back([t] {
            for (int i = 0; i < each; ++i) {
                info({.user = std::to_string(t)}, "{}", i);
            }
        });
    }
    for (int i = 0; i < 20; ++i) {
        EXPECT_EQ(reopen(), "");
    }
    for (auto& writer : writers) {
        writer.join();
    }
    auto last = std::vector<int>(threads, -1);
    for (const auto& line : lines()) {
        const auto parsed = nlohmann::json::parse(line);
        const auto thread = static_cast<std::size_t>(std::stoi(parsed["user"].get<std::string>()));
        EXPECT_EQ(std::stoi(parsed["msg"].get<std::string>()), ++last[thread]);
    }
    EXPECT_THAT(last, ::testing::Each(each - 1));
}

// Under systemd a line begins with its priority, and the journal knows the time.
TEST_F(Log, SpeaksToTheJournal) {
    ASSERT_EQ(configure({level::debug, format::text, {}, true}), "");
    ::testing::internal::CaptureStderr();
    debug({}, "d");
    info({.domain = "net"}, "i\n<0>forged");
    warning({}, "w");
    error({}, "e");
    EXPECT_EQ(::testing::internal::GetCapturedStderr(),
              "<7>debug broker: d\n<6>info net: i\\n<0>forged\n<4>warning broker: w\n<3>error broker: e\n");
}

TEST_F(Log, KnowsTheJournalByItsStream) {
    ::unsetenv("JOURNAL_STREAM");
    EXPECT_FALSE(journald_reads_stderr());
    ::setenv("JOURNAL_STREAM", "1:1", 1);
    EXPECT_FALSE(journald_reads_stderr());
    struct stat status {};
    ASSERT_EQ(::fstat(STDERR_FILENO, &status), 0);
    ::setenv("JOURNAL_STREAM", fmt::format("{}:{}", status.st_dev, status.st_ino).c_str(), 1);
    EXPECT_TRUE(journald_reads_stderr());
    ::unsetenv("JOURNAL_STREAM");
}

}  // namespace
}  // namespace linnet::log
