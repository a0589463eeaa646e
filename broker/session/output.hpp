#pragma once

#include "broker/core/message.hpp"

#include <sys/uio.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <vector>

namespace linnet::session {

// Blocks for output, kept by a shard and lent to its connections: an idle connection holds none.
//
// Threads: one shard's.
// Bounds:  keeps at most `kept_max` free blocks, gives further ones back to the system.
class block_pool {
public:
    static constexpr std::size_t block_bytes = 64 * 1024;
    static constexpr std::size_t kept_max = 64;

    block_pool() = default;
    block_pool(const block_pool&) = delete;
    block_pool& operator=(const block_pool&) = delete;
    ~block_pool();

    [[nodiscard]] std::uint8_t* take();
    void give_back(std::uint8_t* block) noexcept;
    // Bytes lent to outputs now: part of the memory budget.
    [[nodiscard]] std::size_t lent_bytes() const noexcept { return lent_ * block_bytes; }

private:
    std::vector<std::uint8_t*> free_;
    std::size_t lent_ = 0;
};

// The bytes a session has to say to its peer and the connection has not written yet.
//
// Small things are copied into blocks; bodies of `reference_bytes` and more are referenced, so that a large
// message in a fan-out exists once (measured: copying wins below 2 KiB, ties at 4, loses at 8).
//
// Threads: the shard's.
// Owns:    its blocks, and a reference to each message it refers to.
// Bounds:  none of its own: sessions stop taking deliveries above the high watermark.
class output {
public:
    static constexpr std::size_t reference_bytes = 4 * 1024;

    explicit output(block_pool& pool) noexcept : pool_(pool) {}
    output(const output&) = delete;
    output& operator=(const output&) = delete;
    ~output() { clear(); }

    // `n` contiguous bytes to write to, n <= block_pool::block_bytes; then commit what was written.
    [[nodiscard]] std::uint8_t* reserve(std::size_t n) {
        if (static_cast<std::size_t>(end_ - at_) < n) [[unlikely]] {
            next_block();
        }
        return at_;
    }
    void commit(std::size_t n) noexcept {
        at_ += n;
        pending_ += n;
    }
    // Copies any number of bytes.
    void append(std::span<const std::uint8_t> bytes);
    // `part` lies within m's body and is sent from there.
    void append_reference(core::message_ptr m, std::span<const std::uint8_t> part);

    // All that another one of the same pool holds, behind what is here; nothing is copied.
    void take_over(output& from);

    [[nodiscard]] block_pool& pool() const noexcept { return pool_; }
    [[nodiscard]] std::size_t pending() const noexcept { return pending_; }
    [[nodiscard]] bool empty() const noexcept { return pending_ == 0; }

    // For the connection: what to write next, and that `n` bytes of it went out.
    [[nodiscard]] std::size_t gather(std::span<iovec> vectors) noexcept;
    void consume(std::size_t n) noexcept;
    void clear() noexcept;

private:
    struct piece {
        std::uint8_t* block = nullptr;  // a block of ours, or null:
        core::message_ptr referenced;   // then it lies in this message
        const std::uint8_t* from = nullptr;
        const std::uint8_t* to = nullptr;  // of the last piece: at_ instead
    };
    static constexpr std::size_t tail_worth_keeping = 1024;

    void next_block();
    void close_piece() noexcept;
    void drop_front() noexcept;

    block_pool& pool_;
    std::vector<piece> pieces_;  // from first_ on
    std::size_t first_ = 0;
    std::uint8_t* at_ = nullptr;  // write position in the last piece's block; null when that is not a block
    std::uint8_t* end_ = nullptr;
    std::size_t pending_ = 0;
};

}  // namespace linnet::session
