#include "protocol/mqtt/topic.hpp"

#include "protocol/mqtt/eight_bytes.hpp"
#include "protocol/wire/utf8.hpp"

namespace linnet::mqtt {
namespace {

// Not 0 if a byte is 0; may also be if none is, but then a byte is 1 (or 0x80 and more, seen elsewhere).
constexpr std::uint64_t zero_bytes(std::uint64_t word) noexcept { return (word - ones) & ~word & high_bits; }

// Not 0 if any of the eight bytes wants a closer look.
template <bool Wildcards>
constexpr std::uint64_t telling(std::uint64_t word) noexcept {
    std::uint64_t found = (word & high_bits) | zero_bytes(word);
    if constexpr (Wildcards)
        found |= zero_bytes(word ^ ones * '+') | zero_bytes(word ^ ones * '#');
    return found;
}

// Fewer than eight bytes, some of them twice, or padded with what is plain.
[[nodiscard]] std::uint64_t load_short(std::string_view text) noexcept {
    const std::uint8_t* at = wire::as_bytes(text).data();
    if (text.size() >= 4)
        return std::uint64_t{wire::load<std::uint32_t>(at)} << 32 | wire::load<std::uint32_t>(at + text.size() - 4);
    std::uint64_t word = ones * 'a';
    for (std::size_t i = 0; i < text.size(); ++i)
        word = word << 8 | at[i];
    return word;
}

// Whether all of it is ASCII without U+0000, and without wildcards if they matter. May say no to what is.
template <bool Wildcards>
[[nodiscard]] bool is_plain(std::string_view text) noexcept {
    const std::uint8_t* at = wire::as_bytes(text).data();
    std::size_t left = text.size();
    if (left < 8)
        return telling<Wildcards>(load_short(text)) == 0;
    std::uint64_t found = 0;
    for (; left > 8; left -= 8, at += 8)
        found |= telling<Wildcards>(wire::load<std::uint64_t>(at));
    // The last eight, some of them for the second time.
    found |= telling<Wildcards>(wire::load<std::uint64_t>(at + left - 8));
    return found == 0;
}

[[gnu::noinline, gnu::cold]] verdict look_closer(std::string_view text) noexcept {
    if (text.find('\0') != std::string_view::npos)
        return fault::string_has_nul;
    if (!wire::is_utf8(text))
        return fault::string_not_utf8;
    return std::nullopt;
}

// The levels of a name or filter, one after the other; an empty text is one empty level.
class level_walk {
public:
    explicit level_walk(std::string_view text) noexcept : rest_{text} {}

    // None after the last.
    [[nodiscard]] std::optional<std::string_view> next() noexcept {
        if (ended_)
            return std::nullopt;
        const std::size_t end = rest_.find('/');
        const std::string_view level = rest_.substr(0, end);
        ended_ = end == std::string_view::npos;
        rest_.remove_prefix(ended_ ? rest_.size() : end + 1);
        return level;
    }

private:
    std::string_view rest_;
    bool ended_ = false;
};

// Wildcards stand alone in their level [MQTT-4.7.1-2], and '#' only in the last [MQTT-4.7.1-1].
[[nodiscard]] bool wildcards_stand_alone(std::string_view filter) noexcept {
    const auto is_edge = [&](std::size_t place) { return place >= filter.size() || filter[place] == '/'; };
    for (std::size_t at = filter.find_first_of("+#"); at != std::string_view::npos;
         at = filter.find_first_of("+#", at + 1)) {
        if ((at > 0 && filter[at - 1] != '/') || !is_edge(at + 1))
            return false;
        if (filter[at] == '#' && at + 1 != filter.size())
            return false;
    }
    return true;
}

[[nodiscard]] verdict judge_plain_filter(std::string_view filter) noexcept {
    if (filter.empty())
        return fault::topic_filter_empty;
    if (!wildcards_stand_alone(filter))
        return fault::topic_filter_wildcard_misplaced;
    return std::nullopt;
}

// What follows "$share/".
[[nodiscard]] decoded<topic_filter> parse_shared(std::string_view text) noexcept {
    const std::size_t end = text.find('/');
    const std::string_view group = text.substr(0, end);
    if (group.empty() || has_wildcards(group))
        return refused{fault::share_name_invalid};
    if (end == std::string_view::npos || end + 1 == text.size())
        return refused{fault::shared_filter_missing};
    const std::string_view filter = text.substr(end + 1);
    if (const verdict bad = judge_plain_filter(filter))
        return refused{*bad};
    return topic_filter{group, filter};
}

}  // namespace

verdict judge_string(std::string_view text) noexcept {
    if (is_plain<false>(text)) [[likely]]
        return std::nullopt;
    return look_closer(text);
}

verdict judge_topic_name(std::string_view topic) noexcept {
    if (is_plain<true>(topic)) [[likely]]
        return std::nullopt;
    if (const verdict bad = look_closer(topic))
        return bad;
    return has_wildcards(topic) ? verdict{fault::topic_name_has_wildcard} : std::nullopt;
}

decoded<topic_filter> parse_topic_filter(std::string_view text) noexcept {
    if (const verdict bad = judge_string(text))
        return refused{*bad};
    constexpr std::string_view share = "$share/";
    if (text.starts_with(share))
        return parse_shared(text.substr(share.size()));
    if (const verdict bad = judge_plain_filter(text))
        return refused{*bad};
    return topic_filter{{}, text};
}

bool filter_matches(std::string_view filter, std::string_view topic) noexcept {
    if (hides_dollar(filter) && topic.starts_with('$'))
        return false;
    level_walk wanted{filter};
    level_walk given{topic};
    for (;;) {
        const auto pattern = wanted.next();
        // Also of no level: "a/#" matches its parent "a".
        if (pattern == "#")
            return true;
        const auto level = given.next();
        if (!pattern || !level)
            return !pattern && !level;
        if (*pattern != "+" && *pattern != *level)
            return false;
    }
}

}  // namespace linnet::mqtt
