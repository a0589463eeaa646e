#include "bench/load/option_check.hpp"

#include "bench/load/option_table.hpp"

namespace linnet::load {
namespace {

outcome<void> check_crossing(const options& o) {
    const bool has_amqp = o.what != scenario::mqtt_sse;
    if ((has_amqp && o.uri.speaks != protocol::amqp) || o.mqtt_uri.speaks != protocol::mqtt ||
        o.http_uri.speaks != protocol::http)
        return failure("a crossing needs --uri amqp://..., --mqtt-uri mqtt://... and --http-uri http://...");
    if ((o.queue + o.queue_pattern).find_first_of("/.") != std::string::npos)
        return failure("a crossing's names are topics and routing keys at once: neither / nor . may be in them");
    return {};
}

// Of protocols in which a connection is one client.
outcome<void> check_connections(const options& o) {
    if (o.consumed_by() != protocol::amqp && o.consumers_per_connection != 1)
        return failure("an MQTT or HTTP connection is one consumer: --consumers-per-connection has no meaning here");
    if (o.published_by() != protocol::amqp && o.producers_per_connection != 1)
        return failure("an MQTT or HTTP connection is one producer: --producers-per-connection has no meaning here");
    if (o.everyone_gets_all() && o.consumers > o.queue_count() && o.consumers % o.queue_count() != 0)
        return failure("{} consumers of {} topics: the second must divide the first", o.consumers, o.queue_count());
    if (o.uri.speaks != protocol::amqp && o.churn != churn_kind::connection)
        return failure("MQTT and HTTP have neither channels nor queues to churn");
    return {};
}

outcome<void> check_mqtt(const options& o) {
    if (o.shared && o.version != mqtt::version::v5)
        return failure("--shared needs --mqtt-version 5");
    return {};
}

outcome<void> check_http(const options& o) {
    if (o.what == scenario::http && o.consumers != 0)
        return failure("http has no consumers; sse has");
    if (o.consumed_by() == protocol::http && o.consumers != 0 && o.consumers < o.queue_count())
        return failure("a reader of events reads one name: {} consumers are too few for {}", o.consumers,
                       o.queue_count());
    if (o.reads_topics() && o.post_to == "rabbitmq")
        return failure("--post-to rabbitmq publishes to exchanges and queues, which readers of topics do not read");
    return {};
}

protocol protocol_of(scenario s) noexcept {
    if (s == scenario::http || s == scenario::sse)
        return protocol::http;
    return s == scenario::mqtt ? protocol::mqtt : protocol::amqp;
}

// What a scenario speaks is in its name or, for those that are about no protocol, in the URI.
outcome<void> check_protocols(const options& o) {
    const bool any = o.what == scenario::latency || o.what == scenario::conn || o.what == scenario::churn ||
                     o.what == scenario::self;
    if (o.is_crossing()) {
        if (auto done = check_crossing(o); !done)
            return done;
    } else if (const protocol wanted = protocol_of(o.what); !any && o.uri.speaks != wanted) {
        return failure("{} needs a URI that begins with {}://", name_of(o.what), name_of(wanted));
    }
    return check_connections(o).and_then([&] { return check_mqtt(o); }).and_then([&] { return check_http(o); });
}

// Of MQTT's QoS 1 and 2.
constexpr unsigned usual_window = 100;

}  // namespace

outcome<void> check(const options& o) {
    if (o.queue_pattern_to < o.queue_pattern_from)
        return failure("--queue-pattern-to is below --queue-pattern-from");
    if (!o.queue_pattern.empty() && o.queue_pattern.find("%d") == std::string::npos) {
        return failure("--queue-pattern needs a %d");
    }
    if (o.producers == 0 && o.consumers == 0)
        return failure("nothing to do: no producers and no consumers");
    if (o.producers_per_connection == 0 || o.consumers_per_connection == 0) {
        return failure("a connection carries at least one producer or consumer");
    }
    if (o.threads == 0)
        return failure("--threads must be at least 1");
    if (o.interval_seconds < 0.01)
        return failure("--interval must be at least 0.01");
    if (o.multi_ack == 0)
        return failure("--multi-ack must be at least 1");
    if (!o.auto_ack && o.prefetch != 0 && o.multi_ack > o.prefetch) {
        return failure("--multi-ack {} would never be reached with --prefetch {}", o.multi_ack, o.prefetch);
    }
    if (o.in_flight != 0 && o.consumers == 0)
        return failure("--in-flight needs consumers");
    if (o.confirm_window > 1U << 20)
        return failure("--confirm: at most {}", 1U << 20);
    if (o.what == scenario::topic && (o.bindings == 0 || o.keys == 0)) {
        return failure("topic needs --bindings and --keys of at least 1");
    }
    if (o.what == scenario::latency && o.size < stamp_time_bytes_of(o.form()))
        return failure("latency needs a --size of {} at least, for the time to fit in", stamp_time_bytes_of(o.form()));
    return check_protocols(o);
}

void settle(options& o) {
    switch (o.published_by()) {
        case protocol::amqp: return;
        case protocol::mqtt:
            if (o.qos == mqtt::qos::at_most_once)
                o.confirm_window = 0;
            else if (o.confirm_window == 0)
                o.confirm_window = usual_window;
            return;
        case protocol::http:
            // A request has an answer.
            if (o.confirm_window == 0)
                o.confirm_window = 1;
            return;
    }
}

}  // namespace linnet::load
