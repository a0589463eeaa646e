#include "broker/session/mqtt_sys.hpp"

#include "broker/core/broker.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "protocol/mqtt/topic_key.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace linnet::session {
namespace {

struct window {
    std::string_view name;
    double seconds;
};
constexpr std::array<window, 3> windows{{{"1min", 60}, {"5min", 300}, {"15min", 900}}};

}  // namespace

void mqtt_sys::publish(core::shard& s) {
    const auto* v = s.topology().find_vhost(terms_.vhost);
    if (v == nullptr) {
        return;
    }
    const mono_ns now = s.now();
    if (last_ == 0) {
        began_ = last_ = now;
        say(s, *v, "version", "linnet version " + terms_.version);
    }
    const auto& f = figures_;
    const auto clients = f.sum(&mqtt_counts::clients);
    clients_max_ = std::max(clients_max_, clients);
    say(s, *v, "uptime", fmt::format("{} seconds", (now - began_) / ns_per_s));
    say(s, *v, "clients/connected", std::to_string(clients));
    say(s, *v, "clients/active", std::to_string(clients));
    say(s, *v, "clients/maximum", std::to_string(clients_max_));
    say(s, *v, "subscriptions/count", std::to_string(f.sum(&mqtt_counts::subscriptions)));
    say(s, *v, "heap/current", std::to_string(s.parts().held_bytes()));

    const std::pair<std::string_view, std::uint64_t> totals[] = {
        {"messages/received", f.sum(&mqtt_counts::packets_received)},
        {"messages/sent", f.sum(&mqtt_counts::packets_sent)},
        {"bytes/received", f.sum(&mqtt_counts::bytes_received)},
        {"bytes/sent", f.sum(&mqtt_counts::bytes_sent)},
        {"publish/messages/received", f.sum(&mqtt_counts::publishes_received)},
        {"publish/messages/sent", f.sum(&mqtt_counts::publishes_sent)},
        {"publish/messages/dropped", f.sum(&mqtt_counts::publishes_dropped)},
        {"publish/bytes/received", f.sum(&mqtt_counts::payload_received)},
        {"publish/bytes/sent", f.sum(&mqtt_counts::payload_sent)},
    };
    const double seconds = static_cast<double>(now - std::exchange(last_, now)) / static_cast<double>(ns_per_s);
    for (const auto& [topic, value] : totals) {
        say(s, *v, topic, std::to_string(value));
    }
    const std::pair<std::string_view, std::uint64_t> loads[] = {
        {"messages/received", f.sum(&mqtt_counts::packets_received)},
        {"messages/sent", f.sum(&mqtt_counts::packets_sent)},
        {"bytes/received", f.sum(&mqtt_counts::bytes_received)},
        {"bytes/sent", f.sum(&mqtt_counts::bytes_sent)},
        {"publish/received", f.sum(&mqtt_counts::publishes_received)},
        {"publish/sent", f.sum(&mqtt_counts::publishes_sent)},
        {"publish/dropped", f.sum(&mqtt_counts::publishes_dropped)},
        {"connections", f.sum(&mqtt_counts::connections)},
        {"sockets", f.sum(&mqtt_counts::sockets)},
    };
    for (const auto& [topic, value] : loads) {
        say_load(s, *v, topic, value, seconds);
    }
}

void mqtt_sys::say_load(core::shard& s, const core::vhost_node& v, std::string_view topic, std::uint64_t now,
                        double seconds) {
    auto at = loads_.find(topic);
    if (at == loads_.end()) {
        at = loads_.emplace(std::string(topic), load{}).first;
    }
    auto& l = at->second;
    const auto happened = static_cast<double>(now - std::exchange(l.before, now));
    const double rate = seconds > 0 ? happened * 60 / seconds : 0;
    for (std::size_t i = 0; i < windows.size(); ++i) {
        l.averages[i] = rate + std::exp(-seconds / windows[i].seconds) * (l.averages[i] - rate);
        say(s, v, fmt::format("load/{}/{}", topic, windows[i].name), fmt::format("{:.2f}", l.averages[i]));
    }
}

void mqtt_sys::say(core::shard& s, const core::vhost_node& v, std::string_view topic, std::string value) {
    auto known = said_.find(topic);
    if (known != said_.end() && known->second == value) {
        return;
    }
    const auto key = mqtt::topic_to_key(fmt::format("$SYS/broker/{}", topic));
    std::string block;
    write_block(block, 0, 0, {});
    core::message_traits traits;
    traits.properties_of = core::protocol_tag::mqtt;
    traits.retain = true;
    auto m = core::make_message(s.pool(), terms_.exchange, key, wire::as_bytes(block), wire::as_bytes(value), traits);
    const auto route = s.find_route(v, terms_.exchange, key, &mqtt_reader(), m->properties(), memo_);
    if (route.exchange == nullptr) {
        return;
    }
    static_cast<void>(s.publish(std::move(m), v, route, {}, 0, 0));
    if (known == said_.end()) {
        known = said_.emplace(std::string(topic), std::string{}).first;
    }
    known->second = std::move(value);
}

}  // namespace linnet::session
