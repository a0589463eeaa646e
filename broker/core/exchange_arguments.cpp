#include "broker/core/exchange_arguments.hpp"

#include "broker/core/rabbit_text.hpp"

#include <array>
#include <charconv>
#include <limits>

namespace linnet::core {

namespace {

constexpr std::array all_types{
    exchange_type::direct,          exchange_type::fanout,       exchange_type::topic,  exchange_type::headers,
    exchange_type::consistent_hash, exchange_type::modulus_hash, exchange_type::random, exchange_type::local_random,
    exchange_type::recent_history,  exchange_type::delayed,
};

[[nodiscard]] error refused(std::string text) { return {error_kind::precondition_failed, std::move(text)}; }

[[nodiscard]] outcome<hash_source> check_hash_source(const value_table& arguments) {
    using part = hash_source::part;
    const value* header = find(arguments, "hash-header");
    const value* property = find(arguments, "hash-property");
    if (header != nullptr && property != nullptr) {
        return fail(refused("hash-header and hash-property are mutually exclusive"));
    }
    if (header != nullptr) {
        const std::string* name = header->as_string();
        if (name == nullptr) {
            return fail(make_error(error_kind::precondition_failed, "invalid type '{}' for arg 'hash-header'",
                                   rabbit_type_name(header->type)));
        }
        return hash_source{part::header, *name};
    }
    if (property == nullptr) {
        return hash_source{};
    }
    const std::string name = erlang_value(*property);
    if (name == "message_id") {
        return hash_source{part::message_id, {}};
    }
    if (name == "correlation_id") {
        return hash_source{part::correlation_id, {}};
    }
    if (name == "timestamp") {
        return hash_source{part::timestamp, {}};
    }
    return fail(make_error(error_kind::precondition_failed, "Unsupported property: {}", name));
}

[[nodiscard]] outcome<void> check_history_length(const value_table& arguments) {
    const value* v = find(arguments, "x-recent-history-length");
    if (v == nullptr || (v->as_integer() != nullptr && *v->as_integer() > 0)) {
        return {};
    }
    return fail(make_error(error_kind::precondition_failed,
                           "Invalid argument {}, 'x-recent-history-length' must be a positive integer",
                           erlang_term(*v)));
}

[[nodiscard]] outcome<exchange_type> check_delayed_type(const value_table& arguments) {
    const value* v = find(arguments, "x-delayed-type");
    const std::string* name = v == nullptr ? nullptr : v->as_string();
    if (name == nullptr || *name == to_text(exchange_type::delayed)) {
        return fail(refused("Invalid argument, 'x-delayed-type' must be an existing exchange type"));
    }
    return check_exchange_type(*name);
}

[[nodiscard]] outcome<std::optional<std::string>> check_alternate(const value_table& arguments,
                                                                  std::string_view resource) {
    const value* v = find(arguments, "alternate-exchange");
    if (v == nullptr) {
        return std::optional<std::string>{};
    }
    if (const std::string* name = v->as_string()) {
        return std::optional(*name);
    }
    return fail(make_error(error_kind::precondition_failed, "invalid type '{}' for arg 'alternate-exchange' in {}",
                           rabbit_type_name(v->type), resource));
}

[[nodiscard]] outcome<header_match> check_match(const value_table& arguments) {
    const value* v = find(arguments, "x-match");
    if (v == nullptr) {
        return header_match::all;
    }
    const std::string* word = v->as_string();
    if (word == nullptr) {
        return fail(make_error(error_kind::precondition_failed,
                               "Invalid x-match field type {} (value {}); expected longstr", rabbit_type_name(v->type),
                               erlang_term(*v)));
    }
    if (*word == "all") {
        return header_match::all;
    }
    if (*word == "any") {
        return header_match::any;
    }
    if (*word == "all-with-x") {
        return header_match::all_with_x;
    }
    if (*word == "any-with-x") {
        return header_match::any_with_x;
    }
    return fail(make_error(error_kind::precondition_failed,
                           "Invalid x-match field value {}; expected all, any, all-with-x, or any-with-x",
                           erlang_term(*v)));
}

[[nodiscard]] outcome<std::uint32_t> check_weight(std::string_view key) {
    std::int64_t weight = 0;
    const std::string_view digits = key.starts_with('+') ? key.substr(1) : key;
    const auto [end, bad] = std::from_chars(digits.data(), digits.data() + digits.size(), weight);
    if (bad != std::errc{} || end != digits.data() + digits.size()) {
        return fail(
            make_error(error_kind::precondition_failed, "The binding key must be an integer: {}", erlang_binary(key)));
    }
    if (weight < 1) {
        return fail(refused("The binding key must be greater than 0"));
    }
    if (weight > std::numeric_limits<std::uint32_t>::max()) {
        return fail(refused("The binding key must be less than 4294967296"));
    }
    return static_cast<std::uint32_t>(weight);
}

}  // namespace

std::optional<exchange_type> exchange_type_from(std::string_view name) noexcept {
    for (const exchange_type t : all_types) {
        if (to_text(t) == name) {
            return t;
        }
    }
    return std::nullopt;
}

outcome<exchange_type> check_exchange_type(std::string_view name) {
    if (const auto type = exchange_type_from(name)) {
        return *type;
    }
    return fail(
        make_error(error_kind::command_invalid, "{} exchange type '{}'", name.empty() ? "invalid" : "unknown", name));
}

outcome<node_ref<exchange_record>> check_exchange(const declare_exchange& what, exchange_type type,
                                                  std::string_view vhost) {
    auto made = make_node<exchange_record>();
    exchange_record& info = made.own();
    info.spec = {
        what.name, std::string(to_text(type)), type, what.durable, what.auto_delete, what.internal, what.arguments, {}};
    info.routes_as = type;
    auto alternate = check_alternate(what.arguments, exchange_text(what.name, vhost));
    if (!alternate) {
        return fail(alternate.error());
    }
    info.spec.alternate_exchange = std::move(*alternate);
    if (type == exchange_type::delayed) {
        const auto inner = check_delayed_type(what.arguments);
        if (!inner) {
            return fail(inner.error());
        }
        info.routes_as = *inner;
    }
    if (info.routes_as == exchange_type::consistent_hash) {
        auto source = check_hash_source(what.arguments);
        if (!source) {
            return fail(source.error());
        }
        info.hashed = std::move(*source);
    }
    if (info.routes_as == exchange_type::recent_history) {
        if (auto good = check_history_length(what.arguments); !good) {
            return fail(good.error());
        }
    }
    return made;
}

outcome<binding_terms> check_binding(exchange_type type, std::string_view key, const value_table& arguments) {
    binding_terms terms;
    if (type == exchange_type::headers) {
        const auto match = check_match(arguments);
        if (!match) {
            return fail(match.error());
        }
        terms.match = *match;
    } else if (type == exchange_type::consistent_hash) {
        const auto weight = check_weight(key);
        if (!weight) {
            return fail(weight.error());
        }
        terms.weight = *weight;
    }
    return terms;
}

}  // namespace linnet::core
