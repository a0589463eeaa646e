#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/log.hpp"

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <vector>

namespace linnet::core {

// The owner of a log's errands (errands.hpp), in its own records and in those that say whose errand they are.
inline constexpr owner_uid errands_owner = owner_uid{1} << 59;
[[nodiscard]] constexpr owner_uid errands_of(std::uint16_t log) noexcept { return errands_owner | log; }
[[nodiscard]] constexpr bool is_errand_of(owner_uid uid) noexcept {
    return (uid & ~owner_uid{0xffff}) == errands_owner;
}

// An errand as others name it.
struct errand_name {
    std::uint16_t log = 0;  // whose
    position number = 0;    // 0: none
};

// Which errands of other logs have been run in one: the last of each, since they come in order.
//
// Threads: whoever owns that log.
// Bounds:  a mark for each other log.
class errand_marks {
public:
    [[nodiscard]] bool has(std::uint16_t log, position number) const noexcept {
        const auto at = marks_.find(log);
        return at != marks_.end() && number <= at->second.number;
    }
    // The record that says so begins there. `end`: of a large one, which is written in parts, everything lies below.
    void note(const errand_name& e, log_position at, log_position end = 0) {
        mark& m = marks_[e.log];
        if (e.number >= m.number) {
            m = {e.number, at, std::max(end, at + 1)};
        }
    }
    // Records anew what lies below `keep`. All marks are durable when everything below what it returns is; 0: there are
    // none.
    log_position renew(log_position keep, const std::function<log_position(std::span<const std::uint8_t>)>& record) {
        log_position newest = 0;
        for (auto& [log, m] : marks_) {
            if (m.at < keep) {
                m.at = record(encode({log, m.number}));
                m.end = m.at + 1;
            }
            newest = std::max(newest, m.end);
        }
        return newest;
    }

    // The keys of a record that says: this one has been run.
    [[nodiscard]] static std::vector<std::uint8_t> encode(const errand_name& e);
    // False: the bytes make no sense.
    [[nodiscard]] static bool decode(std::span<const std::uint8_t> keys, errand_name& out);

private:
    struct mark {
        position number = 0;
        log_position at = 0;
        log_position end = 0;
    };
    std::map<std::uint16_t, mark> marks_;
};

}  // namespace linnet::core
