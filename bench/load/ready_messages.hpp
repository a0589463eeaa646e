// One producer's messages as ready-made bytes: publishing is a copy and two stores.
//
// For each routing key the whole message is encoded once, through the protocol's codec (amqp_messages.cpp,
// mqtt_messages.cpp, http_messages.cpp); what differs from message to message, the sequence and the time, is patched
// into the copy. All keys stand one behind the other in one block, so that even 100 000 of them are read as a stream.
//
// Threads:  one at a time.
// Owns:     the block.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/plan.hpp"
#include "bench/load/stamp.hpp"

#include <algorithm>
#include <cstring>
#include <vector>

namespace linnet::load {

class ready_messages {
public:
    explicit ready_messages(const options& o)
        : form_{o.form()}, has_time_{o.size >= stamp_time_bytes_of(form_)}, body_(o.size, 'x') {}

    // Adds the messages of one target: encode(block, body) appends the whole message to the block and answers how
    // far behind its first byte the payload begins.
    template <class Encode>
    void add(std::uint32_t stream, Encode encode) {
        auto at = std::find(streams_.begin(), streams_.end(), stream);
        if (at == streams_.end()) {
            at = streams_.insert(at, stream);
            sequences_.push_back(0);
        }
        write_stamp(body_.data(), body_.size(), {.stream = stream}, form_);
        entry e{};
        e.offset = block_.size();
        e.sequence = static_cast<std::uint32_t>(at - streams_.begin());
        e.payload = static_cast<std::uint32_t>(encode(block_, body_));
        e.size = static_cast<std::uint32_t>(block_.size() - e.offset);
        message_bytes_max_ = std::max<std::size_t>(message_bytes_max_, e.size);
        entries_.push_back(e);
    }

    // The most that one message takes.
    [[nodiscard]] std::size_t message_bytes_max() const noexcept { return message_bytes_max_; }

    struct placed {
        std::uint8_t* payload;
        std::uint8_t* end;
    };
    placed put_next(std::uint8_t* to, std::int64_t wire_time) noexcept {
        const entry& e = entries_[next_];
        if (++next_ == entries_.size())
            next_ = 0;
        std::memcpy(to, block_.data() + e.offset, e.size);
        if (has_time_) {
            const stamp s{.sequence = sequences_[e.sequence]++, .time_ns = wire_time};
            write_stamp(to + e.payload, stamp_time_bytes_of(form_), s, form_);
        }
        return {to + e.payload, to + e.size};
    }

private:
    struct entry {
        std::size_t offset;
        std::uint32_t size;
        std::uint32_t payload;   // where the stamp goes, from the beginning of the message
        std::uint32_t sequence;  // index into sequences_
    };

    stamp_form form_;
    bool has_time_;
    std::vector<std::uint8_t> body_;  // while messages are added
    std::vector<std::uint8_t> block_;
    std::vector<entry> entries_;
    std::vector<std::uint32_t> streams_;
    std::vector<std::uint32_t> sequences_;  // one a stream
    std::size_t next_ = 0;
    std::size_t message_bytes_max_ = 0;
};

}  // namespace linnet::load
