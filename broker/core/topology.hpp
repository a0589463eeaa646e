#pragma once

#include "broker/core/error.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/queue_settings.hpp"
#include "broker/core/value.hpp"
#include "broker/core/vhost_limits.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

// The routing table of the whole broker as its readers see it: one immutable version at a time.
//
// A version is reached through one atomic pointer (lockfree/snapshot.hpp), valid for the turn in which it
// was loaded. The control on shard 0 makes the next version by path copying (topology_editor.hpp); nodes
// that did not change are shared between versions. Readers never count references.
//
// Threads: any, read only.
// Bounds:  a look-up costs one walk down a hash trie; a topic match O(levels * live pattern states).

namespace linnet::core {

class property_reader;
class message;

enum class exchange_type : std::uint8_t {
    direct,
    fanout,
    topic,
    headers,
    consistent_hash,
    modulus_hash,
    random,
    local_random,
    recent_history,
    delayed,
};

[[nodiscard]] std::string_view to_text(exchange_type type) noexcept;

struct exchange_spec {
    std::string name;
    std::string type_name;  // as declared: "topic", "x-consistent-hash"
    exchange_type type = exchange_type::direct;
    bool durable = false;
    bool auto_delete = false;
    bool internal = false;
    value_table arguments;
    std::optional<std::string> alternate_exchange;  // from the argument or a policy
};

// What AMQP's short strings hold (4.2.5.3): a message keeps its exchange's name in as much.
inline constexpr std::size_t name_bytes_max = 255;
inline constexpr std::size_t binding_key_bytes_max = 65'535;  // a topic filter's (MQTT 5, 1.5.4)

struct queue_spec {
    std::string name;
    vhost_id vhost{};
    bool durable = false;
    bool auto_delete = false;
    session_handle exclusive_to{};  // names nothing: shared
    value_table arguments;
    queue_settings settings;  // arguments and policies together
    std::string policy;       // the names of those that apply, for people
    std::string operator_policy;
    // Assigned when it is created, and kept: what its messages are stored under, and in which log.
    owner_uid uid = 0;
    std::uint16_t log = 0;
};

struct queue_entry {
    queue_handle handle;
    queue_spec spec;
};

// What the store knows a durable queue by. It outlives the process, which a handle does not.
struct durable_name {
    owner_uid uid = 0;  // 0: none
    std::uint16_t log = 0;
};
// One of the queues, streams, clients or stores of last values that an errand is for (errands.hpp).
struct errand_target {
    durable_name name;
    queue_handle handle{};  // nothing after a restart, or if it is no queue and no stream
};

// The vhost's rights of one user, compiled. Regular expressions as RabbitMQ's: searched, not anchored.
enum class right : std::uint8_t { configure, write, read };

// Opaque to readers; defined in topology_nodes.hpp.
struct topology_root;
struct vhost_node;
struct exchange_node;

// Where a message goes: every queue once.
using targets = std::span<const queue_handle>;

// What routing looks at beside the exchange. `headers_of` is asked only by exchanges that need headers.
struct route_input {
    std::string_view routing_key;
    const property_reader* reader = nullptr;  // null: the message has no headers
    std::span<const std::uint8_t> properties{};
    std::uint64_t entropy = 0;  // for random exchanges; any changing number
    shard_id here{};            // for local_random
    bool delays_over = false;   // delayed-message exchanges pass it on
};

// What a route means beyond its targets.
struct route_notes {
    bool cacheable = true;  // depends on (exchange, routing key) and the topology alone
    bool exchange_found = true;
    // A delayed-message exchange was asked; where it holds the message, its name is among the delays.
    bool delayed = false;
    // A recent-history exchange was passed: it wants to remember the message.
    const exchange_node* remember = nullptr;
};

// Working memory of one router, reused: nothing is allocated once it has grown to what a route needs.
struct route_scratch;
struct route_scratch_deleter {
    void operator()(route_scratch* s) const noexcept;
};
using route_scratch_ptr = std::unique_ptr<route_scratch, route_scratch_deleter>;
[[nodiscard]] route_scratch_ptr make_route_scratch();

// A user's compiled rights in a vhost.
class access_rules;

// One version, as a reader sees it. As cheap to copy as the pointer it is; good for the current turn only.
class topology_view {
public:
    explicit topology_view(const topology_root* root) noexcept : root_(root) {}

    // Grows with every change. Two equal versions route alike.
    [[nodiscard]] std::uint64_t version() const noexcept;

    [[nodiscard]] const vhost_node* find_vhost(std::string_view name) const noexcept;
    [[nodiscard]] const vhost_node* find_vhost(vhost_id id) const noexcept;
    [[nodiscard]] static const exchange_node* find_exchange(const vhost_node& v, std::string_view name) noexcept;
    [[nodiscard]] static const queue_entry* find_queue(const vhost_node& v, std::string_view name) noexcept;
    // None for a queue that does not outlive the process, or is gone.
    [[nodiscard]] durable_name name_of(queue_handle q) const noexcept;
    [[nodiscard]] static vhost_id id_of(const vhost_node& v) noexcept;
    [[nodiscard]] static std::string_view name_of(const vhost_node& v) noexcept;
    [[nodiscard]] static const exchange_spec& spec_of(const exchange_node& x) noexcept;
    [[nodiscard]] static const vhost_limits& limits_of(const vhost_node& v) noexcept;
    // For a connection of that user, whoever may use the vhost. Refused in RabbitMQ's words (quota_exceeded).
    [[nodiscard]] static outcome<vhost_seat> take_seat(const vhost_node& v, std::string_view user);

    // Every queue that a message with this key reaches through this exchange, each once, following
    // exchange-to-exchange bindings (cycles end) and alternate exchanges. The default exchange is "".
    // Targets are those of `out` afterwards (targets_of); they replace what was there.
    static route_notes route(const vhost_node& v, const exchange_node& x, const route_input& in, route_scratch& out);
    // Adds the route of a further key (CC, BCC) to what `out` holds already.
    static route_notes route_more(const vhost_node& v, const exchange_node& x, const route_input& in,
                                  route_scratch& out);
    // The route of several keys at once (a message with CC and BCC): an alternate exchange is asked only
    // where none of them matched. `in.routing_key` is not looked at; hashing exchanges take the first key.
    static route_notes route_keys(const vhost_node& v, const exchange_node& x, std::span<const std::string_view> keys,
                                  const route_input& in, route_scratch& out);
    [[nodiscard]] static targets targets_of(const route_scratch& s) noexcept;
    // The delayed-message exchanges that hold the message back: what lies behind them is not among the targets.
    [[nodiscard]] static std::span<const std::string> delays_of(const route_scratch& s) noexcept;

    // Null: the user does not exist or has no rights in that vhost at all.
    [[nodiscard]] const access_rules* rules_of(std::string_view user, vhost_id vhost) const noexcept;

    // For listings (topology_walk.hpp), which must not keep anything of it across turns.
    [[nodiscard]] const topology_root* root() const noexcept { return root_; }

private:
    const topology_root* root_;
};

class access_rules {
public:
    access_rules() = default;
    access_rules(const access_rules&) = delete;
    access_rules& operator=(const access_rules&) = delete;
    virtual ~access_rules() = default;
    // The default exchange is known by the name "amq.default" here, as in RabbitMQ's rules.
    [[nodiscard]] virtual bool allowed(right r, std::string_view resource) const = 0;
    // Topic permissions: only for topic exchanges that have a rule for this user. `client` is MQTT's client identifier,
    // for patterns that name it; where there is none, such a pattern allows nothing.
    [[nodiscard]] virtual bool topic_allowed(right r, std::string_view exchange, std::string_view routing_key,
                                             std::string_view client = {}) const = 0;
    [[nodiscard]] virtual bool has_topic_rules() const noexcept = 0;
};

}  // namespace linnet::core
