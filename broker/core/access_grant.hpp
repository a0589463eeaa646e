#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/topology.hpp"

#include <memory>
#include <string_view>

namespace linnet::core {

// Rights that a login has brought along (a token's), in place of those that the topology has for its user: whoever has
// a grant has nothing else, whatever a user of the same name may do.
//
// Shared by the sessions that have logged in by it, on several threads, and by what they leave behind. Immutable.
class access_grant {
public:
    explicit access_grant(wall_ns ends_at) noexcept : ends_at_(ends_at) {}
    access_grant(const access_grant&) = delete;
    access_grant& operator=(const access_grant&) = delete;
    virtual ~access_grant() = default;

    // Null: that vhost may not be used at all.
    [[nodiscard]] virtual std::shared_ptr<const access_rules> rules_in(std::string_view vhost) const = 0;
    [[nodiscard]] wall_ns ends_at() const noexcept { return ends_at_; }

private:
    const wall_ns ends_at_;
};
using grant_ptr = std::shared_ptr<const access_grant>;

// What somebody may do in a vhost, by a grant or else by the topology; good as long as the view.
class held_rules {
public:
    held_rules() = default;
    held_rules(topology_view view, std::string_view user, const grant_ptr& grant, const vhost_node& v)
        : granted_(grant == nullptr ? nullptr : grant->rules_in(topology_view::name_of(v))),
          rules_(grant == nullptr ? view.rules_of(user, topology_view::id_of(v)) : granted_.get()) {}

    // Null: nothing at all.
    [[nodiscard]] const access_rules* get() const noexcept { return rules_; }
    [[nodiscard]] explicit operator bool() const noexcept { return rules_ != nullptr; }
    const access_rules* operator->() const noexcept { return rules_; }

private:
    std::shared_ptr<const access_rules> granted_;
    const access_rules* rules_ = nullptr;
};

// The default exchange has no name; in rules it has.
[[nodiscard]] constexpr std::string_view exchange_in_rules(std::string_view exchange) noexcept {
    return exchange.empty() ? std::string_view("amq.default") : exchange;
}

// Keys are looked at where the exchange is a topic exchange. `client`: as access_rules::topic_allowed() has it.
[[nodiscard]] bool may_use_key(const access_rules& rules, right r, const exchange_node& x, std::string_view key,
                               std::string_view client = {});
// Both questions that publishing to an exchange, and binding from it, ask.
[[nodiscard]] bool may_use_exchange(const access_rules& rules, right r, const exchange_node& x, std::string_view key,
                                    std::string_view client = {});

}  // namespace linnet::core
