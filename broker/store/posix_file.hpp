#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>

// Descriptors, and system calls carried through to their end: EINTR and short transfers are continued here,
// every other errno is the caller's to judge.

namespace linnet::store {

class unique_fd {
public:
    unique_fd() = default;
    explicit unique_fd(int fd) noexcept : fd_(fd) {}
    unique_fd(unique_fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
    unique_fd& operator=(unique_fd&& other) noexcept {
        std::swap(fd_, other.fd_);
        return *this;
    }
    ~unique_fd();

    [[nodiscard]] int get() const noexcept { return fd_; }
    [[nodiscard]] explicit operator bool() const noexcept { return fd_ >= 0; }

private:
    int fd_ = -1;
};

// How far a transfer of the kernel's may be believed: whole blocks, for O_DIRECT cannot go on within one.
[[nodiscard]] std::size_t whole_blocks(std::size_t transferred) noexcept;

// Each returns an errno, 0 on success.
// ENODATA: the file ends before the span does.
[[nodiscard]] int read_whole(int fd, std::uint64_t offset, std::span<std::uint8_t> into) noexcept;
[[nodiscard]] int write_whole(int fd, std::uint64_t offset, std::span<const std::uint8_t> from) noexcept;
[[nodiscard]] int sync_file(int fd) noexcept;
[[nodiscard]] int sync_data(int fd) noexcept;
// EEXIST rather than to replace a file.
[[nodiscard]] int rename_new(int folder, const char* from, const char* to) noexcept;

// A lock on the whole file that belongs to this opening of it, not to the process: it can be asked about from anywhere.
// EAGAIN or EACCES: another opening has it. The file must be open for writing.
[[nodiscard]] int lock_file(int fd) noexcept;
// Through any descriptor. What cannot be asked is not locked.
[[nodiscard]] bool locked_elsewhere(int fd) noexcept;

// Never 0, which is nobody's; 0 when the kernel has none, and errno says why.
[[nodiscard]] std::uint64_t random_id() noexcept;

// -errno when it cannot.
[[nodiscard]] int open_at(int folder, const char* name, int flags, unsigned mode) noexcept;

}  // namespace linnet::store
