#include "broker/store/swap_file.hpp"

#include "broker/base/log.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace linnet::store {

namespace {

constexpr const char* temporary_name = "swap.tmp";

[[nodiscard]] constexpr std::uint64_t offset_of(core::chunk_swap::ticket t) noexcept {
    return (t - 1) * swap_file::slot_bytes;
}

// Not every file system knows files that never had a name.
[[nodiscard]] int open_nameless(const std::string& folder) noexcept {
    constexpr unsigned owner_only = 0600;
    const int fd = open_at(AT_FDCWD, folder.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, owner_only);
    if (fd != -EOPNOTSUPP && fd != -EISDIR && fd != -EINVAL) {
        return fd;
    }
    const std::string path = folder + "/" + temporary_name;
    const int named = open_at(AT_FDCWD, path.c_str(), O_CREAT | O_TRUNC | O_RDWR | O_CLOEXEC, owner_only);
    if (named >= 0) {
        ::unlink(path.c_str());
    }
    return named;
}

// One call moves a slot whole, but for signals and odd file systems.
template <class Call>
[[nodiscard]] int carry_through(std::size_t bytes, Call&& call) noexcept {
    for (std::size_t done = 0; done < bytes;) {
        const auto moved = call(done);
        if (moved < 0 && errno != EINTR) {
            return errno;
        }
        if (moved == 0) {
            return ENODATA;
        }
        done += moved > 0 ? static_cast<std::size_t>(moved) : 0;
    }
    return 0;
}

}  // namespace

result<std::unique_ptr<swap_file>, std::string> swap_file::open(const std::string& folder, std::uint64_t budget_bytes) {
    const int fd = open_nameless(folder);
    if (fd < 0) {
        return fail(fmt::format("cannot make a swap file in {}: {}", folder, std::strerror(-fd)));
    }
    return std::unique_ptr<swap_file>(new swap_file(unique_fd(fd), budget_bytes));
}

core::chunk_swap::ticket swap_file::save(std::span<const std::uint8_t> bytes) {
    if (bytes.size() > slot_bytes) {
        return none;
    }
    const bool grows = free_.empty();
    const ticket t = grows ? slots_ + 1 : free_.back();
    const int error = carry_through(bytes.size(), [&](std::size_t done) {
        return ::pwrite(fd_.get(), bytes.data() + done, bytes.size() - done, static_cast<off_t>(offset_of(t) + done));
    });
    if (error != 0) {
        return none;
    }
    if (grows) {
        ++slots_;
        free_.reserve(slots_);
    } else {
        free_.pop_back();
    }
    return t;
}

void swap_file::load(ticket t, std::span<std::uint8_t> into) {
    const int error = carry_through(into.size(), [&](std::size_t done) {
        return ::pread(fd_.get(), into.data() + done, into.size() - done, static_cast<off_t>(offset_of(t) + done));
    });
    if (error != 0) {
        linnet::log::error({.domain = "store"}, "a queue's index cannot be read back from the swap file: {}",
                           std::strerror(error));
        std::abort();
    }
    forget(t);
}

void swap_file::forget(ticket t) noexcept {
    free_.push_back(t);
    if (free_.size() == slots_ && ::ftruncate(fd_.get(), 0) == 0) {
        free_.clear();
        slots_ = 0;
    }
}

}  // namespace linnet::store
