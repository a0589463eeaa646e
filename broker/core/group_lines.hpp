#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/item_ring.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <unordered_map>
#include <utility>
#include <vector>

namespace linnet::core {

// The ready messages of a queue that is grouped by a key (x-group-by): one consumer a key at a time.
//
// A key belongs to the consumer that got its first message until all it lent is settled and none is ready. Its
// messages go out in the order of their positions; other keys flow on past one whose consumer takes nothing. Of what
// may go out, the oldest goes first.
//
// A key whose consumer has gone stays blocked until all that was lent has been settled or has come back, so that no
// two consumers ever have messages of one key. When a consumer comes, those that have more than their share of keys
// give some up: at once where nothing is lent, else as soon as it is settled.
//
// Threads: the queue's.
// Bounds:  as many messages as are added, see is_full(); some 120 bytes a message and 130 a key that has messages,
// ready, waiting or lent; nothing for other keys.
//          Lending O(log n + consumers).
class group_lines {
public:
    // Stands for a key: its hash. Two keys of one hash share an owner, which breaks no promise.
    using key = std::uint64_t;

    group_lines();
    ~group_lines();
    group_lines(const group_lines&) = delete;
    group_lines& operator=(const group_lines&) = delete;

    // ---- Consumers -----------------------------------------------------------------------------
    void attach(consumer_id c);
    void detach(consumer_id c);

    // ---- Messages ------------------------------------------------------------------------------
    // A new message.
    void add(key k, queue_item&& item);
    struct taken {
        consumer_id to;
        queue_item item;
    };
    // The oldest message that may go to a consumer of whom `can_take` is true; it counts as lent to that consumer
    // until lent_is_done() or give_back(). A consumer that comes with fewer keys goes first.
    template <class CanTake>
    [[nodiscard]] std::optional<taken> take(CanTake&& can_take) {
        const consumer* best = nullptr;
        const consumer* lightest = nullptr;
        for (const auto& c : consumers_) {
            if (!can_take(c->id)) {
                continue;
            }
            if (!c->ready.empty() && (best == nullptr || c->ready.begin()->first < best->ready.begin()->first)) {
                best = c.get();
            }
            if (lightest == nullptr || c->keys < lightest->keys) {
                lightest = c.get();
            }
        }
        if (lightest != nullptr && !free_.empty() &&
            (best == nullptr || free_.begin()->first < best->ready.begin()->first)) {
            return lend_head(*free_.begin()->second, lightest->id);
        }
        return best == nullptr ? std::nullopt : lend_head(*best->ready.begin()->second, best->id);
    }
    // The oldest message of a key that nobody has; lent to nobody (consumer id 0), which blocks its key.
    [[nodiscard]] std::optional<queue_item> take_free();
    [[nodiscard]] bool has_free() const noexcept { return !free_.empty(); }
    // Of a lent message: it is settled. False: nothing of that position is lent.
    bool lent_is_done(position pos);
    // It comes back into its old place.
    void give_back(queue_item&& item);
    // It waits for its next attempt (retry), and nothing of its key goes out before it is given back or done.
    void hold_back(position pos);
    // The same of one that was never lent here: it waited already when the broker ended.
    void hold(key k, position pos);
    [[nodiscard]] bool is_lent(position pos) const noexcept { return lent_.contains(pos); }

    // Ready, for people: it looks through all.
    [[nodiscard]] bool has(position pos) const noexcept;

    // The oldest of all ready messages, whether it may go out or not: for what must go. Not lent.
    [[nodiscard]] std::optional<queue_item> take_oldest();
    [[nodiscard]] const queue_item* oldest() const noexcept;
    // Those whose deadline has passed, wherever they stand; the earliest first.
    [[nodiscard]] std::optional<queue_item> take_expired(mono_ns now);
    [[nodiscard]] mono_ns next_deadline() const noexcept;  // 0: none

    [[nodiscard]] std::size_t ready() const noexcept { return ready_; }
    // So much is ready that no more is to be added only to find another key: what lies here cannot be spilled.
    [[nodiscard]] bool is_full() const noexcept { return ready_ >= filed_max || ready_bytes_ >= filed_bytes_max; }
    // Keys that have messages, ready or lent.
    [[nodiscard]] std::size_t keys() const noexcept { return groups_.size(); }
    [[nodiscard]] std::size_t keys_of(consumer_id c) const noexcept;
    // Memory held, the messages' own aside.
    [[nodiscard]] std::size_t bytes() const noexcept;

private:
    static constexpr std::size_t filed_max = 16 * 1024;
    static constexpr std::uint64_t filed_bytes_max = 16 * 1024 * 1024;
    struct group;
    struct node;
    using by_head = std::set<std::pair<position, group*>>;
    struct consumer {
        consumer_id id;
        std::size_t keys = 0;
        by_head ready;  // its groups that have something ready and are not blocked
    };

    [[nodiscard]] consumer* find(consumer_id c) const noexcept;
    [[nodiscard]] group& group_of(key k);  // made if there is none
    [[nodiscard]] node* oldest_node() const noexcept;
    [[nodiscard]] by_head* shelf_of(const group& g) noexcept;
    void shelve(group& g);
    void unshelve(group& g);
    void set_holder(group& g, consumer* c) noexcept;
    [[nodiscard]] std::optional<taken> lend_head(group& g, consumer_id to);
    void insert(group& g, queue_item&& item);
    [[nodiscard]] queue_item remove(node& n) noexcept;
    [[nodiscard]] queue_item remove_ready(node& n);
    void settle_one(group& g);
    void calm(group& g);
    void rebalance();

    std::vector<std::unique_ptr<consumer>> consumers_;
    std::unordered_map<key, std::unique_ptr<group>> groups_;
    struct lent_state {
        group* of;
        bool held_back;
    };
    std::unordered_map<position, lent_state> lent_;
    by_head free_;     // nobody's, and may go to anybody
    by_head blocked_;  // something is ready, and may not go out
    std::set<std::pair<mono_ns, node*>> deadlines_;
    std::size_t ready_ = 0;
    std::uint64_t ready_bytes_ = 0;  // the messages' own
};

}  // namespace linnet::core
