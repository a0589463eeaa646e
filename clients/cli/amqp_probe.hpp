#pragma once

#include "clients/cli/amqp_conversation.hpp"

#include <tl/expected.hpp>

#include <chrono>
#include <cstdint>
#include <string>

namespace linnet::cli {

// How far to go: to the server's greeting, which needs no user, or through a login.
enum class probe_depth : std::uint8_t { greeting, login };

struct probe_report {
    // From the greeting.
    std::string product;
    std::string version;
    std::string platform;
    std::string cluster_name;
    std::string mechanisms;
    std::string tls_version;                   // empty: none
    std::chrono::microseconds connect_time{};  // until the greeting was there
    // From the login.
    bool logged_in = false;
    std::uint16_t channel_max = 0;
    std::uint32_t frame_max = 0;
    std::uint16_t heartbeat_s = 0;
    std::chrono::microseconds login_time{};
    std::chrono::microseconds round_trip{};  // the median of several channels opened and closed
};

// Greets a broker as an AMQP 0-9-1 client, looks, and takes its leave.
[[nodiscard]] tl::expected<probe_report, amqp_failure> probe(const server_uri& uri, probe_depth depth,
                                                             std::chrono::milliseconds timeout);

}  // namespace linnet::cli
