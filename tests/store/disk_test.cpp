// One suite for every disk: the real ones with each way of doing things, on a disk and in memory, and the simulated.

#include "broker/store/file_disk.hpp"
#include "broker/store/simulated_disk.hpp"

#include "tests/store/disk_support.hpp"
#include "tests/store/temporary_folder.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fcntl.h>
#include <linux/magic.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <numeric>
#include <random>
#include <set>

namespace linnet::store {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

constexpr std::uint64_t file_bytes = 16 * disk::block;

std::string disk_folder() { return std::filesystem::temp_directory_path(); }
constexpr auto memory_folder = "/dev/shm";

struct kind {
    const char* name;
    bool real;
    disk_means means;
    bool in_memory;
};

class Disk : public ::testing::TestWithParam<kind> {
protected:
    Disk() : folder_(GetParam().in_memory ? memory_folder : disk_folder()), medium_({.seed = 1, .prompt = true}) {}

    void SetUp() override {
        if (GetParam().means.method == disk_method::io_uring) {
            if (const auto d = open_file_disk(folder_.path(), GetParam().means); !d) {
                GTEST_SKIP() << "NOT TESTED: " << to_text(d.error());
            }
        }
        d_ = open();
    }
    std::unique_ptr<disk> open() {
        return GetParam().real ? must(open_file_disk(folder_.path(), GetParam().means)) : medium_.attach();
    }
    file_id new_file(std::string_view name) {
        const file_id f = must(d_->create(name, file_bytes));
        must(d_->sync_folder());
        return f;
    }

    temporary_folder folder_;
    simulated_disk medium_;
    std::unique_ptr<disk> d_;
};

TEST_P(Disk, CreatesFilesOfZeros) {
    EXPECT_THAT(must(d_->list()), IsEmpty());
    const file_id f = must(d_->create("b", file_bytes));
    must(d_->create("a", 0));
    must(d_->sync_folder());
    EXPECT_THAT(must(d_->list()), ElementsAre("a", "b"));
    EXPECT_EQ(must(d_->size(f)), file_bytes);
    block_buffer found(file_bytes / disk::block, 9);
    must(d_->read_now(f, 0, found.bytes()));
    EXPECT_TRUE(found.all(0));
    EXPECT_EQ(d_->create("a", disk::block).error().code, EEXIST);
    EXPECT_EQ(must(d_->size(must(d_->open("a")))), 0U);
}

TEST_P(Disk, KeepsWhatWasWrittenForTheNextToOpenIt) {
    const file_id f = new_file("a");
    const block_buffer ones(1, 1);
    const block_buffer twos(2, 2);
    must(d_->write_now(f, disk::block, ones.bytes()));
    d_->write(f, 4 * disk::block, twos.bytes(), 5);
    d_->submit();
    const auto done = finished(*d_, 1);
    ASSERT_EQ(done.size(), 1U);
    EXPECT_EQ(done[0].tag, 5U);
    EXPECT_EQ(done[0].error, 0);
    d_.reset();

    d_ = open();
    const file_id again = must(d_->open("a"));
    block_buffer x(1);
    const auto block_at = [&](std::uint64_t index) {
        must(d_->read_now(again, index * disk::block, x.bytes()));
        return x.all(x.bytes()[0]) ? int{x.bytes()[0]} : -1;
    };
    EXPECT_EQ(block_at(0), 0);
    EXPECT_EQ(block_at(1), 1);
    EXPECT_EQ(block_at(2), 0);
    EXPECT_EQ(block_at(4), 2);
    EXPECT_EQ(block_at(5), 2);
    EXPECT_EQ(block_at(6), 0);
}

TEST_P(Disk, ReadsWhileOthersReadAndWrite) {
    const file_id f = new_file("a");
    std::vector<std::unique_ptr<block_buffer>> blocks;
    for (std::uint64_t i = 0; i < 16; ++i) {
        blocks.push_back(std::make_unique<block_buffer>(1, static_cast<std::uint8_t>(i + 1)));
        d_->write(f, i * disk::block, blocks.back()->bytes(), i);
    }
    d_->submit();
    ASSERT_EQ(finished(*d_, 16).size(), 16U);

    // More than a ring holds at once.
    std::vector<std::unique_ptr<block_buffer>> found;
    for (std::uint64_t i = 0; i < 300; ++i) {
        found.push_back(std::make_unique<block_buffer>(1));
        d_->read(f, i % 16 * disk::block, found.back()->bytes(), i);
    }
    d_->submit();
    std::set<std::uint64_t> tags;
    for (const completion& c : finished(*d_, 300)) {
        EXPECT_EQ(c.error, 0);
        tags.insert(c.tag);
    }
    EXPECT_EQ(tags.size(), 300U);
    for (std::uint64_t i = 0; i < 300; ++i) {
        EXPECT_TRUE(found[i]->all(static_cast<std::uint8_t>(i % 16 + 1))) << i;
    }
    EXPECT_THAT(polled(*d_), IsEmpty());
}

TEST_P(Disk, SaysWhereAFileEnds) {
    const file_id f = new_file("a");
    block_buffer x(2);
    EXPECT_EQ(d_->read_now(f, file_bytes - disk::block, x.bytes()).error().code, ENODATA);
    d_->read(f, file_bytes, x.bytes(), 1);
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, ENODATA);
}

TEST_P(Disk, RenamesAndRemoves) {
    const file_id f = new_file("a");
    new_file("b");
    EXPECT_EQ(d_->rename("a", "b").error().code, EEXIST);
    EXPECT_EQ(d_->rename("x", "y").error().code, ENOENT);
    must(d_->rename("a", "c"));
    must(d_->sync_folder());
    EXPECT_THAT(must(d_->list()), ElementsAre("b", "c"));
    const block_buffer ones(1, 1);
    must(d_->write_now(f, 0, ones.bytes()));
    d_->close(f);
    const file_id c = must(d_->open("c"));
    block_buffer x(1);
    must(d_->read_now(c, 0, x.bytes()));
    EXPECT_TRUE(x.all(1));
    must(d_->remove("b"));
    EXPECT_EQ(d_->remove("b").error().code, ENOENT);
    EXPECT_EQ(d_->open("b").error().code, ENOENT);
    EXPECT_THAT(must(d_->list()), ElementsAre("c"));
}

TEST_P(Disk, PreparesWhileItWrites) {
    const file_id f = new_file("a");
    constexpr std::uint64_t large = 3 * 1024 * 1024 + disk::block;  // several pieces and a rest
    d_->prepare("next", large, 100);
    d_->prepare("after", disk::block, 101);
    const block_buffer ones(1, 1);
    d_->write(f, 0, ones.bytes(), 1);
    d_->submit();
    std::map<std::uint64_t, int> results;
    for (const completion& c : finished(*d_, 3)) {
        results[c.tag] = c.error;
    }
    EXPECT_EQ(results, (std::map<std::uint64_t, int>{{1, 0}, {100, 0}, {101, 0}}));
    EXPECT_THAT(must(d_->list()), ElementsAre("a", "after", "next"));
    const file_id n = must(d_->open("next"));
    EXPECT_EQ(must(d_->size(n)), large);
    block_buffer x(large / disk::block, 7);
    must(d_->read_now(n, 0, x.bytes()));
    EXPECT_TRUE(x.all(0));
}

TEST_P(Disk, DoesNotReplaceWhenItPrepares) {
    const file_id f = new_file("a");
    const block_buffer ones(1, 1);
    must(d_->write_now(f, 0, ones.bytes()));
    d_->prepare("a", disk::block, 1);
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, EEXIST);
    EXPECT_THAT(must(d_->list()), ElementsAre("a"));
    EXPECT_EQ(must(d_->size(f)), file_bytes);
}

// A model of one file, and operations at random against it; no two under way on the same block.
TEST_P(Disk, AgreesWithAModel) {
    const std::uint64_t seed = std::random_device{}();
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const file_id f = new_file("a");
    constexpr std::size_t blocks = file_bytes / disk::block;
    std::array<std::uint8_t, blocks> model{};
    for (int round = 0; round < 60; ++round) {
        std::array<std::size_t, blocks> order{};
        std::iota(order.begin(), order.end(), 0);
        std::ranges::shuffle(order, random);
        const std::size_t count = 1 + random() % blocks;
        std::vector<std::unique_ptr<block_buffer>> buffers;
        std::vector<std::function<void()>> checks;
        for (std::size_t i = 0; i < count; ++i) {
            const std::size_t b = order[i];
            const auto value = static_cast<std::uint8_t>(random());
            buffers.push_back(std::make_unique<block_buffer>(1, value));
            block_buffer& buffer = *buffers.back();
            if (random() % 2 == 0) {
                d_->write(f, b * disk::block, buffer.bytes(), i);
                model[b] = value;
            } else {
                d_->read(f, b * disk::block, buffer.bytes(), i);
                checks.emplace_back([&buffer, expected = model[b]] { EXPECT_TRUE(buffer.all(expected)); });
            }
            if (random() % 4 == 0) {
                d_->submit();
            }
        }
        d_->submit();
        for (const completion& c : finished(*d_, count)) {
            EXPECT_EQ(c.error, 0);
        }
        for (const auto& check : checks) {
            check();
        }
    }
}

TEST_P(Disk, TellsHowMuchIsFree) { EXPECT_GT(must(d_->free_bytes()), 0U); }

constexpr disk_means ring_direct{disk_method::io_uring, true};
constexpr disk_means ring_buffered{disk_method::io_uring, false};
constexpr disk_means thread_direct{disk_method::thread, true};
constexpr disk_means thread_buffered{disk_method::thread, false};

INSTANTIATE_TEST_SUITE_P(Every, Disk,
                         ::testing::Values(kind{"automatic", true, {}, false},
                                           kind{"io_uring_direct", true, ring_direct, false},
                                           kind{"io_uring_buffered", true, ring_buffered, false},
                                           kind{"io_uring_in_memory", true, ring_direct, true},
                                           kind{"thread_direct", true, thread_direct, false},
                                           kind{"thread_buffered", true, thread_buffered, false},
                                           kind{"thread_in_memory", true, thread_direct, true},
                                           kind{"simulated", false, {}, false}),
                         [](const auto& which) { return std::string(which.param.name); });

// ---- What only real ones do ------------------------------------------------------------------------

class RealDisk : public ::testing::TestWithParam<disk_method> {
protected:
    void SetUp() override {
        auto opened = open_disk(folder_.path(), GetParam());
        if (!opened && GetParam() == disk_method::io_uring) {
            GTEST_SKIP() << "NOT TESTED: " << to_text(opened.error());
        }
        d_ = must(std::move(opened));
    }
    temporary_folder folder_{disk_folder()};
    std::unique_ptr<disk> d_;
};

TEST_P(RealDisk, WakesThroughAnEventfd) {
    const int bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT_GE(bell, 0);
    d_->wake_through(bell);
    const file_id f = must(d_->create("a", file_bytes));
    const block_buffer ones(1, 1);
    for (std::uint64_t i = 0; i < 20; ++i) {
        d_->write(f, i % 16 * disk::block, ones.bytes(), i);
        d_->submit();
        std::vector<completion> done;
        while (done.empty()) {
            pollfd p{bell, POLLIN, 0};
            ASSERT_EQ(::poll(&p, 1, 60'000), 1) << "nobody rang";
            std::uint64_t count = 0;
            ASSERT_EQ(::read(bell, &count, sizeof(count)), 8);
            done = polled(*d_);
        }
        EXPECT_EQ(done[0].tag, i);
    }
    d_.reset();
    ::close(bell);
}

TEST_P(RealDisk, WakesThroughAnEventfdGivenLater) {
    const file_id f = must(d_->create("a", file_bytes));
    const block_buffer ones(1, 1);
    d_->write(f, 0, ones.bytes(), 1);
    d_->submit();
    ASSERT_EQ(finished(*d_, 1).size(), 1U);
    const int bell = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    ASSERT_GE(bell, 0);
    d_->wake_through(bell);
    d_->prepare("b", disk::block, 2);
    d_->submit();
    std::vector<completion> done;
    while (done.empty()) {
        pollfd p{bell, POLLIN, 0};
        ASSERT_EQ(::poll(&p, 1, 60'000), 1) << "nobody rang";
        std::uint64_t count = 0;
        ASSERT_EQ(::read(bell, &count, sizeof(count)), 8);
        done = polled(*d_);
    }
    EXPECT_EQ(done[0].error, 0);
    d_.reset();
    ::close(bell);
}

std::size_t descriptors() {
    const std::filesystem::directory_iterator all("/proc/self/fd");
    return static_cast<std::size_t>(std::distance(begin(all), end(all)));
}

// As many as a long log has, under new names as segments are that become spares.
TEST_P(RealDisk, SealedFilesTakeFewDescriptors) {
    constexpr std::size_t count = 100;
    const std::size_t before = descriptors();
    std::vector<file_id> files;
    for (std::size_t i = 0; i < count; ++i) {
        const block_buffer content(1, static_cast<std::uint8_t>(i));
        const auto name = std::to_string(i);
        files.push_back(must(d_->create(name, file_bytes)));
        must(d_->write_now(files[i], 0, content.bytes()));
        d_->seal(files[i]);
        must(d_->rename(name, "new" + name));
    }
    std::vector<std::unique_ptr<block_buffer>> found;
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_EQ(must(d_->size(files[i])), file_bytes);
        found.push_back(std::make_unique<block_buffer>(1, std::uint8_t{255}));
    }
    // More at once than sealed files may have descriptors: what is being read keeps its own.
    for (std::size_t i = 0; i < count; ++i) {
        d_->read(files[i], 0, found[i]->bytes(), i);
    }
    d_->submit();
    for (const completion& c : finished(*d_, count)) {
        EXPECT_EQ(c.error, 0) << c.tag;
    }
    for (std::size_t i = 0; i < count; ++i) {
        EXPECT_TRUE(found[i]->all(static_cast<std::uint8_t>(i))) << i;
        must(d_->read_now(files[i], 0, found[i]->bytes()));
    }
    EXPECT_LE(descriptors(), before + 20) << "and some for the engine";

    // One that is written to again is sealed no more.
    const block_buffer ones(1, 1);
    d_->write(files[0], disk::block, ones.bytes(), 0);
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, 0);
    const std::size_t with_it = descriptors();
    for (std::size_t i = 1; i < count; ++i) {
        must(d_->read_now(files[i], 0, found[i]->bytes()));
    }
    EXPECT_EQ(descriptors(), with_it + 1) << "its own, and as many of the others as before";
    for (const file_id f : files) {
        d_->close(f);
    }
    EXPECT_LE(descriptors(), before + 10);
}

// At the limit of this process: what is sealed gives its own away.
TEST_P(RealDisk, ReadsSealedFilesWithoutDescriptorsToSpare) {
    const file_id a = must(d_->create("a", file_bytes));
    const file_id b = must(d_->create("b", file_bytes));
    block_buffer x(1);
    d_->read(a, 0, x.bytes(), 1);  // the engine takes what it needs
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, 0);
    d_->seal(a);
    d_->seal(b);
    rlimit usual{};
    ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &usual), 0);
    const rlimit little{descriptors() + 40, usual.rlim_max};
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &little), 0);
    std::vector<int> taken;
    for (int fd = ::dup(0); fd >= 0; fd = ::dup(0)) {
        taken.push_back(fd);
    }
    EXPECT_EQ(errno, EMFILE);
    const file_id c = must(d_->open("a"));  // a's or b's descriptor
    d_->read(a, 0, x.bytes(), 2);
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, 0);
    d_->read(b, 0, x.bytes(), 3);
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, 0);
    must(d_->read_now(a, 0, x.bytes()));
    must(d_->open("b"));  // the last one's
    EXPECT_EQ(d_->open("b").error().code, EMFILE) << "there is none left";
    d_->read(a, 0, x.bytes(), 4);
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, EMFILE);
    d_->close(c);
    d_->read(a, 0, x.bytes(), 5);
    d_->submit();
    EXPECT_EQ(finished(*d_, 1)[0].error, 0);
    for (const int fd : taken) {
        ::close(fd);
    }
    ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &usual), 0);
}

TEST_P(RealDisk, MayEndWithOperationsUnderWay) {
    const file_id f = must(d_->create("a", file_bytes));
    const block_buffer ones(1, 1);
    block_buffer into(1);
    for (std::uint64_t i = 0; i < 8; ++i) {
        d_->write(f, i * disk::block, ones.bytes(), i);
        d_->read(f, (8 + i) * disk::block, into.bytes(), 8 + i);
    }
    d_->prepare("b", std::uint64_t{64} << 20, 99);
    d_->submit();
    d_.reset();
    d_ = must(open_disk(folder_.path(), GetParam()));
    EXPECT_THAT(must(d_->list()), ::testing::IsSubsetOf({"a", "b"}));
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
        EXPECT_NE(entry.path().extension(), ".part");
    }
}

// What a killed process had under way has landed, or never will, when the next one is let in.
TEST_P(RealDisk, WaitsForTheWritesOfAKilledProcess) {
    constexpr int rounds = 20;
    constexpr std::uint64_t writes = 8;
    static_cast<void>(must(d_->create("a", file_bytes)));
    for (int round = 1; round <= rounds; ++round) {
        d_.reset();
        int told[2];
        ASSERT_EQ(::pipe2(told, O_CLOEXEC), 0);
        const pid_t child = ::fork();
        ASSERT_GE(child, 0);
        if (child == 0) {
            d_ = must(open_disk(folder_.path(), GetParam()));
            const file_id f = must(d_->open("a"));
            const block_buffer pattern(1, static_cast<std::uint8_t>(round));
            for (std::uint64_t i = 0; i < writes; ++i) {
                d_->write(f, i * disk::block, pattern.bytes(), i);
            }
            d_->submit();
            static_cast<void>(::write(told[1], "w", 1));
            ::pause();
        }
        char word = 0;
        ASSERT_EQ(::read(told[0], &word, 1), 1);
        ASSERT_EQ(::kill(child, SIGKILL), 0);
        ASSERT_EQ(::waitpid(child, nullptr, 0), child);
        ::close(told[0]);
        ::close(told[1]);
        d_ = must(open_disk(folder_.path(), GetParam()));
        const file_id f = must(d_->open("a"));
        block_buffer at_once(writes);
        block_buffer later(writes);
        must(d_->read_now(f, 0, at_once.bytes()));
        ::usleep(2'000);
        must(d_->read_now(f, 0, later.bytes()));
        ASSERT_TRUE(std::ranges::equal(at_once.bytes(), later.bytes())) << "a write landed late, in round " << round;
    }
}

TEST_P(RealDisk, IsNobodyElsesBusiness) {
    must(d_->create("a", disk::block));
    d_->prepare("b", disk::block, 1);
    d_->submit();
    ASSERT_EQ(finished(*d_, 1)[0].error, 0);
    for (const auto* name : {"/a", "/b"}) {
        struct stat status {};
        ASSERT_EQ(::stat((folder_.path() + name).c_str(), &status), 0);
        EXPECT_EQ(status.st_mode & 07777, 0600U) << name;
    }
    std::filesystem::create_symlink("a", folder_.path() + "/link");
    EXPECT_EQ(d_->open("link").error().code, ELOOP);
    EXPECT_EQ(d_->create("link", disk::block).error().code, EEXIST);
}

TEST_P(RealDisk, RemovesWhatIsNotWhole) {
    d_.reset();
    std::ofstream(folder_.path() + "/00000001.log.part") << "half";
    std::filesystem::create_directory(folder_.path() + "/lost+found");
    d_ = must(open_disk(folder_.path(), GetParam()));
    EXPECT_THAT(must(d_->list()), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(folder_.path() + "/00000001.log.part"));
}

// How much of the file the system has in its cache.
std::size_t cached_pages(const std::string& path) {
    const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    void* const at = ::mmap(nullptr, file_bytes, PROT_READ, MAP_SHARED, fd, 0);
    ::close(fd);
    std::vector<unsigned char> pages(file_bytes / disk::block);
    EXPECT_EQ(::mincore(at, file_bytes, pages.data()), 0);
    ::munmap(at, file_bytes);
    return static_cast<std::size_t>(std::ranges::count_if(pages, [](auto p) { return (p & 1U) != 0; }));
}

TEST_P(RealDisk, ReadsTheMediumAndNotWhatTheSystemRemembers) {
    struct statfs system {};
    if (::statfs(folder_.path().c_str(), &system) == 0 && system.f_type == TMPFS_MAGIC) {
        GTEST_SKIP() << "NOT TESTED: it lies in memory";
    }
    d_.reset();
    const disk_means buffered{GetParam(), false};
    const auto path = folder_.path() + "/a";
    const block_buffer ones(file_bytes / disk::block, 1);
    {
        const auto first = must(open_file_disk(folder_.path(), buffered));
        must(first->write_now(must(first->create("a", file_bytes)), 0, ones.bytes()));
    }
    ASSERT_GT(cached_pages(path), 0U);
    const auto other = folder_.path() + "/b";
    std::filesystem::copy_file(path, other);
    const int fd = ::open(other.c_str(), O_RDWR | O_CLOEXEC);
    EXPECT_EQ(::fsync(fd), 0);
    EXPECT_EQ(::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED), 0);
    ::close(fd);
    if (cached_pages(other) != 0) {
        GTEST_SKIP() << "NOT TESTED: this file system has a cache of its own";
    }
    std::filesystem::remove(other);
    const auto second = must(open_file_disk(folder_.path(), buffered));
    EXPECT_EQ(cached_pages(path), 0U);
    block_buffer found(file_bytes / disk::block);
    must(second->read_now(must(second->open("a")), 0, found.bytes()));
    EXPECT_TRUE(found.all(1));
}

// Short transfers and errors of the kernel's own: files may not grow beyond the limit.
TEST_P(RealDisk, ReportsWhatTheKernelSays) {
    d_.reset();
    const auto missing = open_disk(folder_.path() + "/missing", GetParam());
    ASSERT_FALSE(missing.has_value());
    EXPECT_EQ(missing.error().code, ENOENT);
    EXPECT_THAT(to_text(missing.error()), HasSubstr("missing: No such file"));
    d_ = must(open_disk(folder_.path(), GetParam()));
    d_->prepare("no/such/folder", disk::block, 1);
    d_->prepare("huge", std::uint64_t{1} << 62, 2);
    d_->submit();
    std::map<std::uint64_t, int> errors;
    for (const completion& c : finished(*d_, 2)) {
        errors[c.tag] = c.error;
    }
    EXPECT_EQ(errors[1], ENOENT);
    EXPECT_THAT(errors[2], ::testing::AnyOf(EFBIG, ENOSPC));
    EXPECT_THAT(must(d_->list()), IsEmpty());
    EXPECT_THAT(std::filesystem::directory_iterator(folder_.path()),
                ::testing::Eq(std::filesystem::directory_iterator{}));
    const auto refused = d_->create("huge", std::uint64_t{1} << 62);
    ASSERT_FALSE(refused.has_value());
    EXPECT_THAT(to_text(refused.error()), HasSubstr("cannot create " + folder_.path() + "/huge: "));
}

INSTANTIATE_TEST_SUITE_P(Every, RealDisk,
                         ::testing::Values(disk_method::automatic, disk_method::io_uring, disk_method::thread),
                         [](const auto& which) {
                             switch (which.param) {
                                 case disk_method::automatic: return "automatic";
                                 case disk_method::io_uring: return "io_uring";
                                 case disk_method::thread: return "thread";
                             }
                             return "";
                         });

}  // namespace
}  // namespace linnet::store
