#pragma once

#include "broker/core/shard.hpp"
#include "broker/session/mqtt_figures.hpp"

#include <array>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>

namespace linnet::session {

// The topics below $SYS/broker, in which monitoring expects a broker to tell of itself: mosquitto's, as far as they
// mean something here. Each is a retained message, published when its value has changed.
//
// Threads: the shard's that publish() is called on, always the same one.
class mqtt_sys {
public:
    struct terms {
        std::string exchange;
        std::string vhost;
        std::string version;
    };
    mqtt_sys(terms t, const mqtt_figures& figures) : terms_(std::move(t)), figures_(figures) {}

    // Where there is no such vhost or exchange nothing is said.
    void publish(core::shard& s);

private:
    // Events a minute over the last 1, 5 and 15 minutes, each fading as time goes by.
    struct load {
        std::uint64_t before = 0;
        std::array<double, 3> averages{};
    };

    void say(core::shard& s, const core::vhost_node& v, std::string_view topic, std::string value);
    void say_load(core::shard& s, const core::vhost_node& v, std::string_view topic, std::uint64_t now, double seconds);

    const terms terms_;
    const mqtt_figures& figures_;
    mono_ns began_ = 0;
    mono_ns last_ = 0;  // 0: never
    std::int64_t clients_max_ = 0;
    std::map<std::string, load, std::less<>> loads_;
    std::map<std::string, std::string, std::less<>> said_;
    core::route_memo memo_{};
};

}  // namespace linnet::session
