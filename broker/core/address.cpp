#include "broker/core/address.hpp"

namespace linnet::core {

namespace {

template <class F>
void for_each_level(std::string_view text, F&& f) {
    while (true) {
        const auto end = text.find('.');
        const bool last = end == std::string_view::npos;
        f(text.substr(0, end), last);
        if (last) {
            return;
        }
        text.remove_prefix(end + 1);
    }
}

// Behind a '%': what would read as an escape of a key's, or as one that is quoted.
[[nodiscard]] bool reads_as_escape(std::string_view following) noexcept {
    while (following.starts_with("25")) {
        following.remove_prefix(2);
    }
    return following.starts_with("2E") || following.starts_with("2A") || following.starts_with("23");
}

[[nodiscard]] pattern_level level_of(std::string_view text) noexcept {
    if (text == "*") {
        return {edge::one, {}};
    }
    if (text == "#") {
        return {edge::many0, {}};
    }
    return {edge::literal, text};
}

// Appends a run of wildcards in its one form: the single levels first, then at most one MANY0.
struct wildcard_run {
    std::size_t ones = 0;
    bool many = false;

    void append_to(std::vector<pattern_level>& levels, bool last) {
        const bool shortened = last && many && ones > 0;  // ONE MANY0 at the end is MANY1
        levels.insert(levels.end(), shortened ? ones - 1 : ones, {edge::one, {}});
        if (many) {
            levels.push_back({shortened ? edge::many1 : edge::many0, {}});
        }
        *this = {};
    }
};

}  // namespace

std::string level_text(std::string_view text) {
    std::string level;
    for (std::size_t i = 0; i < text.size(); ++i) {
        switch (text[i]) {
            case '.': level += "%2E"; break;
            case '*': level += "%2A"; break;
            case '#': level += "%23"; break;
            case '%': level += reads_as_escape(text.substr(i + 1)) ? "%25" : "%"; break;
            default: level += text[i];
        }
    }
    return level;
}

std::optional<pattern> parse_pattern(std::string_view text) {
    pattern p;
    if (text.empty()) {
        return p;
    }
    wildcard_run run;
    std::size_t count = 0;
    for_each_level(text, [&](std::string_view level, bool) {
        if (++count > pattern_levels_max) {
            return;
        }
        const auto parsed = level_of(level);
        switch (parsed.kind) {
            case edge::one: ++run.ones; break;
            case edge::many0:
            case edge::many1: run.many = true; break;
            case edge::literal: run.append_to(p.levels, false); p.levels.push_back(parsed);
        }
    });
    run.append_to(p.levels, true);
    return count > pattern_levels_max ? std::nullopt : std::optional(std::move(p));
}

}  // namespace linnet::core
