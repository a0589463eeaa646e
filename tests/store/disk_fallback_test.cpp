// What is done where the kernel refuses: each case in a process of its own, which is confined and then tries.

#include "broker/store/file_disk.hpp"

#include "tests/store/disk_support.hpp"
#include "tests/store/temporary_folder.hpp"

#include <gtest/gtest.h>

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <csignal>
#include <cstddef>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace linnet::store {
namespace {

// Runs f in a child; what it returns is compared with "" here.
std::string in_child(const std::function<std::string()>& f) {
    std::array<int, 2> ends{};
    if (::pipe(ends.data()) != 0) {
        return std::strerror(errno);
    }
    const pid_t child = ::fork();
    if (child == 0) {
        const std::string text = f() + (::testing::Test::HasFailure() ? "; failed" : "");
        const bool written = ::write(ends[1], text.data(), text.size()) == static_cast<ssize_t>(text.size());
        ::_exit(written ? 0 : 1);
    }
    ::close(ends[1]);
    std::string all;
    std::array<char, 256> some{};
    for (ssize_t n = 0; (n = ::read(ends[0], some.data(), some.size())) > 0;) {
        all.append(some.data(), static_cast<std::size_t>(n));
    }
    ::close(ends[0]);
    int status = 0;
    ::waitpid(child, &status, 0);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? all : all + "; died with status " + std::to_string(status);
}

// As a container's profile does it: the call fails with this errno.
bool forbid(unsigned call, int error) {
    const std::array<sock_filter, 4> filter{{
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | static_cast<unsigned>(error)),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    }};
    const sock_fprog program{static_cast<unsigned short>(filter.size()), const_cast<sock_filter*>(filter.data())};
    return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 && ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

// Writes and prepares with what open_disk() chose, and tells what that was.
std::string tried(disk& d) {
    const auto f = d.create("a", disk::block);
    if (!f) {
        return to_text(f.error());
    }
    const block_buffer ones(1, 1);
    d.write(*f, 0, ones.bytes(), 1);
    d.prepare("b", disk::block, 2);
    d.submit();
    for (const completion& c : finished(d, 2)) {
        if (c.error != 0) {
            return std::strerror(c.error);
        }
    }
    block_buffer found(1);
    if (const auto r = d.read_now(*f, 0, found.bytes()); !r) {
        return to_text(r.error());
    }
    return found.all(1) ? d.describe() : "lost";
}

class Fallback : public ::testing::TestWithParam<int> {};

TEST_P(Fallback, IsAThreadWhereRingsAreForbidden) {
    const temporary_folder folder;
    const std::string said = in_child([&]() -> std::string {
        if (!forbid(SYS_io_uring_setup, GetParam())) {
            return "no seccomp";
        }
        if (open_disk(folder.path(), disk_method::io_uring)) {
            return "a ring, though forbidden";
        }
        const auto d = open_disk(folder.path(), disk_method::automatic);
        return d ? tried(**d) : to_text(d.error());
    });
    if (said == "no seccomp") {
        GTEST_SKIP() << "NOT TESTED: no seccomp here";
    }
    EXPECT_TRUE(said == "thread, O_DIRECT + fdatasync" || said == "thread, buffered + fdatasync") << said;
}

INSTANTIATE_TEST_SUITE_P(Errno, Fallback, ::testing::Values(EPERM, ENOSYS, ENOMEM));

// Allowed when asked, refused when it counts.
TEST(Fallback, IsAThreadWhenTheRingIsRefusedLater) {
    const temporary_folder folder;
    const std::string said = in_child([&]() -> std::string {
        const auto d = open_disk(folder.path(), disk_method::automatic);
        if (!d) {
            return to_text(d.error());
        }
        if ((*d)->describe().starts_with("thread") || !forbid(SYS_io_uring_setup, ENOMEM)) {
            return "not to be tried";
        }
        return tried(**d).substr(0, 6);
    });
    if (said == "not to be tried") {
        GTEST_SKIP() << "NOT TESTED: no io_uring or no seccomp here";
    }
    EXPECT_EQ(said, "thread");
}

// What was opened for a ring, closed since and opened again for a thread is synced as a thread does it.
TEST(Fallback, SyncsWhatWasSealedBeforeTheRingWasRefused) {
    const temporary_folder folder;
    const std::string said = in_child([&]() -> std::string {
        const auto d = open_disk(folder.path(), disk_method::automatic);
        if (!d) {
            return to_text(d.error());
        }
        std::vector<file_id> files;
        for (int i = 0; i < 20; ++i) {
            files.push_back(must((*d)->create(std::to_string(i), disk::block)));
            (*d)->seal(files.back());
        }
        // The thread is made under both.
        if ((*d)->describe().starts_with("thread") || !forbid(SYS_io_uring_setup, ENOMEM) ||
            !forbid(SYS_fdatasync, EIO)) {
            return "not to be tried";
        }
        block_buffer x(1);
        (*d)->read(files.back(), 0, x.bytes(), 1);
        (*d)->submit();
        const int read = finished(**d, 1)[0].error;
        if (read != 0 || !(*d)->describe().starts_with("thread")) {
            return "no thread: " + std::to_string(read);
        }
        (*d)->write(files.front(), 0, x.bytes(), 2);
        (*d)->submit();
        return std::strerror(finished(**d, 1)[0].error);
    });
    if (said == "not to be tried") {
        GTEST_SKIP() << "NOT TESTED: no io_uring or no seccomp here";
    }
    EXPECT_EQ(said, std::strerror(EIO)) << "nothing was synced";
}

TEST(Fallback, IsAnErrorOfTheOperationWhenThereIsNoThreadEither) {
    const temporary_folder folder;
    const std::string said = in_child([&]() -> std::string {
        const auto d = open_disk(folder.path(), disk_method::thread);
        if (!d || !forbid(SYS_clone3, EAGAIN) || !forbid(SYS_clone, EAGAIN)) {
            return "not to be tried";
        }
        return tried(**d);
    });
    if (said == "not to be tried") {
        GTEST_SKIP() << "NOT TESTED: no seccomp here";
    }
    EXPECT_EQ(said, std::strerror(EAGAIN));
}

// A file system of 1 MiB in a mount namespace of the child's own.
TEST(FullDisk, IsReportedAndPassesWhenThereIsRoomAgain) {
    const temporary_folder folder;
    for (const disk_method method : {disk_method::automatic, disk_method::thread}) {
        const std::string said = in_child([&]() -> std::string {
            if (::unshare(CLONE_NEWNS) != 0 || ::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
                ::mount("tmpfs", folder.path().c_str(), "tmpfs", 0, "size=1m") != 0) {
                return "not to be tried";
            }
            auto d = must(open_disk(folder.path(), method));
            must(d->create("a", 512 * 1024));
            if (const auto refused = d->create("b", 1024 * 1024); refused || refused.error().code != ENOSPC) {
                return "a file too large was created";
            }
            d->prepare("b", 1024 * 1024, 1);
            d->submit();
            if (finished(*d, 1)[0].error != ENOSPC) {
                return "a file too large was prepared";
            }
            if (must(d->free_bytes()) < 400 * 1024) {
                return "what could not be created has taken room";
            }
            must(d->remove("a"));
            d.reset();  // closes it, which frees its room
            d = must(open_disk(folder.path(), method));
            d->prepare("b", 768 * 1024, 2);
            d->submit();
            return std::to_string(finished(*d, 1)[0].error);
        });
        if (said == "not to be tried") {
            GTEST_SKIP() << "NOT TESTED: may not mount a file system here";
        }
        EXPECT_EQ(said, "0");
    }
}

// The limit of file sizes cuts a write short before it refuses the rest: what EFBIG is to a disk, not what a disk is.
TEST(ShortWrite, IsContinuedAndThenSaysWhy) {
    for (const disk_method method : {disk_method::automatic, disk_method::thread}) {
        const temporary_folder folder;
        const std::string said = in_child([&]() -> std::string {
            std::signal(SIGXFSZ, SIG_IGN);
            auto d = must(open_disk(folder.path(), method));
            const file_id f = must(d->create("a", 2 * disk::block));
            const rlimit limit{3 * disk::block, 3 * disk::block};
            if (::setrlimit(RLIMIT_FSIZE, &limit) != 0) {
                return "no limit";
            }
            const block_buffer ones(3, 1);
            d->write(f, disk::block, ones.bytes(), 1);
            d->submit();
            if (finished(*d, 1)[0].error != EFBIG) {
                return "not refused";
            }
            block_buffer found(2);
            must(d->read_now(f, disk::block, found.bytes()));
            return found.all(1) ? "written up to the limit" : "not written";
        });
        EXPECT_EQ(said, "written up to the limit");
    }
}

}  // namespace
}  // namespace linnet::store
