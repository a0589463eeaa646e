#pragma once

#include "broker/base/thread_owner.hpp"
#include "broker/core/death_log.hpp"
#include "broker/core/delivery.hpp"
#include "broker/core/item_ring.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/queue_settings.hpp"
#include "broker/core/timer_wheel.hpp"
#include "broker/core/topology.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// What a queue needs of the shard it lives on.
class queue_context {
public:
    queue_context() = default;
    queue_context(const queue_context&) = delete;
    queue_context& operator=(const queue_context&) = delete;
    virtual ~queue_context() = default;

    [[nodiscard]] virtual mono_ns now() const noexcept = 0;
    [[nodiscard]] virtual timer_wheel& timers() noexcept = 0;
    // The message left the queue without being consumed: dead-letter it, or let it go. Must not re-enter
    // the queue (the shard works these off later).
    virtual void on_dead(const class queue& q, queue_item&& item, death_reason why) = 0;
    // Consumers on other shards.
    virtual void deliver_remote(const struct remote_consumer& to, delivery&& d) = 0;
    virtual void cancel_remote(const struct remote_consumer& to, cancel_reason why) = 0;
    // An auto-delete queue lost its last consumer, or a queue's x-expires ran out: it wants to be deleted.
    virtual void on_unused(const class queue& q) = 0;
};

// The place of a consumer whose session lives on another shard.
struct remote_consumer {
    shard_id shard{};
    std::uint32_t proxy_slot = 0;
    std::uint32_t proxy_generation = 0;
};

enum class enqueue_result : std::uint8_t { accepted, refused };

// The only buffer of the broker: an ordered line of messages that consumers compete for.
//
// A message goes straight to a consumer that can take it; only what nobody can take yet is stored. What is
// lent leaves the queue whole (see delivery) and comes back with settle() or give_back(), there into its
// old place by its position, so that order survives a requeue.
//
// Threads: the owning shard's.
// Bounds:  32 bytes a stored message beside the message itself; max_length and the memory budget bound the
//          number. Delivering costs O(1), with many consumers O(consumers that cannot take now).
class queue final : private timer {
public:
    // How many deliveries may be under way to a consumer on another shard. A turn of a busy shard takes
    // milliseconds; this many keep a consumer at some millions a second meanwhile.
    static constexpr std::uint32_t remote_window = 8192;

    queue(queue_context& context, queue_handle self, const queue_spec& spec);
    ~queue() override;

    [[nodiscard]] queue_handle self() const noexcept { return self_; }
    [[nodiscard]] const queue_spec& spec() const noexcept { return spec_; }
    [[nodiscard]] std::uint64_t ready_count() const noexcept { return ready_; }
    [[nodiscard]] std::uint64_t ready_bytes() const noexcept { return ready_bytes_; }
    [[nodiscard]] std::uint64_t unacked_count() const noexcept { return unacked_; }
    [[nodiscard]] std::uint64_t consumer_count() const noexcept { return order_.size(); }
    [[nodiscard]] bool had_consumer() const noexcept { return had_consumer_; }

    // ---- Messages ------------------------------------------------------------------------------
    [[nodiscard]] enqueue_result enqueue(message_ptr m);
    // basic.get: the head, lent to nobody in particular (consumer id 0) unless `no_ack`.
    [[nodiscard]] std::optional<delivery> get(bool no_ack);
    std::uint64_t purge();
    // Lends what consumers can take. Returns false when it stopped at its bound with more to do.
    bool pump();
    // A policy changed.
    void apply(const queue_spec& spec);
    // Declared again or looked at: the lease of x-expires begins anew.
    void touch();

    // ---- Consumers -----------------------------------------------------------------------------
    struct attachment {
        std::uint64_t tag = 0;
        delivery_sink* sink = nullptr;  // on this shard, or null:
        remote_consumer remote{};       // then here
        session_handle session{};
        std::string label;
        std::uint32_t prefetch = 0;
        std::int64_t priority = 0;
        bool no_ack = false;
        bool exclusive = false;
    };
    [[nodiscard]] outcome<consumer_id> attach(attachment a);
    // What it holds stays lent until it is settled or given back.
    void detach(consumer_id id);
    void set_prefetch(consumer_id id, std::uint32_t prefetch);
    // The far shard has passed on `count` deliveries: that many more may be under way.
    void add_credit(consumer_id id, std::uint32_t count);

    // ---- Settling ------------------------------------------------------------------------------
    // `count` lent messages of `bytes` are done; credit returns to the consumer. Call pump() later.
    void settle(consumer_id id, std::uint32_t count, std::uint64_t bytes) noexcept;
    // Comes back: requeued into its old place, or rejected (dead-lettered or dropped).
    void requeue(delivery&& d);
    // In flight to a consumer that was gone when it arrived: as if never lent.
    void bounce(delivery&& d);
    void reject(delivery&& d);

    // The queue is being deleted: consumers are told, messages let go. Returns how many were ready.
    std::uint64_t shut_down();

private:
    struct consumer {
        attachment a;
        consumer_id id{};
        std::uint32_t in_flight = 0;  // lent and not settled; only with acks
        std::uint32_t under_way = 0;  // sent to the far shard and not yet passed on
        bool attached = true;
    };
    static constexpr std::uint32_t pump_batch_max = 4096;

    void on_timer(mono_ns now) override;
    [[nodiscard]] static bool can_take(const consumer& c) noexcept;
    [[nodiscard]] consumer* next_taker() noexcept;
    [[nodiscard]] consumer* next_taker_by_priority() noexcept;
    [[nodiscard]] consumer* find(consumer_id id) noexcept;
    void lend(consumer& c, queue_item&& item);
    void store(queue_item&& item);
    [[nodiscard]] item_ring& lane_of(const queue_item& item) noexcept;
    [[nodiscard]] item_ring* head_lane() noexcept;
    [[nodiscard]] queue_item take_head(item_ring& lane) noexcept;
    void drop_expired();
    void drop_overflow();
    [[nodiscard]] bool full_for_one_more(const message& m) const noexcept;
    [[nodiscard]] mono_ns deadline_of(const message& m) const noexcept;
    void arm_timer() noexcept;
    [[nodiscard]] bool unused() const noexcept;
    void put_back(delivery&& d, bool counts);

    queue_context& context_;
    queue_handle self_;
    queue_spec spec_;
    // Lane 0 is the lowest priority; one lane unless x-max-priority asks for more.
    std::vector<item_ring> lanes_;
    std::uint64_t ready_ = 0;
    std::uint64_t ready_bytes_ = 0;
    std::uint64_t unacked_ = 0;
    position next_position_ = 1;
    std::uint64_t with_deadline_ = 0;  // ready messages that can expire: none is the common, free case
    mono_ns unused_since_ = 0;
    // By slot (the id's low half); order_ is by priority, then arrival.
    std::vector<std::unique_ptr<consumer>> consumers_;
    std::vector<consumer*> order_;
    std::size_t turn_ = 0;            // round robin: where the next search starts
    bool priorities_differ_ = false;  // between consumers
    consumer* active_ = nullptr;      // of a single-active-consumer queue
    std::uint32_t next_generation_ = 1;
    bool had_consumer_ = false;
    bool closing_ = false;
    thread_owner owner_;
};

}  // namespace linnet::core
