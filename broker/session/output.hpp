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
// It also says how much an output may hold. One alone may hold 1 MiB; many that wait for peers who do not read may not
// take all memory together, so the more is lent, the less each of them gets, and at the end nothing more at all. Whose
// socket takes what it is given is hardly slower for it: it writes smaller pieces.
//
// Threads: one shard's.
// Bounds:  keeps at most `kept_max` free blocks of each size, gives further ones back to the system. Outputs together
//          hold little more than what is allowed: beyond it, an output that is stuck keeps what one turn gave it.
class block_pool {
public:
    static constexpr std::size_t block_bytes = 64 * 1024;
    // Of an output's first block from a quarter of what is allowed on, and of all that will do with it in the last
    // quarter.
    static constexpr std::size_t small_bytes = 4 * 1024;
    static constexpr std::size_t kept_max = 64;
    // What an output may hold as long as there is plenty.
    static constexpr std::size_t high_bytes_max = 1024 * 1024;

    struct block {
        std::uint8_t* at = nullptr;
        std::uint32_t bytes = 0;
    };

    block_pool() noexcept { weigh(); }
    block_pool(const block_pool&) = delete;
    block_pool& operator=(const block_pool&) = delete;
    ~block_pool();

    // What all outputs together should hold at most; without it, as much as they like.
    void allow(std::size_t bytes) noexcept {
        allowed_ = bytes;
        weigh();
    }

    // Of `least` bytes or more; least <= block_bytes. `first`: its output holds nothing yet.
    [[nodiscard]] block take(std::size_t least, bool first);
    void give_back(block b) noexcept;
    // Bytes of messages that outputs refer to, each time that one does. They are no part of what is lent, but stay in
    // memory likewise, or once for many.
    void refer(std::size_t bytes) noexcept {
        referred_ += bytes;
        weigh();
    }
    void unrefer(std::size_t bytes) noexcept {
        referred_ -= bytes;
        weigh();
    }
    // Bytes lent to outputs now: part of the memory budget.
    [[nodiscard]] std::size_t lent_bytes() const noexcept { return lent_; }
    // What an output may hold before its session adds no more by itself. `stuck`: its socket takes nothing now.
    [[nodiscard]] std::size_t high_bytes(bool stuck) const noexcept { return stuck ? high_stuck_ : high_; }
    // The same where what is refused would be lost, by blocks alone: a body is one, however many outputs refer to it.
    [[nodiscard]] std::size_t high_bytes_of_blocks(bool stuck) const noexcept { return stuck ? blocks_stuck_ : high_; }

private:
    void weigh() noexcept;

    std::vector<std::uint8_t*> free_;
    std::vector<std::uint8_t*> free_small_;
    std::size_t lent_ = 0;
    std::size_t referred_ = 0;
    std::size_t allowed_ = SIZE_MAX;
    std::size_t high_ = high_bytes_max;
    std::size_t high_stuck_ = high_bytes_max;
    std::size_t blocks_stuck_ = high_bytes_max;
    std::size_t level_ = 0;  // of what is allowed, in quarters
};

// The bytes a session has to say to its peer and the connection has not written yet.
//
// Small things are copied into blocks; bodies of `reference_bytes` and more are referenced, so that a large
// message in a fan-out exists once (measured: copying wins below 2 KiB, ties at 4, loses at 8).
//
// Threads: the shard's.
// Owns:    its blocks, and a reference to each message it refers to.
// Bounds:  none of its own: sessions stop taking deliveries above the high watermark, which its pool knows.
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
            next_block(n);
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

    // The connection's word: the socket takes nothing until further notice, or it does again.
    void set_stuck(bool stuck) noexcept { stuck_ = stuck; }
    [[nodiscard]] bool stuck() const noexcept { return stuck_; }
    [[nodiscard]] std::size_t high_bytes() const noexcept { return pool_.high_bytes(stuck_); }
    // More is pending than should be. That it was so is kept, until has_drained() says the opposite.
    [[nodiscard]] bool passes_high() noexcept {
        if (pending_ <= high_bytes()) [[likely]] {
            return false;
        }
        was_high_ = true;
        return true;
    }
    // Once, when little is left after passes_high() was true.
    [[nodiscard]] bool has_drained() noexcept {
        if (!was_high_ || pending_ > high_bytes() / 4) [[likely]] {
            return false;
        }
        was_high_ = false;
        return true;
    }

    // For the connection: what to write next, and that `n` bytes of it went out.
    [[nodiscard]] std::size_t gather(std::span<iovec> vectors) noexcept;
    void consume(std::size_t n) noexcept;
    void clear() noexcept;

private:
    struct piece {
        block_pool::block block;       // one of ours, or none:
        core::message_ptr referenced;  // then it lies in this message
        const std::uint8_t* from = nullptr;
        const std::uint8_t* to = nullptr;  // of the last piece: at_ instead
    };
    static constexpr std::size_t tail_worth_keeping = 1024;

    void next_block(std::size_t least);
    void close_piece() noexcept;
    void drop_front() noexcept;

    block_pool& pool_;
    std::vector<piece> pieces_;  // from first_ on
    std::uint32_t first_ = 0;
    bool stuck_ = false;
    bool was_high_ = false;
    std::uint8_t* at_ = nullptr;  // write position in the last piece's block; null when that is not a block
    std::uint8_t* end_ = nullptr;
    std::size_t pending_ = 0;
};

}  // namespace linnet::session
