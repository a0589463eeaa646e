#pragma once

#include "broker/base/result.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

// What the log needs of a disk, and no more: so that a simulated one can take its place.

namespace linnet::store {

// errno and what was being done, for people.
struct disk_error {
    int code = 0;
    std::string what;  // "create 00000003.log"
};
// What passes: room on the disk comes back, and so do descriptors and memory.
[[nodiscard]] bool lacks_room(int error) noexcept;
[[nodiscard]] bool lacks_means(int error) noexcept;
template <class T>
using disk_result = result<T, disk_error>;

// "cannot create 00000003.log: No space left on device".
[[nodiscard]] std::string to_text(const disk_error& e);

using file_id = std::uint32_t;

// One finished operation.
struct completion {
    std::uint64_t tag = 0;
    int error = 0;  // errno; 0: done whole (short transfers are continued below this interface)
};

// A folder of segment files and the I/O under way on them.
//
// Names are plain file names within the folder. Buffers, offsets and lengths of read() and write() are multiples
// of `block`; buffers are aligned to it and belong to the disk until their completion.
//
// Threads: one; implementations may use a thread of their own below.
// Fails:   set-up calls say why; an operation's errno comes with its completion. Nothing is retried but EINTR
//          and short transfers.
class disk {
public:
    static constexpr std::size_t block = 4096;

    disk() = default;
    disk(const disk&) = delete;
    disk& operator=(const disk&) = delete;
    virtual ~disk() = default;

    // ---- The folder (blocking) -----------------------------------------------------------------
    [[nodiscard]] virtual disk_result<std::vector<std::string>> list() = 0;
    // Creates it with so many bytes set aside, which read as zeros; it must not exist. A name never stands for less
    // than the whole file, whenever the machine stops; that the name stays takes sync_folder().
    [[nodiscard]] virtual disk_result<file_id> create(std::string_view name, std::uint64_t bytes) = 0;
    [[nodiscard]] virtual disk_result<file_id> open(std::string_view name) = 0;
    [[nodiscard]] virtual disk_result<std::uint64_t> size(file_id f) = 0;
    virtual void close(file_id f) = 0;
    // For now nothing is written to it, and it may be read: its descriptor may go while others need one, and comes back
    // with the next use. Of what is sealed only so many have one. The next write() ends it.
    virtual void seal(file_id f) = 0;
    // Refuses to replace a file. One that is open stays so.
    [[nodiscard]] virtual disk_result<void> rename(std::string_view from, std::string_view to) = 0;
    // One that is open can only be closed after that.
    [[nodiscard]] virtual disk_result<void> remove(std::string_view name) = 0;
    // Names created, renamed and removed before are so for good.
    [[nodiscard]] virtual disk_result<void> sync_folder() = 0;
    // Blocking counterparts, for recovery and set-up; write_now() is durable when it returns.
    [[nodiscard]] virtual disk_result<void> read_now(file_id f, std::uint64_t offset, std::span<std::uint8_t> into) = 0;
    [[nodiscard]] virtual disk_result<void> write_now(file_id f, std::uint64_t offset,
                                                      std::span<const std::uint8_t> from) = 0;
    // What reads find in it now is durable, whoever wrote it: a process that was killed may have left writes that
    // nobody had synced.
    [[nodiscard]] virtual disk_result<void> sync_now(file_id f) = 0;
    [[nodiscard]] virtual disk_result<std::uint64_t> free_bytes() = 0;

    // ---- Under way -----------------------------------------------------------------------------
    // Durable once completed. Two writes to the same block must not be under way together.
    virtual void write(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) = 0;
    virtual void read(file_id f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) = 0;
    // Creates a file in the background, writes zeros all over it, so that later writes change no more than its
    // bytes, and makes its name durable. The name is there with the completion, not before.
    virtual void prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) = 0;
    // Hands the operations of this turn to the kernel.
    virtual void submit() = 0;
    // Finished ones, in any order. Never blocks.
    virtual std::size_t poll(std::span<completion> into) = 0;
    // Blocks until poll() finds one (there must be one under way). Submits what was not yet.
    virtual void wait() = 0;
    // An eventfd that is written to, by the kernel or a thread, when poll() would find something. Set at most once,
    // before the first operation under way; the disk borrows it. Without one nobody is told: poll() or wait().
    virtual void wake_through(int event_fd) = 0;

    // For reports: "io_uring, O_DIRECT + O_DSYNC", "thread, fdatasync".
    [[nodiscard]] virtual std::string describe() const = 0;
};

enum class disk_method : std::uint8_t { automatic, io_uring, thread };

// The real one. `automatic` tries io_uring with O_DIRECT and falls back, each step for itself, where the kernel or
// the file system refuses. The folder must exist. Reads find what is on the medium: a write of the process before that
// could not be synced may still be in the system's cache, and no later sync would say that it is nowhere else.
[[nodiscard]] disk_result<std::unique_ptr<disk>> open_disk(const std::string& folder, disk_method method);

}  // namespace linnet::store
