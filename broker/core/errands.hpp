#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/core/client.hpp"
#include "broker/core/errand_marks.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/journal.hpp"
#include "broker/core/message.hpp"
#include "broker/core/record_owner.hpp"
#include "broker/core/topology.hpp"

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace linnet::core {

// What one log is to have done in others: a message for some of their queues and streams, or to be retained; positions
// of one queue that are done; or a number marked at a client.
struct errand {
    std::vector<errand_target> to;
    std::vector<position> settled;  // empty: it is about something else
    client_mark mark{};             // likewise
    std::string vhost{};            // of a message that is to be retained
    message_ptr msg;                // until it is under way
    stored_ref where{};             // of the message
    log_position noted_at = 0;      // of what the log says beside it
    // Of what is settled, while its consumer lives.
    consumer_id consumer{};
    std::uint64_t bytes = 0;
    // While it is under way: for whom, how many logs have yet to answer, and what they said.
    std::uint64_t transaction = 0;
    std::uint32_t waiting = 0;
    bool accepted = true;
};

// The errands that one log has given out and not yet heard of, and those of other logs that were run in it.
//
// A transaction that concerns several logs is one group of records in one of them: what it does there, and an errand
// for each thing that it does elsewhere. With the group the whole transaction is durable. Then the errands are run:
// where one arrives, what it does and whose it was are one group of that log. When that is durable it is forgotten
// here. After a crash all that are left are run again; their numbers rise and they are run in order, so whoever has
// already done one recognises it (decision 0014).
//
// A number is where the log ended when the errand was recorded: no log uses a position twice.
//
// Threads: its shard's; until on_recovery_end(), the thread that recovers.
// Bounds:  what open transactions have said to other logs; a mark for each log that ever did.
// Fails:   a record that is damaged is given up, and said so.
class errands final : public record_owner {
public:
    errands(journal& log, std::uint16_t number);

    // ---- Given out -----------------------------------------------------------------------------
    // Records it, in the group that is open.
    position add(errand e, wall_ns now);
    [[nodiscard]] errand* find(position number) noexcept;
    // It is durable wherever it went.
    void done(position number);
    // After recovery: those that were left, in order.
    [[nodiscard]] std::vector<position> left() const;
    // Asks for their messages; `fetched` of each follows.
    void fetch(std::span<const position> which);
    // It has its message, or needs none.
    [[nodiscard]] static bool ready(const errand& e) noexcept { return e.msg || has_no_message(e); }

    // ---- Run here ------------------------------------------------------------------------------
    [[nodiscard]] bool has_run(std::uint16_t of, position number) const noexcept { return marks_.has(of, number); }
    // Records it, in the group that has the effect.
    void note_run(std::uint16_t of, position number);

    [[nodiscard]] journal& log() noexcept { return log_; }
    [[nodiscard]] std::uint16_t number() const noexcept { return number_; }
    // For the next thread: recovery runs on another than the shard.
    void release_owner() const noexcept { owner_.release(); }

    // ---- record_owner --------------------------------------------------------------------------
    [[nodiscard]] record_range place_of(position pos) const override;
    void on_moved(position pos, const stored_ref& to) override;
    void on_fetched(position pos, message_ptr m) override;
    void on_recovered(const recovered_message& m) override;
    void on_recovered_settled(position first, std::uint64_t count) override;
    void on_recovered_attempts(position, std::uint32_t) override {}  // nobody is lent an errand
    [[nodiscard]] bool on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) override;
    [[nodiscard]] bool on_dropping(log_position keep) override;
    // Half of an errand is none.
    void on_recovery_end(bool clean) override;

private:
    [[nodiscard]] static bool has_no_message(const errand& e) noexcept {
        return !e.settled.empty() || e.mark.entry != 0;
    }
    void note(position number, errand& e);
    [[nodiscard]] bool read_note(std::span<const std::uint8_t> keys, log_position at);

    journal& log_;
    std::uint16_t number_;
    std::map<position, errand> given_;
    errand_marks marks_;
    thread_owner owner_;
};

}  // namespace linnet::core
