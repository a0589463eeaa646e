#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/log.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/stream_item.hpp"
#include "broker/core/stream_record.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace linnet::core {

// Chunks of a stream that have been read back from its log: shared by all readers that stand there.
//
// Nobody owns a chunk. A reader that comes back to one which had to make room reads it again: so a slow reader
// holds nothing, and a thousand of them cost what a few do.
//
// Threads: the stream's.
// Owns:    the chunks; those under way must stay until the log is done with them or gone.
// Bounds:  4 MiB of messages or 64 chunks, and whatever is under way: one chunk a reader at most.
class stream_chunks {
public:
    stream_chunks(message_pool& pool, std::function<void()> loaded) : pool_(pool), loaded_(std::move(loaded)) {}
    stream_chunks(const stream_chunks&) = delete;
    stream_chunks& operator=(const stream_chunks&) = delete;

    class chunk final : public log_reader {
    public:
        chunk(stream_chunks& home, position first, std::size_t count) : home_(home), first_(first), items_(count) {}

        [[nodiscard]] position first() const noexcept { return first_; }
        [[nodiscard]] bool has(position offset) const noexcept { return offset - first_ < items_.size(); }
        [[nodiscard]] stream_item& at(position offset) noexcept {
            return items_[static_cast<std::size_t>(offset - first_)];
        }
        [[nodiscard]] bool ready() const noexcept { return ready_; }

        void on_record(std::size_t index, const log_record& r) override;
        void on_done() override;

    private:
        friend class stream_chunks;
        stream_chunks& home_;
        position first_;
        std::vector<stream_item> items_;
        std::size_t bytes_ = 0;
        std::uint64_t used_ = 0;
        bool ready_ = false;
    };

    // Null: neither here nor on its way.
    [[nodiscard]] chunk* find(position first) noexcept;
    // Begins to read `count` messages from `first` on, which lie in [from, until).
    void load(durable_log& log, position first, std::size_t count, log_position from, log_position until);
    // That many more can be had without making room.
    [[nodiscard]] bool roomy() const noexcept { return bytes_ < bytes_max / 2 && chunks_.size() < chunks_max / 2; }
    // What is below has been dropped from the log.
    void drop_before(position first);
    // A chunk that no longer reaches as far as it could.
    void drop(const chunk& c);
    void clear() { drop_before(~position{0}); }

private:
    static constexpr std::size_t bytes_max = 4 * 1024 * 1024;
    static constexpr std::size_t chunks_max = 64;

    void make_room();

    message_pool& pool_;
    stream_record_reader record_;
    std::function<void()> loaded_;
    std::vector<std::unique_ptr<chunk>> chunks_;
    std::size_t bytes_ = 0;
    std::uint64_t uses_ = 0;
};

}  // namespace linnet::core
