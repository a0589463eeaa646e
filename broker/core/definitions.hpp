#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/policy.hpp"
#include "broker/core/value.hpp"
#include "broker/core/vhost_limits.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

// Everything that a broker is told to have, as plain values: what its store keeps of the topology, and what an
// exported file of definitions holds. Vhosts are called by name here, since ids are the process's own.

namespace linnet::core {

// A user's three patterns in a vhost. Empty text (or "^$") matches only an empty name, ".*" everything.
struct permission_patterns {
    std::string configure;
    std::string write;
    std::string read;

    bool operator==(const permission_patterns&) const = default;
};
struct topic_patterns {
    std::string write;
    std::string read;

    bool operator==(const topic_patterns&) const = default;
};

struct vhost_definition {
    std::string name;
    // Its id, which outlives the process: delayed messages are stored under it. 0: the next that is free.
    std::uint32_t number = 0;
    bool operator==(const vhost_definition&) const = default;
};
struct user_definition {
    std::string name;
    std::string password_hash;  // in any form that the daemon reads; empty: no password lets in
    std::vector<std::string> tags;
    bool loopback_only = false;
    bool operator==(const user_definition&) const = default;
};
struct permission_definition {
    std::string vhost;
    std::string user;
    permission_patterns patterns;
    bool operator==(const permission_definition&) const = default;
};
struct topic_permission_definition {
    std::string vhost;
    std::string user;
    std::string exchange;
    topic_patterns patterns;
    bool operator==(const topic_permission_definition&) const = default;
};
struct policy_definition {
    std::string vhost;
    policy_kind kind = policy_kind::user;
    policy what;
    bool operator==(const policy_definition&) const = default;
};
// What plugins of other brokers keep: carried along, as JSON.
struct parameter_definition {
    std::string vhost;      // empty: a global one,
    std::string component;  // which has no component either
    std::string name;
    std::string json;
    bool operator==(const parameter_definition&) const = default;
};
struct exchange_definition {
    std::string vhost;
    std::string name;
    std::string type;
    bool durable = true;
    bool auto_delete = false;
    bool internal = false;
    value_table arguments;
    bool operator==(const exchange_definition&) const = default;
};
struct queue_definition {
    std::string vhost;
    std::string name;
    bool durable = true;
    bool auto_delete = false;
    value_table arguments;
    // The store's alone.
    owner_uid uid = 0;
    std::uint16_t log = 0;
    bool operator==(const queue_definition&) const = default;
};
struct binding_definition {
    std::string vhost;
    std::string source;
    std::string destination;
    bind_destination kind = bind_destination::queue;
    std::string routing_key;   // as the core keeps it, whatever wildcards it was written in
    bool hide_dollar = false;  // MQTT's: a leading wildcard matches no key that begins with '$'
    bool durable = true;       // both its ends are
    value_table arguments;     // sorted
    bool operator==(const binding_definition&) const = default;
};
// What the daemon notes for itself, by name.
struct note_definition {
    std::string name;
    std::string text;
    bool operator==(const note_definition&) const = default;
};

// Removed: it has none any more.
struct vhost_limits_definition {
    std::string vhost;
    vhost_limits limits;
    bool operator==(const vhost_limits_definition&) const = default;
};

using definition = std::variant<vhost_definition, user_definition, permission_definition, topic_permission_definition,
                                policy_definition, parameter_definition, exchange_definition, queue_definition,
                                binding_definition, note_definition, vhost_limits_definition>;

// Hears of every change when it is made: what is now, or (by what names it; the rest means nothing) is no more.
//
// Threads: the editor's.
class definition_listener {
public:
    definition_listener() = default;
    definition_listener(const definition_listener&) = delete;
    definition_listener& operator=(const definition_listener&) = delete;
    virtual ~definition_listener() = default;
    virtual void on_defined(const definition& d) = 0;
    virtual void on_removed(const definition& d) = 0;
};

class topology_editor;

// The editor's part of them: all but users, parameters and notes, and but exclusive queues and what every vhost has.
// A thing comes after what it refers to; otherwise in no order.
void describe(const topology_editor& editor, const std::function<void(const definition&)>& f);

}  // namespace linnet::core
