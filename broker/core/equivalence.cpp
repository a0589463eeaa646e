#include "broker/core/equivalence.hpp"

#include "broker/core/rabbit_text.hpp"

namespace linnet::core {

namespace {

[[nodiscard]] error inequivalent(std::string_view attribute, std::string_view resource, std::string_view received,
                                 std::string_view current) {
    return make_error(error_kind::precondition_failed, "inequivalent arg '{}' for {}: received {} but current is {}",
                      attribute, resource, received, current);
}

[[nodiscard]] bool is_real(value_type t) noexcept { return t == value_type::float32 || t == value_type::float64; }
// RabbitMQ compares kinds of types first: any integers are of one kind, and so are both reals.
[[nodiscard]] bool of_one_kind(const value& a, const value& b) noexcept {
    return a.type == b.type || (a.is_integer() && b.is_integer()) || (is_real(a.type) && is_real(b.type));
}
[[nodiscard]] bool same_data(const value& a, const value& b) {
    return of_one_kind(a, b) ? a == b : a.data == b.data && a.decimal_scale == b.decimal_scale;
}

[[nodiscard]] std::string described(const value* v) {
    return v == nullptr ? std::string("none")
                        : fmt::format("the value '{}' of type '{}'", erlang_value(*v), rabbit_type_name(v->type));
}

// A classic queue is classic whether it says so or not.
[[nodiscard]] bool says_classic(std::string_view key, const value* v) noexcept {
    if (key != "x-queue-type" || v == nullptr) {
        return false;
    }
    const std::string* text = v->as_string();
    return text != nullptr && *text == "classic";
}

}  // namespace

outcome<void> same_flag(bool current, bool received, std::string_view attribute, std::string_view resource) {
    if (current == received) {
        return {};
    }
    return fail(inequivalent(attribute, resource, fmt::format("'{}'", received), fmt::format("'{}'", current)));
}

outcome<void> same_type(std::string_view current, std::string_view received, std::string_view resource) {
    if (current == received) {
        return {};
    }
    return fail(inequivalent("type", resource, fmt::format("'{}'", erlang_atom(received)),
                             fmt::format("'{}'", erlang_atom(current))));
}

outcome<void> same_arguments(const value_table& current, const value_table& received,
                             std::span<const std::string_view> keys, std::string_view resource) {
    for (const auto key : keys) {
        const value* was = find(current, key);
        const value* is = find(received, key);
        if (was != nullptr && is != nullptr) {
            if (!same_data(*was, *is)) {
                return fail(inequivalent(key, resource, fmt::format("'{}'", erlang_value(*is)),
                                         fmt::format("'{}'", erlang_value(*was))));
            }
        } else if (was != is && !says_classic(key, was) && !says_classic(key, is)) {
            return fail(inequivalent(key, resource, described(is), described(was)));
        }
    }
    return {};
}

}  // namespace linnet::core
