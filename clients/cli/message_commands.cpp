// Messages, looked at and taken through the management API; published and received by the URI's protocol.
#include "clients/cli/arguments.hpp"
#include "clients/cli/message_json.hpp"
#include "clients/cli/messaging.hpp"
#include "clients/cli/target.hpp"

#include <iostream>
#include <iterator>

namespace linnet::cli {
namespace {

const std::vector<column>& message_columns() {
    static const auto all = std::vector<column>{
        {"payload", "payload"},
        {"exchange", "exchange"},
        {"routing_key", "routing_key"},
        {"redelivered", "redelivered"},
        {"bytes", "payload_bytes"},
        {"properties", "properties", true},
        {"encoding", "payload_encoding", true},
    };
    return all;
}

exit_code take(const invocation& call, std::string_view mode) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto count = number_of(call.value("count", "1"), "count");
        const auto truncate = number_of(call.value("truncate", "50000"), "truncate");
        if (!count || !truncate) {
            return tl::unexpected{count ? truncate.error() : count.error()};
        }
        const auto name = call.word("queue");
        const auto body = json_value{
            {"count", *count}, {"ackmode", mode}, {"encoding", "auto"}, {"truncate", *truncate}};
        return api.post(api_path({"queues", at.vhost, name, "get"}), body, fmt::format("queue \"{}\"", name))
            .map([&](json_value messages) { show_rows(call, std::move(messages), message_columns()); });
    });
}

exit_code peek(const invocation& call) { return take(call, "ack_requeue_true"); }
exit_code get(const invocation& call) { return take(call, "ack_requeue_false"); }

result<json_value> properties_given(const invocation& call) {
    auto properties = arguments_of(call.values("property"), "property");
    const auto headers = arguments_of(call.values("header"), "header");
    if (!properties || !headers) {
        return properties ? headers : properties;
    }
    if (!headers->empty()) {
        (*properties)["headers"] = *headers;
    }
    return properties;
}

std::vector<std::string> bodies_of(const invocation& call) {
    if (!call.words("body").empty() && call.word("body") != "-") {
        return {call.word("body")};
    }
    auto bodies = std::vector<std::string>{};
    if (!call.has("lines")) {
        bodies.emplace_back(std::istreambuf_iterator<char>{std::cin}, std::istreambuf_iterator<char>{});
        return bodies;
    }
    for (auto line = std::string{}; std::getline(std::cin, line);) {
        bodies.push_back(line);
    }
    return bodies;
}

// The URL is a word here, since it is what the command is about; without it the context's broker is.
result<server_uri> uri_of(const invocation& call) {
    if (call.word("url").empty()) {
        return target_of(call).map([](const target& at) { return at.amqp; });
    }
    const auto uri = parse_server_uri(call.word("url"));
    return uri ? result<server_uri>{*uri} : fail(exit_code::usage, uri.error());
}

result<publishing> publishing_of(const invocation& call) {
    auto what = publishing{};
    what.exchange = call.value("exchange");
    what.key = call.value("key");
    what.topic = call.value("topic");
    what.retain = call.has("retain");
    what.quiet = call.has("quiet");
    const auto qos = number_of(call.value("qos", "1"), "qos");
    const auto count = number_of(call.value("count", "1"), "count");
    auto properties = properties_given(call);
    if (!qos || !count || !properties) {
        return tl::unexpected{!qos ? qos.error() : !count ? count.error() : properties.error()};
    }
    what.qos = static_cast<unsigned>(*qos);
    what.properties = std::move(*properties);
    const auto bodies = bodies_of(call);
    for (std::uint64_t i = 0; i < *count; ++i) {
        what.bodies.insert(what.bodies.end(), bodies.begin(), bodies.end());
    }
    return what;
}

exit_code publish(const invocation& call) {
    const auto uri = uri_of(call);
    const auto what = uri ? publishing_of(call) : result<publishing>{tl::unexpected{uri.error()}};
    if (!what) {
        return complain(call.name(), what.error());
    }
    const auto done = publish_to(*uri, *what);
    if (!done) {
        return complain(call.name(), done.error());
    }
    tell(call, fmt::format("published {}", what->bodies.size()));
    return exit_code::ok;
}

exit_code receive(const invocation& call) {
    const auto uri = uri_of(call);
    const auto count = number_of(call.value("count", "0"), "count");
    const auto qos = number_of(call.value("qos", "1"), "qos");
    const auto wait = number_of(call.value("wait", "0"), "wait");
    if (!uri || !count || !qos || !wait) {
        return complain(call.name(), !uri ? uri.error() : !count ? count.error() : !qos ? qos.error() : wait.error());
    }
    const auto what = receiving{.queue = call.value("queue"),
                                .exchange = call.value("exchange"),
                                .key = call.value("key", "#"),
                                .topic = call.value("topic"),
                                .qos = static_cast<unsigned>(*qos),
                                .count = *count,
                                .wait = std::chrono::seconds{*wait}};
    const bool as_json = call.value("output", "raw") == "json";
    const auto done = receive_from(*uri, what, [&](const received& each) {
        auto line = each.body;
        if (as_json) {
            auto object = each.about;
            add_payload(object, each.body);
            line = object.dump(-1, ' ', false, json_value::error_handler_t::replace);
        }
        fmt::print("{}\n", line);
        std::fflush(stdout);
    });
    return done ? exit_code::ok : complain(call.name(), done.error());
}

// ---- Where one would go ----------------------------------------------------------------------------

const std::vector<column>& step_columns() {
    static const auto all = std::vector<column>{
        {"to", "to"},
        {"kind", "kind"},
        {"from", "from"},
        {"type", "type"},
        {"by", "by"},
        {"key", "key"},
        {"because", "because", true},
        {"arguments", "arguments", true},
    };
    return all;
}

// What a binding leads to, in the words of the answer's destinations.
std::string kind_of(const json_value& answer, const json_value& binding) {
    const auto type = binding.value("destination_type", "");
    for (const auto& each : answer.at("destinations")) {
        if (type == "queue" && each.at("name") == binding.at("destination")) {
            return each.value("kind", type);
        }
    }
    return type;
}

// A row for each way that the message takes: by a binding, to an alternate exchange, or into the hands of an exchange
// that delays it.
json_value rows_of(const json_value& answer) {
    auto rows = json_value::array();
    for (const auto& step : answer.at("steps")) {
        const auto from = step.value("exchange", "");
        auto row = json_value{
            {"from", from.empty() ? "amq.default" : from}, {"type", step.at("type")}, {"because", step.at("because")}};
        const auto add = [&](const json_value& to, std::string_view kind, std::string_view by) {
            row["to"] = to;
            row["kind"] = kind;
            row["by"] = by;
            rows.push_back(row);
        };
        const auto before = rows.size();
        for (const auto& binding : step.at("bindings")) {
            row["key"] = binding.value("routing_key", "");
            row["arguments"] = binding.value("arguments", json_value::object());
            add(binding.at("destination"), kind_of(answer, binding),
                step.at("held") == true ? "binding, later" : "binding");
        }
        row.erase("key");
        row.erase("arguments");
        if (step.at("turned_to").is_string()) {
            add(step.at("turned_to"), "exchange", "alternate");
        } else if (rows.size() == before) {
            add(nullptr, "nothing", "");
        }
    }
    return rows;
}

result<json_value> question_of(const invocation& call) {
    return properties_given(call).map([&](json_value properties) {
        auto body = json_value{{"properties", std::move(properties)}};
        for (const auto& [option, member] :
             {std::pair{"exchange", "exchange"}, std::pair{"key", "routing_key"}, std::pair{"topic", "topic"},
              std::pair{"user", "user"}, std::pair{"client", "client_id"}}) {
            if (call.has(option)) {
                body[member] = call.value(option);
            }
        }
        return body;
    });
}

result<void> judged(const json_value& answer) {
    if (answer.at("allowed") != true) {
        return fail(exit_code::failure, fmt::format("refused: {}", answer.at("refusal").value("reason", "")),
                    "`linnet permission ls` shows what users may do.");
    }
    return answer.at("routed") == true
               ? result<void>{}
               : fail(exit_code::failure, "it would reach nobody", "`linnet binding ls` shows what is bound.");
}

exit_code explain(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto body = question_of(call);
        if (!body) {
            return tl::unexpected{body.error()};
        }
        const auto answer = api.post(api_path({"x", "explain", at.vhost}), *body,
                                     fmt::format("vhost \"{}\"", at.vhost));
        if (!answer) {
            return tl::unexpected{answer.error()};
        }
        const auto form = record_form_of(call.value("output", "table"));
        if (form == record_form::json || form == record_form::yaml) {
            show_object(call, *answer, {});
        } else {
            show_rows(call, rows_of(*answer), step_columns());
        }
        return judged(*answer);
    });
}

// ---- Where one has gone ----------------------------------------------------------------------------

const std::vector<column>& flight_columns() {
    static const auto all = std::vector<column>{
        {"time", "time"},
        {"event", "event"},
        {"at", "at"},
        {"key", "key"},
        {"connection", "connection"},
        {"consumer", "consumer_tag", true},
        {"position", "position", true},
        {"routed", "routed", true},
    };
    return all;
}

std::string words_of(const json_value& event) {
    auto words = event.value("event", "");
    if (event.value("redelivered", false)) {
        words = "redelivered";
    }
    if (!event.value("ack_required", true)) {
        words += ", no ack";
    }
    return event.value("delayed", false) ? words + ", delayed" : words;
}

// What has happened, and last what is so now.
json_value flight_of(const json_value& answer) {
    auto rows = json_value::array();
    if (const auto earlier = answer.at("left_off").get<std::uint64_t>(); earlier != 0) {
        rows.push_back({{"time", "earlier"}, {"event", fmt::format("{} more", earlier)}});
    }
    for (auto row : answer.at("events")) {
        row["event"] = words_of(row);
        if (row.contains("exchange")) {
            const auto exchange = row.value("exchange", "");
            row["at"] = exchange.empty() ? "amq.default" : exchange;
            row["key"] = row.value("routing_key", "") + (row.value("cut", false) ? "..." : "");
        } else if (row.contains("queue")) {
            row["at"] = row.at("queue");
        }
        rows.push_back(std::move(row));
    }
    for (const auto& place : answer.at("places")) {
        rows.push_back({{"time", "now"},
                        {"event", place.at("state")},
                        {"at", place.at("queue")},
                        {"position", place.at("position")}});
    }
    return rows;
}

exit_code where(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto id = call.word("id");
        const auto answer = api.get(api_path({"x", "where", at.vhost, id}), fmt::format("vhost \"{}\"", at.vhost));
        if (!answer) {
            return tl::unexpected{answer.error()};
        }
        if (answer->at("recorder").at("on") != true) {
            return fail(exit_code::failure, "the broker's flight recorder is off", "recorder.events is its length.");
        }
        if (answer->at("events").empty()) {
            return fail(exit_code::failure, fmt::format("nothing is known of a message \"{}\"", id),
                        "The broker knows the latest steps alone; recorder.events says how many.");
        }
        const auto form = record_form_of(call.value("output", "table"));
        if (form == record_form::json || form == record_form::yaml) {
            show_object(call, *answer, {});
        } else {
            show_rows(call, flight_of(*answer), flight_columns());
        }
        return {};
    });
}

}  // namespace

std::vector<command_spec> message_commands() {
    using enum option_group;
    const auto queue = word_spec{"queue", "The queue's name"};
    const auto count = option_spec{"--count", "N", "How many messages at most (1)"};
    const auto truncate = option_spec{"--truncate", "BYTES", "Cut payloads that are longer (50000)"};
    const auto url = word_spec{"url", "amqp://, mqtt:// or http://user:password@host:port/vhost", false};
    const auto exchange = option_spec{"-e,--exchange", "NAME", "AMQP and HTTP: the exchange"};
    const auto key = option_spec{"-k,--key", "KEY", "AMQP and HTTP: the routing key, or pattern"};
    const auto topic = option_spec{"-t,--topic", "TOPIC", "MQTT: the topic, or filter; HTTP: receive its events"};
    const auto qos = option_spec{"--qos", "0|1|2", "MQTT: the quality of service (1)"};
    return {
        {"queue",
         "peek",
         "Show a queue's first messages; they stay, marked as redelivered",
         {broker, rows},
         {queue},
         {count, truncate},
         peek},
        {"queue", "get", "Take a queue's first messages out of it", {broker, rows}, {queue}, {count, truncate}, get},
        {"pub",
         "",
         "Publish a message by AMQP, MQTT or HTTP, and wait until the broker has it",
         {broker},
         {url, {"body", "The payload; without it, or with -, standard input", false}},
         {exchange,
          key,
          topic,
          qos,
          {"--retain", "", "MQTT: the topic keeps it as its last value"},
          {"--lines", "", "Every line of standard input is a message"},
          {"--count", "N", "Publish it so many times (1)"},
          {"--property", "NAME=VALUE", "AMQP and HTTP: content_type=..., priority=...; repeatable"},
          {"--header", "NAME=VALUE", "AMQP and HTTP: a header; MQTT: a user property; repeatable"},
          {"-q,--quiet", "", "Say nothing unless it fails"}},
         publish},
        {"explain",
         "",
         "Tell where a message would go, by which bindings, and whether its user may publish it; nothing is published",
         {broker, rows},
         {},
         {{"-e,--exchange", "NAME", "The exchange; without it the default one"},
          {"-k,--key", "KEY", "The routing key"},
          {"-t,--topic", "TOPIC", "Instead of both: the topic, as an MQTT client would publish to it"},
          {"--user", "NAME", "Whose rights are asked; without it the user's who asks"},
          {"--client", "ID", "Its MQTT client identifier, for topic permissions that name it"},
          {"--property", "NAME=VALUE", "message_id=..., for exchanges that look at it; repeatable"},
          {"--header", "NAME=VALUE", "A header, or user property; repeatable"}},
         explain},
        {"where",
         "",
         "Tell what has happened to the messages of an id, and where they are, as far as the broker still knows",
         {broker, rows},
         {{"id", "The message id that their publisher gave them"}},
         {},
         where},
        {"sub",
         "",
         "Receive messages by AMQP, MQTT or HTTP, a line each",
         {broker},
         {url},
         {{"--queue", "NAME", "AMQP and HTTP: take them from this queue"},
          exchange,
          key,
          topic,
          qos,
          {"--count", "N", "End after so many"},
          {"--wait", "SECONDS", "End when nothing has come for so long"},
          {"-o,--output", "FORM", "raw: payloads; json: an object a line", {"raw", "json"}}},
         receive},
    };
}

}  // namespace linnet::cli
