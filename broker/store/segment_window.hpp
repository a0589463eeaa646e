#pragma once

#include "broker/store/aligned_buffer.hpp"
#include "broker/store/disk.hpp"

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>

namespace linnet::store {

// A file read from front to back in large pieces, blocking: for recovery and scans.
//
// Whoever has the disk to himself reads ahead: while one piece is looked at the next is on its way, from the second
// piece on, so that short files cost nothing more. What the end of a piece shows in part is copied before the next one.
//
// Threads: one.
// Owns:    one window, two when it reads ahead. Borrows the disk; takes all of its completions then.
class segment_window {
public:
    static constexpr std::uint32_t window_bytes = 1024 * 1024;
    enum class ahead : std::uint8_t { no, yes };

    // `view_bytes` is the most that from() will be asked for.
    segment_window(disk& d, std::uint64_t file_bytes, std::uint32_t view_bytes, ahead a,
                   std::uint32_t bytes = window_bytes);
    ~segment_window();
    segment_window(const segment_window&) = delete;
    segment_window& operator=(const segment_window&) = delete;

    void enter(file_id f) {
        settle();
        file_ = f;
        loaded_ = 0;
    }
    // What lies from `offset` on: `bytes` of it, or more, or all there is. Unreadable blocks read as zeros; error().
    // Good until the next call.
    [[nodiscard]] std::span<const std::uint8_t> from(std::uint64_t offset, std::uint64_t bytes) {
        const std::uint64_t end = std::min(offset + bytes, file_bytes_);
        if (offset < begin_ || loaded_ == 0 || end > begin_ + loaded_) [[unlikely]] {
            load(offset, end);
        }
        return {shown_ + (offset - begin_), loaded_ - (offset - begin_)};
    }
    [[nodiscard]] const std::optional<disk_error>& error() const noexcept { return error_; }

private:
    void load(std::uint64_t offset, std::uint64_t end);
    void read_here(std::uint64_t offset);
    [[nodiscard]] bool take_ahead(std::uint64_t offset, std::uint64_t end);
    void begin_ahead();
    void settle();

    disk& disk_;
    const std::uint64_t file_bytes_;
    const std::size_t carried_max_;  // room before a piece for the rest of the one before
    const std::size_t piece_bytes_;
    const bool reads_ahead_;
    aligned_buffer buffer_;
    aligned_buffer next_;  // where the piece ahead goes
    file_id file_ = 0;
    const std::uint8_t* shown_ = nullptr;  // [begin_, begin_ + loaded_) of the file
    std::uint64_t begin_ = 0;
    std::uint64_t loaded_ = 0;
    bool in_order_ = false;          // the last piece followed the one before
    std::uint64_t ahead_bytes_ = 0;  // of the piece ahead, which follows what is shown; 0: there is none
    bool under_way_ = false;
    int ahead_failed_ = 0;
    std::optional<disk_error> error_;
};

}  // namespace linnet::store
