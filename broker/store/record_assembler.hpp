#pragma once

#include "broker/core/log.hpp"
#include "broker/store/record.hpp"

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

namespace linnet::store {

// Makes whole records of what lies in the log one behind the other: parts are joined, the log's own records left out.
class record_assembler {
public:
    // The next one in the log; a record once it is whole. It is good until the next call.
    [[nodiscard]] std::optional<core::log_record> feed(core::log_position at, const stored_record& r) {
        if (r.own())
            return std::nullopt;
        const std::uint8_t flags = r.header.flags;
        if ((flags & stored_flags::part_of_before) == 0)
            begin_ = at;
        else if (begin_ == 0)
            return std::nullopt;  // of a record whose beginning is gone
        const auto callers = static_cast<std::uint8_t>(flags & stored_flags::callers);
        if ((flags & (stored_flags::part_of_before | stored_flags::part_follows)) == 0) [[likely]] {
            begin_ = 0;
            return core::log_record{at, r.header.kind, callers, r.payload,
                                    static_cast<std::uint32_t>(record_bytes(r.header.length))};
        }
        if ((flags & stored_flags::part_of_before) == 0)
            parts_.clear();
        parts_.insert(parts_.end(), r.payload.begin(), r.payload.end());
        if ((flags & stored_flags::part_follows) != 0)
            return std::nullopt;
        const auto bytes = static_cast<std::uint32_t>(at + record_bytes(r.header.length) - begin_);
        return core::log_record{std::exchange(begin_, 0), r.header.kind, callers, parts_, bytes};
    }
    // Something is missing between what was fed and what will be.
    void reset() noexcept { begin_ = 0; }
    // Where the record begins of which parts are still to come; 0: none.
    [[nodiscard]] core::log_position unfinished() const noexcept { return begin_; }

private:
    core::log_position begin_ = 0;
    std::vector<std::uint8_t> parts_;
};

}  // namespace linnet::store
