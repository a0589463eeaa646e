// What most commands begin and end with: whom to ask, and how to show what was answered.
#pragma once

#include "clients/cli/command.hpp"
#include "clients/cli/management.hpp"
#include "clients/cli/records.hpp"

namespace linnet::cli {

// The broker that a command is about, by all ways that lead to it.
struct target {
    server_uri api;
    server_uri amqp;
    server_uri mqtt;
    std::string vhost = "/";
    std::chrono::milliseconds timeout{10'000};

    [[nodiscard]] management connect() const { return {api, timeout}; }
};

// From --url, --context, the environment and the context in use, in this order. --amqp-url and --mqtt-url say where
// these are, if they are not where they usually are.
[[nodiscard]] result<target> target_of(const invocation& call);

[[nodiscard]] record_view view_of(const invocation& call);

// Prints; each answers the command's exit code.
exit_code show_rows(const invocation& call, json_value rows, const std::vector<column>& columns);
exit_code show_object(const invocation& call, const json_value& object, const std::vector<column>& columns);

// Calls show() once, or with --watch until the program is ended.
exit_code shown_repeatedly(const invocation& call, const std::function<exit_code()>& show);

// On standard error, unless --quiet.
void tell(const invocation& call, const std::string& sentence);

// Before what cannot be undone: --yes, or an answer at the terminal.
[[nodiscard]] result<void> confirmed(const invocation& call, const std::string& question);

// Opens the API for act(); what it says ends as the exit code. With --dry-run act() must not change anything.
exit_code with_api(const invocation& call, const std::function<result<void>(management&, const target&)>& act);

// Whether colour and redrawing are wanted there: a terminal, and no NO_COLOR.
[[nodiscard]] bool is_lively(int fd);

}  // namespace linnet::cli
