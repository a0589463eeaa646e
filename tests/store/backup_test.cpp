#include "broker/store/backup.hpp"

#include "broker/store/backup_manifest.hpp"
#include "broker/store/backup_request.hpp"
#include "broker/store/log_file.hpp"
#include "broker/store/store_folder.hpp"
#include "tests/store/log_support.hpp"
#include "tests/store/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

// Data folders there and back, and everything that may be wrong with either.

namespace linnet::store {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

bool go_on(const backup_progress&) { return true; }

std::string content(const std::string& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

// Every file below, but for the lock, which says who was there last.
std::map<std::string, std::string> files_below(const std::string& folder) {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder))
        if (entry.is_regular_file() && entry.path().filename() != "LOCK")
            found.emplace(fs::relative(entry.path(), folder), content(entry.path()));
    return found;
}

class Backup : public ::testing::Test {
protected:
    struct where {
        const char* folder;
        std::uint32_t log;
    };
    static constexpr where logs[] = {{"meta", 0xffff'ffff}, {"1", 1}, {"streams/0000000000000007", 0x8000'0007}};

    Backup() {
        const auto store = store_folder::open(data(), 3);
        EXPECT_TRUE(store.has_value());
        id_ = store->id();
        for (const where& w : logs) {
            auto log = open(*store, w);
            for (std::size_t i = 0; i < 50; ++i)
                test::put(*log.log, test::text(i, 1000 + i));
            EXPECT_TRUE(log.log->close());
        }
        // Never used.
        EXPECT_TRUE(store->subfolder("0").has_value());
    }

    [[nodiscard]] std::string data() const { return root_.path() + "/data"; }
    [[nodiscard]] std::string copy() const { return root_.path() + "/copy"; }
    [[nodiscard]] std::string again() const { return root_.path() + "/again"; }

    static test::reopened open(const store_folder& store, const where& w) {
        const auto path = store.subfolder(w.folder);
        log_options o;
        o.store_id = store.id();
        o.log_number = w.log;
        o.segment_bytes = 32 * 1024;
        return test::open(open_disk(*path, disk_method::thread).value(), o);
    }

    static std::string back_up(const std::string& from, const std::string& to, const backup_observer& observe = go_on) {
        const auto done = store::back_up(from, to, observe);
        return done ? "" : done.error().text;
    }
    static std::string restore(const std::string& from, const std::string& to, const backup_observer& observe = go_on) {
        const auto done = store::restore(from, to, observe);
        return done ? "" : done.error().text;
    }

    // What the logs of a folder hold.
    static std::map<std::string, std::vector<test::kept_record>> records(const std::string& folder) {
        std::map<std::string, std::vector<test::kept_record>> all;
        const auto store = store_folder::open(folder, 1);
        EXPECT_TRUE(store.has_value());
        for (const where& w : logs) {
            auto log = open(*store, w);
            EXPECT_TRUE(log.log != nullptr) << log.why;
            EXPECT_TRUE(log.report.clean);
            all.emplace(w.folder, std::move(log.records));
        }
        return all;
    }

    // In memory, where that can be had: thousands of syncs are not what is looked at.
    temporary_folder root_{::access("/dev/shm", W_OK) == 0 ? std::string("/dev/shm")
                                                           : fs::temp_directory_path().string()};
    std::uint64_t id_ = 0;
};

TEST_F(Backup, AFolderComesBackAsItWas) {
    const auto made = store::back_up(data(), copy(), go_on);
    ASSERT_TRUE(made.has_value()) << made.error().text;
    EXPECT_EQ(made->logs, 3U);
    EXPECT_EQ(made->records, 150U);
    EXPECT_FALSE(made->online);
    const auto restored = store::restore(copy(), again(), go_on);
    ASSERT_TRUE(restored.has_value()) << restored.error().text;
    EXPECT_EQ(restored->bytes, made->bytes);
    const auto identity = store_folder::identify(again());
    ASSERT_TRUE(identity.has_value() && *identity);
    EXPECT_EQ((*identity)->id, id_);
    EXPECT_EQ((*identity)->logs, 3U);
    EXPECT_EQ(records(again()), records(data()));
}

TEST_F(Backup, LeavesOutWhatIsZerosAndSpares) {
    ASSERT_EQ(back_up(data(), copy()), "");
    std::uint64_t there = 0;
    for (const auto& [name, text] : files_below(copy())) {
        EXPECT_THAT(name, ::testing::Not(HasSubstr("spare")));
        there += text.size();
    }
    EXPECT_LT(there, std::uint64_t{3} * 4 * 32 * 1024);
    ASSERT_EQ(restore(copy(), again()), "");
    for (const auto& [name, text] : files_below(again())) {
        EXPECT_EQ(text, content(data() + "/" + name)) << name;
    }
}

TEST_F(Backup, ShowsHowFarItIs) {
    std::map<backup_phase, backup_progress> last;
    const auto observe = [&](const backup_progress& p) {
        auto& before = last[p.phase];
        EXPECT_GE(p.done, before.done);
        before = p;
        return true;
    };
    ASSERT_EQ(back_up(data(), copy(), observe), "");
    for (const auto phase : {backup_phase::copying, backup_phase::checking}) {
        EXPECT_EQ(last[phase].done, last[phase].total);
        EXPECT_NE(last[phase].total, 0U);
    }
}

TEST_F(Backup, StoppedAnywhereItLeavesNothing) {
    const auto stopped_at = [](std::size_t nth) {
        return [left = nth](const backup_progress&) mutable { return left-- > 1; };
    };
    std::size_t steps = 1;
    for (; back_up(data(), copy(), stopped_at(steps)) != ""; ++steps) {
        EXPECT_FALSE(fs::exists(copy()));
        EXPECT_FALSE(fs::exists(copy() + ".part"));
        ASSERT_LT(steps, 100U);
    }
    EXPECT_GT(steps, 5U);
    for (steps = 1; restore(copy(), again(), stopped_at(steps)) != ""; ++steps) {
        EXPECT_FALSE(fs::exists(again()));
        ASSERT_LT(steps, 100U);
    }
    EXPECT_GT(steps, 3U);
    fs::create_directory(root_.path() + "/mount");
    EXPECT_NE(restore(copy(), root_.path() + "/mount", stopped_at(2)), "");
    EXPECT_THAT(files_below(root_.path() + "/mount"), IsEmpty()) << "a folder that was there stays, as empty as it was";
}

TEST_F(Backup, AnyChangedByteIsNoticed) {
    ASSERT_EQ(back_up(data(), copy()), "");
    const auto good = files_below(copy());
    ASSERT_GE(good.size(), 4U);
    for (const auto& [name, text] : good) {
        const std::string path = copy() + "/" + name;
        for (std::size_t at = 0; at < text.size(); at += text.size() / 9 + 1) {
            auto bad = text;
            bad[at] = static_cast<char>(bad[at] ^ 1);
            std::ofstream(path, std::ios::binary) << bad;
            EXPECT_THAT(restore(copy(), again()), HasSubstr(copy())) << name << " + " << at;
            EXPECT_FALSE(fs::exists(again()));
        }
        std::ofstream(path, std::ios::binary) << text.substr(0, text.size() / 2);
        EXPECT_NE(restore(copy(), again()), "") << name;
        fs::remove(path);
        EXPECT_NE(restore(copy(), again()), "") << name;
        std::ofstream(path, std::ios::binary) << text;
    }
    EXPECT_EQ(restore(copy(), again()), "");
}

TEST_F(Backup, DamageInTheDataFolderIsNamedAndNotCopied) {
    const std::string path = data() + "/1/log-1-0000000000000001";
    auto text = content(path);
    text[9000] = static_cast<char>(text[9000] ^ 1);
    std::ofstream(path, std::ios::binary) << text;
    const auto done = store::back_up(data(), copy(), go_on);
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().why, backup_fault::damaged);
    EXPECT_THAT(done.error().text, AllOf(HasSubstr(data() + "/1: "), HasSubstr("log-1-0000000000000001")));
    EXPECT_FALSE(fs::exists(copy()));
    EXPECT_FALSE(fs::exists(copy() + ".part"));
}

TEST_F(Backup, NeverReplacesAnything) {
    ASSERT_EQ(back_up(data(), copy()), "");
    const auto before = files_below(copy());
    EXPECT_THAT(back_up(data(), copy()), HasSubstr("is there already"));
    EXPECT_THAT(back_up(data(), copy() + "/"), HasSubstr("is there already"));
    EXPECT_THAT(back_up(data(), data() + "/within"), HasSubstr("within the data folder"));
    EXPECT_THAT(restore(copy(), data()), HasSubstr("is not empty"));
    fs::create_directory(again());
    std::ofstream(again() + "/diary.txt") << "dear diary";
    EXPECT_THAT(restore(copy(), again()), AllOf(HasSubstr("is not empty"), HasSubstr("diary.txt")));
    fs::rename(again(), root_.path() + "/new.part");
    EXPECT_THAT(back_up(data(), root_.path() + "/new"), HasSubstr("in the way"));
    EXPECT_EQ(content(root_.path() + "/new.part/diary.txt"), "dear diary");
    EXPECT_EQ(files_below(copy()), before);
}

TEST_F(Backup, TakesAwayWhatOneThatWasKilledHasLeft) {
    ASSERT_EQ(back_up(data(), copy()), "");
    for (const std::string& folder : {root_.path() + "/new.part", again()}) {
        fs::create_directories(folder + "/1");
        std::ofstream(folder + "/1/log-1-0000000000000001") << "half";
        std::ofstream(folder + "/.linnet-unfinished") << "";
    }
    EXPECT_EQ(back_up(data(), root_.path() + "/new"), "");
    EXPECT_FALSE(fs::exists(root_.path() + "/new/.linnet-unfinished"));
    EXPECT_EQ(restore(root_.path() + "/new", again()), "");
    EXPECT_EQ(records(again()), records(data()));
    std::ofstream(again() + "/.linnet-unfinished") << "";
    EXPECT_THAT(restore(copy(), again()), HasSubstr("is not empty")) << "a store is a store, whatever else is there";
}

TEST_F(Backup, WantsAStoreAndABackup) {
    fs::create_directory(copy());
    EXPECT_THAT(back_up(copy(), again()), HasSubstr("is no data folder"));
    EXPECT_THAT(restore(copy(), again()), HasSubstr("is no backup"));
    EXPECT_THAT(restore(data(), again()), HasSubstr("is no backup"));
    EXPECT_FALSE(fs::exists(again()));
}

TEST_F(Backup, AManifestCannotLeadElsewhere) {
    for (const char* folder : {"..", "/tmp", "1/..", "streams/..", "meta/x", ""}) {
        backup_manifest m{.store = {1, 1}, .made = "now", .files = {}};
        m.files.push_back({folder, "log-1-0000000000000001", 4096, 32 * 1024, 0});
        fs::create_directories(copy());
        ASSERT_TRUE(write_manifest(copy(), m).has_value());
        EXPECT_THAT(restore(copy(), again()), HasSubstr("MANIFEST is damaged")) << folder;
    }
}

// ---- The word between a backup and the broker --------------------------------------------------------

TEST_F(Backup, ARequestStandsWhileItsBackupLives) {
    const backup_watch broker(data());
    EXPECT_EQ(broker.asked(), 0U);
    std::uint64_t first = 0;
    {
        const auto request = backup_request::make(data());
        ASSERT_TRUE(request.has_value()) << request.error();
        first = broker.asked();
        EXPECT_NE(first, 0U);
        const auto second = backup_request::make(data());
        ASSERT_FALSE(second.has_value());
        EXPECT_THAT(second.error(), HasSubstr("another backup"));
        EXPECT_EQ(request->answer()->has_value(), false);
        const std::vector<log_cut> cuts{
            {.folder = "0", .log_number = 7, .segment_bytes = 65536, .first = 3, .last = 5, .end = 5 * 65536 + 5000},
            {.folder = "streams/01", .log_number = 8, .segment_bytes = 4096, .end = 1}};
        ASSERT_TRUE(broker.answer(first, cuts).has_value());
        const auto answer = request->answer();
        ASSERT_TRUE(answer.has_value() && *answer) << answer.error();
        ASSERT_EQ((*answer)->size(), 2U);
        EXPECT_EQ((*answer)->front().folder, "0");
        EXPECT_EQ((*answer)->front().last, 5U);
        EXPECT_EQ((*answer)->back().end, 1U);
    }
    EXPECT_EQ(broker.asked(), 0U) << "the kernel has lifted the lock";
    const auto next = backup_request::make(data());
    ASSERT_TRUE(next.has_value());
    EXPECT_NE(broker.asked(), first);
    EXPECT_EQ(next->answer()->has_value(), false) << "that was another's answer";
    broker.forget();
    EXPECT_FALSE(fs::exists(data() + "/BACKUP.cut"));
}

TEST_F(Backup, OneThatGoesOnIsLeftAlone) {
    ASSERT_EQ(back_up(data(), copy()), "");
    // A folder that somebody serves, and nobody answers for: stopped while waiting.
    const auto served = store_folder::open(data(), 1);
    std::size_t asked = 0;
    const auto done = store::back_up(data(), again(), [&](const backup_progress& p) {
        EXPECT_EQ(p.phase, backup_phase::waiting);
        const auto other = store::back_up(data(), root_.path() + "/other", go_on);
        EXPECT_EQ(other.error().why, backup_fault::busy);
        return ++asked < 2;
    });
    ASSERT_FALSE(done.has_value());
    EXPECT_EQ(done.error().why, backup_fault::stopped);
    EXPECT_FALSE(fs::exists(again() + ".part"));
}

}  // namespace
}  // namespace linnet::store
