#pragma once

#include "broker/app/config.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

// The one table of configuration keys.
//
// Everything about a key stands in its row: name, type, bounds, default, what it is for, whether a
// reload can change it, and where the value goes. Reading, error texts, environment names, the printed
// default configuration and `--explain` walk this table; none of them knows a key by name.

namespace linnet::app::schema {

enum class kind : std::uint8_t {
    boolean,
    integer,
    duration,    // "30s"
    size,        // "64MiB" or bytes
    percentage,  // "60%"
    memory,      // "60%" or a size
    text,
    choice,       // one of `choices`
    choice_list,  // some of `choices`
    text_list,
    address,     // "0.0.0.0:5672"
    expression,  // a regular expression
    definition,  // a table of scalars and lists of text
};

enum class takes_effect : std::uint8_t { on_reload, on_restart };

// A value that has passed the checks of its kind. A choice is its index; durations are milliseconds.
using checked_value = std::variant<bool, std::int64_t, std::string, std::vector<std::string>, std::vector<std::int64_t>,
                                   bind_address, memory_amount, policy_definition>;

// Where a value lives in the section's object.
struct access {
    void (*store)(void* owner, checked_value&& value);
    bool (*same)(const void* a, const void* b);
};

struct section;

struct key {
    std::string_view name;
    kind type;
    std::string_view fallback;  // the default as it would be written in TOML; empty: none
    std::string_view description;
    access at;
    takes_effect when = takes_effect::on_reload;
    std::int64_t min = 0;
    std::int64_t max = 0;
    std::span<const std::string_view> choices{};
    bool required = false;
    // May also come from a file (`<name>_file`) or a systemd credential, and is never printed.
    bool secret = false;
    // Another way to say the same thing; both in one source is an error.
    std::string_view excludes{};
    // The key may be a table of this section instead (`tls = true` or `[listener.tls]`).
    const section* table = nullptr;
    std::string_view example{};  // what the printed configuration shows where there is no default
};

// A table, or an array of tables. `open` gives the object that its keys are stored in; for an array it
// appends one.
struct section {
    std::string_view name;  // empty: the top level
    std::string_view description;
    std::span<const key> keys;
    void* (*open)(void* owner);
    bool repeated = false;
    // The keys that tell elements of an array apart. Empty: every element is its own.
    std::span<const std::string_view> identity{};
};

// The top level first, then tables, then arrays of tables in the order in which they depend on each other.
[[nodiscard]] std::span<const section> sections();

[[nodiscard]] const section* find_section(std::string_view name);
[[nodiscard]] const key* find_key(const section& s, std::string_view name);

// "limits.connections", "listener.tls.cert_file" -> the key, or null.
[[nodiscard]] const key* find_path(std::string_view path);

// "limits.connections" -> "LINNET_LIMITS__CONNECTIONS".
[[nodiscard]] std::string environment_name(std::string_view path);

}  // namespace linnet::app::schema
