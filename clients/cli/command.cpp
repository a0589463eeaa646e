#include "clients/cli/command.hpp"

#include "clients/cli/records.hpp"

#include <algorithm>
#include <iterator>

namespace linnet::cli {
namespace {

const std::vector<std::string> nothing_given{};

const std::vector<std::string>& given(const std::map<std::string, std::vector<std::string>, std::less<>>& all,
                                      std::string_view name) {
    const auto found = all.find(name);
    return found == all.end() ? nothing_given : found->second;
}

}  // namespace

exit_code obey(const invocation& call) {
    try {
        return call.command().run(call);
    } catch (const json_value::exception& error) {
        return complain(call.name(), {exit_code::bad_data,
                                      fmt::format("the answer is not what the management API says: {}", error.what()),
                                      "Is this the broker that you mean?"});
    }
}

std::string invocation::name() const { return what_->verb.empty() ? what_->noun : what_->noun + ' ' + what_->verb; }

std::string invocation::word(std::string_view name) const {
    const auto& all = words(name);
    return all.empty() ? std::string{} : all.front();
}

const std::vector<std::string>& invocation::words(std::string_view name) const { return given(words_, name); }

std::string invocation::value(std::string_view option, std::string_view otherwise) const {
    const auto& all = values(option);
    return all.empty() ? std::string{otherwise} : all.back();
}

const std::vector<std::string>& invocation::values(std::string_view option) const { return given(options_, option); }

std::string long_name(const option_spec& option) { return option.name.substr(option.name.rfind("--") + 2); }

const std::vector<option_spec>& options_of(option_group group) {
    static const auto broker = std::vector<option_spec>{
        {"--url", "URL",
         "http[s]://user:password@host:port of the management API, or the broker's amqp:// or mqtt://; "
         "else $LINNET_URL, else the context in use, else this machine"},
        {"--context", "NAME", "Use this context (see `linnet context`)"},
        {"-p,--vhost", "VHOST", "The vhost; else the URL's or the context's, else /"},
        {"--timeout", "MS", "Milliseconds after which a broker that says nothing is unreachable (10000)"},
    };
    static const auto object = std::vector<option_spec>{
        {"-o,--output", "FORM", "The form of the output", record_form_names()},
        {"--columns", "NAME,...", "Show these columns, or ways into the JSON (message_stats.publish)"},
    };
    static const auto rows = std::vector<option_spec>{
        {"-o,--output", "FORM", "The form of the output", record_form_names()},
        {"--columns", "NAME,...", "Show these columns, or ways into the JSON (message_stats.publish)"},
        {"--no-headers", "", "Show no line of headers"},
        {"--sort", "NAME,...", "Sort by these columns; falling with - in front (--sort=-messages)"},
        {"--filter", "CONDITION", "Show rows with NAME=VALUE, NAME!=VALUE, NAME~TEXT, NAME>N or NAME<N; repeatable"},
        {"--watch", "[SECONDS]", "Show it again and again (each second)"},
    };
    static const auto changes = std::vector<option_spec>{
        {"--dry-run", "", "Say what would be done, and do nothing"},
        {"-q,--quiet", "", "Say nothing unless it fails"},
    };
    static const auto danger = std::vector<option_spec>{
        {"-y,--yes", "", "Do not ask whether it is meant"},
    };
    switch (group) {
        case option_group::broker: return broker;
        case option_group::rows: return rows;
        case option_group::object: return object;
        case option_group::changes: return changes;
        case option_group::danger: return danger;
    }
    return danger;
}

std::string_view help_of_noun(std::string_view noun) {
    static const auto nouns = std::map<std::string, std::string, std::less<>>{
        {"context", "Remember brokers by name"},
        {"overview", "Show totals and rates of the whole broker"},
        {"queue", "Show, make, empty and move queues"},
        {"exchange", "Show and make exchanges"},
        {"binding", "Show and make bindings"},
        {"vhost", "Show and make vhosts"},
        {"user", "Show and make users"},
        {"permission", "Show and set what users may do"},
        {"policy", "Show and set policies"},
        {"connection", "Show and end connections"},
        {"channel", "Show channels"},
        {"consumer", "Show consumers"},
        {"node", "Show nodes"},
        {"retained", "Show, set and clear retained values, through MQTT"},
        {"topic", "Look at topics, through MQTT"},
        {"definitions", "Export, import and compare definitions"},
    };
    const auto found = nouns.find(noun);
    return found == nouns.end() ? std::string_view{} : found->second;
}

std::vector<command_spec> all_commands() {
    auto all = std::vector<command_spec>{};
    for (auto* table : {context_commands, top_commands, doctor_commands, listing_commands, topology_commands,
                        access_commands, message_commands, transfer_commands, mqtt_commands, definition_commands}) {
        auto some = table();
        std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    return all;
}

}  // namespace linnet::cli
