#include "clients/cli/command_tree.hpp"

#include "clients/cli/command.hpp"
#include "clients/cli/completion.hpp"
#include "clients/cli/config.hpp"
#include "clients/cli/health.hpp"
#include "clients/cli/man_page.hpp"
#include "clients/cli/status.hpp"
#include "clients/cli/version.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <map>
#include <memory>
#include <optional>

namespace linnet::cli {
namespace {

// The tree that CLI11 holds, and what to do once it has found the verb.
class tree {
public:
    explicit tree(const std::vector<foreign_command>& foreign) {
        app_.require_subcommand(1);
        app_.set_help_flag("-h,--help", "Print this and exit");
        app_.set_version_flag("-V,--version", version_line());
        add_broker_commands();
        commands_ = all_commands();
        for (const auto& command : commands_) {
            add_command(command);
        }
        add_config();
        add_backup();
        add_version();
        add_completion();
        add_man();
        for (const auto& command : foreign) {
            add_foreign(command);
        }
    }

    int run(int argc, const char* const* argv) {
        try {
            app_.parse(argc, argv);
        } catch (const CLI::ParseError& error) {
            return app_.exit(error) == 0 ? static_cast<int>(exit_code::ok) : static_cast<int>(exit_code::usage);
        }
        return action_();
    }

private:
    // What the verb's flags say is known only when the action runs, after parsing.
    void on(CLI::App* verb, std::function<exit_code()> act) {
        verb->callback([this, act = std::move(act)] { action_ = [act] { return static_cast<int>(act()); }; });
    }

    CLI::Option* choices(CLI::Option* option, std::vector<std::string> words) {
        option->check(CLI::IsMember(words));
        choices_[option] = std::move(words);
        return option;
    }

    void add_output_form(CLI::App* verb) {
        choices(verb->add_option_function<std::string>(
                    "-o,--output",
                    [this](const std::string& form) {
                        broker_.form = form == "json" ? output_form::json : output_form::table;
                    },
                    "The form of the output: table or json"),
                {"table", "json"});
    }

    void add_broker_command(const char* name, const char* help, exit_code (*act)(const broker_options&)) {
        auto* verb = app_.add_subcommand(name, help);
        verb->add_option("--url", broker_.url,
                         "amqp[s]://user:password@host:port/vhost; else $LINNET_URL, else this machine");
        verb->add_option_function<std::uint32_t>(
                "--timeout", [this](std::uint32_t ms) { broker_.timeout = std::chrono::milliseconds{ms}; },
                "Milliseconds after which a broker that says nothing is unreachable (5000)")
            ->check(CLI::Range(1, 3'600'000));
        add_output_form(verb);
        on(verb, [this, act] { return act(broker_); });
    }

    void add_broker_commands() {
        add_broker_command("status", "Show what a broker says about itself, and how fast it answers", show_status);
        add_broker_command("health", "Check whether a broker can be used: exit code 0 or 69", check_health);
    }

    // ---- What the tables say ----

    // A noun's own entry is made with its first verb.
    CLI::App* entry_of(const command_spec& command) {
        if (command.verb.empty()) {
            return app_.add_subcommand(command.noun, command.help);
        }
        auto& noun = nouns_[command.noun];
        if (noun == nullptr) {
            noun = app_.add_subcommand(command.noun, std::string{help_of_noun(command.noun)});
            noun->require_subcommand(1);
        }
        return noun->add_subcommand(command.verb, command.help);
    }

    void add_command(const command_spec& command) {
        auto* verb = entry_of(command);
        auto& call = calls_.emplace_back(std::make_unique<invocation>(command));
        for (const auto& word : command.words) {
            add_word(verb, *call, word);
        }
        for (const auto group : command.groups) {
            for (const auto& option : options_of(group)) {
                add_option(verb, *call, option);
            }
        }
        for (const auto& option : command.options) {
            add_option(verb, *call, option);
        }
        on(verb, [call = call.get()] { return obey(*call); });
    }

    void add_word(CLI::App* verb, invocation& call, const word_spec& spec) {
        const auto set = [&call, name = spec.name](std::vector<std::string> given) {
            call.set_words(name, std::move(given));
        };
        auto* option = spec.repeated ? verb->add_option_function<std::vector<std::string>>(spec.name, set, spec.help)
                                     : verb->add_option_function<std::string>(
                                           spec.name, [set](const std::string& word) { set({word}); }, spec.help);
        option->required(spec.required);
    }

    void add_option(CLI::App* verb, invocation& call, const option_spec& spec) {
        const auto set = [&call, name = long_name(spec)](std::vector<std::string> given) {
            call.set_option(name, std::move(given));
        };
        if (spec.value.empty()) {
            verb->add_flag_function(
                spec.name, [set](std::int64_t) { set({"true"}); }, spec.help);
            return;
        }
        const bool may_be_left_out = spec.value.starts_with('[');
        auto* option = verb->add_option_function<std::vector<std::string>>(
            spec.name,
            [set, may_be_left_out](const std::vector<std::string>& given) {
                const bool bare = may_be_left_out && (given.empty() || given.front().empty());
                set(bare ? std::vector<std::string>{"1"} : given);
            },
            spec.help);
        option->type_name(spec.value)->take_all();
        if (may_be_left_out) {
            option->expected(0, 1);
        } else {
            option->expected(1);
            option->allow_extra_args(false);
        }
        if (!spec.choices.empty()) {
            choices(option, spec.choices);
        }
    }

    void add_man() {
        auto* verb = app_.add_subcommand("man", "Print the manual page: `linnet man | man -l -`");
        on(verb, [this] {
            fmt::print("{}", man_page(describe(app_), version_line()));
            return exit_code::ok;
        });
    }

    void add_version() {
        auto* verb = app_.add_subcommand("version", "Show the version");
        add_output_form(verb);
        on(verb, [this] { return show_version(broker_.form); });
    }

    void add_config() {
        auto* noun = app_.add_subcommand("config", "Show and check the daemon's configuration");
        noun->require_subcommand(1);
        on(noun->add_subcommand("default", "Print every key at its default"),
           [] { return ask_daemon({"--print-default-config"}); });
        on(noun->add_subcommand("env", "Print the environment variable of every key"),
           [] { return ask_daemon({"--print-env"}); });
        auto* explain = noun->add_subcommand("explain", "Say what a key or a table is for");
        explain->add_option("key", word_, "For example limits.queues")->required();
        on(explain, [this] { return ask_daemon({"--explain", word_}); });
        auto* check = noun->add_subcommand("check", "Check a configuration: exit code 0 or 78");
        check->add_option("file", word_, "Without it: the file that linnetd would find");
        on(check, [this] {
            return word_.empty() ? ask_daemon({"--check-config"}) : ask_daemon({"--check-config", "--config", word_});
        });
    }

    // Both are the daemon's work, which knows its store.
    void add_backup() {
        auto* backup = app_.add_subcommand("backup", "Copy a broker's data folder, messages and all, while it serves");
        backup->add_option("--to", word_, "The folder to make; it must not be there yet")->required();
        add_copy_options(backup);
        on(backup, [this] { return ask_daemon(copy_arguments("--backup-to=")); });
        auto* restore = app_.add_subcommand("restore", "Make a data folder from a backup");
        restore->add_option("backup", word_, "The folder that `linnet backup` has made")->required();
        add_copy_options(restore);
        on(restore, [this] { return ask_daemon(copy_arguments("--restore-from=")); });
    }

    void add_copy_options(CLI::App* verb) {
        verb->add_option("--data-dir", copy_.data_dir, "The data folder; without it: the configuration's");
        verb->add_option("-c,--config", copy_.config,
                         "The daemon's configuration; without it: what linnetd would find");
        verb->add_flag("-q,--quiet", copy_.quiet, "Show no progress");
        add_output_form(verb);
    }

    [[nodiscard]] std::vector<std::string> copy_arguments(const char* option) const {
        auto arguments = std::vector<std::string>{option + word_};
        if (!copy_.config.empty()) {
            arguments.push_back("--config=" + copy_.config);
        }
        if (!copy_.data_dir.empty()) {
            arguments.push_back("--data-dir=" + copy_.data_dir);
        }
        if (copy_.quiet) {
            arguments.emplace_back("--quiet");
        }
        if (broker_.form == output_form::json) {
            arguments.emplace_back("--json");
        }
        return arguments;
    }

    void add_completion() {
        auto* verb = app_.add_subcommand("completion", "Print a completion script for a shell");
        choices(verb->add_option("shell", word_, "bash, zsh or fish")->required(), {"bash", "zsh", "fish"});
        on(verb, [this] {
            const auto kind = word_ == "bash" ? shell::bash : word_ == "zsh" ? shell::zsh : shell::fish;
            fmt::print("{}", completion_script(kind, describe(app_)));
            return exit_code::ok;
        });
    }

    void add_foreign(const foreign_command& command) {
        auto* verb = app_.add_subcommand(command.name, command.help);
        verb->prefix_command();
        verb->set_help_flag();
        verb->callback([this, verb, run = command.run] {
            action_ = [arguments = verb->remaining(), run] { return run(arguments); };
        });
    }

    [[nodiscard]] option_description describe(const CLI::Option& option) const {
        auto names = std::vector<std::string>{};
        for (const auto& name : option.get_snames()) {
            names.push_back('-' + name);
        }
        for (const auto& name : option.get_lnames()) {
            names.push_back("--" + name);
        }
        const auto known = choices_.find(&option);
        const bool takes_value = option.get_items_expected_max() > 0;
        return {std::move(names), known != choices_.end() ? known->second : std::vector<std::string>{}, takes_value,
                option.get_description(), takes_value ? option.get_type_name() : std::string{}};
    }

    [[nodiscard]] command_description describe(const CLI::App& app) const {
        auto described = command_description{app.get_name(), app.get_description(), {}, {}, {}, {}};
        for (const auto* option : app.get_options()) {
            auto one = describe(*option);
            if (one.names.empty()) {
                described.arguments.push_back(option->get_name(true));
                described.words.insert(described.words.end(), one.choices.begin(), one.choices.end());
            } else {
                described.options.push_back(std::move(one));
            }
        }
        for (const auto* sub : app.get_subcommands([](const CLI::App*) { return true; })) {
            described.commands.push_back(describe(*sub));
        }
        return described;
    }

    CLI::App app_{"The command line of Linnet, a lightweight multi-protocol message broker", "linnet"};
    std::map<const CLI::Option*, std::vector<std::string>> choices_;
    std::function<int()> action_;
    std::vector<command_spec> commands_;
    std::map<std::string, CLI::App*> nouns_;
    std::vector<std::unique_ptr<invocation>> calls_;
    // What the flags fill in.
    broker_options broker_;
    std::string word_;
    struct {
        std::string data_dir;
        std::string config;
        bool quiet = false;
    } copy_;
};

}  // namespace

int run_command_line(int argc, const char* const* argv, const std::vector<foreign_command>& foreign) {
    return tree{foreign}.run(argc, argv);
}

}  // namespace linnet::cli
