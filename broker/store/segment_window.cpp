#include "broker/store/segment_window.hpp"

#include <cstring>
#include <utility>

namespace linnet::store {
namespace {

constexpr std::size_t up_to_block(std::size_t bytes) noexcept {
    return (bytes + disk::block - 1) / disk::block * disk::block;
}

}  // namespace

segment_window::segment_window(disk& d, std::uint64_t file_bytes, std::uint32_t view_bytes, ahead a,
                               std::uint32_t bytes)
    : disk_{d},
      file_bytes_{file_bytes},
      carried_max_{a == ahead::yes && file_bytes > bytes ? up_to_block(view_bytes) : 0},
      piece_bytes_{static_cast<std::size_t>(std::min<std::uint64_t>(bytes, file_bytes))},
      reads_ahead_{carried_max_ != 0},
      buffer_{carried_max_ + piece_bytes_} {}

segment_window::~segment_window() { settle(); }

void segment_window::load(std::uint64_t offset, std::uint64_t end) {
    const bool follows = loaded_ != 0 && offset >= begin_ && offset <= begin_ + loaded_;
    if (!follows || !take_ahead(offset, end)) {
        settle();
        in_order_ = follows || (in_order_ && loaded_ == 0);
        read_here(offset);
    }
    if (reads_ahead_ && in_order_)
        begin_ahead();
}

void segment_window::read_here(std::uint64_t offset) {
    begin_ = std::min(offset, file_bytes_ - 1) / disk::block * disk::block;
    loaded_ = std::min<std::uint64_t>(piece_bytes_, file_bytes_ - begin_);
    const std::span<std::uint8_t> all{buffer_.data() + carried_max_, loaded_};
    shown_ = all.data();
    if (disk_.read_now(file_, begin_, all))
        return;
    for (std::size_t at = 0; at < loaded_; at += disk::block) {
        const auto one = all.subspan(at, disk::block);
        if (const auto read = disk_.read_now(file_, begin_ + at, one); !read) {
            std::fill(one.begin(), one.end(), std::uint8_t{0});
            error_ = read.error();
        }
    }
}

// False: it is not what is wanted now, or could not be read.
bool segment_window::take_ahead(std::uint64_t offset, std::uint64_t end) {
    const std::uint64_t carried = begin_ + loaded_ - offset;
    if (ahead_bytes_ == 0 || carried > carried_max_ || end > begin_ + loaded_ + ahead_bytes_)
        return false;
    const std::uint64_t arriving = ahead_bytes_;
    settle();
    if (ahead_failed_ != 0)
        return false;
    std::uint8_t* const piece = next_.data() + carried_max_;
    std::memcpy(piece - carried, shown_ + (offset - begin_), carried);
    std::swap(buffer_, next_);
    shown_ = piece - carried;
    begin_ = offset;
    loaded_ = carried + arriving;
    return true;
}

void segment_window::begin_ahead() {
    const std::uint64_t at = begin_ + loaded_;
    ahead_bytes_ = std::min<std::uint64_t>(piece_bytes_, file_bytes_ - at);
    if (ahead_bytes_ == 0)
        return;
    if (next_.size() == 0)
        next_ = aligned_buffer{carried_max_ + piece_bytes_};
    under_way_ = true;
    disk_.read(file_, at, {next_.data() + carried_max_, static_cast<std::size_t>(ahead_bytes_)}, 0);
    disk_.submit();
}

// Nothing of ours is under way any more. What has come can still be taken by take_ahead() alone, which asks.
void segment_window::settle() {
    ahead_failed_ = 0;
    while (under_way_) {
        completion done;
        if (disk_.poll({&done, 1}) == 0) {
            disk_.wait();
            continue;
        }
        under_way_ = false;
        ahead_failed_ = done.error;
    }
    ahead_bytes_ = 0;
}

}  // namespace linnet::store
