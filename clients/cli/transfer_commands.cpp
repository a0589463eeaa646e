// Messages from queue to queue, and dead letters back to where they came from.
#include "clients/cli/arguments.hpp"
#include "clients/cli/message_json.hpp"
#include "clients/cli/target.hpp"
#include "clients/cli/transfer.hpp"
#include "protocol/amqp/properties_builder.hpp"
#include "protocol/amqp/table_builder.hpp"

namespace linnet::cli {
namespace {

// What made the broker do more with a message than route it, when it was published first: send copies elsewhere, keep
// it as its topic's last value.
const std::initializer_list<std::string_view> publishing_headers = {"CC", "BCC", "x-retain"};
// What tells of its deaths.
const std::initializer_list<std::string_view> death_headers = {
    "x-death",
    "x-first-death-exchange",
    "x-first-death-queue",
    "x-first-death-reason",
    "x-last-death-exchange",
    "x-last-death-queue",
    "x-last-death-reason",
};

// A route that a dead letter had: where it was published, and why and where it died.
struct origin {
    std::string exchange;
    std::string routing_key;
    std::string queue;
    std::string reason;
};

// Of the oldest death: x-death has the newest first.
std::optional<origin> origin_of(const amqp_message& message) {
    const auto properties = properties_json(wire::as_bytes(message.properties));
    const auto deaths = value_at(properties, "headers.x-death");
    if (!deaths.is_array() || deaths.empty()) {
        return std::nullopt;
    }
    const auto& oldest = deaths.back();
    const auto keys = value_at(oldest, "routing-keys");
    const auto text = [&](const char* name) {
        const auto value = value_at(oldest, name);
        return value.is_string() ? value.get<std::string>() : std::string{};
    };
    return origin{text("exchange"),
                  keys.is_array() && !keys.empty() && keys[0].is_string() ? keys[0].get<std::string>()
                                                                          : message.routing_key,
                  text("queue"), text("reason")};
}

// Published again by us: it goes to one place, and the user who published it first is not the one who does so now.
amqp_message fresh_from(const amqp_message& message, std::initializer_list<std::string_view> also_left_out,
                        bool keeps_its_time) {
    auto fresh = message;
    const auto view = amqp::basic_properties_view::parse(wire::as_bytes(message.properties));
    if (!view) {
        return fresh;
    }
    auto builder = amqp::basic_properties_builder{*view};
    auto kept = amqp::table_builder{};
    auto table = amqp::table_builder{};
    if (const auto headers = view->headers()) {
        kept.put_all_but(*headers, publishing_headers);
        table.put_all_but(kept.view(), also_left_out);
        builder.set_headers(table.view());
    }
    builder.remove(amqp::property::user_id);
    if (!keeps_its_time) {
        builder.remove(amqp::property::expiration);
    }
    fresh.properties = builder.encode();
    return fresh;
}

// Without the marks of its deaths: with them a broker would see a cycle and drop it when it dies again. Its own time
// was up once; the queue's still counts.
amqp_message as_published(const amqp_message& message, const origin& from) {
    auto fresh = fresh_from(message, death_headers, false);
    fresh.exchange = from.exchange;
    fresh.routing_key = from.routing_key;
    return fresh;
}

result<transfer_plan> plan_of(const invocation& call, std::string verb) {
    auto plan = transfer_plan{};
    plan.queue = call.word("queue");
    plan.dry_run = call.has("dry-run");
    plan.quiet = call.has("quiet");
    plan.verb = std::move(verb);
    const auto most = number_of(call.value("max", "0"), "max");
    const auto rate = number_of(call.value("rate", "0"), "rate");
    if (!most || !rate) {
        return tl::unexpected{most ? rate.error() : most.error()};
    }
    plan.messages_max = *most;
    plan.rate_per_s = static_cast<double>(*rate);
    return plan;
}

exit_code carry_out(const invocation& call, transfer_plan plan, const target& at) {
    plan.timeout = at.timeout;
    auto client = amqp_client::open(at.amqp, at.timeout);
    if (!client) {
        return complain(call.name(), client.error());
    }
    const auto report = carry(**client, plan);
    if (!report) {
        return complain(call.name(), report.error());
    }
    tell(call, fmt::format("{}{} {}, {} stay", plan.dry_run ? "would have " : "", plan.verb, report->carried,
                           report->kept + report->refused));
    if (report->broken) {
        auto why = *report->broken;
        why.next = fmt::format("{} were under way: they, and the last ones before them, may be in both places.",
                               report->unsettled);
        return complain(call.name(), why);
    }
    if (report->unsettled != 0) {
        return complain(call.name(),
                        {exit_code::partial, fmt::format("{} were not confirmed in time", report->unsettled),
                         "They are in the queue still, and may be where they were to go as well."});
    }
    if (report->unanswered != 0) {
        return complain(call.name(), {exit_code::partial,
                                      fmt::format("{} that were asked for did not come in time", report->unanswered),
                                      "They are in the queue still; a longer --timeout may help."});
    }
    if (report->refused == 0) {
        return exit_code::ok;
    }
    complain(call.name(),
             {exit_code::partial, fmt::format("{} had nowhere to go: {}", report->refused, report->why_refused),
              "They are in the queue still."});
    return report->carried == 0 ? exit_code::failure : exit_code::partial;
}

exit_code move_messages(const invocation& call) {
    const auto at = target_of(call);
    auto plan = plan_of(call, "moved");
    if (!at || !plan) {
        return complain(call.name(), at ? plan.error() : at.error());
    }
    plan->choose = [&call, to_exchange = call.has("exchange")](const amqp_delivery& delivery) {
        auto message = fresh_from(delivery.message, {}, true);
        message.exchange = to_exchange ? call.value("exchange") : "";
        message.routing_key = to_exchange ? call.value("key", message.routing_key) : call.word("to");
        return std::optional{std::move(message)};
    };
    if (call.word("to").empty() == !call.has("exchange")) {
        return complain(call.name(), {exit_code::usage, "messages go to a queue or to an --exchange", ""});
    }
    return carry_out(call, std::move(*plan), *at);
}

// What --filter sees of a dead letter.
json_value visible(const amqp_delivery& delivery, const origin& from) {
    return {{"reason", from.reason},
            {"queue", from.queue},
            {"exchange", from.exchange},
            {"routing_key", from.routing_key},
            {"properties", properties_json(wire::as_bytes(delivery.message.properties))},
            {"payload", delivery.message.body}};
}

exit_code replay(const invocation& call) {
    const auto at = target_of(call);
    auto plan = plan_of(call, "replayed");
    if (!at || !plan) {
        return complain(call.name(), at ? plan.error() : at.error());
    }
    const auto view = record_view{.filters = call.values("filter")};
    if (const auto valid = chosen(json_value::array(), {}, view); !valid) {
        return complain(call.name(), valid.error());
    }
    plan->choose = [&view](const amqp_delivery& delivery) -> std::optional<amqp_message> {
        const auto from = origin_of(delivery.message);
        if (!from || chosen(json_value::array({visible(delivery, *from)}), {}, view)->empty()) {
            return std::nullopt;
        }
        return as_published(delivery.message, *from);
    };
    return carry_out(call, std::move(*plan), *at);
}

}  // namespace

std::vector<command_spec> transfer_commands() {
    using enum option_group;
    const auto amqp_url = option_spec{"--amqp-url", "URL", "Where the broker speaks AMQP, if not on the usual port"};
    const auto most = option_spec{"--max", "N", "At most so many (all)"};
    const auto rate = option_spec{"--rate", "N", "At most so many a second"};
    return {
        {"queue",
         "move",
         "Move a queue's messages to another queue, or to an exchange",
         {broker, changes},
         {{"queue", "Where they are"}, {"to", "The queue that they go to", false}},
         {{"--exchange", "NAME", "Publish them to this exchange instead"},
          {"-k,--key", "KEY", "With this routing key; else their own"},
          most,
          rate,
          amqp_url},
         move_messages},
        {"queue",
         "replay",
         "Publish dead letters again where they came from, without the marks of their deaths",
         {broker, changes},
         {{"queue", "The queue of the dead letters"}},
         {{"--filter", "CONDITION",
           "Only with reason=expired, queue=..., exchange=..., routing_key~..., payload~..., "
           "properties.headers.NAME=...; repeatable"},
          most,
          rate,
          amqp_url},
         replay},
    };
}

}  // namespace linnet::cli
