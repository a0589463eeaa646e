#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/address.hpp"
#include "broker/core/message.hpp"
#include "broker/core/record_owner.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// In the order of keys level by level: what lies below a level stands together, behind it.
struct by_levels {
    using is_transparent = void;
    [[nodiscard]] bool operator()(std::string_view a, std::string_view b) const noexcept;
};

// A key's last value.
struct retained_item {
    position pos = 0;
    stored_ref where{};
    message_ptr msg{};    // null: in the log
    mono_ns expires = 0;  // 0: never
};
using retained_map = std::map<std::string, retained_item, by_levels>;

// Finds those keys of a map that match a pattern, and skips what lies between.
//
// The pattern is walked along a key as a set of states, one level after the other; the next key goes on from the levels
// that it shares with the one before. Where no state is left, the search goes to the next key that could match: behind
// everything below that level, or straight to the next literal when the pattern leaves no choice. So a key is looked at
// once at most, whatever the pattern's wildcards, and a key costs its own length, not a node a level.
//
// Threads: one at a time.
// Bounds:  keys looked at: those that match, one for each run that is skipped; two bytes a live state and level.
class retained_search {
public:
    // `text` as the core keeps binding keys (address.hpp); no good(): too many levels.
    retained_search(std::string_view text, bool hides_dollar);
    [[nodiscard]] bool good() const noexcept { return good_; }

    struct outcome {
        std::uint64_t looks = 0;
        bool more = false;  // it was stopped, by `found` or since it had looked often enough
        std::string last;   // where: go on behind it
    };
    // Calls `found` for each key behind `after` that matches, in order, until it says false.
    using found = std::function<bool(retained_map::iterator)>;
    [[nodiscard]] outcome run(retained_map& in, const std::optional<std::string>& after, std::uint64_t looks_max,
                              const found& f);

private:
    using state = std::uint16_t;  // so many levels of the pattern are done

    [[nodiscard]] std::string_view text_of(std::size_t level, std::string_view key) const noexcept;
    [[nodiscard]] std::size_t shared_levels(std::string_view key) const noexcept;
    void cut(std::size_t levels);
    [[nodiscard]] bool advance(std::string_view key);
    [[nodiscard]] bool step(std::string_view level);
    void add(state s);
    [[nodiscard]] bool accepts() const noexcept;
    [[nodiscard]] std::optional<std::string> next_start(std::string_view key) const;

    std::string text_;
    std::vector<pattern_level> levels_;
    bool hides_dollar_;
    bool good_ = false;

    // Of the key looked at last, as far as it was walked: where each level ends, and the states behind it.
    std::string path_;
    std::vector<std::size_t> ends_;
    std::vector<state> states_;
    std::vector<std::size_t> begins_;  // of each level's states; one more than levels
};

}  // namespace linnet::core
