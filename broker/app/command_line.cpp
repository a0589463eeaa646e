#include "broker/app/command_line.hpp"

#include "broker/app/build_info.hpp"
#include "broker/app/config_text.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <sstream>

namespace linnet::app {
namespace {

struct flags {
    std::vector<std::string> files;
    std::vector<std::string> settings;
    std::vector<std::string> listeners;
    std::vector<std::string> shorthands;  // key.path=value, from --data-dir and its like
    std::string key;
    bool check = false;
    bool version = false;
    bool build_info = false;
    bool default_config = false;
    bool environment = false;
};

void add_shorthand(CLI::App& app, flags& f, const std::string& flag, const std::string& key, const std::string& help) {
    app.add_option_function<std::string>(
           flag, [&f, key](const std::string& value) { f.shorthands.push_back(key + '=' + value); },
           fmt::format("{} (--set {}=...)", help, key))
        ->group("Settings");
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
    app.add_option("--explain", f.key, "Say what a key or a table is for and exit")
        ->type_name("KEY")
        ->group("Configuration");

    app.add_option("--listen", f.listeners, "Where to listen, in place of the configured listeners; may be repeated")
        ->type_name("PROTOCOL=ADDRESS:PORT")
        ->take_all()
        ->group("Settings");
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
    return command_line{action_of(f), std::move(sources), std::move(f.key)};
}

std::optional<answer> answer_at_once(const command_line& line) {
    switch (line.what) {
        case action::run: return std::nullopt;
        case action::check_config: return check_config(line.sources);
        case action::print_version: return answer{exit_code::ok, version_line() + '\n', {}};
        case action::print_build_info: return answer{exit_code::ok, build_info_text(), {}};
        case action::print_default_config: return answer{exit_code::ok, default_config_text(), {}};
        case action::print_environment: return answer{exit_code::ok, environment_text(), {}};
        case action::explain: return explain(line.key);
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
