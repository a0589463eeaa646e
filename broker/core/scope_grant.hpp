#pragma once

#include "broker/core/access_grant.hpp"

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// A pattern of a scope: '*' stands for any bytes, none among them; all else is percent-decoded ('+' is a space), so
// that what would mean something else can be written. One that is badly encoded matches nothing.
class scope_pattern {
public:
    explicit scope_pattern(std::string_view text);
    // Costs O(subject * parts) at most.
    [[nodiscard]] bool matches(std::string_view subject) const noexcept;

private:
    std::vector<std::string> parts_;  // between the asterisks; none: it matches nothing
};

// Rights as RabbitMQ's OAuth 2.0 plugin writes them as scopes:
//
//     read:<vhost>/<name>          on queues and exchanges, each a pattern
//     write:<vhost>/<name>/<key>   and on the keys of topic exchanges of that name
//     configure:<vhost>/<name>
//
// Keys of topic exchanges need a scope of three parts, as there. Scopes that are none of these grant nothing.
//
// Bounds:  a question costs a match with every scope.
class scope_grant final : public access_grant, public std::enable_shared_from_this<scope_grant> {
public:
    // Without the resource server's prefix.
    [[nodiscard]] static std::shared_ptr<const scope_grant> make(std::span<const std::string> scopes, wall_ns ends_at);

    [[nodiscard]] std::shared_ptr<const access_rules> rules_in(std::string_view vhost) const override;

    struct scope {
        right grants;
        scope_pattern vhost;
        scope_pattern name;
        std::vector<scope_pattern> key;  // one, or none
    };
    scope_grant(std::vector<scope> scopes, wall_ns ends_at);

private:
    const std::vector<scope> scopes_;
};

}  // namespace linnet::core
