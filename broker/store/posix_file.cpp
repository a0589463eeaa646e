#include "broker/store/posix_file.hpp"

#include "broker/store/disk.hpp"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>

namespace linnet::store {

namespace {

// Calls f until no signal cuts it short.
template <class F>
auto undisturbed(F f) noexcept {
    auto r = f();
    while (r < 0 && errno == EINTR) {
        r = f();
    }
    return r;
}

int errno_of(int returned) noexcept { return returned < 0 ? errno : 0; }

}  // namespace

unique_fd::~unique_fd() {
    if (fd_ >= 0) {
        ::close(fd_);  // what it could report has been synced, or is not wanted
    }
}

std::size_t whole_blocks(std::size_t transferred) noexcept { return transferred / disk::block * disk::block; }

int read_whole(int fd, std::uint64_t offset, std::span<std::uint8_t> into) noexcept {
    while (!into.empty()) {
        const auto n = undisturbed([&] { return ::pread(fd, into.data(), into.size(), static_cast<off_t>(offset)); });
        if (n < 0) {
            return errno;
        }
        const std::size_t moved = whole_blocks(static_cast<std::size_t>(n));
        if (moved == 0) {
            return ENODATA;
        }
        into = into.subspan(moved);
        offset += moved;
    }
    return 0;
}

int write_whole(int fd, std::uint64_t offset, std::span<const std::uint8_t> from) noexcept {
    while (!from.empty()) {
        const auto n = undisturbed([&] { return ::pwrite(fd, from.data(), from.size(), static_cast<off_t>(offset)); });
        if (n < 0) {
            return errno;
        }
        const std::size_t moved = whole_blocks(static_cast<std::size_t>(n));
        if (moved == 0) {
            return EIO;
        }
        from = from.subspan(moved);
        offset += moved;
    }
    return 0;
}

int sync_file(int fd) noexcept {
    return errno_of(undisturbed([&] { return ::fsync(fd); }));
}

int sync_data(int fd) noexcept {
    return errno_of(undisturbed([&] { return ::fdatasync(fd); }));
}

int rename_new(int folder, const char* from, const char* to) noexcept {
    const int error = errno_of(::renameat2(folder, from, folder, to, RENAME_NOREPLACE));
    if (error != EINVAL && error != ENOSYS) {
        return error;
    }
    // A file system without that flag. Nobody else works in this folder, so looking first is as good.
    struct stat found {};
    if (::fstatat(folder, to, &found, AT_SYMLINK_NOFOLLOW) == 0) {
        return EEXIST;
    }
    return errno_of(::renameat(folder, from, folder, to));
}

int lock_file(int fd) noexcept {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return errno_of(::fcntl(fd, F_OFD_SETLK, &lock));
}

bool locked_elsewhere(int fd) noexcept {
    struct flock lock {};
    lock.l_type = F_WRLCK;
    lock.l_whence = SEEK_SET;
    return ::fcntl(fd, F_OFD_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
}

std::uint64_t random_id() noexcept {
    std::uint64_t id = 0;
    while (id == 0) {
        const auto n = undisturbed([&] { return ::getrandom(&id, sizeof(id), 0); });
        if (n < 0) {
            return 0;
        }
    }
    return id;
}

int open_at(int folder, const char* name, int flags, unsigned mode) noexcept {
    const int fd = undisturbed([&] { return ::openat(folder, name, flags | O_CLOEXEC | O_NOFOLLOW, mode); });
    return fd < 0 ? -errno : fd;
}

}  // namespace linnet::store
