#include "broker/app/config_text.hpp"

#include "broker/app/config_schema.hpp"
#include "broker/app/config_values.hpp"
#include "broker/app/edit_distance.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <iterator>
#include <vector>

namespace linnet::app {
namespace {

using schema::key;
using schema::kind;
using schema::section;

constexpr std::size_t width = 100;

// Comment lines of at most `width` columns.
std::string wrapped(std::string_view text) {
    auto out = std::string{};
    auto line = std::string{"#"};
    while (!text.empty()) {
        const auto word = text.substr(0, text.find(' '));
        if (line.size() + 1 + word.size() > width) {
            out += line + '\n';
            line = "#";
        }
        line += ' ';
        line += word;
        text.remove_prefix(std::min(text.size(), word.size() + 1));
    }
    return out + line + '\n';
}

std::string format_bound(const key& k, std::int64_t value) {
    switch (k.type) {
        case kind::duration: return format_duration(value);
        case kind::size: return format_size(value);
        case kind::boolean:
        case kind::integer:
        case kind::percentage:
        case kind::memory:
        case kind::text:
        case kind::choice:
        case kind::choice_list:
        case kind::text_list:
        case kind::address:
        case kind::expression:
        case kind::definition: break;
    }
    return std::to_string(value);
}

std::string_view type_name(kind type) {
    switch (type) {
        case kind::boolean: return "boolean";
        case kind::integer: return "integer";
        case kind::duration: return "duration";
        case kind::size: return "size";
        case kind::percentage: return "percentage";
        case kind::memory: return "percentage or size";
        case kind::text: return "string";
        case kind::choice: return "choice";
        case kind::choice_list: return "array of choices";
        case kind::text_list: return "array of strings";
        case kind::address: return "address:port";
        case kind::expression: return "regular expression";
        case kind::definition: return "table";
    }
    return "";
}

// What a value may be, beyond its type: bounds or choices.
std::string range_text(const key& k) {
    if (!k.choices.empty()) {
        return fmt::format("\"{}\"", fmt::join(k.choices, "\", \""));
    }
    if (k.max != 0) {
        return fmt::format("{} to {}", format_bound(k, k.min), format_bound(k, k.max));
    }
    return {};
}

// An example tells more than a default where an element is shown that nobody has by default.
std::string_view shown_value(const key& k) { return k.example.empty() ? k.fallback : k.example; }

std::string key_text(const key& k) {
    auto description = std::string{k.description};
    if (!k.choices.empty()) {
        description += " One of: " + range_text(k) + '.';
    }
    auto out = wrapped(description);
    if (const auto value = shown_value(k); !value.empty()) {
        out += fmt::format("#{} = {}\n", k.name, value);
    } else {
        out += fmt::format("# {} = ...\n", k.name);
    }
    return out;
}

std::string section_text(const section& s) {
    auto out = std::string{};
    if (!s.name.empty()) {
        out += '\n' + wrapped(s.description);
        out += s.repeated ? fmt::format("#[[{}]]\n", s.name) : fmt::format("[{}]\n", s.name);
    }
    for (const auto& k : s.keys) {
        out += (s.repeated ? "" : "\n") + key_text(k);
    }
    return out;
}

constexpr std::string_view introduction =
    "# Linnet's configuration: every key, at its default.\n"
    "#\n"
    "# Remove the # before a key to change it. Later sources win: this file, conf.d/*.toml beside it,\n"
    "# the environment (limits.queues is LINNET_LIMITS__QUEUES, the first user's name LINNET_USER__0__NAME),\n"
    "# flags (--set limits.queues=100). Durations: \"500ms\", \"30s\", \"1h30m\". Sizes: \"64KiB\", \"128MiB\", or\n"
    "# bytes. Strings may hold ${VAR} and ${VAR:-default} from the environment. A secret can be read from a\n"
    "# file instead: <key>_file = \"...\". `linnetd --explain KEY` says more, `linnetd --check-config` checks.\n";

// Every key with its path: "shards", "limits.queues", "listener.tls.cert_file".
void each_key(const std::function<void(const std::string& path, const section&, const key&)>& visit) {
    const std::function<void(const std::string&, const section&)> walk = [&](const std::string& prefix,
                                                                             const section& s) {
        for (const auto& k : s.keys) {
            visit(prefix + std::string{k.name}, s, k);
            if (k.table != nullptr) {
                walk(prefix + std::string{k.name} + '.', *k.table);
            }
        }
    };
    for (const auto& s : schema::sections()) {
        walk(s.name.empty() ? std::string{} : std::string{s.name} + '.', s);
    }
}

// The environment names elements by their index: the first is 0.
std::string variable_for(const std::string& path) {
    const auto dot = path.find('.');
    const auto* s = dot == std::string::npos ? nullptr : schema::find_section(path.substr(0, dot));
    const auto indexed = s != nullptr && s->repeated ? path.substr(0, dot) + ".0" + path.substr(dot) : path;
    return schema::environment_name(indexed);
}

std::string explain(std::string_view path, const key& k) {
    auto out = fmt::format("{}\n  {}\n  type         {}\n", path, k.description, type_name(k.type));
    if (const auto range = range_text(k); !range.empty()) {
        out += fmt::format("  allowed      {}\n", range);
    }
    out += fmt::format("  default      {}\n", !k.fallback.empty() ? k.fallback
                                              : k.required        ? "none, required"
                                                                  : "none");
    out += fmt::format("  environment  {}\n", variable_for(std::string{path}));
    if (k.secret) {
        out += fmt::format("  from a file  {}_file = \"...\"\n", path.substr(path.rfind('.') + 1));
    }
    out += fmt::format("  takes effect {}\n",
                       k.when == schema::takes_effect::on_restart ? "at a restart" : "on reload (SIGHUP)");
    return out;
}

std::string explain(const section& s) {
    auto out = s.repeated ? fmt::format("[[{}]]\n", s.name) : fmt::format("[{}]\n", s.name);
    out += fmt::format("  {}\n", s.description);
    for (const auto& k : s.keys) {
        out += fmt::format("  {:<24} {}\n", k.name, k.description);
    }
    return out;
}

}  // namespace

std::string default_config_text() {
    auto out = std::string{introduction};
    for (const auto& s : schema::sections()) {
        out += section_text(s);
    }
    return out;
}

std::optional<std::string> explain_key(std::string_view path) {
    if (const auto* k = schema::find_path(path)) {
        return explain(path, *k);
    }
    const auto* s = path.empty() ? nullptr : schema::find_section(path);
    return s != nullptr ? std::optional{explain(*s)} : std::nullopt;
}

std::string nearest_key(std::string_view path) {
    auto names = std::vector<std::string>{};
    each_key([&](const std::string& name, const section&, const key&) { names.push_back(name); });
    for (const auto& s : schema::sections()) {
        names.emplace_back(s.name);
    }
    const auto views = std::vector<std::string_view>{names.begin(), names.end()};
    return std::string{closest(path, views)};
}

std::string environment_text() {
    auto out = std::string{};
    // As a shell would be given them: no quotes, lists as words with commas.
    const auto raw = [](std::string_view toml) {
        auto value = std::string{};
        std::ranges::copy_if(toml, std::back_inserter(value),
                             [](char c) { return std::string_view{"\"[] "}.find(c) == std::string_view::npos; });
        return value;
    };
    each_key([&](const std::string& path, const section&, const key& k) {
        out += fmt::format("{}={}\n", variable_for(path), raw(k.fallback));
        if (k.secret) {
            out += fmt::format("{}_FILE=\n", variable_for(path));
        }
    });
    return out;
}

}  // namespace linnet::app
