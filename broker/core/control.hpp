#pragma once

#include "broker/core/command.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/topology_editor.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

class broker;
struct shard_state;

// The one writer of the topology: carries out declarations, deletions and bindings one after the other.
//
// An operation that needs a queue's owner on another shard (create, count, destroy) sends it a task and
// waits for the answer; what arrives meanwhile waits in line, so that every operation sees the result of
// the one before, and a queue is published only once its owner has it.
//
// Threads: the control shard's.
// Bounds:  a session has at most one request under way, so the line is as long as there are sessions.
class control {
public:
    control(broker& parts, shard_state& home);

    void execute(std::unique_ptr<routed_request> r);
    // Gives the answer once everything that stands in line before it has been done.
    void answer_after(session_handle to, reply&& r);
    // Not asked by a session: an auto-delete queue lost its last consumer, or expired.
    void remove_unused(queue_handle q);
    void on_answer(owner_answer&& a);
    // Runs a change of configuration between two operations, publishes it, and tells the owners of the
    // queues that it returns their new settings.
    using topology_change = std::function<std::vector<queue_entry>(topology_editor&)>;
    void run(topology_change change);
    void remember(message_ptr m, vhost_id vhost, std::string_view exchange);

private:
    struct job {
        std::unique_ptr<routed_request> asked;  // or:
        queue_handle unused;                    // or:
        topology_change change;                 // or:
        session_handle to{};                    // the one who waits for
        std::unique_ptr<reply> answer;
    };
    using next_step = std::function<void(owner_answer&&)>;

    void work();
    void begin(job& j);
    void finish(reply&& r);
    void finish_ok();
    void ask_owner(owner_task t, next_step then);
    void publish();

    void declare(const declare_exchange& x);
    void remove(const delete_exchange& x);
    void connect(const bind& b);
    void disconnect(const unbind& u);
    void declare(const declare_queue& q);
    void create(queue_spec spec);
    void remove(const delete_queue& q);
    void end_session();
    void apply_next(std::vector<queue_entry> left);
    void destroy_next(std::vector<queue_handle> left);
    void replay_history(const bind& b);

    broker& parts_;
    shard_state& home_;
    std::deque<job> line_;
    next_step waiting_;  // set: an owner is being asked
    bool working_ = false;

    struct history {
        vhost_id vhost;
        std::string exchange;
        std::deque<message_ptr> messages;  // oldest first
    };
    std::vector<std::unique_ptr<history>> histories_;
};

}  // namespace linnet::core
