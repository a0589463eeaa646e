#pragma once

#include "broker/store/disk.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace linnet::store {

// Memory that the disk can read and write directly: aligned to its block, of unspecified content.
//
// A large one is mapped by itself: what a slow disk has made wait leaves the process once it is written, whatever the
// allocator has put beside it.
//
// Threads: one's at a time; all_bytes() from any.
// Fails:   throws std::bad_alloc when the system has no memory.
class aligned_buffer {
public:
    aligned_buffer() = default;
    explicit aligned_buffer(std::size_t bytes);
    aligned_buffer(aligned_buffer&& other) noexcept
        : memory_{std::exchange(other.memory_, nullptr)}, bytes_{std::exchange(other.bytes_, 0)} {}
    aligned_buffer& operator=(aligned_buffer&& other) noexcept {
        aligned_buffer taken{std::move(other)};
        std::swap(memory_, taken.memory_);
        std::swap(bytes_, taken.bytes_);
        return *this;
    }
    ~aligned_buffer();

    [[nodiscard]] std::uint8_t* data() noexcept { return memory_; }
    [[nodiscard]] const std::uint8_t* data() const noexcept { return memory_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_; }
    [[nodiscard]] std::span<std::uint8_t> first(std::size_t bytes) noexcept { return {memory_, bytes}; }
    [[nodiscard]] std::span<const std::uint8_t> first(std::size_t bytes) const noexcept { return {memory_, bytes}; }

    // Of all there are, in this process.
    [[nodiscard]] static std::uint64_t all_bytes() noexcept;

private:
    std::uint8_t* memory_ = nullptr;
    std::size_t bytes_ = 0;
};

// Buffers of one size, kept for the next who needs one until trim(): no more of them than `kept_max`.
class buffer_pool {
public:
    explicit buffer_pool(std::size_t bytes) : bytes_{bytes} {}

    [[nodiscard]] aligned_buffer take() {
        if (kept_.empty())
            return aligned_buffer{bytes_};
        aligned_buffer b = std::move(kept_.back());
        kept_.pop_back();
        return b;
    }
    void give(aligned_buffer b) {
        if (kept_.size() < kept_max)
            kept_.push_back(std::move(b));
    }
    void trim() noexcept {
        kept_.clear();
        kept_.shrink_to_fit();
    }

private:
    // As many as are written side by side, and as many that are filled meanwhile.
    static constexpr std::size_t kept_max = 16;

    std::size_t bytes_;
    std::vector<aligned_buffer> kept_;
};

}  // namespace linnet::store
