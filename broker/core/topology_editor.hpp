#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/core/definitions.hpp"
#include "broker/core/error.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/policy.hpp"
#include "broker/core/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace linnet::core {

class queue_order;
// Of all vhosts that have queues, by the vhosts' names (queue_order.hpp).
using queue_orders = std::map<std::string, queue_order, std::less<>>;

struct topology_limits {
    std::optional<std::uint64_t> queues_per_vhost;
    std::optional<std::uint64_t> queues;  // in the whole broker
    std::optional<std::uint64_t> exchanges_per_vhost;
    std::optional<std::uint64_t> roaming_nodes{};  // of an exchange (topic_tree.hpp)
};

// What else went when something went: auto-delete exchanges that lost their last binding.
struct fallen {
    std::vector<std::string> exchanges;
};

// Makes the next version of the topology: the one writer.
//
// Edits accumulate in a private next version that shares every untouched node with the published one;
// commit() seals it. An edit that fails changes nothing. Operations answer with RabbitMQ's own words and
// in its order of checks; rights are not looked at here: the session has asked for them before.
//
// Threads:  the control's, release_topology() included: reference counts in the nodes are plain integers.
// Owns:     the next version. Each committed version belongs to whoever took it, until released.
// Bounds:   an edit costs the depth of what it touches; removing a queue, its own bindings.
class topology_editor {
public:
    explicit topology_editor(topology_limits limits = {});
    ~topology_editor();
    topology_editor(const topology_editor&) = delete;
    topology_editor& operator=(const topology_editor&) = delete;

    // ---- Versions ------------------------------------------------------------------------------
    // The next version as it stands, edits included; good until the next edit.
    [[nodiscard]] topology_view view() const noexcept;
    // Edits since the last commit()?
    [[nodiscard]] bool changed() const noexcept;
    // Seals the edits: a version whose number is one higher. The caller gives it back through
    // release_topology() when no reader can reach it any more.
    [[nodiscard]] const topology_root* commit();

    // For walks (topology_walk.hpp): the next version as it stands; good until the next edit.
    [[nodiscard]] const topology_root& root() const noexcept;
    // Its queues, by the names of their vhosts and their own; good until the next edit.
    [[nodiscard]] const queue_orders& queues_in_order() const noexcept;
    // What can be tried and thrown away: the same next version, with nobody who listens. Costs as much as there are
    // queues.
    [[nodiscard]] std::unique_ptr<topology_editor> fork() const;
    // Tells of every change to come. Null: nobody listens. It must outlive the editor, or be replaced.
    void listen(definition_listener* who) noexcept;

    void set_limits(topology_limits limits) noexcept;
    // Built on the main thread, then the control's.
    void release_owner() const noexcept { owner_.release(); }

    // ---- Virtual hosts -------------------------------------------------------------------------
    // With the exchanges that every vhost has. An existing one is left as it is.
    vhost_id add_vhost(std::string_view name, std::uint32_t number = 0);
    // Ids up to there have been used before.
    void set_last_vhost(std::uint32_t number) noexcept;
    // What is there beyond them stays.
    [[nodiscard]] outcome<void> set_vhost_limits(vhost_id v, const vhost_limits& l);
    // The queues that were in it, for their owners to end. Ids are never used again.
    [[nodiscard]] outcome<std::vector<queue_entry>> remove_vhost(std::string_view name);

    // ---- Exchanges and bindings ----------------------------------------------------------------
    [[nodiscard]] outcome<void> declare_exchange(vhost_id v, const core::declare_exchange& what);
    [[nodiscard]] outcome<fallen> delete_exchange(vhost_id v, const core::delete_exchange& what);
    [[nodiscard]] outcome<void> bind(vhost_id v, const core::bind& what, session_handle from);
    // As it was described: the key in the core's own form. What a log has is there, whatever the limits are by now.
    [[nodiscard]] outcome<void> restore_binding(const binding_definition& what);
    // Likewise, within the limits.
    [[nodiscard]] outcome<void> import_binding(const binding_definition& what);
    // Unbinding what is not bound is done already.
    [[nodiscard]] outcome<fallen> unbind(vhost_id v, const core::unbind& what, session_handle from);

    // ---- Subscribers ---------------------------------------------------------------------------
    // A sink is known by its handle, from its first binding to its last.
    [[nodiscard]] outcome<void> subscribe(vhost_id v, const core::subscribe& what);
    fallen unsubscribe(vhost_id v, const core::unsubscribe& what);
    fallen remove_subscriber(vhost_id v, queue_handle sink);

    // ---- Queues --------------------------------------------------------------------------------
    // Either it is there and equivalent (queue_entry), or it may be created: the checked spec, with the
    // settings that arguments and policies give together. Create it, then add_queue().
    using declared_queue = std::variant<queue_entry, queue_spec>;
    [[nodiscard]] outcome<declared_queue> check_declare_queue(vhost_id v, const core::declare_queue& what,
                                                              session_handle from) const;
    // The name must still be free: no other queue may have been added since the check.
    void add_queue(queue_spec spec, queue_handle where);
    // Of an operation on an existing queue (delete, purge, consume, get): there, and not another's.
    [[nodiscard]] outcome<queue_entry> check_queue(vhost_id v, std::string_view name, session_handle from) const;
    // As check_queue(), but nothing for a queue that is not there: deleting it is done already.
    // if_unused and if_empty are for the queue's owner to check.
    [[nodiscard]] outcome<std::optional<queue_entry>> check_delete_queue(vhost_id v, const core::delete_queue& what,
                                                                         session_handle from) const;
    // With its bindings. A queue that is not there falls silently: it may have gone on its own.
    fallen remove_queue(vhost_id v, std::string_view name);
    fallen remove_queue(queue_handle where);
    [[nodiscard]] const queue_entry* find_queue(queue_handle where) const noexcept;
    [[nodiscard]] std::vector<queue_entry> queues_of_session(session_handle owner) const;

    // ---- Rights --------------------------------------------------------------------------------
    [[nodiscard]] outcome<void> set_permissions(std::string_view user, vhost_id v, const permission_patterns& p);
    void clear_permissions(std::string_view user, vhost_id v);
    [[nodiscard]] outcome<void> set_topic_permissions(std::string_view user, vhost_id v, std::string_view exchange,
                                                      const topic_patterns& p);
    void clear_topic_permissions(std::string_view user, vhost_id v, std::string_view exchange);
    // In every vhost.
    void remove_user(std::string_view user);

    // ---- Policies ------------------------------------------------------------------------------
    // Each answers with the queues whose settings changed, as they are now, so that their owners learn it.
    [[nodiscard]] outcome<std::vector<queue_entry>> set_policy(vhost_id v, policy p);
    [[nodiscard]] outcome<std::vector<queue_entry>> remove_policy(vhost_id v, std::string_view name);
    [[nodiscard]] outcome<std::vector<queue_entry>> set_operator_policy(vhost_id v, policy p);
    [[nodiscard]] outcome<std::vector<queue_entry>> remove_operator_policy(vhost_id v, std::string_view name);
    void for_each_policy(vhost_id v, const std::function<void(policy_kind, const policy&)>& f) const;

private:
    struct state;
    std::unique_ptr<state> state_;
    thread_owner owner_;
};

// Ends one committed version: nodes that no other version shares are freed. On the control's thread;
// fits a snapshot domain's deleter through a small lambda.
void release_topology(const topology_root* root) noexcept;

}  // namespace linnet::core
