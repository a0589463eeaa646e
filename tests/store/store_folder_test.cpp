#include "broker/store/store_folder.hpp"

#include "tests/store/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>

namespace linnet::store {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class StoreFolder : public ::testing::Test {
protected:
    [[nodiscard]] std::string file(const std::string& name) const { return folder_.path() + "/" + name; }
    [[nodiscard]] std::string error() const {
        const auto s = store_folder::open(folder_.path(), 2);
        return s ? "no error" : s.error();
    }
    [[nodiscard]] std::string text() const {
        std::ifstream in(file("STORE"));
        return {std::istreambuf_iterator<char>(in), {}};
    }
    void put(const std::string& name, const std::string& content) const { std::ofstream(file(name)) << content; }

    temporary_folder folder_;
};

unsigned mode_of(const std::string& path) {
    struct stat status {};
    return ::stat(path.c_str(), &status) == 0 ? status.st_mode & 07777 : 0;
}

TEST_F(StoreFolder, IsMadeOnceAndStaysTheSame) {
    std::uint64_t id = 0;
    {
        const auto made = store_folder::open(folder_.path(), 3);
        ASSERT_TRUE(made.has_value()) << made.error();
        EXPECT_TRUE(made->is_new());
        EXPECT_EQ(made->logs(), 3U);
        id = made->id();
        EXPECT_NE(id, 0U);
    }
    const auto again = store_folder::open(folder_.path(), 8);
    ASSERT_TRUE(again.has_value()) << again.error();
    EXPECT_FALSE(again->is_new());
    EXPECT_EQ(again->id(), id);
    EXPECT_EQ(again->logs(), 3U) << "logs belong to the store, not to the shards of today";

    const temporary_folder other;
    EXPECT_NE(store_folder::open(other.path(), 3)->id(), id);
}

TEST_F(StoreFolder, MakesMissingFoldersForItsOwnerOnly) {
    const std::string path = file("state/linnet");
    const auto s = store_folder::open(path, 1);
    ASSERT_TRUE(s.has_value()) << s.error();
    const auto log = s->subfolder("log-0");
    ASSERT_TRUE(log.has_value()) << log.error();
    EXPECT_EQ(*log, path + "/log-0");
    EXPECT_EQ(s->subfolder("log-0"), log) << "one that is there is as good";
    for (const auto* folder : {"state", "state/linnet", "state/linnet/log-0"}) {
        EXPECT_EQ(mode_of(file(folder)), 0700U) << folder;
    }
    for (const auto* name : {"state/linnet/LOCK", "state/linnet/STORE"}) {
        EXPECT_EQ(mode_of(file(name)), 0600U) << name;
    }
}

TEST_F(StoreFolder, RefusesASecondProcess) {
    const auto first = store_folder::open(folder_.path(), 1);
    ASSERT_TRUE(first.has_value());
    EXPECT_THAT(error(), AllOf(HasSubstr(folder_.path() + " is in use"),
                               HasSubstr("process " + std::to_string(::getpid()) + ":")));
}

TEST_F(StoreFolder, IsFreeAgainWhenItsProcessIsKilled) {
    const pid_t child = ::fork();
    if (child == 0) {
        const auto s = store_folder::open(folder_.path(), 1);
        ::raise(s ? SIGKILL : SIGTERM);
    }
    int status = 0;
    ASSERT_EQ(::waitpid(child, &status, 0), child);
    ASSERT_EQ(WTERMSIG(status), SIGKILL);
    const auto s = store_folder::open(folder_.path(), 1);
    ASSERT_TRUE(s.has_value()) << s.error();
    EXPECT_FALSE(s->is_new());
}

TEST_F(StoreFolder, RefusesAFolderOfSomethingElse) {
    put("diary.txt", "dear diary");
    EXPECT_THAT(error(), AllOf(HasSubstr("neither empty nor a store"), HasSubstr("diary.txt")));
    EXPECT_FALSE(std::filesystem::exists(file("STORE")));
}

TEST_F(StoreFolder, TakesAFreshFileSystemAndWhatACrashLeft) {
    std::filesystem::create_directory(file("lost+found"));
    put("LOCK", "12345\n");
    put("STORE.part", "Linnet st");
    EXPECT_EQ(error(), "no error");
    EXPECT_FALSE(std::filesystem::exists(file("STORE.part")));
}

TEST_F(StoreFolder, RefusesAnotherFormatInWords) {
    ASSERT_EQ(error(), "no error");
    put("STORE", "Linnet store\nformat 2.0\nshelves 7\n");
    EXPECT_THAT(error(), AllOf(HasSubstr("format 2.0"), HasSubstr("a broker for format 1")));
}

TEST_F(StoreFolder, NoticesEveryChangedByteAndEveryCut) {
    ASSERT_EQ(error(), "no error");
    const std::string good = text();
    for (std::size_t i = 0; i < good.size(); ++i) {
        std::string bad = good;
        bad[i] = static_cast<char>(bad[i] ^ 1);
        put("STORE", bad);
        EXPECT_NE(error(), "no error") << "byte " << i;
        put("STORE", good.substr(0, i));
        EXPECT_NE(error(), "no error") << "cut at " << i;
    }
    put("STORE", good);
    EXPECT_EQ(error(), "no error");
}

TEST_F(StoreFolder, SaysWhatStandsInItsWay) {
    put("file", "");
    const auto s = store_folder::open(file("file"), 1);
    ASSERT_FALSE(s.has_value());
    EXPECT_THAT(s.error(), HasSubstr("file"));
    EXPECT_THAT(s.error(), HasSubstr("Not a directory"));
    // Nobody, not even root, may write there.
    const auto read_only = store_folder::open("/proc/linnet", 1);
    ASSERT_FALSE(read_only.has_value());
    EXPECT_THAT(read_only.error(), HasSubstr("cannot create /proc/linnet: "));
}

}  // namespace
}  // namespace linnet::store
