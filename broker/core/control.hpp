#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/administer.hpp"
#include "broker/core/command.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/log.hpp"
#include "broker/core/topology_editor.hpp"

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

class broker;
struct shard_state;

// Where a queue of that name is put when it is created.
[[nodiscard]] shard_id home_of(const queue_spec& spec, std::uint16_t shards);

// The one writer of the topology: carries out declarations, deletions and bindings one after the other.
//
// An operation that needs a queue's owner on another shard (create, count, destroy) sends it a task and
// waits for the answer; what arrives meanwhile waits in line, so that every operation sees the result of
// the one before, and a queue is published only once its owner has it.
//
// What is durable is recorded (topology_journal.hpp) before its answer is given. The line does not wait for the
// disk: answers do, in order, so that a thousand declarations share a sync. Others see a change at once, before it
// is durable; a crash then undoes what nobody had been promised. (What they publish to a queue that is not durable yet
// is confirmed by its owner once that is.)
//
// Threads: the control shard's.
// Bounds:  a session has at most one request in line, and a bounded number of answers that wait for the disk.
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

    // ---- The turn ------------------------------------------------------------------------------
    // Gives the answers whose records have become durable.
    void poll(mono_ns now);
    // Begins to write what was recorded.
    void flush();
    // Recorded and not yet durable: poll() has something to wait for.
    [[nodiscard]] bool waits_for_disk() const noexcept;

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
    void give(session_handle to, reply&& r, bool pipelined);
    [[nodiscard]] outcome<void> room_for(const value_table& arguments) const;
    void name(queue_spec& spec);
    void ask_owner(owner_task t, next_step then);
    void publish();
    // Once what has been published is durable, the queue's owner hears of it: of its declaration or, when it has
    // something to let go of, of its end.
    void vouch(owner_uid queue, queue_handle made);
    void part(const owner_answer& destroyed);
    struct news {
        log_position at;
        command_kind what;
        shard_id owner;
        owner_uid queue;
    };
    void tell_when_durable(command_kind what, shard_id owner, owner_uid queue);
    void tell(const news& n);
    void note_gone(accounts gone);
    void tell_all(const accounts& gone);

    void declare(const declare_exchange& x);
    void remove(const delete_exchange& x);
    void connect(const bind& b);
    void disconnect(const unbind& u);
    void subscribe(const core::subscribe& s);
    void unsubscribe(const core::unsubscribe& s);
    void end(const end_subscriber& s);
    void declare(const declare_queue& q);
    void create(queue_spec spec);
    void remove(const delete_queue& q);
    void end_session();
    void administer(const core::administer& a);
    // Tells owners of new settings, then of the end, one after the other; then the answer is given: yes, or that
    // refusal.
    void follow_up(administered what, std::optional<error> refusal = {});
    void install(const core::install& i);
    // One after the other; then the change.
    void make_next(std::vector<queue_spec> left, std::vector<queue_entry> made);
    void give_up(std::vector<queue_entry> made, const owner_answer& failed, std::string_view name);
    void apply_next(std::vector<queue_entry> left);
    void destroy_next(std::vector<queue_handle> left);
    void replay_history(const bind& b);

    broker& parts_;
    shard_state& home_;
    std::deque<job> line_;
    next_step waiting_;  // set: an owner is being asked
    bool working_ = false;

    // Of the job at work: it has recorded something; it concerns only what does not outlive the process.
    bool recorded_ = false;
    bool fleeting_ = false;
    struct waiting_answer {
        log_position at;
        session_handle to;
        reply what;
    };
    std::deque<waiting_answer> answers_;                           // positions rise
    std::deque<news> news_;                                        // likewise
    std::deque<std::pair<log_position, accounts>> accounts_gone_;  // likewise
    bool started_ = false;
    owner_uid last_fleeting_ = 0;
    mono_ns ticked_ = 0;

    struct history {
        vhost_id vhost;
        std::string exchange;
        std::deque<message_ptr> messages;  // oldest first
    };
    std::vector<std::unique_ptr<history>> histories_;
};

}  // namespace linnet::core
