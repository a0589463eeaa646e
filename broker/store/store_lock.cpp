#include "broker/store/store_lock.hpp"

#include "broker/store/disk.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <string_view>

namespace linnet::store {

namespace {

constexpr auto lock_name = "/LOCK";

// The digits that the holder has written; it may just be about to.
std::string holder(int fd) {
    std::array<char, 20> text{};
    const auto n = ::pread(fd, text.data(), text.size(), 0);
    const std::string_view all(text.data(), n > 0 ? static_cast<std::size_t>(n) : 0);
    const auto end = std::ranges::find_if(all, [](char c) { return c < '0' || c > '9'; });
    return {all.begin(), end};
}

}  // namespace

std::string store_lock::holder_of(const std::string& folder) {
    const unique_fd file(open_at(AT_FDCWD, (folder + lock_name).c_str(), O_RDONLY, 0));
    const std::string pid = file ? holder(file.get()) : std::string();
    return pid.empty() ? "a process that is just starting" : "process " + pid;
}

result<store_lock, std::string> store_lock::take(const std::string& folder) {
    auto taken = try_take(folder);
    if (!taken) {
        return fail(std::move(taken).error());
    }
    if (!*taken) {
        return fail(fmt::format("{} is in use by another broker, {}: each needs a data folder of its own", folder,
                                holder_of(folder)));
    }
    return *std::move(*taken);
}

result<std::optional<store_lock>, std::string> store_lock::try_take(const std::string& folder) {
    const std::string path = folder + lock_name;
    unique_fd file(open_at(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT, 0600));
    if (!file) {
        return fail(to_text({-file.get(), "write to the data folder, at " + path}));
    }
    if (::flock(file.get(), LOCK_EX | LOCK_NB) != 0) {
        if (errno != EWOULDBLOCK) {
            return fail(to_text({errno, "lock " + path}));
        }
        return std::nullopt;
    }
    // For the message above only, so it may fail: the lock is ours all the same.
    const std::string pid = fmt::format("{}\n", ::getpid());
    if (::ftruncate(file.get(), 0) == 0) {
        static_cast<void>(::pwrite(file.get(), pid.data(), pid.size(), 0));
    }
    return store_lock(std::move(file));
}

}  // namespace linnet::store
