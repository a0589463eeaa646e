#include "broker/app/command_line.hpp"

#include "broker/app/build_info.hpp"
#include "broker/app/config_text.hpp"
#include "broker/app/password.hpp"
#include "broker/app/scram_verifier.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <iostream>
#include <sstream>

namespace linnet::app {
namespace {

struct flags {
    std::vector<std::string> files;
    std::vector<std::string> settings;
    std::vector<std::string> listeners;
    std::vector<std::string> shorthands;  // key.path=value, from --data-dir and its like
    std::string key;
    std::string hash_form;
    bool check = false;
    bool version = false;
    bool build_info = false;
    bool default_config = false;
    bool environment = false;
    bool salvage = false;
    std::optional<std::string> backup_to;
    std::optional<std::string> restore_from;
    bool quiet = false;
    bool json = false;
};

void add_shorthand(CLI::App& app, flags& f, const std::string& flag, const std::string& key, const std::string& help) {
    app.add_option_function<std::string>(
           flag, [&f, key](const std::string& value) { f.shorthands.push_back(key + '=' + value); },
           fmt::format("{} (--set {}=...)", help, key))
        ->group("Settings");
}

void describe_backup(CLI::App& app, flags& f) {
    constexpr auto group = "Backup";
    auto* to = app.add_option("--backup-to", f.backup_to,
                              "Copy the data folder, of a broker that runs or of none, into a new folder, and exit")
                   ->type_name("FOLDER")
                   ->group(group);
    app.add_option("--restore-from", f.restore_from,
                   "Make the data folder, which must be missing or empty, from a backup, and exit")
        ->type_name("FOLDER")
        ->group(group)
        ->excludes(to);
    app.add_flag("-q,--quiet", f.quiet, "Show no progress")->group(group);
    app.add_flag("--json", f.json, "Say what has been done as JSON")->group(group);
}

void describe(CLI::App& app, flags& f) {
    app.set_help_flag("-h,--help", "Print this and exit");
    app.add_flag("-V,--version", f.version, "Print the version and exit");
    app.add_flag("--build-info", f.build_info, "Print how this was built and exit");

    app.add_option("-c,--config", f.files, "Configuration file; may be repeated, later ones win")
        ->type_name("FILE")
        ->take_all()
        ->group("Configuration");
    app.add_option("--set", f.settings, "Set one key; may be repeated")
        ->type_name("KEY.PATH=VALUE")
        ->take_all()
        ->group("Configuration");
    app.add_flag("-t,--check-config,--test-config", f.check,
                 "Check the configuration and exit: 0, or 78 if it is wrong")
        ->group("Configuration");
    app.add_flag("--print-default-config", f.default_config, "Print every key at its default and exit")
        ->group("Configuration");
    app.add_flag("--print-env", f.environment, "Print the environment variable of every key and exit")
        ->group("Configuration");
    app.add_option("--hash-password", f.hash_form,
                   "Read a password from a line of standard input, print it as password_hash wants it and exit")
        ->type_name("FORM")
        ->check(CLI::IsMember({"argon2id", "scram-sha-256"}))
        ->group("Configuration");
    app.add_option("--explain", f.key, "Say what a key or a table is for and exit")
        ->type_name("KEY")
        ->group("Configuration");

    app.add_option("--listen", f.listeners, "Where to listen, in place of the configured listeners; may be repeated")
        ->type_name("PROTOCOL=ADDRESS:PORT")
        ->take_all()
        ->group("Settings");
    app.add_flag("--salvage", f.salvage,
                 "Start although the store is damaged: leave out exactly the bad records, and name them")
        ->group("Settings");
    describe_backup(app, f);
    add_shorthand(app, f, "--data-dir", "data_dir", "Where everything that outlives the process is kept");
    add_shorthand(app, f, "--shards", "shards", "Reactor threads; 0: one a core");
    add_shorthand(app, f, "--log-level", "log.level", "debug, info, warning, error or off");
    add_shorthand(app, f, "--log-format", "log.format", "text or json");
    add_shorthand(app, f, "--pid-file", "pid_file", "Where to write the process id");
    add_shorthand(app, f, "--ports-file", "ports_file", "Where to write the addresses really bound, as JSON");
}

action action_of(const flags& f) {
    if (f.version) {
        return action::print_version;
    }
    if (f.build_info) {
        return action::print_build_info;
    }
    if (f.default_config) {
        return action::print_default_config;
    }
    if (f.environment) {
        return action::print_environment;
    }
    if (!f.key.empty()) {
        return action::explain;
    }
    if (!f.hash_form.empty()) {
        return action::hash_password;
    }
    if (f.backup_to) {
        return action::back_up;
    }
    if (f.restore_from) {
        return action::restore;
    }
    return f.check ? action::check_config : action::run;
}

answer usage_answer(const CLI::App& app, const CLI::ParseError& error) {
    auto out = std::ostringstream{};
    auto err = std::ostringstream{};
    const bool asked_for = app.exit(error, out, err) == 0;  // --help
    return {asked_for ? exit_code::ok : exit_code::usage, out.str(), err.str()};
}

answer check_config(const config_sources& sources) {
    const auto loaded = load(sources);
    if (!loaded) {
        return {exit_code::config, {}, errors_text(loaded.error())};
    }
    auto warnings = std::string{};
    for (const auto& warning : loaded->warnings) {
        warnings += fmt::format("warning: {}\n", warning);
    }
    const auto files = loaded->files.empty() ? std::string{"the built-in configuration"}
                                             : fmt::format("{}", fmt::join(loaded->files, ", "));
    return {exit_code::ok, fmt::format("{} is valid ({})\n", files, loaded->digest), std::move(warnings)};
}

answer hash_password(const std::string& form) {
    constexpr std::uint32_t scram_iterations = 10'000;
    auto password = std::string{};
    if (!std::getline(std::cin, password) || password.empty()) {
        return {exit_code::usage, {}, "there is no password on standard input\n"};
    }
    const auto hash = form == "argon2id" ? argon2id(password) : scram_sha256(password, scram_iterations);
    return {exit_code::ok, hash + '\n', {}};
}

answer explain(const std::string& key) {
    if (auto text = explain_key(key)) {
        return {exit_code::ok, std::move(*text), {}};
    }
    const auto meant = nearest_key(key);
    return {
        exit_code::usage,
        {},
        fmt::format("unknown key \"{}\"{}\n", key, meant.empty() ? "" : fmt::format("; did you mean \"{}\"?", meant))};
}

}  // namespace

result<command_line, answer> parse_command_line(int argc, const char* const* argv, config_sources sources) {
    auto app = CLI::App{"Linnet, a lightweight multi-protocol message broker", "linnetd"};
    auto f = flags{};
    describe(app, f);
    try {
        app.parse(argc, argv);
    } catch (const CLI::ParseError& error) {
        return fail(usage_answer(app, error));
    }
    sources.files.insert(sources.files.end(), f.files.begin(), f.files.end());
    sources.settings.insert(sources.settings.end(), f.settings.begin(), f.settings.end());
    sources.settings.insert(sources.settings.end(), f.shorthands.begin(), f.shorthands.end());
    sources.listeners.insert(sources.listeners.end(), f.listeners.begin(), f.listeners.end());
    const auto what = action_of(f);
    return command_line{what,
                        std::move(sources),
                        std::move(f.key),
                        f.salvage,
                        std::move(what == action::restore ? f.restore_from : f.backup_to).value_or(""),
                        f.quiet,
                        f.json,
                        std::move(f.hash_form)};
}

std::optional<answer> answer_at_once(const command_line& line) {
    switch (line.what) {
        case action::run:
        case action::back_up:
        case action::restore: return std::nullopt;
        case action::check_config: return check_config(line.sources);
        case action::print_version: return answer{exit_code::ok, version_line() + '\n', {}};
        case action::print_build_info: return answer{exit_code::ok, build_info_text(), {}};
        case action::print_default_config: return answer{exit_code::ok, default_config_text(), {}};
        case action::print_environment: return answer{exit_code::ok, environment_text(), {}};
        case action::explain: return explain(line.key);
        case action::hash_password: return hash_password(line.hash_form);
    }
    return std::nullopt;
}

std::string errors_text(const std::vector<config_error>& errors) {
    auto text = std::string{};
    for (const auto& error : errors) {
        text += error.text() + '\n';
    }
    return text;
}

}  // namespace linnet::app
