#pragma once

#include "broker/core/delivery.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <utility>
#include <vector>

namespace linnet::session {

// A publish of QoS 1 or 2 that the client has not finished acknowledging.
struct mqtt_flight {
    core::delivery d;      // without a queue: nothing to settle; the message was retained, or left its group's queue
    std::uint16_t id = 0;  // 0: there is none
    std::uint8_t qos = 0;
    bool released = false;    // PUBREL has gone; when PUBREC has come, d.received
    bool of_session = false;  // from the session's own queue: its position names it after a reconnect
    bool retain = false;      // of all others, as they were sent
    bool carried = false;     // it lies in no queue any more: the session's state is all that has it
    std::uint32_t identifier = 0;
};

// The publishes under way to one client, by packet id.
//
// Ids need no table that survives: that of a message from the session's own queue follows from its position, so that a
// redelivery after a crash bears the same. They have the lower half; what comes from elsewhere (shared subscriptions,
// retained messages) takes a free one of the upper half. Two positions may share an id: the later waits.
//
// A hash table: an id's lowest bits lead to a chain of places. Consecutive ids, the usual case, have a chain each, and
// one that the client never acknowledges makes one chain longer by itself, however many pass by. Nothing moves when one
// is taken.
//
// Threads: one shard's.
// Owns:    the deliveries in it.
// Bounds:  the client's Receive Maximum; nothing while empty once it was large. With as many heads as places, a chain
//          has as many as there are ids to a head, which is few where the window is large.
class mqtt_outbound {
public:
    static constexpr std::uint16_t positional_ids = 32'767;

    // A queue's first position is 1, and so is its id.
    [[nodiscard]] static std::uint16_t id_of(core::position p) noexcept {
        return static_cast<std::uint16_t>((p + positional_ids - 1) % positional_ids + 1);
    }
    // Of the upper half. Precondition: fewer than positional_ids are under way, so that there is one.
    [[nodiscard]] std::uint16_t free_id() noexcept {
        do {
            last_free_ = static_cast<std::uint16_t>(last_free_ == 65'535 ? positional_ids + 1 : last_free_ + 1);
        } while (find(last_free_) != nullptr);
        return last_free_;
    }

    // Good until the next add().
    [[nodiscard]] mqtt_flight* find(std::uint16_t id) noexcept {
        if (size_ == 0) {
            return nullptr;
        }
        for (auto p = head_of(id); p != none; p = next_[p]) {
            if (flights_[p].id == id) {
                return &flights_[p];
            }
        }
        return nullptr;
    }
    // Precondition: that id is not in use.
    void add(mqtt_flight f) {
        if (free_ == none) {
            enlarge();
        }
        const auto p = std::exchange(free_, next_[free_]);
        flights_[p] = std::move(f);
        link(p);
        ++size_;
    }
    [[nodiscard]] mqtt_flight take(mqtt_flight& f) noexcept;
    // Everything, in the order of queues and positions.
    [[nodiscard]] std::vector<mqtt_flight> take_all();

    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    template <class F>
    void for_each(F&& f) {
        for (auto& one : std::span(flights_.get(), places_)) {
            if (one.id != 0) {
                f(one);
            }
        }
    }
    template <class F>
    void for_each(F&& f) const {
        for (const auto& one : std::span(flights_.get(), places_)) {
            if (one.id != 0) {
                f(one);
            }
        }
    }

private:
    using place = std::uint16_t;
    static constexpr place none = 0xffff;  // there are fewer places than ids
    static constexpr std::size_t first_places = 8;
    static constexpr std::size_t places_max = none;
    static constexpr std::size_t keep_max = 512;

    [[nodiscard]] place& head_of(std::uint16_t id) noexcept { return heads_[id & heads_mask_]; }
    void link(place p) noexcept { next_[p] = std::exchange(head_of(flights_[p].id), p); }
    void enlarge();
    void give_up_places() noexcept;

    // Three pointers and one count for all: most clients wait for nothing.
    std::unique_ptr<mqtt_flight[]> flights_;  // id 0: free
    std::unique_ptr<place[]> next_;           // by place: in its chain, or of the free ones
    std::unique_ptr<place[]> heads_;          // of chains; as many as a power of two
    std::uint16_t places_ = 0;
    std::uint16_t heads_mask_ = 0;
    std::uint16_t size_ = 0;
    place free_ = none;
    std::uint16_t last_free_ = 65'535;
};

}  // namespace linnet::session
