#pragma once

#include "broker/core/counted.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/persistent_map.hpp"
#include "broker/core/text_hash.hpp"
#include "broker/core/topic_tree.hpp"
#include "broker/core/topology.hpp"
#include "broker/core/user_rules.hpp"
#include "broker/core/vhost_limits.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

// What a version of the topology is made of. Only the editor makes and changes nodes, and only those that no
// published version reaches; routing and listings walk them.
//
//   root -> vhost -> exchange -> key | topic tree | set -> binding
//                 -> queue    -> set -> binding (the same ones: what a queue's removal must undo)
//                 -> subscriber -> set -> binding (likewise)

namespace linnet::core {

struct handle_hash {
    using is_avalanching = void;
    template <class Tag>
    [[nodiscard]] std::uint64_t operator()(const handle<Tag>& h) const noexcept {
        const std::uint64_t place = (std::uint64_t{h.shard.value} << 32) | h.slot;
        return detail::mix(place ^ detail::odd_a, h.generation ^ detail::odd_b);
    }
};

// Bindings of one routing key, in a direct exchange.
struct key_node : counted {
    std::uint64_t hash;
    std::string key;
    binding_set bindings;

    explicit key_node(std::string_view text) : hash(text_hash(text)), key(text) {}
    [[nodiscard]] bool is(std::string_view text) const noexcept { return key == text; }
    [[nodiscard]] bool same(const key_node& other) const noexcept { return key == other.key; }
};

// How an exchange type finds bindings; several types share a table.
enum class exchange_table : std::uint8_t { by_key, by_topic, all };
[[nodiscard]] exchange_table table_of(exchange_type type) noexcept;

// What the consistent-hash exchange hashes.
struct hash_source {
    enum class part : std::uint8_t { routing_key, header, message_id, correlation_id, timestamp };
    part of = part::routing_key;
    std::string header;
};

// What does not change with bindings, so that binding does not copy it.
struct exchange_record : counted {
    exchange_spec spec;
    exchange_type routes_as = exchange_type::direct;  // a delayed exchange: its inner type
    hash_source hashed;
    std::string policy;
    std::string operator_policy;
};

struct exchange_node : counted {
    std::uint64_t hash;
    node_ref<exchange_record> info;
    persistent_map<key_node> keys;  // by_key
    node_ref<topic_node> topics;    // by_topic
    binding_set bindings;           // all
    binding_set inbound;            // from other exchanges to this one
    std::uint64_t outbound_count = 0;
    std::uint64_t roaming_count = 0;  // of its topics (topic_tree.hpp)

    explicit exchange_node(node_ref<exchange_record> what) : hash(text_hash(what->spec.name)), info(std::move(what)) {}
    [[nodiscard]] bool is(std::string_view name) const noexcept { return info->spec.name == name; }
    [[nodiscard]] bool same(const exchange_node& other) const noexcept { return is(other.info->spec.name); }
};

struct queue_record : counted {
    queue_entry entry;
};

struct queue_node : counted {
    std::uint64_t hash;
    queue_handle handle;  // beside the name's hash, for routes through the default exchange
    node_ref<queue_record> info;
    binding_set bindings;

    explicit queue_node(node_ref<queue_record> what)
        : hash(text_hash(what->entry.spec.name)), handle(what->entry.handle), info(std::move(what)) {}
    [[nodiscard]] bool is(std::string_view name) const noexcept { return info->entry.spec.name == name; }
    [[nodiscard]] bool same(const queue_node& other) const noexcept { return is(other.info->entry.spec.name); }
};

// A sink of a session that is bound without a queue; there while it has bindings.
struct subscriber_node : counted {
    std::uint64_t hash;
    queue_handle sink;
    binding_set bindings;

    explicit subscriber_node(queue_handle s) : hash(handle_hash{}(s)), sink(s) {}
    [[nodiscard]] bool is(queue_handle s) const noexcept { return sink == s; }
    [[nodiscard]] bool same(const subscriber_node& other) const noexcept { return sink == other.sink; }
};

// A user's rights in the vhost.
struct rules_node : counted {
    std::uint64_t hash;
    std::string user;
    // Immutable and shared by the versions; replaced whole.
    std::shared_ptr<const user_rules> rules;
    bool grants_access = false;  // else only topic rules are kept here

    explicit rules_node(std::string_view name) : hash(text_hash(name)), user(name) {}
    [[nodiscard]] bool is(std::string_view name) const noexcept { return user == name; }
    [[nodiscard]] bool same(const rules_node& other) const noexcept { return user == other.user; }
};

struct vhost_node : counted {
    std::uint64_t hash;  // of the id
    vhost_id id;
    std::string name;
    persistent_map<exchange_node> exchanges;
    persistent_map<queue_node> queues;
    persistent_map<subscriber_node> subscribers;
    persistent_map<rules_node> users;
    std::uint64_t queue_count = 0;
    std::uint64_t exchange_count = 0;
    vhost_limits limits;
    std::shared_ptr<vhost_population> population = std::make_shared<vhost_population>();

    vhost_node(vhost_id number, std::string_view text) : hash(hash_of(number)), id(number), name(text) {}
    [[nodiscard]] static std::uint64_t hash_of(vhost_id v) noexcept {
        return detail::mix(v.value ^ detail::odd_a, detail::odd_b);
    }
    [[nodiscard]] bool is(vhost_id v) const noexcept { return id == v; }
    [[nodiscard]] bool same(const vhost_node& other) const noexcept { return id == other.id; }
};

struct vhost_name_node : counted {
    std::uint64_t hash;
    std::string name;
    vhost_id id;

    vhost_name_node(std::string_view text, vhost_id v) : hash(text_hash(text)), name(text), id(v) {}
    [[nodiscard]] bool is(std::string_view text) const noexcept { return name == text; }
    [[nodiscard]] bool same(const vhost_name_node& other) const noexcept { return name == other.name; }
};

// By its handle, for transactions.
struct durable_queue_node : counted {
    std::uint64_t hash;
    queue_handle handle;
    durable_name name;

    durable_queue_node(queue_handle where, const durable_name& what)
        : hash(hash_of(where)), handle(where), name(what) {}
    [[nodiscard]] static std::uint64_t hash_of(queue_handle q) noexcept {
        return detail::mix((std::uint64_t{q.generation} << 32 | q.slot) ^ detail::odd_a, q.shard.value ^ detail::odd_b);
    }
    [[nodiscard]] bool is(queue_handle where) const noexcept { return handle == where; }
    [[nodiscard]] bool same(const durable_queue_node& other) const noexcept { return handle == other.handle; }
};

struct topology_root : counted {
    std::uint64_t version = 1;
    persistent_map<vhost_node> vhosts;
    persistent_map<vhost_name_node> names;
    persistent_map<durable_queue_node> durable_queues;
};

}  // namespace linnet::core
