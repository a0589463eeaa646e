#include "protocol/mqtt/topic_key.hpp"

#include "protocol/mqtt/eight_bytes.hpp"
#include "protocol/mqtt/topic.hpp"
#include "protocol/wire/bytes.hpp"

#include <algorithm>
#include <array>

namespace linnet::mqtt {
namespace {

// How one side writes levels down: what separates them, and what it escapes within one.
struct escape {
    char character;
    std::string_view code;
};
struct spelling {
    char separator;
    std::array<escape, 3> escapes;  // the separator among them
};
constexpr spelling of_topics{'/', {{{'/', "2F"}, {'+', "2B"}, {'#', "23"}}}};
constexpr spelling of_keys{'.', {{{'.', "2E"}, {'*', "2A"}, {'#', "23"}}}};

// The high bit of each byte that is `c`, and no other.
[[nodiscard]] constexpr std::uint64_t bytes_that_are(char c, std::uint64_t word) noexcept {
    const std::uint64_t x = word ^ ones * static_cast<std::uint8_t>(c);
    return ~(((x & ~high_bits) + ~high_bits) | x) & high_bits;
}

static_assert(('/' ^ '.') == 1, "one bit turns the separators into one another");

// Replaces separators in texts that hold nothing to escape, as nearly all do.
void replace_separators(std::string_view text, char from, char to, std::string& out) {
    out.resize(text.size());
    std::size_t at = 0;
    for (; text.size() - at >= 8; at += 8) {
        std::uint64_t word = 0;
        std::copy_n(text.data() + at, 8, reinterpret_cast<char*>(&word));
        word ^= bytes_that_are(from, word) >> 7;
        std::copy_n(reinterpret_cast<const char*>(&word), 8, out.data() + at);
    }
    for (; at < text.size(); ++at)
        out[at] = text[at] == from ? to : text[at];
}

// Whether any of the characters occurs.
template <std::size_t Count>
[[nodiscard]] bool holds_any(std::string_view text, const std::array<char, Count>& characters) noexcept {
    std::uint64_t found = 0;
    std::size_t at = 0;
    for (; text.size() - at >= 8; at += 8) {
        const auto word = wire::load<std::uint64_t>(wire::as_bytes(text).data() + at);
        for (const char c : characters)
            found |= bytes_that_are(c, word);
    }
    for (; at < text.size(); ++at) {
        for (const char c : characters)
            found |= text[at] == c ? 1 : 0;
    }
    return found != 0;
}

[[nodiscard]] const escape* with_code(const spelling& side, std::string_view code) noexcept {
    const auto* found = std::find_if(side.escapes.begin(), side.escapes.end(),
                                     [code](const escape& each) { return each.code == code; });
    return found == side.escapes.end() ? nullptr : found;
}

[[nodiscard]] const escape* of_character(const spelling& side, char c) noexcept {
    const auto* found = std::find_if(side.escapes.begin(), side.escapes.end(),
                                     [c](const escape& each) { return each.character == c; });
    return found == side.escapes.end() ? nullptr : found;
}

// What a '%' is to that side, by what follows it: any number of "25", then a code.
struct percent {
    const escape* found = nullptr;  // none: just a '%'
    bool is_quoted = false;         // with a "25": literal text that looks like an escape
};
[[nodiscard]] percent read_percent(const spelling& side, std::string_view following) noexcept {
    std::size_t at = 0;
    while (following.substr(at, 2) == "25")
        at += 2;
    return {with_code(side, following.substr(at, 2)), at > 0};
}

// The characters that are not just copied from one side to the other; a filter's wildcards among them.
struct character_set {
    std::array<bool, 256> holds{};

    constexpr character_set(const spelling& from, const spelling& to) noexcept {
        holds['%'] = holds['+'] = true;
        holds[static_cast<std::uint8_t>(from.separator)] = true;
        for (const escape& each : to.escapes)
            holds[static_cast<std::uint8_t>(each.character)] = true;
    }
    // How many bytes the text has before the first of them.
    [[nodiscard]] std::size_t none_in(std::string_view text) const noexcept {
        const auto is_held = [this](char c) { return holds[static_cast<std::uint8_t>(c)]; };
        return static_cast<std::size_t>(std::find_if(text.begin(), text.end(), is_held) - text.begin());
    }
};
constexpr character_set not_copied_to_keys{of_topics, of_keys};
constexpr character_set not_copied_to_topics{of_keys, of_topics};

// Rewrites one side's text as the other's.
class rewriting {
public:
    static rewriting to_key(std::string& out) noexcept { return {of_topics, of_keys, not_copied_to_keys, out}; }
    static rewriting to_topic(std::string& out) noexcept { return {of_keys, of_topics, not_copied_to_topics, out}; }

    void run(std::string_view text) {
        for (out_->clear(); !text.empty();)
            text.remove_prefix(step(text));
    }
    // Of a filter, whose wildcards stand alone in their levels: they stay wildcards.
    void run_filter(std::string_view filter) {
        for (out_->clear(); !filter.empty();) {
            if (filter[0] == '+' || filter[0] == '#') {
                *out_ += filter[0] == '+' ? '*' : '#';
                filter.remove_prefix(1);
            } else {
                filter.remove_prefix(step(filter));
            }
        }
    }

private:
    rewriting(const spelling& from, const spelling& to, const character_set& special, std::string& out) noexcept
        : from_{&from}, to_{&to}, special_{&special}, out_{&out} {}

    // Returns how much of the text it has dealt with.
    std::size_t step(std::string_view text) {
        if (const std::size_t plain = special_->none_in(text); plain > 0) {
            out_->append(text.substr(0, plain));
            return plain;
        }
        const char c = text[0];
        if (c == from_->separator) {
            *out_ += to_->separator;
            return 1;
        }
        if (c != '%') {
            put(c);
            return 1;
        }
        const percent p = read_percent(*from_, text.substr(1));
        if (p.found != nullptr && !p.is_quoted) {
            put(p.found->character);
            return 3;
        }
        // A literal '%', whose quote (if any) goes. What follows it is not touched by either side: no escape
        // begins there, and what an escape stands for is no hexadecimal digit.
        const std::size_t read = p.found != nullptr ? 3 : 1;
        *out_ += read_percent(*to_, text.substr(read)).found != nullptr ? "%25" : "%";
        return read;
    }
    void put(char c) {
        const escape* special = of_character(*to_, c);
        if (special == nullptr) {
            *out_ += c;
        } else {
            *out_ += '%';
            *out_ += special->code;
        }
    }

    const spelling* from_;
    const spelling* to_;
    const character_set* special_;
    std::string* out_;
};

}  // namespace

void topic_to_key(std::string_view topic, name_mode mode, std::string& key) {
    if (mode == name_mode::rabbitmq || !holds_any(topic, std::array{'.', '*', '%'})) [[likely]]
        replace_separators(topic, '/', '.', key);
    else
        rewriting::to_key(key).run(topic);
}

bool key_to_topic(std::string_view key, name_mode mode, std::string& topic) {
    if (key.empty() || judge_string(key))
        return false;
    const bool plain = !holds_any(key, std::array{'/', '+', '#', '%'});
    if (plain) [[likely]] {
        replace_separators(key, '.', '/', topic);
    } else if (mode == name_mode::exact) {
        rewriting::to_topic(topic).run(key);
    } else {
        // Bare wildcards no topic name may hold; all else is replaced blindly.
        topic.clear();
        for (const char c : key) {
            if (c == '+' || c == '#')
                topic += c == '+' ? "%2B" : "%23";
            else
                topic += c == '.' ? '/' : c;
        }
    }
    return topic.size() <= string_bytes_max;
}

void filter_to_pattern(std::string_view filter, name_mode mode, std::string& pattern) {
    if (mode == name_mode::exact) {
        rewriting::to_key(pattern).run_filter(filter);
        return;
    }
    replace_separators(filter, '/', '.', pattern);
    std::replace(pattern.begin(), pattern.end(), '+', '*');
}

}  // namespace linnet::mqtt
