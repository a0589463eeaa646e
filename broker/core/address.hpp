#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// An address is a list of levels: byte strings, empty ones included. The core keeps one as text, the levels
// joined by '.'; what a level holds beyond that is written so that it cannot be taken for a separator or a
// wildcard (decision 0006). For AMQP that text is the key as it was sent; other protocols' names are brought into this
// form, and back, by their own codecs (MQTT's: protocol/mqtt/topic_key.hpp).

namespace linnet::core {

// How keys begin that the broker itself speaks to: figures about itself, which only those hear who name this level.
inline constexpr std::string_view broker_keys = "$SYS.";

// What a level of a pattern matches.
enum class edge : std::uint8_t {
    literal,
    one,    // exactly one level, whatever it holds
    many0,  // any number of levels, none included
    many1,  // one level or more; only in last place
};

struct pattern_level {
    edge kind = edge::literal;
    std::string_view text{};  // of a literal

    bool operator==(const pattern_level&) const = default;
};

// A binding key taken apart. Views its text.
struct pattern {
    std::vector<pattern_level> levels;
    bool operator==(const pattern&) const = default;
};

// More would cost each match a step a level for a name that nobody needs; AMQP cannot even say it.
inline constexpr std::size_t pattern_levels_max = 256;

// Any text as one level of a key: what would separate, or be a wildcard, does not.
[[nodiscard]] std::string level_text(std::string_view text);

// Of text as the core keeps it: '.' separates, "*" is one level, "#" any number. An empty text has no level.
// Brought into the one form that means the same: of a run of wildcards the single levels come first and
// the many collapse into one, so that "#.#.*" and "*.#" are the same state of the tree. None: too many levels.
[[nodiscard]] std::optional<pattern> parse_pattern(std::string_view text);

}  // namespace linnet::core
