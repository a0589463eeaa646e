#pragma once

#include "broker/core/operation.hpp"
#include "broker/session/amqp_continuation.hpp"
#include "protocol/amqp/methods.hpp"

#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <variant>

namespace linnet::session {

// The answers that an AMQP session still owes, in the order of what it was asked: changes of the topology that have
// been carried out and wait for the disk (core::carried_out), and what was answered or refused after them.
//
// So a client that sends many declarations without waiting shares syncs among them, and cannot tell the difference:
// each is carried out after the one before, and after the first that fails nothing more is looked at.
//
// Threads: its session's.
// Bounds:  entries_max and what timers add: a failure a channel. The session stops reading when it is full.
class amqp_owed {
public:
    // Many to a sync, and yet no burden.
    static constexpr std::size_t entries_max = 256;

    // A channel's own error.
    struct refusal {
        amqp::reply_code code;
        std::string text;
    };
    struct entry {
        std::uint64_t cookie;
        amqp_continuation then;
        std::variant<std::monostate, core::reply, refusal> what;  // monostate: still to come
    };

    void promise(std::uint64_t cookie, amqp_continuation then) { line_.push_back({cookie, std::move(then), {}}); }
    void add(core::reply&& r, amqp_continuation then) {
        const auto cookie = r.cookie;
        line_.push_back({cookie, std::move(then), std::move(r)});
    }
    void add(refusal&& r, amqp_continuation then) { line_.push_back({0, std::move(then), std::move(r)}); }

    // The core keeps its promises in order. False: it is not the reply that is due.
    [[nodiscard]] bool keep(core::reply&& r);
    // What can be said now.
    [[nodiscard]] std::optional<entry> take();

    [[nodiscard]] bool empty() const noexcept { return line_.empty(); }
    [[nodiscard]] bool full() const noexcept { return line_.size() >= entries_max; }
    // Nothing further may be read: the last one fails, or there are many.
    [[nodiscard]] bool holds_input() const noexcept;
    [[nodiscard]] bool any_of(std::uint16_t channel) const noexcept;

private:
    std::deque<entry> line_;
};

}  // namespace linnet::session
