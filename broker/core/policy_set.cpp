#include "broker/core/policy_set.hpp"

#include "broker/core/dedup_window.hpp"
#include "broker/core/queue_arguments.hpp"
#include "broker/core/rabbit_text.hpp"
#include "broker/core/stream_start.hpp"
#include "broker/core/topology.hpp"

#include <algorithm>
#include <array>
#include <cmath>

namespace linnet::core {

std::string_view to_text(policy_scope scope) noexcept {
    switch (scope) {
        case policy_scope::all: return "all";
        case policy_scope::queues: return "queues";
        case policy_scope::classic_queues: return "classic_queues";
        case policy_scope::quorum_queues: return "quorum_queues";
        case policy_scope::streams: return "streams";
        case policy_scope::exchanges: return "exchanges";
    }
    return {};
}

namespace {

[[nodiscard]] bool is_string(const value& v) { return v.as_string() != nullptr; }
template <std::int64_t Least, std::int64_t Most>
[[nodiscard]] bool is_number(const value& v) {
    const auto* n = v.as_integer();
    return n != nullptr && *n >= Least && *n <= Most;
}
template <std::size_t N>
[[nodiscard]] bool is_one_of(const value& v, const std::array<std::string_view, N>& words) {
    const auto* text = v.as_string();
    return text != nullptr && std::ranges::find(words, std::string_view(*text)) != words.end();
}
[[nodiscard]] bool is_strategy(const value& v) { return is_one_of<2>(v, {"at-most-once", "at-least-once"}); }
[[nodiscard]] bool is_overflow(const value& v) {
    return is_one_of<3>(v, {"drop-head", "reject-publish", "reject-publish-dlx"});
}
[[nodiscard]] bool is_mode(const value& v) { return is_one_of<2>(v, {"default", "lazy"}); }
[[nodiscard]] bool is_locator(const value& v) {
    return is_one_of<4>(v, {"client-local", "balanced", "random", "least-leaders"});
}
[[nodiscard]] bool is_routing_key(const value& v) { return is_string(v) && v.as_string()->size() <= name_bytes_max; }
[[nodiscard]] bool is_name(const value& v) {
    const auto* text = v.as_string();
    return text != nullptr && !text->empty();
}
[[nodiscard]] bool is_factor(const value& v) {
    if (const auto* whole = v.as_integer()) {
        return *whole >= 1;
    }
    const auto* real = std::get_if<double>(&v.data);
    return real != nullptr && std::isfinite(*real) && *real >= 1;
}
[[nodiscard]] bool is_age(const value& v) {
    const auto* text = v.as_string();
    return text != nullptr && parse_age(*text).has_value();
}

constexpr std::int64_t any_number = INT64_MAX;

struct setting {
    std::string_view key;
    bool (*valid)(const value&);
    std::string_view called;  // "... is not a valid <called>"
    bool operators = false;   // operator policies may set it: it is a limit
};
constexpr std::array<setting, 26> settings{{
    {"alternate-exchange", is_string, "alternate exchange name"},
    {"dead-letter-exchange", is_string, "dead letter exchange name"},
    {"dead-letter-routing-key", is_routing_key, "dead letter routing key"},
    {"dead-letter-strategy", is_strategy, "dead letter strategy"},
    {"message-ttl", is_number<0, duration_max_ms>, "message TTL", true},
    {"expires", is_number<1, duration_max_ms>, "queue expiry", true},
    {"max-length", is_number<0, any_number>, "maximum length", true},
    {"max-length-bytes", is_number<0, any_number>, "maximum length in bytes", true},
    {"max-in-memory-length", is_number<0, any_number>, "maximum memory in bytes", true},
    {"max-in-memory-bytes", is_number<0, any_number>, "maximum memory in bytes", true},
    {"queue-mode", is_mode, "queue-mode value"},
    {"queue-version", is_number<1, 2>, "queue-version value"},
    {"overflow", is_overflow, "overflow value"},
    {"delivery-limit", is_number<0, any_number>, "delivery limit", true},
    {"max-age", is_age, "max age"},
    {"queue-leader-locator", is_locator, "queue leader locator value"},
    {"initial-cluster-size", is_number<0, any_number>, "cluster size"},
    {"stream-max-segment-size-bytes", is_number<0, 3'000'000'000>, "segment size"},
    // Since 3.12.
    {"consumer-timeout", is_number<0, duration_max_ms>, "consumer timeout", true},
    // Our own.
    {"retry-base", is_number<0, duration_max_ms>, "retry base"},
    {"retry-factor", is_factor, "retry factor"},
    {"retry-max", is_number<0, duration_max_ms>, "retry maximum"},
    {"retry-limit", is_number<1, any_number>, "retry limit", true},
    {"deduplication-window", is_number<1, dedup_window::window_max / ns_per_ms>, "deduplication window"},
    {"deduplication-window-length", is_number<1, 1'000'000'000>, "deduplication window length", true},
    {"deduplication-header", is_name, "deduplication header"},
}};

[[nodiscard]] error no_policy(std::string text) { return {error_kind::precondition_failed, std::move(text)}; }

[[nodiscard]] bool covers_queue(policy_scope scope, queue_type type) noexcept {
    switch (scope) {
        case policy_scope::all:
        case policy_scope::queues: return true;
        case policy_scope::classic_queues: return type == queue_type::classic;
        case policy_scope::quorum_queues: return type == queue_type::quorum;
        case policy_scope::streams: return type == queue_type::stream;
        case policy_scope::exchanges: break;
    }
    return false;
}

[[nodiscard]] value smaller(const value& a, const value& b) {
    const auto* x = a.as_integer();
    const auto* y = b.as_integer();
    return x != nullptr && y != nullptr && *x < *y ? a : b;
}

}  // namespace

outcome<void> check_policy(const policy& p, policy_kind kind) {
    if (p.definition.empty()) {
        return fail(no_policy("no policy provided"));
    }
    for (const auto& [key, v] : p.definition) {
        const auto at = std::ranges::find(settings, std::string_view(key), &setting::key);
        if (at == settings.end() || (kind == policy_kind::operators && !at->operators)) {
            return fail(make_error(error_kind::precondition_failed, "[{}] are not recognised policy settings",
                                   erlang_binary(key)));
        }
        if (!at->valid(v)) {
            return fail(
                make_error(error_kind::precondition_failed, "{} is not a valid {}", erlang_term(v), at->called));
        }
    }
    return {};
}

outcome<void> policy_set::set(policy p, policy_kind kind) {
    if (auto good = check_policy(p, kind); !good) {
        return good;
    }
    auto pattern = regex::compile(p.pattern);
    if (!pattern) {
        return fail(make_error(error_kind::precondition_failed,
                               "pattern should be regular expression but is invalid: {}", pattern.error()));
    }
    // RabbitMQ takes an empty pattern of a policy literally: it matches every name.
    if (p.pattern.empty()) {
        pattern = regex::compile(".*");
    }
    std::string name = p.name;
    policies_.insert_or_assign(std::move(name), compiled{std::move(p), std::move(*pattern)});
    return {};
}

bool policy_set::remove(std::string_view name) {
    const auto at = policies_.find(name);
    if (at == policies_.end()) {
        return false;
    }
    policies_.erase(at);
    return true;
}

template <class Covers>
const policy* policy_set::best(std::string_view name, Covers&& covers) const {
    const policy* found = nullptr;
    for (const auto& [key, p] : policies_) {
        if ((found == nullptr || p.what.priority > found->priority) && covers(p.what.apply_to) &&
            p.pattern.matches(name)) {
            found = &p.what;
        }
    }
    return found;
}

const policy* policy_set::for_queue(std::string_view name, queue_type type) const {
    return best(name, [type](policy_scope s) { return covers_queue(s, type); });
}
const policy* policy_set::for_exchange(std::string_view name) const {
    return best(name, [](policy_scope s) { return s == policy_scope::all || s == policy_scope::exchanges; });
}

value_table effective_definition(const policy* user, const policy* operators) {
    value_table merged = user == nullptr ? value_table{} : user->definition;
    if (operators == nullptr) {
        return merged;
    }
    for (const auto& [key, limit] : operators->definition) {
        const auto at = std::ranges::find(merged, key, &value_table::value_type::first);
        if (at == merged.end()) {
            merged.emplace_back(key, limit);
        } else {
            at->second = smaller(at->second, limit);
        }
    }
    return merged;
}

}  // namespace linnet::core
