#pragma once

#include "broker/core/error.hpp"
#include "broker/core/policy.hpp"
#include "broker/core/queue_settings.hpp"
#include "broker/core/regex.hpp"

#include <map>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::core {

// Is the definition made of known settings with values in range?
[[nodiscard]] outcome<void> check_policy(const policy& p, policy_kind kind);

// A vhost's policies of one kind, compiled.
class policy_set {
public:
    // Replaces one of the same name.
    [[nodiscard]] outcome<void> set(policy p, policy_kind kind);
    // False when there was none.
    bool remove(std::string_view name);

    [[nodiscard]] const policy* find(std::string_view name) const noexcept {
        const auto at = policies_.find(name);
        return at == policies_.end() ? nullptr : &at->second.what;
    }

    // The one that applies; null: none.
    [[nodiscard]] const policy* for_queue(std::string_view name, queue_type type) const;
    [[nodiscard]] const policy* for_exchange(std::string_view name) const;

    template <class F>
    void for_each(F&& f) const {
        for (const auto& [name, p] : policies_) {
            f(p.what);
        }
    }

private:
    struct compiled {
        policy what;
        regex pattern;
    };
    template <class Covers>
    [[nodiscard]] const policy* best(std::string_view name, Covers&& covers) const;

    std::map<std::string, compiled, std::less<>> policies_;
};

// Both laid over each other: an operator's limit caps the user's. Either may be null.
[[nodiscard]] value_table effective_definition(const policy* user, const policy* operators);

}  // namespace linnet::core
