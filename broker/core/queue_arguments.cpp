#include "broker/core/queue_arguments.hpp"

#include "broker/core/dedup_window.hpp"
#include "broker/core/rabbit_text.hpp"
#include "broker/core/stream_start.hpp"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cmath>
#include <optional>

namespace linnet::core {

namespace {

// Why a value is not acceptable, as RabbitMQ prints the reason; none when it is.
using complaint = std::optional<std::string>;
using check = complaint (*)(const value& v, const value_table& all);

[[nodiscard]] std::string unacceptable_type(const value& v) {
    return fmt::format("{{unacceptable_type,{}}}", rabbit_type_name(v.type));
}

[[nodiscard]] complaint check_integer(const value& v) {
    if (v.is_integer()) {
        return std::nullopt;
    }
    return fmt::format("\"expected integer, got {}\"", rabbit_type_name(v.type));
}
[[nodiscard]] std::int64_t number_in(const value& v) { return *v.as_integer(); }

[[nodiscard]] complaint check_natural(const value& v, const value_table&) {
    if (auto bad = check_integer(v)) {
        return bad;
    }
    return number_in(v) < 0 ? complaint(fmt::format("{{value_negative,{}}}", number_in(v))) : std::nullopt;
}
[[nodiscard]] complaint check_positive(const value& v, const value_table& all) {
    if (auto bad = check_natural(v, all)) {
        return bad;
    }
    return number_in(v) == 0 ? complaint("{value_zero,0}") : std::nullopt;
}

[[nodiscard]] std::optional<double> as_number(const value& v) {
    if (const auto* whole = v.as_integer()) {
        return static_cast<double>(*whole);
    }
    const bool real = v.type == value_type::float32 || v.type == value_type::float64;
    return real ? std::optional(std::get<double>(v.data)) : std::nullopt;
}

[[nodiscard]] complaint check_duration(const value& v, const value_table&) {
    if (auto bad = check_integer(v)) {
        return bad;
    }
    if (number_in(v) < 0) {
        return fmt::format("{{value_negative,{}}}", number_in(v));
    }
    return number_in(v) > duration_max_ms ? complaint(fmt::format("{{value_too_large,{}}}", number_in(v)))
                                          : std::nullopt;
}
[[nodiscard]] complaint check_expires(const value& v, const value_table& all) {
    if (const auto* n = v.as_integer(); n != nullptr && *n == 0) {
        return "{value_zero,0}";
    }
    return check_duration(v, all);
}
[[nodiscard]] complaint check_max_priority(const value& v, const value_table& all) {
    if (auto bad = check_natural(v, all)) {
        return bad;
    }
    return number_in(v) > 255 ? complaint(fmt::format("{{max_value_exceeded,{}}}", number_in(v))) : std::nullopt;
}
[[nodiscard]] complaint check_boolean(const value& v, const value_table&) {
    return v.type == value_type::boolean ? std::nullopt : complaint(unacceptable_type(v));
}

[[nodiscard]] complaint check_text(const value& v, const value_table&) {
    return v.type == value_type::string ? std::nullopt : complaint(unacceptable_type(v));
}
[[nodiscard]] complaint check_one_of(const value& v, std::span<const std::string_view> words,
                                     std::string_view otherwise) {
    const std::string* text = v.as_string();
    if (text == nullptr) {
        return unacceptable_type(v);
    }
    const bool known = std::ranges::find(words, std::string_view(*text)) != words.end();
    return known ? std::nullopt : complaint(fmt::format(fmt::runtime(otherwise), *text));
}
[[nodiscard]] complaint check_dead_letter_key(const value& v, const value_table& all) {
    if (v.type == value_type::string && find(all, "x-dead-letter-exchange") == nullptr) {
        return "routing_key_but_no_dlx_defined";
    }
    if (const std::string* key = v.as_string(); key != nullptr && key->size() > name_bytes_max) {
        return "routing_key_too_long";
    }
    return check_text(v, all);
}
[[nodiscard]] complaint check_strategy(const value& v, const value_table&) {
    static constexpr std::array<std::string_view, 2> words{"at-most-once", "at-least-once"};
    return check_one_of(v, words, "invalid_dlx_strategy");
}
[[nodiscard]] complaint check_overflow(const value& v, const value_table&) {
    static constexpr std::array<std::string_view, 3> words{"drop-head", "reject-publish", "reject-publish-dlx"};
    return check_one_of(v, words, "invalid_overflow");
}
[[nodiscard]] complaint check_mode(const value& v, const value_table&) {
    static constexpr std::array<std::string_view, 2> words{"default", "lazy"};
    return check_one_of(v, words, "\"unsupported queue mode '{}'\"");
}
[[nodiscard]] complaint check_type(const value& v, const value_table&) {
    static constexpr std::array<std::string_view, 3> words{"classic", "quorum", "stream"};
    return check_one_of(v, words, "\"unsupported queue type '{}'\"");
}
[[nodiscard]] complaint check_locator(const value& v, const value_table&) {
    static constexpr std::array<std::string_view, 4> words{"client-local", "random", "least-leaders", "balanced"};
    return check_one_of(v, words, "invalid_queue_locator_arg");
}
[[nodiscard]] complaint check_version(const value& v, const value_table& all) {
    if (auto bad = check_natural(v, all)) {
        return bad;
    }
    return number_in(v) == 1 || number_in(v) == 2
               ? std::nullopt
               : complaint(fmt::format("\"unsupported queue version '{}'\"", number_in(v)));
}
[[nodiscard]] complaint check_max_age(const value& v, const value_table&) {
    const std::string* text = v.as_string();
    if (text == nullptr) {
        return unacceptable_type(v);
    }
    return parse_age(*text) ? std::nullopt : complaint("invalid_max_age");
}

// Of a stream's segments, whatever is asked for.
constexpr std::int64_t segment_bytes_min = 1 << 20;
constexpr std::int64_t segment_bytes_max = 1 << 30;
// As many keys as 32-bit table places can tell apart, with room to spare.
constexpr std::int64_t dedup_length_max = 1'000'000'000;

[[nodiscard]] complaint check_factor(const value& v, const value_table&) {
    const auto number = as_number(v);
    if (!number) {
        return fmt::format("\"expected number, got {}\"", rabbit_type_name(v.type));
    }
    return std::isfinite(*number) && *number >= 1 ? std::nullopt : complaint("invalid_retry_factor");
}
[[nodiscard]] complaint check_window(const value& v, const value_table& all) {
    if (auto bad = check_positive(v, all)) {
        return bad;
    }
    return number_in(v) > dedup_window::window_max / ns_per_ms
               ? complaint(fmt::format("{{value_too_large,{}}}", number_in(v)))
               : std::nullopt;
}
[[nodiscard]] complaint check_window_length(const value& v, const value_table& all) {
    if (auto bad = check_positive(v, all)) {
        return bad;
    }
    return number_in(v) > dedup_length_max ? complaint(fmt::format("{{value_too_large,{}}}", number_in(v)))
                                           : std::nullopt;
}
[[nodiscard]] complaint check_header_name(const value& v, const value_table& all) {
    if (auto bad = check_text(v, all)) {
        return bad;
    }
    return v.as_string()->empty() ? complaint("empty_header_name") : std::nullopt;
}
// Order within a key leaves no room for another order.
[[nodiscard]] complaint check_group_by(const value& v, const value_table& all) {
    if (auto bad = check_header_name(v, all)) {
        return bad;
    }
    if (find(all, "x-max-priority") != nullptr) {
        return "group_by_with_max_priority";
    }
    const value* single = find(all, "x-single-active-consumer");
    const bool* on = single == nullptr ? nullptr : single->as_bool();
    return on != nullptr && *on ? complaint("group_by_with_single_active_consumer") : std::nullopt;
}

using types = unsigned;
constexpr types classic = 1;
constexpr types quorum = 2;
constexpr types stream = 4;

struct argument {
    std::string_view key;
    check valid;  // null: anything goes
    types where;  // the queue types that know it; others refuse it
};

// In RabbitMQ's order of checking.
constexpr std::array<argument, 31> known_arguments{{
    {"x-expires", check_expires, classic | quorum},
    {"x-message-ttl", check_duration, classic | quorum},
    {"x-dead-letter-exchange", check_text, classic | quorum},
    {"x-dead-letter-routing-key", check_dead_letter_key, classic | quorum},
    {"x-dead-letter-strategy", check_strategy, quorum},
    {"x-max-length", check_natural, classic | quorum},
    {"x-max-length-bytes", check_natural, classic | quorum | stream},
    {"x-max-in-memory-length", check_natural, quorum},
    {"x-max-in-memory-bytes", check_natural, quorum},
    {"x-max-priority", check_max_priority, classic},
    {"x-overflow", check_overflow, classic | quorum},
    {"x-queue-mode", check_mode, classic},
    {"x-queue-version", check_version, classic},
    {"x-single-active-consumer", check_boolean, classic | quorum},
    {"x-queue-type", check_type, classic | quorum | stream},
    {"x-quorum-initial-group-size", check_positive, quorum},
    {"x-max-age", check_max_age, stream},
    {"x-stream-max-segment-size-bytes", check_natural, stream},
    {"x-initial-cluster-size", check_positive, stream},
    {"x-queue-leader-locator", check_locator, quorum | stream},
    {"x-delivery-limit", check_natural, quorum},
    {"x-queue-master-locator", nullptr, classic},
    // Since 3.12; in milliseconds, as the others.
    {"x-consumer-timeout", check_duration, classic | quorum},
    // Our own.
    {"x-retry-base", check_duration, classic | quorum},
    {"x-retry-factor", check_factor, classic | quorum},
    {"x-retry-max", check_duration, classic | quorum},
    {"x-retry-limit", check_positive, classic | quorum},
    {"x-deduplication-window", check_window, classic | quorum},
    {"x-deduplication-window-length", check_window_length, classic | quorum},
    {"x-deduplication-header", check_header_name, classic | quorum},
    {"x-group-by", check_group_by, classic | quorum},
}};

[[nodiscard]] constexpr types mask_of(queue_type t) noexcept {
    switch (t) {
        case queue_type::classic: return classic;
        case queue_type::quorum: return quorum;
        case queue_type::stream: return stream;
    }
    return 0;
}
[[nodiscard]] constexpr std::string_view module_of(queue_type t) noexcept {
    switch (t) {
        case queue_type::classic: return "rabbit_classic_queue";
        case queue_type::quorum: return "rabbit_quorum_queue";
        case queue_type::stream: return "rabbit_stream_queue";
    }
    return {};
}

[[nodiscard]] outcome<void> check_one(const argument& a, const queue_declaration& d) {
    const value* v = find(d.arguments, a.key);
    if (v == nullptr || a.valid == nullptr) {
        return {};
    }
    if (const auto bad = a.valid(*v, d.arguments)) {
        return fail(
            make_error(error_kind::precondition_failed, "invalid arg '{}' for {}: {}", a.key, d.resource, *bad));
    }
    return {};
}

[[nodiscard]] const argument* known(std::string_view key) noexcept {
    const auto at = std::ranges::find(known_arguments, key, &argument::key);
    return at == known_arguments.end() ? nullptr : &*at;
}

// What is known to some type of queue, but not to this one. Unknown arguments pass: they may be a plugin's.
[[nodiscard]] outcome<void> check_keys(queue_type t, const queue_declaration& d) {
    for (const auto& [key, unused] : d.arguments) {
        const argument* a = known(key);
        if (a != nullptr && (a->where & mask_of(t)) == 0) {
            return fail(make_error(error_kind::precondition_failed, "invalid arg '{}' for {} of queue type {}", key,
                                   d.resource, module_of(t)));
        }
    }
    return {};
}

// A replicated queue belongs to no session and outlives the broker.
[[nodiscard]] outcome<void> check_properties(queue_type t, const queue_declaration& d) {
    if (t == queue_type::classic) {
        return {};
    }
    const std::string_view bad = d.auto_delete ? "auto-delete"
                                 : d.exclusive ? "exclusive-owner"
                                 : !d.durable  ? "non-durable"
                                               : "";
    if (bad.empty()) {
        return {};
    }
    return fail(make_error(error_kind::precondition_failed, "invalid property '{}' for {}", bad, d.resource));
}

[[nodiscard]] outcome<void> check_segment_size(queue_type t, const queue_declaration& d) {
    const value* v = find(d.arguments, "x-stream-max-segment-size-bytes");
    if (t == queue_type::stream && v != nullptr && number_in(*v) > 3'000'000'000) {
        return fail(
            make_error(error_kind::precondition_failed, "Exceeded max value for x-stream-max-segment-size-bytes"));
    }
    return {};
}

// The key without "x-", as policies write it.
[[nodiscard]] std::optional<std::int64_t> smaller(const value_table& arguments, const value_table& policy,
                                                  std::string_view key) {
    std::optional<std::int64_t> least;
    for (const value* v : {find(arguments, key), find(policy, key.substr(2))}) {
        if (v != nullptr && v->as_integer() != nullptr) {
            least = least ? std::min(*least, *v->as_integer()) : *v->as_integer();
        }
    }
    return least;
}
[[nodiscard]] std::optional<mono_ns> smaller_ms(const value_table& arguments, const value_table& policy,
                                                std::string_view key) {
    const auto ms = smaller(arguments, policy, key);
    return ms ? std::optional(*ms * ns_per_ms) : std::nullopt;
}
[[nodiscard]] const value* chosen(const value_table& arguments, const value_table& policy, std::string_view key) {
    const value* declared = find(arguments, key);
    return declared != nullptr ? declared : find(policy, key.substr(2));
}
[[nodiscard]] std::optional<std::string> chosen_text(const value_table& arguments, const value_table& policy,
                                                     std::string_view key) {
    const value* v = chosen(arguments, policy, key);
    const std::string* text = v == nullptr ? nullptr : v->as_string();
    return text == nullptr ? std::nullopt : std::optional(*text);
}
[[nodiscard]] std::optional<mono_ns> smaller_age(const value_table& arguments, const value_table& policy) {
    std::optional<mono_ns> least;
    for (const value* v : {find(arguments, "x-max-age"), find(policy, "max-age")}) {
        const std::string* text = v == nullptr ? nullptr : v->as_string();
        if (const auto age = text == nullptr ? std::nullopt : parse_age(*text)) {
            least = least ? std::min(*least, *age) : *age;
        }
    }
    return least;
}
[[nodiscard]] overflow_policy overflow_from(const std::optional<std::string>& text) noexcept {
    if (text == "reject-publish") {
        return overflow_policy::reject_publish;
    }
    return text == "reject-publish-dlx" ? overflow_policy::reject_publish_dlx : overflow_policy::drop_head;
}

// Segments are filled in advance, so that very large ones would only be space that nobody uses, and of very small ones
// a log would have thousands. Aligned to what disks and recovery read at once.
[[nodiscard]] std::uint64_t segment_bytes_from(std::int64_t asked) noexcept {
    constexpr std::int64_t alignment = 64 * 1024;
    return static_cast<std::uint64_t>(std::clamp(asked, segment_bytes_min, segment_bytes_max) / alignment * alignment);
}

template <class To>
[[nodiscard]] std::optional<To> as(std::optional<std::int64_t> n) noexcept {
    return n ? std::optional(static_cast<To>(*n)) : std::nullopt;
}

[[nodiscard]] std::optional<mono_ns> chosen_ms(const value_table& arguments, const value_table& policy,
                                               std::string_view key) {
    const value* v = chosen(arguments, policy, key);
    const std::int64_t* ms = v == nullptr ? nullptr : v->as_integer();
    return ms == nullptr ? std::nullopt : std::optional(*ms * ns_per_ms);
}
[[nodiscard]] std::optional<retry_policy> retry_from(const value_table& arguments, const value_table& policy) {
    const auto base = chosen_ms(arguments, policy, "x-retry-base");
    const auto limit = smaller(arguments, policy, "x-retry-limit");
    if (!base && !limit) {
        return std::nullopt;
    }
    retry_policy r;
    r.base = base.value_or(0);
    r.max = chosen_ms(arguments, policy, "x-retry-max").value_or(r.max);
    if (const value* factor = chosen(arguments, policy, "x-retry-factor")) {
        r.factor = as_number(*factor).value_or(r.factor);
    }
    if (limit) {
        r.limit = static_cast<std::uint32_t>(std::min<std::int64_t>(*limit, r.limit));
    }
    return r;
}
[[nodiscard]] std::optional<dedup_settings> dedup_from(const value_table& arguments, const value_table& policy) {
    const auto window = chosen_ms(arguments, policy, "x-deduplication-window");
    if (!window) {
        return std::nullopt;
    }
    dedup_settings d;
    d.window = *window;
    d.length_max = static_cast<std::uint64_t>(
        smaller(arguments, policy, "x-deduplication-window-length").value_or(dedup_window::length_default));
    d.header = chosen_text(arguments, policy, "x-deduplication-header").value_or("");
    return d;
}

// In RabbitMQ's order of comparing, which is not its order of checking.
constexpr std::array<std::string_view, 22> classic_keys{"x-expires",
                                                        "x-message-ttl",
                                                        "x-dead-letter-exchange",
                                                        "x-dead-letter-routing-key",
                                                        "x-max-length",
                                                        "x-max-length-bytes",
                                                        "x-max-priority",
                                                        "x-overflow",
                                                        "x-queue-mode",
                                                        "x-queue-version",
                                                        "x-single-active-consumer",
                                                        "x-queue-type",
                                                        "x-queue-master-locator",
                                                        "x-consumer-timeout",
                                                        "x-retry-base",
                                                        "x-retry-factor",
                                                        "x-retry-max",
                                                        "x-retry-limit",
                                                        "x-deduplication-window",
                                                        "x-deduplication-window-length",
                                                        "x-deduplication-header",
                                                        "x-group-by"};
constexpr std::array<std::string_view, 24> quorum_keys{"x-dead-letter-exchange",
                                                       "x-dead-letter-routing-key",
                                                       "x-dead-letter-strategy",
                                                       "x-expires",
                                                       "x-max-length",
                                                       "x-max-length-bytes",
                                                       "x-max-in-memory-length",
                                                       "x-max-in-memory-bytes",
                                                       "x-overflow",
                                                       "x-single-active-consumer",
                                                       "x-queue-type",
                                                       "x-quorum-initial-group-size",
                                                       "x-delivery-limit",
                                                       "x-message-ttl",
                                                       "x-queue-leader-locator",
                                                       "x-consumer-timeout",
                                                       "x-retry-base",
                                                       "x-retry-factor",
                                                       "x-retry-max",
                                                       "x-retry-limit",
                                                       "x-deduplication-window",
                                                       "x-deduplication-window-length",
                                                       "x-deduplication-header",
                                                       "x-group-by"};
constexpr std::array<std::string_view, 6> stream_keys{
    "x-max-length-bytes",     "x-queue-type",          "x-max-age", "x-stream-max-segment-size-bytes",
    "x-initial-cluster-size", "x-queue-leader-locator"};

}  // namespace

queue_type queue_type_of(const value_table& arguments) noexcept {
    const value* v = find(arguments, "x-queue-type");
    const std::string* text = v == nullptr ? nullptr : v->as_string();
    if (text == nullptr || *text == "classic") {
        return queue_type::classic;
    }
    return *text == "quorum" ? queue_type::quorum : queue_type::stream;
}

std::span<const std::string_view> arguments_of(queue_type type) noexcept {
    switch (type) {
        case queue_type::classic: return classic_keys;
        case queue_type::quorum: return quorum_keys;
        case queue_type::stream: return stream_keys;
    }
    return {};
}

outcome<queue_type> check_queue_arguments(const queue_declaration& d) {
    if (auto type = check_one(*known("x-queue-type"), d); !type) {
        return fail(type.error());
    }
    const queue_type type = queue_type_of(d.arguments);
    for (const argument& a : known_arguments) {
        if ((a.where & mask_of(type)) == 0) {
            continue;
        }
        if (auto good = check_one(a, d); !good) {
            return fail(good.error());
        }
    }
    for (const auto further : {check_keys, check_properties, check_segment_size}) {
        if (auto good = further(type, d); !good) {
            return fail(good.error());
        }
    }
    return type;
}

queue_settings settings_from(const value_table& arguments, const value_table& policy) {
    queue_settings s;
    s.type = queue_type_of(arguments);
    s.message_ttl = smaller_ms(arguments, policy, "x-message-ttl");
    s.expires = smaller_ms(arguments, policy, "x-expires");
    s.consumer_timeout = smaller_ms(arguments, policy, "x-consumer-timeout");
    s.max_length = as<std::uint64_t>(smaller(arguments, policy, "x-max-length"));
    s.max_length_bytes = as<std::uint64_t>(smaller(arguments, policy, "x-max-length-bytes"));
    // A limit beyond what is counted is no limit that could be reached.
    if (const auto limit = smaller(arguments, policy, "x-delivery-limit")) {
        s.delivery_limit = static_cast<std::uint32_t>(std::min<std::int64_t>(*limit, UINT32_MAX));
    }
    s.overflow = overflow_from(chosen_text(arguments, policy, "x-overflow"));
    s.dead_letter_exchange = chosen_text(arguments, policy, "x-dead-letter-exchange");
    s.dead_letter_routing_key = chosen_text(arguments, policy, "x-dead-letter-routing-key");
    s.max_age = smaller_age(arguments, policy);
    if (const value* v = chosen(arguments, policy, "x-stream-max-segment-size-bytes")) {
        s.segment_bytes = segment_bytes_from(*v->as_integer());
    }
    s.retry = retry_from(arguments, policy);
    s.dedup = dedup_from(arguments, policy);
    s.group_by = chosen_text(arguments, {}, "x-group-by");
    if (const value* v = find(arguments, "x-max-priority")) {
        s.max_priority = static_cast<std::uint8_t>(*v->as_integer());
    }
    if (const value* v = find(arguments, "x-single-active-consumer")) {
        s.single_active_consumer = *v->as_bool();
    }
    return s;
}

}  // namespace linnet::core
