#pragma once

#include "broker/base/clock.hpp"
#include "broker/session/mqtt_figures.hpp"
#include "protocol/mqtt/reason_code.hpp"
#include "protocol/mqtt/topic_key.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::session {

// What an MQTT listener offers and bounds. Lives as long as its sessions; the configuration fills it.
struct mqtt_settings {
    // Where topics live; the vhost of clients that name none.
    std::string exchange = "amq.topic";
    mqtt::name_mode topic_mode = mqtt::name_mode::exact;
    std::map<std::string, mqtt::name_mode, std::less<>> topic_modes;  // of vhosts that have one of their own
    std::string vhost = "/";
    // Who clients without a user name are; empty: they are refused. With a password they are that user as long as it is
    // the user's, and from where that user may come.
    std::string anonymous_user;
    bool certificates = false;  // a verified client certificate logs in who brings no name
    std::optional<std::string> anonymous_password;

    // How many publishes of QoS 1 and 2 may be under way: from a client, and to one that does not say.
    std::uint16_t receive_maximum = 1024;
    std::uint16_t inflight_max = 100;
    std::uint16_t topic_alias_maximum = 64;  // from a client; 0: none
    std::uint32_t packet_bytes_max = 128U * 1024 * 1024;
    std::uint32_t subscriptions_max = 10'000;  // a session
    // And what is kept of them, a filter and 9 bytes of each.
    [[nodiscard]] std::size_t subscription_bytes_max() const noexcept {
        return std::clamp(std::size_t{100} * subscriptions_max, std::size_t{1} << 20, std::size_t{32} << 20);
    }
    // What may wait in a connection's output before messages that no queue keeps are dropped.
    std::size_t live_bytes_max = std::size_t{8} * 1024 * 1024;
    // A shared subscription that nobody has come back to for so long is over, with what waits in it. 0: never.
    std::int64_t shared_expiry_ms = 7LL * 24 * 3600 * 1000;
    // The longest that a session may outlive its connection; 0xFFFFFFFF: for ever.
    std::uint32_t session_expiry_max_s = 0xffff'ffff;
    std::uint16_t keep_alive_max_s = 0;  // 0: as the client wants it, also none
    // What is said of a topic that a client may not publish or subscribe to: that, or unspecified_error, which MQTT 5
    // has for a server that does not wish to reveal the reason.
    mqtt::reason_code forbidden = mqtt::reason_code::not_authorized;

    // From the first byte to a CONNECT that has been answered.
    mono_ns handshake_timeout = 10 * ns_per_s;

    // Counted by all sessions that have these settings.
    std::unique_ptr<mqtt_figures> figures = std::make_unique<mqtt_figures>();

    [[nodiscard]] mqtt::name_mode mode_in(std::string_view name) const {
        const auto own = topic_modes.find(name);
        return own == topic_modes.end() ? topic_mode : own->second;
    }
};

}  // namespace linnet::session
