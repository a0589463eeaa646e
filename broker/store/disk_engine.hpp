#pragma once

#include "broker/store/disk.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

namespace linnet::store {

// An open file as engines see it.
struct disk_file {
    int fd = -1;
    bool writes_sync = false;  // O_DSYNC: a write is durable when it returns
    // Transfers that the engine has begun and whose end the owner has not taken note of, in poll() or wait(): until
    // then the descriptor stays. The owner's thread only.
    unsigned under_way = 0;
    // The errno of the first sync that failed. The kernel may have dropped the pages and report the next sync as
    // good, so this file is never believed again.
    std::atomic<int> sync_failed = 0;

    // Makes what was written durable, or says why not.
    [[nodiscard]] int sync() noexcept;
};

// How operations get under way: the part of disk.hpp that io_uring and a thread do differently.
//
// Threads: one.
// Owns:    what is under way, and counts it in its file; waits for it when it ends. Borrows the folder, the files and
//          the eventfd.
class disk_engine {
public:
    disk_engine() = default;
    disk_engine(const disk_engine&) = delete;
    disk_engine& operator=(const disk_engine&) = delete;
    virtual ~disk_engine() = default;

    virtual void write(disk_file& f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) = 0;
    virtual void read(disk_file& f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) = 0;
    virtual void prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) = 0;
    virtual void submit() = 0;
    [[nodiscard]] virtual std::size_t poll(std::span<completion> into) = 0;
    virtual void wait() = 0;
    // 0, or the errno with which the kernel refused.
    [[nodiscard]] virtual int wake_through(int event_fd) = 0;
};

// What the folder's files are opened with.
struct folder_access {
    int fd = -1;
    bool direct = false;  // O_DIRECT
};

// Does this kernel, and whatever confines this process, let us use a ring? Asked once, by making a small one.
[[nodiscard]] bool uring_usable();
// An errno when there can be none.
[[nodiscard]] result<std::unique_ptr<disk_engine>, int> make_uring_engine(const folder_access& in);
[[nodiscard]] result<std::unique_ptr<disk_engine>, int> make_thread_engine(const folder_access& in);

}  // namespace linnet::store
