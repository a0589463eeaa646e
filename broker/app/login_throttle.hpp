#pragma once

#include "broker/base/clock.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace linnet::app {

struct throttle_options {
    std::uint32_t failures_free = 10;
    mono_ns first_delay = ns_per_s;
    mono_ns delay_max = 60 * ns_per_s;
    mono_ns forget_after = 600 * ns_per_s;  // of quiet
    std::size_t entries_max = 16'384;
};

// Slows guessing down: who has failed ten times waits one second before the next try, then two, then
// four, up to a minute. Tries made while waiting do not lengthen the wait, so nobody is locked out for good.
//
// A success does not wipe the count: else a guesser could ride on the logins of the user he guesses at,
// or reset his address with an account of his own. Quiet does.
//
// Threads:  one, or under the owner's lock.
// Bounds:   entries_max keys; then the one that failed longest ago is forgotten.
class login_throttle {
public:
    explicit login_throttle(const throttle_options& options) : options_{options} {}

    [[nodiscard]] bool must_wait(const std::string& key, mono_ns now) const;
    void failed(const std::string& key, mono_ns now);

    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    struct entry {
        std::uint32_t failures = 0;
        mono_ns last_failure = 0;
        mono_ns wait_until = 0;
    };

    [[nodiscard]] mono_ns delay_after(std::uint32_t failures) const noexcept;
    void make_room(mono_ns now);

    throttle_options options_;
    std::unordered_map<std::string, entry> entries_;
};

// What counts as one address: an IPv4 address, or the /64 network of an IPv6 one, of which every host has
// 2^64 to guess from. Anything else is its own key.
[[nodiscard]] std::string throttle_key(const std::string& peer_address);

}  // namespace linnet::app
