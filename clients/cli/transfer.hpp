// Carries messages out of a queue to somewhere else, so that each is in at least one of the two places at any time:
// it is published with a confirm, and acknowledged only when the broker has confirmed.
//
// What is not wanted, what the broker refuses and what has nowhere to go returns to the queue at the end.
//
// Threads:  the caller's.
// Bounds:   as many messages as the queue held at the start, so that what arrives meanwhile, and what comes back, is
//           left alone. At a time 4 MiB of them, or one, are under way, and what has been asked for by then and turns
//           out larger than any before: at most 64 messages, and no more than have come. What is not moved is lent
//           until the end. Of a message under way its numbers are kept, not its body.
// Fails:    with the broker's words, in the report once anything has been published; what was under way is in the queue
//           still.
#pragma once

#include "clients/cli/amqp_client.hpp"

#include <functional>

namespace linnet::cli {

struct transfer_plan {
    std::string queue;
    std::uint64_t messages_max = 0;  // 0: all
    double rate_per_s = 0;           // 0: as fast as it goes
    bool dry_run = false;
    std::string verb;  // for the progress: "moved"
    bool quiet = false;
    std::chrono::milliseconds timeout{0};  // for the broker's next word, 2 s at least
    // Where a message goes; nothing: it stays.
    std::function<std::optional<amqp_message>(const amqp_delivery&)> choose;
};

struct transfer_report {
    std::uint64_t carried = 0;
    std::uint64_t kept = 0;  // not chosen
    std::uint64_t refused = 0;
    std::string why_refused;        // of the first
    std::uint64_t unsettled = 0;    // published, and neither confirmed nor refused
    std::uint64_t unanswered = 0;   // asked for, and neither come nor said not to be there
    std::optional<failure> broken;  // what ended it before its time
};

// Closes the client unless it fails: when this returns, what stays is in its queue again.
[[nodiscard]] result<transfer_report> carry(amqp_client& client, const transfer_plan& plan);

}  // namespace linnet::cli
