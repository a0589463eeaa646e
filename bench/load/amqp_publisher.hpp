// One producer's messages as ready-made bytes: publishing is a copy and three stores.
//
// For each routing key the whole triple (publish, header, body frames) is encoded once, through the codec;
// what differs from message to message, the sequence and the time, is patched into the copy. All keys
// stand one behind the other in one block, so that even 100 000 of them are read as a stream.
//
// Threads:  one at a time.
// Owns:     the block.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/plan.hpp"
#include "bench/load/stamp.hpp"

#include <cstring>
#include <vector>

namespace linnet::load {

class amqp_publisher {
public:
    amqp_publisher(const plan& p, unsigned producer, const options& o, std::uint16_t channel, std::uint32_t frame_max);

    // The most that one message takes.
    [[nodiscard]] std::size_t message_bytes_max() const noexcept { return message_bytes_max_; }

    std::uint8_t* put_next(std::uint8_t* to, std::int64_t wire_time) noexcept {
        const entry& e = entries_[next_];
        if (++next_ == entries_.size())
            next_ = 0;
        std::memcpy(to, block_.data() + e.offset, e.size);
        if (has_time_) {
            wire::store(to + e.payload, sequences_[e.sequence]++);
            wire::store(to + e.payload + 4, static_cast<std::uint64_t>(wire_time));
        }
        return to + e.size;
    }

private:
    struct entry {
        std::size_t offset;
        std::uint32_t size;
        std::uint32_t payload;   // where the stamp goes, from the beginning of the message
        std::uint32_t sequence;  // index into sequences_
    };

    std::vector<std::uint8_t> block_;
    std::vector<entry> entries_;
    std::vector<std::uint32_t> sequences_;  // one a stream
    std::size_t next_ = 0;
    std::size_t message_bytes_max_ = 0;
    bool has_time_;
};

}  // namespace linnet::load
