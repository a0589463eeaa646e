// Queues, exchanges, bindings and connections: made, ended, emptied.
#include "clients/cli/arguments.hpp"
#include "clients/cli/change.hpp"
#include "protocol/http/percent.hpp"

namespace linnet::cli {
namespace {

const word_spec queue_word{"queue", "The queue's name"};
const word_spec exchange_word{"exchange", "The exchange's name"};
const option_spec argument_option{"--arg", "NAME=VALUE", "An argument, as x-max-length=1000; repeatable"};

result<json_value> body_of(const invocation& call) {
    return arguments_of(call.values("arg"), "arg").map([&](json_value arguments) {
        return json_value{{"durable", !call.has("transient")},
                          {"auto_delete", call.has("auto-delete")},
                          {"arguments", std::move(arguments)}};
    });
}

exit_code create_queue(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        return body_of(call).and_then([&](json_value body) {
            if (call.has("type")) {
                body["arguments"]["x-queue-type"] = call.value("type");
            }
            const auto name = call.word("queue");
            return make(call, api, api_path({"queues", at.vhost, name}), body, fmt::format("queue \"{}\"", name));
        });
    });
}

exit_code delete_queue(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        const auto name = call.word("queue");
        auto path = api_path({"queues", at.vhost, name});
        auto separator = '?';
        for (const auto* condition : {"if-empty", "if-unused"}) {
            if (call.has(condition)) {
                path += fmt::format("{}{}=true", std::exchange(separator, '&'), condition);
            }
        }
        return unmake(call, api, path, fmt::format("queue \"{}\"", name));
    });
}

exit_code purge_queue(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto name = call.word("queue");
        const auto what = fmt::format("queue \"{}\"", name);
        const auto found = api.get(api_path({"queues", at.vhost, name}), what);
        if (!found) {
            return tl::unexpected{found.error()};
        }
        // A broker may not have counted yet.
        const auto counted = value_at(*found, "messages_ready");
        const auto count = counted.is_number() ? fmt::format("{} messages", counted.get<std::int64_t>())
                                               : "the messages";
        if (call.has("dry-run")) {
            tell(call, fmt::format("would delete {} of {}", count, what));
            return {};
        }
        return confirmed(call, fmt::format("delete {} of {}", count, what))
            .and_then([&] {
                return api.remove(api_path({"queues", at.vhost, name, "contents"}), what);
            })
            .map([&] { tell(call, fmt::format("{} of {} are gone", count, what)); });
    });
}

exit_code create_exchange(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        return body_of(call).and_then([&](json_value body) {
            const auto name = call.word("exchange");
            body["type"] = call.value("type", "direct");
            body["internal"] = call.has("internal");
            return make(call, api, api_path({"exchanges", at.vhost, name}), body, fmt::format("exchange \"{}\"", name));
        });
    });
}

exit_code delete_exchange(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        const auto name = call.word("exchange");
        return unmake(call, api,
                      api_path({"exchanges", at.vhost, name}) + (call.has("if-unused") ? "?if-unused=true" : ""),
                      fmt::format("exchange \"{}\"", name));
    });
}

// ".../e/SOURCE/q/DESTINATION", or e for an exchange.
std::string binding_path(const invocation& call, const target& at) {
    return api_path({"bindings", at.vhost, "e", call.word("source"), call.has("to-exchange") ? "e" : "q",
                     call.word("destination")});
}

std::string binding_text(const invocation& call) {
    return fmt::format("binding \"{}\" -> \"{}\" with key \"{}\"", call.word("source"), call.word("destination"),
                       call.value("key"));
}

exit_code create_binding(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        return arguments_of(call.values("arg"), "arg").and_then([&](const json_value& arguments) -> result<void> {
            const auto body = json_value{{"routing_key", call.value("key")}, {"arguments", arguments}};
            if (call.has("dry-run")) {
                tell(call, fmt::format("would make {}", binding_text(call)));
                return {};
            }
            return api.post(binding_path(call, at), body, binding_text(call)).map([&](const json_value&) {
                tell(call, fmt::format("{} is made", binding_text(call)));
            });
        });
    });
}

// The API names a binding by a key of its own, which its list tells.
exit_code delete_binding(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto given = arguments_of(call.values("arg"), "arg");
        if (!given) {
            return tl::unexpected{given.error()};
        }
        const auto path = binding_path(call, at);
        const auto bindings = api.get(path, binding_text(call));
        if (!bindings) {
            return tl::unexpected{bindings.error()};
        }
        for (const auto& each : *bindings) {
            const auto arguments = each.value("arguments", json_value::object());
            const bool same_arguments = arguments == *given || (arguments.empty() && given->empty());
            if (each.value("routing_key", "") == call.value("key") && same_arguments) {
                auto key = std::string{};
                http::append_percent_encoded(key, each.value("properties_key", "~"));
                return unmake(call, api, path + '/' + key, binding_text(call));
            }
        }
        return fail(exit_code::failure, fmt::format("{} is not there", binding_text(call)),
                    "`linnet binding ls -o wide` shows those that are, with their arguments.");
    });
}

exit_code kill_connection(const invocation& call) {
    return with_api(call, [&](management& api, const target&) {
        const auto name = call.word("connection");
        return unmake(call, api, api_path({"connections", name}), fmt::format("connection \"{}\"", name),
                      call.value("reason", "Closed with the command line"));
    });
}

}  // namespace

std::vector<command_spec> topology_commands() {
    using enum option_group;
    const auto transient = option_spec{"--transient", "", "It does not survive a restart of the broker"};
    const auto auto_delete = option_spec{"--auto-delete", "", "It goes when its last user goes"};
    const auto if_unused = option_spec{"--if-unused", "", "Only if nobody uses it"};
    const auto key = option_spec{"-k,--key", "KEY", "The routing key, or pattern"};
    const auto to_exchange = option_spec{"--to-exchange", "", "The destination is an exchange"};
    const auto source = word_spec{"source", "The exchange that messages come from"};
    const auto destination = word_spec{"destination", "The queue that they go to"};
    return {
        {"queue",
         "create",
         "Make a queue, or find it as it is asked for",
         {broker, changes},
         {queue_word},
         {{"--type", "TYPE", "classic, quorum or stream"}, transient, auto_delete, argument_option},
         create_queue},
        {"queue",
         "delete",
         "Delete a queue and its messages",
         {broker, changes, danger},
         {queue_word},
         {{"--if-empty", "", "Only if it holds no message"}, if_unused},
         delete_queue},
        {"queue",
         "purge",
         "Delete a queue's messages that nobody has received",
         {broker, changes, danger},
         {queue_word},
         {},
         purge_queue},
        {"exchange",
         "create",
         "Make an exchange, or find it as it is asked for",
         {broker, changes},
         {exchange_word},
         {{"-t,--type", "TYPE", "direct, fanout, topic, headers, ... (direct)"},
          transient,
          auto_delete,
          {"--internal", "", "Clients cannot publish to it"},
          argument_option},
         create_exchange},
        {"exchange",
         "delete",
         "Delete an exchange",
         {broker, changes, danger},
         {exchange_word},
         {if_unused},
         delete_exchange},
        {"binding",
         "create",
         "Bind a queue or an exchange to an exchange",
         {broker, changes},
         {source, destination},
         {key, to_exchange, argument_option},
         create_binding},
        {"binding",
         "delete",
         "Undo a binding",
         {broker, changes, danger},
         {source, destination},
         {key, to_exchange, argument_option},
         delete_binding},
        {"connection",
         "kill",
         "Close a connection",
         {broker, changes, danger},
         {{"connection", "Its name"}},
         {{"--reason", "TEXT", "What its client is told"}},
         kill_connection},
    };
}

}  // namespace linnet::cli
