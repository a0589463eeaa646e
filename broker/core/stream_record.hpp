#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/errand_marks.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/log.hpp"
#include "broker/core/message.hpp"
#include "broker/core/record_codec.hpp"

#include <cstdint>

// A stream's messages as its log has them: the journal's message records (record_codec.hpp), each with one place, whose
// owner is the stream and whose position is the offset. What an errand brought (errands.hpp) has a second place, which
// says whose errand it was.

namespace linnet::core {

class message_pool;

// Writes such records; keeps its buffer from one to the next.
class stream_record_writer {
public:
    // Would it fit into one record?
    [[nodiscard]] static bool fits(const message& m, std::uint32_t record_bytes_max) noexcept;
    durable_log::appended append(durable_log& log, owner_uid stream, position offset, wall_ns stored_at,
                                 const message& m, const errand_name& brought_by = {});

private:
    record_bytes head_;
};

// Takes them apart; good until the next one, and as long as the record's bytes are.
class stream_record_reader {
public:
    // False: the bytes make no sense, or are damaged.
    [[nodiscard]] bool read(const log_record& r);
    [[nodiscard]] position offset() const noexcept { return record_.places.front().pos; }
    [[nodiscard]] wall_ns stored_at() const noexcept { return record_.stored_at; }
    [[nodiscard]] errand_name brought_by() const noexcept;
    // Null when its history makes no sense.
    [[nodiscard]] message_ptr message_in(message_pool& pool) const { return rebuild(pool, record_); }

private:
    message_record record_;
};

}  // namespace linnet::core
