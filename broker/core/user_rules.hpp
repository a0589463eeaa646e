#pragma once

#include "broker/core/error.hpp"
#include "broker/core/regex.hpp"
#include "broker/core/topology.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::core {

struct permission_patterns;
struct topic_patterns;

// One user's rights in one vhost. Immutable: every change makes a new one, so that versions can share it.
class user_rules final : public access_rules {
    struct permissions {
        regex configure;
        regex write;
        regex read;
    };
    struct topic {
        regex write;
        regex read;
    };
    using topic_table = std::map<std::string, topic, std::less<>>;

public:
    user_rules() = default;
    user_rules(const permissions* p, const topic_table& t);

    // Where the user's and the vhost's names stand in for {username} and {vhost}: taken as plain text,
    // whatever they hold.
    struct names {
        std::string_view user;
        std::string_view vhost;
    };

    [[nodiscard]] outcome<std::shared_ptr<const user_rules>> with_permissions(const permission_patterns& p) const;
    [[nodiscard]] std::shared_ptr<const user_rules> without_permissions() const;
    [[nodiscard]] outcome<std::shared_ptr<const user_rules>> with_topic(std::string_view exchange,
                                                                        const topic_patterns& p,
                                                                        const names& who) const;
    [[nodiscard]] std::shared_ptr<const user_rules> without_topic(std::string_view exchange) const;
    // Nothing left to keep.
    [[nodiscard]] bool empty() const noexcept { return !permissions_ && topics_.empty(); }

    [[nodiscard]] bool allowed(right r, std::string_view resource) const override;
    [[nodiscard]] bool topic_allowed(right r, std::string_view exchange, std::string_view routing_key) const override;
    [[nodiscard]] bool has_topic_rules() const noexcept override { return !topics_.empty(); }
    [[nodiscard]] bool grants_access() const noexcept { return permissions_.has_value(); }

private:
    const std::optional<permissions> permissions_{};
    const topic_table topics_{};  // by exchange
};

}  // namespace linnet::core
