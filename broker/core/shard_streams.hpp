#pragma once

#include "broker/core/command.hpp"
#include "broker/core/slot_table.hpp"
#include "broker/core/stream.hpp"

#include <algorithm>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

namespace linnet::core {

struct shard_state;

// The streams of a shard, beside its queues: a handle whose slot is first_stream_slot or above names one, and only
// where no queue is found is looked here. So queues pay nothing for them.
//
// Threads: the shard's.
// Fails:   a stream whose log cannot be opened is not made; a log that fails later ends the process, as every log.
class shard_streams final : public stream_context {
public:
    explicit shard_streams(shard_state& home) : home_(home) {}

    // ---- stream_context ------------------------------------------------------------------------
    [[nodiscard]] mono_ns now() const noexcept override;
    [[nodiscard]] wall_ns wall_now() const noexcept override;
    [[nodiscard]] timer_wheel& timers() noexcept override;
    [[nodiscard]] message_pool& pool() noexcept override;
    [[nodiscard]] const property_reader* reader_of(protocol_tag tag) const noexcept override;
    void deliver_remote(const remote_consumer& to, delivery&& d) override;
    void cancel_remote(const remote_consumer& to, cancel_reason why) override;
    void forget_local(delivery_sink& sink, queue_handle q, consumer_id c) override;
    void gap_remote(const remote_consumer& to, position resumed) override;
    void on_active(stream& s) override;
    void on_readable(stream& s) override;
    void on_durable(const durable_waiter& w) override;

    // ---- Streams -------------------------------------------------------------------------------
    [[nodiscard]] bool any() const noexcept { return table_.size() != 0; }
    [[nodiscard]] static bool named(queue_place p) noexcept { return names_stream(p.slot); }
    // Some of these are streams: worth asking only when there are any().
    [[nodiscard]] static bool among(std::span<const queue_place> where) noexcept;
    [[nodiscard]] static bool among(std::span<const queue_handle> where) noexcept;
    [[nodiscard]] stream* find(queue_place p) noexcept;
    // By what the store knows it by: looks at all of them.
    [[nodiscard]] stream* named(owner_uid uid) noexcept;
    [[nodiscard]] stream* find(queue_handle h) noexcept { return find(queue_place{h.slot, h.generation}); }
    // Calls f for those in `most` slots from `from` on; returns the slot of a handle to go on with, 0: that was all.
    template <class F>
    [[nodiscard]] std::uint32_t for_some(std::uint32_t from, std::uint32_t most, F&& f) {
        const auto end = static_cast<std::uint32_t>(std::min<std::size_t>(table_.slots(), std::size_t{from} + most));
        for (std::uint32_t slot = from; slot < end; ++slot) {
            if (auto* s = table_.find_slot(slot); s != nullptr && *s != nullptr) {
                f(**s);
            }
        }
        return end < table_.slots() ? end + first_stream_slot : 0;
    }
    // Is a queue of that kind one of ours? Not where the broker has no place for streams.
    [[nodiscard]] bool takes(const queue_spec& spec) const noexcept;
    [[nodiscard]] result<queue_handle, std::string> create(const queue_spec& spec);
    // Its readers are told, nobody finds it any more. Returns how many messages it had. A durable one's log stays until
    // its deletion is durable (let_go()): else a crash would bring it back without what it had promised to keep.
    std::uint64_t destroy(stream& s);
    void let_go(owner_uid uid);
    [[nodiscard]] owner_answer do_owner_task(owner_task& t);
    [[nodiscard]] std::optional<reply> do_request(routed_request& r, shard_id asker);

    // ---- Publishing ----------------------------------------------------------------------------
    // A message's streams are gathered from begin_publish() on; what was appended is waited for by wait().
    void begin_publish() noexcept { appended_.clear(); }
    // Done already when that errand has brought it before.
    [[nodiscard]] bool append(queue_place to, const message_ptr& m, const errand_name& brought_by = {});
    [[nodiscard]] bool appended() const noexcept { return !appended_.empty(); }
    // So far.
    [[nodiscard]] std::uint64_t appended_messages() const noexcept { return appended_messages_; }
    // Tells `w` once all of these streams are durable, and these logs of queues (a bit each), too.
    void wait(std::uint64_t logs, const durable_waiter& w);
    // A part of a joint has become durable.
    void joined(std::uint64_t joint);

    // ---- Readers -------------------------------------------------------------------------------
    void settle(queue_place at, consumer_id c, std::uint32_t count);
    void add_credit(queue_place at, consumer_id c, std::uint32_t count);
    void set_prefetch(queue_place at, consumer_id c, std::uint32_t prefetch);
    void detach(queue_handle h, consumer_id c);
    void resume(queue_handle h);
    void schedule(stream& s);

    // ---- The turn ------------------------------------------------------------------------------
    void poll();
    void pump();
    void flush();
    [[nodiscard]] bool to_pump() const noexcept { return !to_pump_.empty(); }
    [[nodiscard]] bool congested() noexcept;
    // About once a second while there is something to look after.
    void tick(mono_ns now);
    [[nodiscard]] bool wants_ticks() const noexcept { return !active_.empty() || !lately_.empty(); }
    [[nodiscard]] bool disk_full() const noexcept { return disk_full_; }
    void wake_through(int event_fd);
    // Each is polled at least once more.
    void look_at_all();
    void hand_over() noexcept;
    // Everything is written out. The complaint of a log that failed over it.
    [[nodiscard]] std::optional<std::string> close();

private:
    struct joint {
        std::uint32_t waiting = 0;
        durable_waiter then;
    };

    [[nodiscard]] static queue_place place_of(const stream& s) noexcept;
    [[nodiscard]] static bool lasts(const stream& s) noexcept { return (s.spec().uid & fleeting_owner) == 0; }
    void remove(std::unique_ptr<stream> gone);
    [[nodiscard]] reply do_consume(stream& s, routed_request& r, shard_id asker);

    shard_state& home_;
    slot_table<std::unique_ptr<stream>> table_;
    std::unordered_map<owner_uid, std::unique_ptr<stream>> parting_;
    std::vector<stream*> appended_;
    std::uint64_t appended_messages_ = 0;
    std::unordered_map<std::uint64_t, joint> joints_;
    std::uint64_t last_joint_ = 0;
    // By handle: a stream may go while it is listed.
    std::vector<queue_handle> active_;
    std::vector<queue_handle> polling_;
    std::vector<queue_handle> to_pump_;
    std::vector<queue_handle> pumping_;
    std::vector<queue_handle> lately_;  // were active since the last tick
    std::optional<int> event_fd_;
    bool disk_full_ = false;
};

}  // namespace linnet::core
