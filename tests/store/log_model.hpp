#pragma once

#include "tests/store/log_support.hpp"

#include <algorithm>
#include <cstddef>
#include <optional>
#include <string>
#include <vector>

namespace linnet::test {

// What a log is expected to hold: everything appended, in order, groups marked.
//
// Each check answers with what is wrong, or nothing: so that a canary can ask whether a lying disk would be noticed.
class log_model {
public:
    void appended(const kept_record& r) { records_.push_back(r); }
    // What the log says to be durable must be there from now on.
    void confirmed(core::log_position durable) { durable_ = std::max(durable_, durable); }
    void dropped(core::log_position begin) { begin_ = std::max(begin_, begin); }

    [[nodiscard]] const std::vector<kept_record>& records() const { return records_; }
    [[nodiscard]] core::log_position durable() const { return durable_; }
    [[nodiscard]] core::log_position begin() const { return begin_; }

    // After a crash: all that was confirmed and kept, perhaps more of what was appended, nothing else, groups whole.
    [[nodiscard]] std::string check(const std::vector<kept_record>& found) const {
        const auto same = [](const kept_record& a, const kept_record& b) { return a == b; };
        std::size_t at = 0;
        if (!found.empty()) {
            const auto first = std::ranges::find(records_, found.front().at, &kept_record::at);
            if (first == records_.end())
                return "a record at " + std::to_string(found.front().at) + " that was never appended";
            at = static_cast<std::size_t>(first - records_.begin());
        }
        if (found.size() > records_.size() - at)
            return "more records than were appended";
        const auto begin = records_.begin() + static_cast<std::ptrdiff_t>(at);
        const auto differs = std::mismatch(found.begin(), found.end(), begin, same);
        if (differs.first != found.end())
            return "the record at " + std::to_string(differs.first->at) + " is not what was appended at " +
                   std::to_string(differs.second->at);
        if (const auto lost = missing(found.empty() ? 0 : found.front().at, found.empty() ? 0 : found.back().at))
            return "lost: the record at " + std::to_string(*lost) + " (durable up to " + std::to_string(durable_) + ")";
        if (!found.empty() && (found.back().flags & core::record_flags::more) != 0)
            return "a group that is not whole";
        return {};
    }
    // What was found is what there is from now on.
    void restart(const std::vector<kept_record>& found) {
        records_ = found;
        durable_ = found.empty() ? 0 : found.back().at + found.back().bytes;
    }

private:
    [[nodiscard]] std::optional<core::log_position> missing(core::log_position first, core::log_position last) const {
        bool whole_group_confirmed = false;
        for (std::size_t i = records_.size(); i-- > 0;) {
            const kept_record& r = records_[i];
            const bool more = (r.flags & core::record_flags::more) != 0;
            const bool below = r.at + r.bytes <= durable_;
            // Of a group, its last record decides.
            whole_group_confirmed = more ? whole_group_confirmed && below : below;
            const bool kept = r.at >= begin_;
            if (whole_group_confirmed && kept && (first == 0 || r.at < first || r.at > last))
                return r.at;
        }
        return std::nullopt;
    }

    std::vector<kept_record> records_;
    core::log_position durable_ = 0;
    core::log_position begin_ = 0;
};

}  // namespace linnet::test
