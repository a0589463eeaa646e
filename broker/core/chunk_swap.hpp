#pragma once

#include <cstdint>
#include <span>

namespace linnet::core {

// Where the indexes of very deep queues put the chunks that nobody will ask for soon. Needs no durability: recovery
// builds the indexes anew.
//
// Threads: one shard's.
// Bounds:  `budget_bytes` of chunks stay in memory, over all indexes that share it; a chunk is some 20 KiB.
// Fails:   save() refuses when there is no room: the chunk stays in memory. load() does not fail: an implementation
//          that cannot read what it wrote ends the process, for the queue no longer knows its messages.
class chunk_swap {
public:
    using ticket = std::uint64_t;
    static constexpr ticket none = 0;

    explicit chunk_swap(std::uint64_t budget_bytes) noexcept : budget_(budget_bytes) {}
    chunk_swap(const chunk_swap&) = delete;
    chunk_swap& operator=(const chunk_swap&) = delete;
    virtual ~chunk_swap() = default;

    [[nodiscard]] virtual ticket save(std::span<const std::uint8_t> bytes) = 0;
    // Reads it back and forgets it. `into` has the size that was saved.
    virtual void load(ticket t, std::span<std::uint8_t> into) = 0;
    virtual void forget(ticket t) noexcept = 0;

    // What the indexes hold in memory, as they say.
    void note(std::int64_t bytes) noexcept { held_ += static_cast<std::uint64_t>(bytes); }
    [[nodiscard]] std::uint64_t held_bytes() const noexcept { return held_; }
    [[nodiscard]] bool over_budget() const noexcept { return held_ > budget_; }

private:
    std::uint64_t budget_;
    std::uint64_t held_ = 0;
};

}  // namespace linnet::core
