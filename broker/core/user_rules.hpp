#pragma once

#include "broker/core/definitions.hpp"
#include "broker/core/error.hpp"
#include "broker/core/regex.hpp"
#include "broker/core/topology.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::core {

// One user's rights in one vhost. Immutable: every change makes a new one, so that versions can share it.
class user_rules final : public access_rules {
    struct permissions {
        regex configure;
        regex write;
        regex read;
    };
    // A pattern of topics. One that names the client is compiled when it is asked, which is once a subscription and
    // once a topic that a client comes to publish to.
    struct topic_pattern {
        std::optional<regex> fixed;
        std::string for_client;  // what is to be filled in; empty where `fixed` says it all
        [[nodiscard]] bool matches(std::string_view key, std::string_view client) const;
    };
    struct topic {
        topic_pattern write;
        topic_pattern read;
        topic_patterns asked;  // with {username} and the like in it
    };
    using topic_table = std::map<std::string, topic, std::less<>>;

public:
    user_rules() = default;
    user_rules(const permissions* p, const topic_table& t);

    // Where the user's and the vhost's names stand in for {username} and {vhost}: taken as plain text,
    // whatever they hold. %u and %c are the user's name and the client's identifier as one level of a key, whatever
    // they hold; {client_id} means the same as %c.
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
    [[nodiscard]] bool topic_allowed(right r, std::string_view exchange, std::string_view routing_key,
                                     std::string_view client = {}) const override;
    [[nodiscard]] bool has_topic_rules() const noexcept override { return !topics_.empty(); }
    [[nodiscard]] bool grants_access() const noexcept { return permissions_.has_value(); }

    // As they were given. Without permissions: three empty ones.
    [[nodiscard]] permission_patterns asked_permissions() const;
    template <class F>
    void for_each_topic(F&& f) const {
        for (const auto& [exchange, rule] : topics_) {
            f(exchange, rule.asked);
        }
    }
    [[nodiscard]] const topic_patterns* asked_topic(std::string_view exchange) const noexcept;

private:
    [[nodiscard]] static outcome<topic_pattern> compile_topic(std::string pattern, const names& who);

    const std::optional<permissions> permissions_{};
    const topic_table topics_{};  // by exchange
};

}  // namespace linnet::core
