#pragma once

#include "broker/store/disk_engine.hpp"
#include "broker/store/posix_file.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::store {

// Files that are not whole yet; what a crash leaves of them is removed when the folder is opened.
inline constexpr std::string_view part_suffix = ".part";

// The making of a segment, step by step, so that an engine can do something else in between: a file under another
// name is set aside, filled with zeros, synced, given its name, and the folder synced.
//
// An engine asks which step() is next, has it done its own way (or by do_step()) and tells took() what the kernel
// returned.
class preparation {
public:
    enum class step : std::uint8_t { open, allocate, fill, sync_file, rename, sync_folder, discard, done };

    // Small enough not to hold up the log's own writes for long: one piece is under way at a time.
    static constexpr std::size_t piece_bytes = 256 * 1024;

    // `fill_it`: write zeros; else setting aside must do, which makes the first write to each block dearer.
    enum class content : std::uint8_t { filled, set_aside };
    preparation(const folder_access& in, std::string name, std::uint64_t bytes, content c);

    [[nodiscard]] step next() const noexcept { return step_; }
    [[nodiscard]] int error() const noexcept { return error_; }
    // Not wanted any more: the next steps remove what there is.
    void abandon() noexcept;
    // Does the next step, blocking.
    void do_step() noexcept;
    // The step's outcome: as the system call's result, or -errno.
    void took(std::int64_t result) noexcept;

    // What the steps need.
    [[nodiscard]] int folder() const noexcept { return in_.fd; }
    [[nodiscard]] int file() const noexcept { return file_.get(); }
    [[nodiscard]] int open_flags() const noexcept;
    [[nodiscard]] const char* part() const noexcept { return part_.c_str(); }
    [[nodiscard]] const char* name() const noexcept { return name_.c_str(); }
    [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::uint64_t offset() const noexcept { return filled_; }
    [[nodiscard]] std::span<const std::uint8_t> piece() const noexcept;

    static constexpr unsigned file_mode = 0600;

private:
    [[nodiscard]] std::int64_t do_it() noexcept;
    void fail(int error) noexcept;

    folder_access in_;
    std::string name_;
    std::string part_;
    std::uint64_t bytes_;
    content content_;
    step step_ = step::open;
    unique_fd file_;
    std::uint64_t filled_ = 0;
    int error_ = 0;
};

}  // namespace linnet::store
