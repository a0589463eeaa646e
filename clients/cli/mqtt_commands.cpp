// Retained values and topics, through MQTT: so they work with any broker that speaks it.
#include "clients/cli/arguments.hpp"
#include "clients/cli/change.hpp"
#include "clients/cli/message_json.hpp"
#include "clients/cli/mqtt_client.hpp"
#include "clients/cli/output.hpp"

#include <map>

namespace linnet::cli {
namespace {

using namespace std::chrono_literals;

// Retained values come with the subscription; a broker that says nothing for so long has sent them all.
constexpr auto quiet = 500ms;

exit_code with_mqtt(const invocation& call, const std::function<result<void>(mqtt_client&)>& act) {
    const auto at = target_of(call);
    auto client = at ? mqtt_client::open(at->mqtt, at->timeout)
                     : result<std::unique_ptr<mqtt_client>>{tl::unexpected{at.error()}};
    auto done = client ? act(**client) : result<void>{tl::unexpected{client.error()}};
    if (done) {
        (*client)->close();
    }
    return done ? exit_code::ok : complain(call.name(), done.error());
}

result<std::vector<mqtt_message>> retained(mqtt_client& client, const std::string& filter) {
    auto all = std::vector<mqtt_message>{};
    if (auto done = client.subscribe(filter, 0); !done) {
        return tl::unexpected{done.error()};
    }
    for (;;) {
        auto message = client.next(quiet);
        if (!message) {
            return tl::unexpected{message.error()};
        }
        if (!*message) {
            return all;
        }
        if ((*message)->retain) {
            all.push_back(std::move(**message));
        }
    }
}

exit_code list_retained(const invocation& call) {
    return with_mqtt(call, [&](mqtt_client& client) {
        const auto filter = call.word("filter");
        return retained(client, filter.empty() ? "#" : filter).map([&](const std::vector<mqtt_message>& all) {
            auto rows = json_value::array();
            for (const auto& each : all) {
                auto row = json_value{{"topic", each.topic}};
                add_payload(row, each.payload);
                row["properties"] = each.properties;
                rows.push_back(std::move(row));
            }
            show_rows(call, std::move(rows),
                      {{"topic", "topic"},
                       {"payload", "payload"},
                       {"bytes", "payload_bytes"},
                       {"encoding", "payload_encoding", true},
                       {"properties", "properties", true}});
        });
    });
}

exit_code show_retained(const invocation& call) {
    return with_mqtt(call, [&](mqtt_client& client) -> result<void> {
        const auto all = retained(client, call.word("topic"));
        if (!all) {
            return tl::unexpected{all.error()};
        }
        if (all->empty()) {
            return fail(exit_code::failure, fmt::format("topic \"{}\" has no retained value", call.word("topic")),
                        "`linnet retained ls` shows those that have.");
        }
        fmt::print("{}\n", all->front().payload);
        return {};
    });
}

result<void> set(const invocation& call, mqtt_client& client, std::string payload) {
    return client.publish({call.word("topic"), std::move(payload), 1, true, 0, json_value::object()});
}

exit_code set_value(const invocation& call) {
    return with_mqtt(call, [&](mqtt_client& client) -> result<void> {
        if (call.has("dry-run")) {
            tell(call, fmt::format("would set \"{}\"", call.word("topic")));
            return {};
        }
        return set(call, client, call.word("value")).map([&] {
            tell(call, fmt::format("\"{}\" is set", call.word("topic")));
        });
    });
}

// [MQTT-3.3.1-6] An empty value clears what was there.
exit_code clear_value(const invocation& call) {
    return with_mqtt(call, [&](mqtt_client& client) -> result<void> {
        const auto what = fmt::format("the value of \"{}\"", call.word("topic"));
        if (call.has("dry-run")) {
            tell(call, fmt::format("would delete {}", what));
            return {};
        }
        return confirmed(call, fmt::format("delete {}", what)).and_then([&] { return set(call, client, {}); }).map([&] {
            tell(call, fmt::format("{} is gone", what));
        });
    });
}

struct topic_node {
    std::map<std::string, topic_node> below;
    std::uint64_t messages = 0;
    bool has_value = false;
};

void note(topic_node& root, const mqtt_message& message) {
    auto* at = &root;
    for (std::size_t begin = 0; begin <= message.topic.size();) {
        const auto slash = std::min(message.topic.find('/', begin), message.topic.size());
        at = &at->below[message.topic.substr(begin, slash - begin)];
        begin = slash + 1;
    }
    ++at->messages;
    at->has_value = at->has_value || message.retain;
}

void print(const topic_node& node, const std::string& margin) {
    for (auto each = node.below.begin(); each != node.below.end(); ++each) {
        const bool last = std::next(each) == node.below.end();
        fmt::print("{}{}{}", margin, last ? "`-- " : "|-- ", for_terminal(each->first));
        if (each->second.messages != 0) {
            fmt::print("  {}{}", each->second.messages, each->second.has_value ? ", retained" : "");
        }
        fmt::print("\n");
        print(each->second, margin + (last ? "    " : "|   "));
    }
}

exit_code tree(const invocation& call) {
    const auto seconds = number_of(call.value("wait", "2"), "wait");
    if (!seconds) {
        return complain(call.name(), seconds.error());
    }
    return with_mqtt(call, [&](mqtt_client& client) -> result<void> {
        const auto filter = call.word("filter");
        if (auto done = client.subscribe(filter.empty() ? "#" : filter, 0); !done) {
            return done;
        }
        auto root = topic_node{};
        const auto until = std::chrono::steady_clock::now() + std::chrono::seconds{*seconds};
        while (std::chrono::steady_clock::now() < until) {
            const auto message = client.next(
                std::chrono::duration_cast<std::chrono::milliseconds>(until - std::chrono::steady_clock::now()));
            if (!message) {
                return tl::unexpected{message.error()};
            }
            if (*message) {
                note(root, **message);
            }
        }
        print(root, "");
        return {};
    });
}

}  // namespace

std::vector<command_spec> mqtt_commands() {
    using enum option_group;
    const auto topic = word_spec{"topic", "The topic"};
    const auto filter = word_spec{"filter", "A topic filter, as plant/+/temperature (#)", false};
    const auto mqtt_url = option_spec{"--mqtt-url", "URL", "Where the broker speaks MQTT, if not on the usual port"};
    return {
        {"retained", "ls", "Show retained values", {broker, rows}, {filter}, {mqtt_url}, list_retained},
        {"retained", "get", "Print the retained value of a topic", {broker}, {topic}, {mqtt_url}, show_retained},
        {"retained",
         "set",
         "Set the retained value of a topic",
         {broker, changes},
         {topic, {"value", "The value"}},
         {mqtt_url},
         set_value},
        {"retained",
         "delete",
         "Clear the retained value of a topic",
         {broker, changes, danger},
         {topic},
         {mqtt_url},
         clear_value},
        {"topic",
         "tree",
         "Listen for a while, and draw the topics that messages came by",
         {broker},
         {filter},
         {{"--wait", "SECONDS", "How long to listen (2)"}, mqtt_url},
         tree},
    };
}

}  // namespace linnet::cli
