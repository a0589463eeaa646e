#pragma once

#include "broker/core/shard.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace linnet::session {

// A lease's name tells the shard that keeps it, and cannot be guessed.
struct http_lease_id {
    std::uint16_t shard = 0;
    std::uint64_t number = 0;
    std::uint64_t secret = 0;
    bool operator==(const http_lease_id&) const = default;

    [[nodiscard]] std::string text() const;
    [[nodiscard]] static std::optional<http_lease_id> parse(std::string_view text) noexcept;
};

// Messages that HTTP clients have taken and not settled yet. A lease that runs out gives its message back to its queue,
// as a failed attempt; so does the end of the process.
//
// Threads: one shard's.
// Owns:    the deliveries lent.
// Bounds:  their number is checked by who adds.
class http_leases {
public:
    explicit http_leases(core::shard& s) : shard_(s) {}

    [[nodiscard]] std::size_t size() const noexcept { return all_.size(); }
    http_lease_id add(core::delivery&& d, std::string user, core::vhost_id vhost, mono_ns lasts);
    // False: there is none (any more) of that name for that user in that vhost.
    [[nodiscard]] bool settle(const http_lease_id& id, std::string_view user, core::vhost_id vhost,
                              core::settlement how);
    // Rejected, with a reason for the dead letter (reject_reason.hpp) unless that is empty.
    [[nodiscard]] bool reject(const http_lease_id& id, std::string_view user, core::vhost_id vhost,
                              std::string_view reason);
    [[nodiscard]] bool extend(const http_lease_id& id, std::string_view user, core::vhost_id vhost, mono_ns lasts);
    // All go back.
    void end();

private:
    struct lease final : core::timer {
        lease(http_leases& h, http_lease_id i) : home(h), id(i) {}
        void on_timer(mono_ns) override { home.give_back(id.number); }

        http_leases& home;
        const http_lease_id id;
        core::delivery lent;
        std::string user;
        core::vhost_id vhost{};
    };
    [[nodiscard]] lease* find(const http_lease_id& id, std::string_view user, core::vhost_id vhost);
    void settle(std::uint64_t number, core::settlement how);
    void give_back(std::uint64_t number) { settle(number, core::settlement::requeued); }

    core::shard& shard_;
    std::uint64_t last_ = 0;
    std::unordered_map<std::uint64_t, std::unique_ptr<lease>> all_;
};

}  // namespace linnet::session
