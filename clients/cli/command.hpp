// What `linnet` can do, as data: the parser, the help, the completions and the manual page all read these tables.
#pragma once

#include "clients/cli/exit_code.hpp"

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {

struct word_spec {
    std::string name;
    std::string help;
    bool required = true;
    bool repeated = false;  // the last one may be
};

struct option_spec {
    std::string name;   // "--durable", "-p,--vhost"
    std::string value;  // placeholder; empty: a flag. In brackets: may be left out
    std::string help;
    std::vector<std::string> choices{};
};

// Groups of options that many commands share.
enum class option_group : std::uint8_t {
    broker = 1,   // which broker: --url, --context, --vhost, --timeout
    rows = 2,     // how rows are shown
    object = 4,   // how one object is shown
    changes = 8,  // --dry-run, --quiet
    danger = 16   // --yes
};

class invocation;

struct command_spec {
    std::string noun;
    std::string verb;  // empty: the noun is the whole command
    std::string help;
    std::vector<option_group> groups;
    std::vector<word_spec> words;
    std::vector<option_spec> options;
    exit_code (*run)(const invocation&);
};

// Runs the command. An answer that is JSON and yet none of the API's ends as bad_data.
exit_code obey(const invocation& call);

[[nodiscard]] const std::vector<option_spec>& options_of(option_group group);
// What a noun is about, for its own help.
[[nodiscard]] std::string_view help_of_noun(std::string_view noun);
// All of them, in the order of the help.
[[nodiscard]] std::vector<command_spec> all_commands();

// The tables, one a file.
[[nodiscard]] std::vector<command_spec> context_commands();
[[nodiscard]] std::vector<command_spec> listing_commands();
[[nodiscard]] std::vector<command_spec> topology_commands();
[[nodiscard]] std::vector<command_spec> access_commands();
[[nodiscard]] std::vector<command_spec> message_commands();
[[nodiscard]] std::vector<command_spec> transfer_commands();
[[nodiscard]] std::vector<command_spec> definition_commands();
[[nodiscard]] std::vector<command_spec> mqtt_commands();
[[nodiscard]] std::vector<command_spec> top_commands();
[[nodiscard]] std::vector<command_spec> doctor_commands();

// What the person has typed, by the names of the table.
class invocation {
public:
    explicit invocation(const command_spec& what) : what_{&what} {}

    [[nodiscard]] const command_spec& command() const noexcept { return *what_; }
    // "queue ls"
    [[nodiscard]] std::string name() const;

    // Empty where it was not given.
    [[nodiscard]] std::string word(std::string_view name) const;
    [[nodiscard]] const std::vector<std::string>& words(std::string_view name) const;
    // By the long name, without dashes. A flag that is given has the value "true".
    [[nodiscard]] bool has(std::string_view option) const { return !values(option).empty(); }
    [[nodiscard]] std::string value(std::string_view option, std::string_view otherwise = {}) const;
    [[nodiscard]] const std::vector<std::string>& values(std::string_view option) const;

    void set_words(const std::string& name, std::vector<std::string> given) { words_[name] = std::move(given); }
    void set_option(const std::string& name, std::vector<std::string> given) { options_[name] = std::move(given); }

private:
    const command_spec* what_;
    std::map<std::string, std::vector<std::string>, std::less<>> words_;
    std::map<std::string, std::vector<std::string>, std::less<>> options_;
};

// "vhost" of "-p,--vhost".
[[nodiscard]] std::string long_name(const option_spec& option);

}  // namespace linnet::cli
