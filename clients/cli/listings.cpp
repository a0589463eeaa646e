// `ls` and `show` of all that the management API lists: a table of where it is and which columns it has.
#include "clients/cli/target.hpp"

namespace linnet::cli {
namespace {

struct listing {
    std::string noun;
    std::string help;
    std::string path;       // below /api
    bool in_vhost = false;  // --vhost narrows it
    std::vector<column> columns;
    // For `show`: what identifies one, besides the vhost; empty: there is no `show`.
    std::string key;
};

const std::vector<listing>& listings() {
    static const auto all = std::vector<listing>{
        {"queue",
         "Show queues",
         "queues",
         true,
         {{"name", "name"},
          {"vhost", "vhost"},
          {"type", "type"},
          {"state", "state"},
          {"messages", "messages"},
          {"ready", "messages_ready"},
          {"unacked", "messages_unacknowledged"},
          {"consumers", "consumers"},
          {"in/s", "message_stats.publish_details.rate"},
          {"out/s", "message_stats.deliver_get_details.rate"},
          {"durable", "durable", true},
          {"exclusive", "exclusive", true},
          {"auto_delete", "auto_delete", true},
          {"policy", "policy", true},
          {"bytes", "message_bytes", true},
          {"memory", "memory", true},
          {"idle_since", "idle_since", true},
          {"node", "node", true},
          {"arguments", "arguments", true}},
         "queue"},
        {"exchange",
         "Show exchanges",
         "exchanges",
         true,
         {{"name", "name"},
          {"vhost", "vhost"},
          {"type", "type"},
          {"durable", "durable"},
          {"internal", "internal"},
          {"in/s", "message_stats.publish_in_details.rate"},
          {"out/s", "message_stats.publish_out_details.rate"},
          {"auto_delete", "auto_delete", true},
          {"policy", "policy", true},
          {"arguments", "arguments", true}},
         "exchange"},
        {"binding",
         "Show bindings",
         "bindings",
         true,
         {{"source", "source"},
          {"destination", "destination"},
          {"destination_type", "destination_type"},
          {"routing_key", "routing_key"},
          {"vhost", "vhost"},
          {"arguments", "arguments", true},
          {"properties_key", "properties_key", true}},
         ""},
        {"vhost",
         "Show vhosts",
         "vhosts",
         false,
         {{"name", "name"},
          {"messages", "messages"},
          {"ready", "messages_ready"},
          {"unacked", "messages_unacknowledged"},
          {"description", "description", true},
          {"tags", "tags", true},
          {"default_queue_type", "default_queue_type", true},
          {"tracing", "tracing", true}},
         "vhost"},
        {"user",
         "Show users",
         "users",
         false,
         {{"name", "name"}, {"tags", "tags"}, {"hashing", "hashing_algorithm", true}, {"limits", "limits", true}},
         "user"},
        {"permission",
         "Show what users may do",
         "permissions",
         false,
         {{"user", "user"}, {"vhost", "vhost"}, {"configure", "configure"}, {"write", "write"}, {"read", "read"}},
         ""},
        {"policy",
         "Show policies",
         "policies",
         true,
         {{"name", "name"},
          {"vhost", "vhost"},
          {"pattern", "pattern"},
          {"apply_to", "apply-to"},
          {"priority", "priority"},
          {"definition", "definition"}},
         "policy"},
        {"connection",
         "Show connections",
         "connections",
         false,
         {{"name", "name"},
          {"user", "user"},
          {"vhost", "vhost"},
          {"protocol", "protocol"},
          {"state", "state"},
          {"channels", "channels"},
          {"in B/s", "recv_oct_details.rate"},
          {"out B/s", "send_oct_details.rate"},
          {"tls", "ssl", true},
          {"client", "client_properties.product", true},
          {"connected_at", "connected_at", true},
          {"peer_host", "peer_host", true},
          {"peer_port", "peer_port", true},
          {"node", "node", true}},
         "connection"},
        {"channel",
         "Show channels",
         "channels",
         false,
         {{"name", "name"},
          {"user", "user"},
          {"vhost", "vhost"},
          {"state", "state"},
          {"consumers", "consumer_count"},
          {"unacked", "messages_unacknowledged"},
          {"unconfirmed", "messages_unconfirmed"},
          {"prefetch", "prefetch_count"},
          {"confirm", "confirm", true},
          {"transactional", "transactional", true},
          {"node", "node", true}},
         "channel"},
        {"consumer",
         "Show consumers",
         "consumers",
         true,
         {{"queue", "queue.name"},
          {"vhost", "queue.vhost"},
          {"tag", "consumer_tag"},
          {"channel", "channel_details.name"},
          {"ack", "ack_required"},
          {"prefetch", "prefetch_count"},
          {"exclusive", "exclusive", true},
          {"active", "active", true},
          {"arguments", "arguments", true}},
         ""},
        {"node",
         "Show nodes",
         "nodes",
         false,
         {{"name", "name"},
          {"running", "running"},
          {"mem_used", "mem_used"},
          {"mem_limit", "mem_limit"},
          {"mem_alarm", "mem_alarm"},
          {"disk_free", "disk_free"},
          {"disk_alarm", "disk_free_alarm"},
          {"fd_used", "fd_used"},
          {"fd_total", "fd_total"},
          {"uptime_ms", "uptime", true},
          {"os_pid", "os_pid", true},
          {"version", "rabbitmq_version", true}},
         "node"},
    };
    return all;
}

const listing& listing_of(const invocation& call) {
    const auto& all = listings();
    return *std::find_if(all.begin(), all.end(), [&](const listing& l) { return l.noun == call.command().noun; });
}

exit_code list(const invocation& call) {
    const auto& what = listing_of(call);
    const auto at = target_of(call);
    if (!at) {
        return complain(call.name(), at.error());
    }
    auto api = at->connect();
    const bool narrowed = what.in_vhost && call.has("vhost");
    const auto path = narrowed ? api_path({what.path, at->vhost}) : api_path({what.path});
    return shown_repeatedly(call, [&] {
        auto rows = api.get(path, narrowed ? fmt::format("vhost \"{}\"", at->vhost) : what.path);
        if (!rows) {
            return complain(call.name(), rows.error());
        }
        if (!rows->is_array()) {
            return complain(call.name(),
                            {exit_code::bad_data, fmt::format("{}{}: the answer is no list", at->api.text(), path),
                             "Is this the management API?"});
        }
        return show_rows(call, std::move(*rows), what.columns);
    });
}

exit_code show(const invocation& call) {
    const auto& what = listing_of(call);
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto name = call.word(what.key);
        const auto path = what.in_vhost ? api_path({what.path, at.vhost, name}) : api_path({what.path, name});
        const auto one = api.get(path, fmt::format("{} \"{}\"", what.noun, name));
        if (!one) {
            return tl::unexpected{one.error()};
        }
        show_object(call, *one, what.columns);
        return {};
    });
}

exit_code show_overview(const invocation& call) {
    const auto at = target_of(call);
    if (!at) {
        return complain(call.name(), at.error());
    }
    auto api = at->connect();
    return shown_repeatedly(call, [&] {
        const auto found = api.get(api_path({"overview"}), "the overview");
        if (!found) {
            return complain(call.name(), found.error());
        }
        return show_object(call, *found,
                           {{"product", "product_name"},
                            {"version", "product_version"},
                            {"rabbitmq_version", "rabbitmq_version"},
                            {"cluster_name", "cluster_name"},
                            {"node", "node"},
                            {"connections", "object_totals.connections"},
                            {"channels", "object_totals.channels"},
                            {"exchanges", "object_totals.exchanges"},
                            {"queues", "object_totals.queues"},
                            {"consumers", "object_totals.consumers"},
                            {"messages", "queue_totals.messages"},
                            {"ready", "queue_totals.messages_ready"},
                            {"unacked", "queue_totals.messages_unacknowledged"},
                            {"in/s", "message_stats.publish_details.rate"},
                            {"out/s", "message_stats.deliver_get_details.rate"},
                            {"ack/s", "message_stats.ack_details.rate"}});
    });
}

}  // namespace

std::vector<command_spec> listing_commands() {
    auto all = std::vector<command_spec>{{"overview",
                                          "",
                                          "Show totals and rates of the whole broker",
                                          {option_group::broker, option_group::object},
                                          {},
                                          {{"--watch", "[SECONDS]", "Show it again and again (each second)"}},
                                          show_overview}};
    for (const auto& each : listings()) {
        all.push_back({each.noun, "ls", each.help, {option_group::broker, option_group::rows}, {}, {}, list});
        if (!each.key.empty()) {
            all.push_back({each.noun,
                           "show",
                           fmt::format("Show one {}", each.noun),
                           {option_group::broker, option_group::object},
                           {{each.key, "Its name"}},
                           {},
                           show});
        }
    }
    return all;
}

}  // namespace linnet::cli
