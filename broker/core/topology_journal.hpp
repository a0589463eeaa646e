#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/byte_codec.hpp"
#include "broker/core/definitions.hpp"
#include "broker/core/log.hpp"
#include "broker/core/topology.hpp"
#include "broker/core/topology_record.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

// What the records of a topology's log come to, read in order.
//
// Threads: one.
// Bounds:  what is defined, once; twice from the beginning of a rewrite to its end.
// Fails:   add() says no at the first record that is none of ours.
class topology_replay {
public:
    [[nodiscard]] bool add(const log_record& r);

    using table = std::map<std::string, definition, std::less<>>;  // by key_of()
    [[nodiscard]] const table& definitions() const noexcept { return now_; }
    // The highest name ever given to a queue, as far as the log remembers.
    [[nodiscard]] owner_uid last_uid() const noexcept { return last_uid_; }
    // The log ends in the middle of a rewrite: what it had written does not count.
    [[nodiscard]] bool unfinished() const noexcept { return rewriting_; }

private:
    static void forget_vhost(table& t, const std::string& name);

    table now_;
    table next_;  // while a rewrite is read
    bool rewriting_ = false;
    owner_uid last_uid_ = 0;
};

// Keeps what is durable of the topology in a log: every change of the editor that is to outlive the process, and
// users, parameters and notes, which live here.
//
// A record says what is, whole, or what is no more; so replaying needs no rules, and effects (an auto-delete
// exchange that goes with its last binding) are recorded as they happened. Once the log has grown to several times
// what it says, everything is written anew and the old is dropped.
//
// Threads: the control's; before the shards run, the main thread's.
// Owns:    users, parameters, notes. Borrows the log; with none nothing outlives the process, and the rest holds.
// Bounds:  the log stays below four times its content and a few MiB.
class topology_journal final : public definition_listener {
public:
    topology_journal(durable_log* log, topology_replay&& found);

    // ---- Recovery ------------------------------------------------------------------------------
    // Puts the queue where its log's messages are recovered, and says where.
    using queue_maker = std::function<queue_handle(queue_spec&)>;
    // Builds what was found; from then on listens to the editor. What could not be built is a problem in words.
    [[nodiscard]] std::vector<std::string> restore(topology_editor& editor, const queue_maker& make);
    // The log had nothing: a store that is new.
    [[nodiscard]] bool empty() const noexcept { return was_empty_; }

    // ---- Changes -------------------------------------------------------------------------------
    // What the editor tells and what is set below is gathered until it is sealed: after a crash all of it is
    // there, or none.
    void on_defined(const definition& d) override;
    void on_removed(const definition& d) override;
    void set(const user_definition& u);
    void set(const parameter_definition& p);
    void set(const note_definition& n);
    bool remove_user(std::string_view name);
    bool remove_parameter(const parameter_definition& named);
    // True when there was anything to seal.
    bool seal();

    using user_table = std::map<std::string, user_definition, std::less<>>;
    [[nodiscard]] const user_table& users() const noexcept { return users_; }
    // Whom remove_user() has taken away since this was last called, and who is not back.
    [[nodiscard]] std::vector<std::string> take_users_gone();
    using parameter_table = std::map<std::string, parameter_definition, std::less<>>;  // by key_of()
    [[nodiscard]] const parameter_table& parameters() const noexcept { return parameters_; }
    [[nodiscard]] std::string_view note(std::string_view name) const noexcept;  // empty: none

    // A durable name for a queue: grows, and is never given again, whatever became of the one before.
    [[nodiscard]] owner_uid next_uid() noexcept { return ++last_uid_; }
    // One that means nothing to the next process.
    [[nodiscard]] owner_uid next_fleeting_uid() noexcept { return fleeting_owner | ++last_fleeting_; }
    // Whether arguments of a declaration find room in a record.
    [[nodiscard]] bool fits(const value_table& arguments) const;

    // ---- Durability ----------------------------------------------------------------------------
    // What has been sealed so far is durable once durable() has come to this. Both 0 without a log.
    [[nodiscard]] log_position position() const noexcept { return log_ == nullptr ? 0 : log_->end(); }
    [[nodiscard]] log_position durable() const noexcept { return log_ == nullptr ? 0 : log_->durable(); }
    // Takes note of the disk. True when there was anything new.
    bool poll();
    // Begins to write what was sealed; rewrites the log when it is time.
    void flush(const topology_editor& editor);
    // About once a second.
    void tick(mono_ns now);
    [[nodiscard]] durable_log* log() const noexcept { return log_; }

    void release_owner() const noexcept {
        owner_.release();
        if (log_ != nullptr) {
            log_->release_owner();
        }
    }

private:
    void note_change(topology_change change, const definition& d);
    [[nodiscard]] std::uint32_t last_vhost() const noexcept;
    void append(std::uint8_t kind, std::uint8_t flags, std::span<const std::uint8_t> payload);
    [[nodiscard]] bool outgrown() const noexcept;
    void rewrite(const topology_editor& editor);
    void rewrite_one(const definition& d);

    durable_log* const log_;
    thread_owner owner_;
    topology_replay found_;  // until restored
    bool was_empty_;

    user_table users_;
    std::vector<std::string> users_gone_;
    parameter_table parameters_;
    std::map<std::string, std::string, std::less<>> notes_;
    owner_uid last_uid_;
    owner_uid last_fleeting_ = 0;

    // Not yet sealed: one buffer, and where in it each record begins.
    struct gathered {
        topology_record kind;
        std::size_t from;
    };
    byte_writer bytes_;
    std::vector<gathered> gathered_;

    // What everything took when it was written last, and from where on; the old is dropped once the new is durable.
    std::uint64_t content_bytes_ = 0;
    log_position content_from_ = 0;
    struct old_content {
        log_position keep_from;
        log_position once_durable;
    };
    std::optional<old_content> old_;
    bool must_rewrite_ = false;
};

}  // namespace linnet::core
