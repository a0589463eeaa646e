#pragma once

#include "broker/core/error.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::core {

enum class policy_scope : std::uint8_t { all, queues, classic_queues, quorum_queues, streams, exchanges };

[[nodiscard]] std::string_view to_text(policy_scope scope) noexcept;

// Settings laid over every queue or exchange whose name matches. Of several that match, the one with the
// highest priority applies, whole; of equals, the name that sorts first.
//
// A user's policy gives way to the declaration's own arguments; an operator's policy is a ceiling: of two
// limits the smaller counts.
struct policy {
    std::string name;
    std::string pattern;  // regular expression, searched in the name
    policy_scope apply_to = policy_scope::all;
    std::int64_t priority = 0;
    value_table definition;  // "message-ttl", "max-length" ...: without the arguments' "x-"

    bool operator==(const policy&) const = default;
};

enum class policy_kind : std::uint8_t { user, operators };

}  // namespace linnet::core
