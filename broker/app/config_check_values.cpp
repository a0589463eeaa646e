#include "broker/app/config_check.hpp"

#include "broker/app/config_values.hpp"
#include "broker/app/edit_distance.hpp"
#include "broker/app/toml_reader.hpp"
#include "broker/base/assert.hpp"
#include "broker/core/regex.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::app {
namespace {

using schema::checked_value;
using schema::kind;
using schema::section;

// A checked value, or the sentence that says what is wrong with it.
using outcome = result<checked_value, std::string>;

std::string suggestion(std::string_view wrong, std::span<const std::string_view> names) {
    const auto meant = closest(wrong, names);
    return meant.empty() ? std::string{} : fmt::format("; did you mean \"{}\"?", meant);
}

std::string listed(std::span<const std::string_view> names) {
    return fmt::format("\"{}\"", fmt::join(names, "\", \""));
}

outcome expected(std::string_view what, const node& n) {
    if (const auto* text = n.as_text()) {
        return fail(fmt::format("expected {}, got \"{}\"", what, *text));
    }
    return fail(fmt::format("expected {}, got {}", what, n.kind_name()));
}

outcome in_range(std::int64_t value, const schema::key& key, std::string (*format)(std::int64_t)) {
    if (key.max != 0 && (value < key.min || value > key.max)) {
        return fail(fmt::format("{} is out of range ({} to {})", format(value), format(key.min), format(key.max)));
    }
    return value;
}

std::string format_integer(std::int64_t value) { return std::to_string(value); }

outcome read_boolean(const schema::key&, const node& n) {
    if (const auto* value = std::get_if<bool>(&n.value)) {
        return *value;
    }
    if (const auto* text = n.as_text(); text != nullptr && n.untyped && (*text == "true" || *text == "false")) {
        return *text == "true";
    }
    return expected("true or false", n);
}

outcome read_integer(const schema::key& key, const node& n) {
    if (const auto* value = std::get_if<std::int64_t>(&n.value)) {
        return in_range(*value, key, format_integer);
    }
    if (const auto* text = n.as_text(); text != nullptr && n.untyped) {
        if (const auto value = parse_integer(*text)) {
            return in_range(*value, key, format_integer);
        }
    }
    return expected("an integer", n);
}

outcome read_duration(const schema::key& key, const node& n) {
    constexpr auto what = "a duration such as \"30s\", \"500ms\" or \"1h30m\"";
    // A bare number has no unit, except none at all.
    if (const auto* value = std::get_if<std::int64_t>(&n.value); value != nullptr && *value == 0) {
        return in_range(0, key, format_duration);
    }
    const auto* text = n.as_text();
    const auto value = text != nullptr ? parse_duration_ms(*text) : std::nullopt;
    return value ? in_range(*value, key, format_duration) : expected(what, n);
}

outcome read_size(const schema::key& key, const node& n) {
    if (const auto* value = std::get_if<std::int64_t>(&n.value)) {
        return in_range(*value, key, format_size);
    }
    const auto* text = n.as_text();
    const auto value = text != nullptr ? parse_size_bytes(*text) : std::nullopt;
    return value ? in_range(*value, key, format_size) : expected("a size such as \"64MiB\", or bytes", n);
}

outcome read_percentage(const schema::key&, const node& n) {
    const auto* text = n.as_text();
    const auto value = text != nullptr ? parse_percentage(*text) : std::nullopt;
    return value ? outcome{std::int64_t{*value}} : expected("a percentage such as \"60%\"", n);
}

outcome read_memory(const schema::key&, const node& n) {
    constexpr auto what = "a percentage such as \"60%\", or a size such as \"512MiB\"";
    const auto* text = n.as_text();
    if (const auto percent = text != nullptr ? parse_percentage(*text) : std::nullopt; percent && *percent > 0) {
        return memory_amount{*percent, 0};
    }
    auto bytes = text != nullptr ? parse_size_bytes(*text) : std::nullopt;
    if (const auto* value = std::get_if<std::int64_t>(&n.value)) {
        bytes = *value;
    }
    return bytes && *bytes > 0 ? outcome{memory_amount{0, static_cast<std::uint64_t>(*bytes)}} : expected(what, n);
}

outcome read_text(const schema::key& key, const node& n) {
    const auto* text = n.as_text();
    if (text == nullptr) {
        return expected("a string", n);
    }
    if (key.required && text->empty()) {
        return fail(std::string{"must not be empty"});
    }
    if (key.secret && text->empty()) {
        return fail(std::string{"must not be empty: an empty secret protects nothing"});
    }
    return *text;
}

result<std::int64_t, std::string> choice_index(const schema::key& key, std::string_view text) {
    const auto it = std::ranges::find(key.choices, text);
    if (it == key.choices.end()) {
        return fail(fmt::format("\"{}\" is not one of {}{}", text, listed(key.choices), suggestion(text, key.choices)));
    }
    return it - key.choices.begin();
}

outcome read_choice(const schema::key& key, const node& n) {
    const auto* text = n.as_text();
    if (text == nullptr) {
        return expected(fmt::format("one of {}", listed(key.choices)), n);
    }
    return choice_index(key, *text);
}

// An array of strings; or, where there are no types, words with commas between.
result<std::vector<std::string>, std::string> words_of(const node& n) {
    auto words = std::vector<std::string>{};
    if (const auto* text = n.as_text(); text != nullptr && n.untyped) {
        auto rest = std::string_view{*text};
        while (!rest.empty()) {
            const auto comma = rest.find(',');
            words.emplace_back(rest.substr(0, comma));
            rest.remove_prefix(comma == std::string_view::npos ? rest.size() : comma + 1);
        }
        return words;
    }
    const auto* array = n.as_array();
    if (array == nullptr) {
        return fail(expected("an array of strings", n).error());
    }
    for (const auto& element : *array) {
        if (element.as_text() == nullptr) {
            return fail(expected("an array of strings", element).error() + " in it");
        }
        words.push_back(*element.as_text());
    }
    return words;
}

outcome read_text_list(const schema::key&, const node& n) {
    auto words = words_of(n);
    if (!words) {
        return fail(words.error());
    }
    return std::move(*words);
}

outcome read_choice_list(const schema::key& key, const node& n) {
    const auto words = words_of(n);
    if (!words) {
        return fail(words.error());
    }
    auto indexes = std::vector<std::int64_t>{};
    for (const auto& word : *words) {
        const auto index = choice_index(key, word);
        if (!index) {
            return fail(index.error());
        }
        if (std::ranges::find(indexes, *index) != indexes.end()) {
            return fail(fmt::format("\"{}\" stands there twice", word));
        }
        indexes.push_back(*index);
    }
    if (static_cast<std::int64_t>(indexes.size()) < key.min) {
        return fail(std::string{"must not be empty"});
    }
    return indexes;
}

outcome read_address(const schema::key&, const node& n) {
    const auto* text = n.as_text();
    auto address = text != nullptr ? parse_bind_address(*text) : std::nullopt;
    if (!address) {
        return expected("a numeric address and a port, such as \"0.0.0.0:5672\" or \"[::]:5672\"", n);
    }
    return std::move(*address);
}

outcome read_expression(const schema::key& key, const node& n) {
    auto text = read_text(key, n);
    // By the engine that will run it: others disagree on what "{username}" or "(?i)" means.
    if (text && !core::regex::compile(std::get<std::string>(*text))) {
        return fail(fmt::format("\"{}\" is not a regular expression", std::get<std::string>(*text)));
    }
    return text;
}

result<policy_value, std::string> definition_value(const node& n) {
    if (const auto* value = std::get_if<bool>(&n.value)) {
        return *value;
    }
    if (const auto* value = std::get_if<std::int64_t>(&n.value)) {
        return *value;
    }
    if (const auto* value = std::get_if<double>(&n.value)) {
        return *value;
    }
    if (const auto* value = n.as_text()) {
        return *value;
    }
    auto words = words_of(n);
    if (!words) {
        return fail(std::string{"expected a boolean, a number, a string or an array of strings"});
    }
    return std::move(*words);
}

outcome read_definition(const schema::key&, const node& n) {
    auto parsed = result<node, config_error>{n};
    if (const auto* text = n.as_text(); text != nullptr && n.untyped) {
        parsed = read_toml("definition = " + *text, "definition");
        if (!parsed) {
            return fail(fmt::format("expected a table such as {{ max-length = 1000 }}: {}", parsed.error().what));
        }
        parsed = node{parsed->as_table()->front().value};
    }
    const auto* table = parsed->as_table();
    if (table == nullptr || table->empty()) {
        return expected("a table with at least one argument", n);
    }
    auto definition = policy_definition{};
    for (const auto& e : *table) {
        auto value = definition_value(e.value);
        if (!value) {
            return fail(fmt::format("\"{}\": {}", e.key, value.error()));
        }
        definition.emplace_back(e.key, std::move(*value));
    }
    return definition;
}

outcome read_value(const schema::key& key, const node& n) {
    switch (key.type) {
        case kind::boolean: return read_boolean(key, n);
        case kind::integer: return read_integer(key, n);
        case kind::duration: return read_duration(key, n);
        case kind::size: return read_size(key, n);
        case kind::percentage: return read_percentage(key, n);
        case kind::memory: return read_memory(key, n);
        case kind::text: return read_text(key, n);
        case kind::choice: return read_choice(key, n);
        case kind::choice_list: return read_choice_list(key, n);
        case kind::text_list: return read_text_list(key, n);
        case kind::address: return read_address(key, n);
        case kind::expression: return read_expression(key, n);
        case kind::definition: return read_definition(key, n);
    }
    return fail(std::string{"has no type"});
}

class checker {
public:
    checker(const environment& variables, places& where, std::vector<placed_error>& errors)
        : variables_{variables}, where_{where}, errors_{errors} {}

    void check(const node::table& tree, config& into) {
        report_unknown_at_top(tree);
        for (const auto& s : schema::sections()) {
            const auto* said = s.name.empty() ? nullptr : find(tree, s.name);
            if (s.repeated) {
                check_elements(s, said, into);
                continue;
            }
            auto* owner = s.open(&into);
            store_defaults(s, owner);
            const auto* table = s.name.empty() ? &tree : said != nullptr ? said->value.as_table() : nullptr;
            if (said != nullptr && table == nullptr) {
                errors_.push_back(
                    {said->value.at, fmt::format("\"{}\": expected a table, got {}", s.name, said->value.kind_name())});
            }
            check_table(s, owner, table != nullptr ? *table : node::table{}, std::string{s.name});
        }
    }

private:
    void report(const position& at, std::string_view path, std::string_view what) {
        errors_.push_back({at, fmt::format("{}: {}", path, what)});
    }

    void report_unknown(const entry& e, const section& s, bool with_sections) {
        auto secret_files = std::vector<std::string>{};
        auto names = std::vector<std::string_view>{};
        for (const auto& key : s.keys) {
            names.push_back(key.name);
            if (key.secret) {
                secret_files.push_back(std::string{key.name} + "_file");
            }
        }
        names.insert(names.end(), secret_files.begin(), secret_files.end());
        for (const auto& other : schema::sections()) {
            if (with_sections && !other.name.empty()) {
                names.push_back(other.name);
            }
        }
        errors_.push_back({e.at, fmt::format("unknown key \"{}\"{}", e.key, suggestion(e.key, names))});
    }

    void report_unknown_at_top(const node::table& tree) {
        const auto& top = schema::sections().front();
        for (const auto& e : tree) {
            if (schema::find_key(top, e.key) == nullptr && schema::find_section(e.key) == nullptr) {
                report_unknown(e, top, true);
            }
        }
    }

    void store_defaults(const section& s, void* owner) {
        for (const auto& key : s.keys) {
            if (key.fallback.empty()) {
                continue;
            }
            auto parsed = read_toml(fmt::format("v = {}", key.fallback), key.name);
            LINNET_ASSERT(parsed.has_value(), "the default of {} is not TOML", key.name);
            auto& value = parsed->as_table()->front().value;
            if (auto* text = std::get_if<std::string>(&value.value)) {
                *text = *interpolate(*text, variables_);
            }
            auto checked = read_value(key, value);
            LINNET_ASSERT(checked.has_value(), "the default of {} is refused: {}", key.name, checked.error());
            key.at.store(owner, std::move(*checked));
        }
    }

    void check_elements(const section& s, const entry* said, config& into) {
        if (said == nullptr) {
            return;
        }
        const auto* array = said->value.as_array();
        if (array == nullptr) {
            errors_.push_back({said->at, fmt::format("there may be several: write [[{}]]", s.name)});
            return;
        }
        auto seen = std::vector<std::pair<std::vector<std::string>, position>>{};
        for (std::size_t i = 0; i < array->size(); ++i) {
            const auto& element = (*array)[i];
            const auto path = fmt::format("{}[{}]", s.name, i);
            const auto* table = element.as_table();
            if (table == nullptr) {
                report(element.at, path, fmt::format("expected a table, got {}", element.kind_name()));
                continue;
            }
            where_.insert_or_assign(path, element.at);
            auto* owner = s.open(&into);
            store_defaults(s, owner);
            check_table(s, owner, *table, path);
            report_missing(s, element, *table);
            report_duplicate(s, element, *table, seen);
        }
    }

    void report_missing(const section& s, const node& element, const node::table& table) {
        for (const auto& key : s.keys) {
            if (key.required && find(table, key.name) == nullptr) {
                errors_.push_back({element.at, fmt::format("[[{}]] needs \"{}\"", s.name, key.name)});
            }
        }
    }

    void report_duplicate(const section& s, const node& element, const node::table& table,
                          std::vector<std::pair<std::vector<std::string>, position>>& seen) {
        auto identity = std::vector<std::string>{};
        for (auto name : s.identity) {
            const auto* e = find(table, name);
            const auto* text = e != nullptr ? e->value.as_text() : nullptr;
            const auto* key = schema::find_key(s, name);
            if (text != nullptr) {
                identity.push_back(*text);
            } else if (!key->fallback.empty()) {
                identity.emplace_back(key->fallback.substr(1, key->fallback.size() - 2));
            }
        }
        if (identity.size() < s.identity.size() || identity.empty()) {
            return;  // it has no name, or lacks one and has been told so
        }
        const auto first = std::ranges::find(seen, identity, &std::pair<std::vector<std::string>, position>::first);
        if (first == seen.end()) {
            seen.emplace_back(std::move(identity), element.at);
            return;
        }
        errors_.push_back({element.at, fmt::format("duplicate {} \"{}\"; the first is at {}", s.name,
                                                   fmt::join(identity, "\" \""), first->second.text())});
    }

    // `path` is "" at the top level, else "limits", "user[1]", "listener[0].tls".
    void check_table(const section& s, void* owner, const node::table& table, const std::string& path) {
        for (const auto& e : table) {
            if (const auto* key = schema::find_key(s, e.key)) {
                check_key(*key, e, owner, path);
            } else if (const auto* secret = secret_of(s, e.key)) {
                check_secret_file(*secret, e, owner, path);
            } else if (!path.empty()) {
                report_unknown(e, s, false);
            }
        }
        for (const auto& key : s.keys) {
            if (!key.excludes.empty()) {
                report_excluded(s, key, table, path);
            }
            if (key.secret) {
                read_credential(key, owner, table, path);
            }
        }
    }

    [[nodiscard]] static std::string join(const std::string& path, std::string_view name) {
        return path.empty() ? std::string{name} : fmt::format("{}.{}", path, name);
    }

    void check_key(const schema::key& key, const entry& e, void* owner, const std::string& path) {
        const auto full = join(path, key.name);
        where_.insert_or_assign(full, e.value.at);
        if (const auto* table = e.value.as_table(); table != nullptr && key.table != nullptr) {
            check_table(*key.table, key.table->open(owner), *table, full);
            return;
        }
        auto checked = read_value(key, e.value);
        if (!checked) {
            report(e.value.at, full, key.secret ? "expected a string that is not empty" : checked.error());
            return;
        }
        key.at.store(owner, std::move(*checked));
    }

    // password_file -> the row of password.
    [[nodiscard]] static const schema::key* secret_of(const section& s, std::string_view name) {
        if (!name.ends_with("_file")) {
            return nullptr;
        }
        const auto* key = schema::find_key(s, name.substr(0, name.size() - 5));
        return key != nullptr && key->secret ? key : nullptr;
    }

    void check_secret_file(const schema::key& key, const entry& e, void* owner, const std::string& path) {
        const auto full = join(path, e.key);
        const auto* file = e.value.as_text();
        if (file == nullptr) {
            report(e.value.at, full, "expected the name of a file");
            return;
        }
        auto why = std::string{};
        auto secret = read_secret_file(*file, why);
        if (!secret) {
            report(e.value.at, full, fmt::format("\"{}\" cannot be read: {}", *file, why));
        } else if (secret->empty()) {
            report(e.value.at, full, fmt::format("\"{}\" is empty: an empty secret protects nothing", *file));
        } else {
            where_.insert_or_assign(join(path, key.name), e.value.at);
            key.at.store(owner, std::move(*secret));
        }
    }

    void report_excluded(const section& s, const schema::key& key, const node::table& table, const std::string& path) {
        const auto file = std::string{key.name} + "_file";
        const auto* value = find(table, key.name);
        const auto* from_file = key.secret ? find(table, file) : nullptr;
        const auto* other = find(table, key.excludes);
        if (value != nullptr && from_file != nullptr) {
            report(from_file->at, join(path, file), fmt::format("excludes \"{}\", which is set too", key.name));
        }
        // Reported once: at the secret of the two, or at the older name.
        const auto* rival = schema::find_key(s, key.excludes);
        const bool at_this = key.secret || (!rival->secret && &key < rival);
        if (at_this && other != nullptr && (value != nullptr || from_file != nullptr)) {
            report(other->at, join(path, key.excludes), fmt::format("excludes \"{}\", which is set too", key.name));
        }
    }

    // systemd's LoadCredential=: $CREDENTIALS_DIRECTORY/tls.key_password, .../user.NAME.password
    void read_credential(const schema::key& key, void* owner, const node::table& table, const std::string& path) {
        const auto directory = variables_.find("CREDENTIALS_DIRECTORY");
        const bool said = find(table, key.name) != nullptr || find(table, std::string{key.name} + "_file") != nullptr ||
                          find(table, key.excludes) != nullptr;
        if (directory == variables_.end() || said) {
            return;
        }
        auto name = path;
        if (const auto bracket = path.find('['); bracket != std::string::npos) {
            const auto* named = find(table, "name");
            const auto* text = named != nullptr ? named->value.as_text() : nullptr;
            if (text == nullptr || text->find('/') != std::string::npos) {
                return;
            }
            name = path.substr(0, bracket) + '.' + *text;
        }
        auto why = std::string{};
        if (auto secret = read_secret_file(fmt::format("{}/{}", directory->second, join(name, key.name)), why);
            secret && !secret->empty()) {
            key.at.store(owner, std::move(*secret));
        }
    }

    const environment& variables_;
    places& where_;
    std::vector<placed_error>& errors_;
};

}  // namespace

void check_values(const node::table& tree, const environment& variables, config& into, places& where,
                  std::vector<placed_error>& errors) {
    checker{variables, where, errors}.check(tree, into);
}

}  // namespace linnet::app
