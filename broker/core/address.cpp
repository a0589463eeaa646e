#include "broker/core/address.hpp"

#include <array>

namespace linnet::core {

namespace {

constexpr std::array<std::string_view, 8> escapes{"%25", "%2E", "%2F", "%2A", "%23", "%2B", "%3E", "%20"};

// What would read as an escape must not become one by passing through.
[[nodiscard]] bool starts_with_escape(std::string_view text) noexcept {
    for (const auto e : escapes) {
        if (text.starts_with(e)) {
            return true;
        }
    }
    return false;
}

// Literal text of a level, written so that it holds neither separator nor wildcard of the core's.
void append_literal(std::string& to, std::string_view level) {
    for (std::size_t i = 0; i < level.size(); ++i) {
        switch (level[i]) {
            case '.': to += "%2E"; break;
            case '*': to += "%2A"; break;
            case '#': to += "%23"; break;
            case '%':
                to += starts_with_escape(level.substr(i)) ? std::string_view("%25") : std::string_view("%");
                break;
            default: to += level[i];
        }
    }
}

template <class F>
void for_each_level(std::string_view text, char separator, F&& f) {
    while (true) {
        const auto end = text.find(separator);
        const bool last = end == std::string_view::npos;
        f(text.substr(0, end), last);
        if (last) {
            return;
        }
        text.remove_prefix(end + 1);
    }
}

[[nodiscard]] std::string rewrite_key(std::string_view text, char separator) {
    std::string key;
    key.reserve(text.size());
    for_each_level(text, separator, [&](std::string_view level, bool last) {
        append_literal(key, level);
        if (!last) {
            key += '.';
        }
    });
    return key;
}

// A protocol's wildcards: the level that stands for one, and the last level that stands for the rest.
struct wildcards {
    char separator;
    std::string_view one;
    std::string_view rest;
    std::string_view rest_key;  // what the rest is called in a binding key
    bool empty_levels;
};
constexpr wildcards mqtt_words{'/', "+", "#", "#", true};
constexpr wildcards nats_words{'.', "*", ">", "*.#", false};

[[nodiscard]] std::optional<std::string> rewrite_filter(const wildcards& w, std::string_view filter) {
    std::string key;
    bool good = !filter.empty();
    for_each_level(filter, w.separator, [&](std::string_view level, bool last) {
        if (level == w.one) {
            key += '*';
        } else if (level == w.rest) {
            good = good && last;
            key += w.rest_key;
        } else {
            // [MQTT-4.7.1-2, -3] A wildcard occupies a level alone.
            const bool stray = w.separator == '/' && level.find_first_of("+#") != std::string_view::npos;
            good = good && !stray && (w.empty_levels || !level.empty());
            append_literal(key, level);
        }
        if (!last) {
            key += '.';
        }
    });
    return good ? std::optional(std::move(key)) : std::nullopt;
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

std::optional<pattern> parse_pattern(std::string_view text) {
    pattern p;
    if (text.empty()) {
        return p;
    }
    wildcard_run run;
    std::size_t count = 0;
    for_each_level(text, '.', [&](std::string_view level, bool) {
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

std::string key_from_mqtt(std::string_view topic) { return rewrite_key(topic, '/'); }
std::string key_from_nats(std::string_view subject) { return rewrite_key(subject, '.'); }

std::optional<std::string> binding_key_from(pattern_syntax syntax, std::string_view filter) {
    switch (syntax) {
        case pattern_syntax::amqp: return std::string(filter);
        case pattern_syntax::mqtt: return rewrite_filter(mqtt_words, filter);
        case pattern_syntax::nats: return rewrite_filter(nats_words, filter);
    }
    return std::nullopt;
}

}  // namespace linnet::core
