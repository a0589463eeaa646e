// Who publishes what to where and who consumes it: options made explicit, before any protocol is chosen.
//
// Threads:  a value, read-only once made.
#pragma once

#include "bench/load/options.hpp"

#include <string>
#include <vector>

namespace linnet::load {

struct binding_plan {
    unsigned queue = 0;  // index into plan::queues
    std::string key;
};

// One routing key that a producer uses. Messages of one producer with the same `stream` reach one queue (or
// every queue alike), so their order is the broker's duty.
struct target_plan {
    std::string key;
    std::uint32_t stream = 0;
};

struct producer_plan {
    std::vector<target_plan> targets;  // used in turn
};

struct subscription_plan {
    unsigned queue = 0;
    unsigned consumer = 0;
    bool competing = false;  // others consume from the same queue, so gaps are no loss
};

// One connection. A producer has a channel of its own.
struct connection_plan {
    std::vector<unsigned> producers;
    std::vector<subscription_plan> subscriptions;
    unsigned channels = 0;  // for the subscriptions
};

struct plan {
    std::string exchange;  // empty: the default exchange
    std::string exchange_type;
    std::vector<std::string> queues;
    std::vector<binding_plan> bindings;
    std::vector<producer_plan> producers;
    std::vector<connection_plan> connections;
    std::uint32_t streams = 0;
    unsigned copies = 1;  // deliveries that one published message leads to
};

[[nodiscard]] plan make_plan(const options& o);

}  // namespace linnet::load
