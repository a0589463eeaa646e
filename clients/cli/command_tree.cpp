#include "clients/cli/command_tree.hpp"

#include "clients/cli/completion.hpp"
#include "clients/cli/config.hpp"
#include "clients/cli/health.hpp"
#include "clients/cli/status.hpp"
#include "clients/cli/version.hpp"

#include <CLI/CLI.hpp>
#include <fmt/format.h>

#include <map>
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
        add_config();
        add_version();
        add_completion();
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
        return {std::move(names), known != choices_.end() ? known->second : std::vector<std::string>{},
                option.get_items_expected_max() > 0, option.get_description()};
    }

    [[nodiscard]] command_description describe(const CLI::App& app) const {
        auto described = command_description{app.get_name(), app.get_description(), {}, {}, {}};
        for (const auto* option : app.get_options()) {
            auto one = describe(*option);
            if (one.names.empty()) {
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
    // What the flags fill in.
    broker_options broker_;
    std::string word_;
};

}  // namespace

int run_command_line(int argc, const char* const* argv, const std::vector<foreign_command>& foreign) {
    return tree{foreign}.run(argc, argv);
}

}  // namespace linnet::cli
