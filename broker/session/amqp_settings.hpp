#pragma once

#include "broker/base/clock.hpp"

#include <cstdint>
#include <string>

namespace linnet::session {

// What an AMQP listener offers and bounds. Lives as long as its sessions; the configuration fills it.
struct amqp_settings {
    // Offered in connection.tune; a client may only lower them.
    std::uint32_t frame_max = 131072;
    std::uint16_t channel_max = 2047;
    std::uint16_t heartbeat_s = 60;  // proposed; the client's word decides

    std::uint64_t message_bytes_max = 128ULL * 1024 * 1024;
    std::uint32_t consumers_per_channel_max = 4096;
    // From the first byte to connection.open-ok.
    mono_ns handshake_timeout = 10 * ns_per_s;
    // How long we wait for a close-ok, and how long a refused login has to wait for the end.
    mono_ns close_timeout = 10 * ns_per_s;
    mono_ns refusal_delay = 1 * ns_per_s;
    // A delivery not acknowledged for so long closes its channel; 0: never.
    mono_ns consumer_timeout = 30 * 60 * ns_per_s;

    std::string product = "Linnet";
    // Some clients switch features on by the server's version, so it is RabbitMQ's.
    std::string version = "3.13.7";
    std::string platform = "Linnet 0.1.0";
    std::string copyright = "Copyright (c) the Linnet authors";
    std::string information = "Licensed under the Apache License 2.0";
    std::string cluster_name = "linnet";

    bool plain = true;
    bool amqplain = true;
    bool external = true;  // offered on TLS connections that brought a verified certificate
};

}  // namespace linnet::session
