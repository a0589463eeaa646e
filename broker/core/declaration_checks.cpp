#include "broker/core/declaration_checks.hpp"

#include "broker/core/address.hpp"
#include "broker/core/equivalence.hpp"
#include "broker/core/queue_arguments.hpp"
#include "broker/core/rabbit_text.hpp"
#include "broker/core/topology_nodes.hpp"

#include <array>

namespace linnet::core {

namespace {

// Which arguments a redeclared exchange must repeat.
constexpr std::array<std::string_view, 2> exchange_keys{"alternate-exchange", "x-delayed-type"};

}  // namespace

error no_exchange(std::string_view name, std::string_view vhost) {
    return make_error(error_kind::not_found, "no {}", exchange_text(name, vhost));
}
error no_queue(std::string_view name, std::string_view vhost) {
    return make_error(error_kind::not_found, "no {}", queue_text(name, vhost));
}
error no_vhost() { return {error_kind::not_found, "vhost not found"}; }
error default_exchange_refused() {
    return {error_kind::access_refused, "operation not permitted on the default exchange"};
}
error reserved_name(std::string_view kind, std::string_view name) {
    return make_error(error_kind::access_refused, "{} name '{}' contains reserved prefix 'amq.*'", kind, name);
}

error too_many_levels() {
    return make_error(error_kind::precondition_failed, "binding key has more than {} levels", pattern_levels_max);
}

outcome<void> check_name_length(std::string_view kind, std::string_view name) {
    return name.size() <= name_bytes_max ? outcome<void>{}
                                         : fail(make_error(error_kind::precondition_failed,
                                                           "{} name is longer than {} bytes", kind, name_bytes_max));
}

outcome<void> check_exclusive(const queue_spec& q, session_handle from, match how, std::string_view vhost) {
    if (q.exclusive_to == from || (how == match::lax && !q.exclusive_to)) {
        return {};
    }
    return fail(make_error(error_kind::resource_locked,
                           "cannot obtain exclusive access to locked {}. It could be originally declared on another "
                           "connection or the exclusive property value does not match that of the original "
                           "declaration.",
                           queue_text(q.name, vhost)));
}

outcome<void> same_exchange(const exchange_spec& current, const declare_exchange& received, std::string_view vhost) {
    const std::string resource = exchange_text(current.name, vhost);
    if (auto same = same_type(current.type_name, received.type, resource); !same) {
        return same;
    }
    if (auto same = same_flag(current.durable, received.durable, "durable", resource); !same) {
        return same;
    }
    if (auto same = same_flag(current.auto_delete, received.auto_delete, "auto_delete", resource); !same) {
        return same;
    }
    if (auto same = same_flag(current.internal, received.internal, "internal", resource); !same) {
        return same;
    }
    return same_arguments(current.arguments, received.arguments, exchange_keys, resource);
}

outcome<void> same_queue(const queue_spec& current, const declare_queue& received, session_handle from,
                         std::string_view vhost) {
    const std::string resource = queue_text(current.name, vhost);
    const session_handle owner = received.exclusive ? from : session_handle{};
    if (auto open = check_exclusive(current, owner, match::strict, vhost); !open) {
        return open;
    }
    const bool durable = received.durable && !received.exclusive;
    if (auto same = same_flag(current.durable, durable, "durable", resource); !same) {
        return same;
    }
    if (auto same = same_flag(current.auto_delete, received.auto_delete, "auto_delete", resource); !same) {
        return same;
    }
    return same_arguments(current.arguments, received.arguments, arguments_of(current.settings.type), resource);
}

outcome<void> check_queue_name(const declare_queue& what) {
    if (auto fits = check_name_length("queue", what.name); !fits) {
        return fits;
    }
    if (!what.server_named) {
        return what.name.starts_with("amq.") ? fail(reserved_name("queue", what.name)) : outcome<void>{};
    }
    switch (queue_type_of(what.arguments)) {
        case queue_type::classic: return {};
        case queue_type::quorum:
            return fail(make_error(error_kind::precondition_failed,
                                   "Cannot declare a server-named queue for type rabbit_quorum_queue"));
        case queue_type::stream:
            return fail(make_error(error_kind::precondition_failed,
                                   "Cannot declare a server-named queue for type rabbit_stream_queue"));
    }
    return {};
}

outcome<void> check_dead_letter_type(const declare_queue& what, std::string_view resource) {
    const value* v = find(what.arguments, "x-dead-letter-exchange");
    if (v == nullptr || v->as_string() != nullptr) {
        return {};
    }
    return fail(make_error(error_kind::precondition_failed, "invalid type '{}' for arg 'x-dead-letter-exchange' in {}",
                           rabbit_type_name(v->type), resource));
}

outcome<void> check_room_for_pattern(const exchange_node& x, const pattern& p, const topology_limits& limits) {
    if (!limits.roaming_nodes) {
        return {};
    }
    const auto more = roaming_nodes_for(x.topics.get(), p);
    if (more == 0 || x.roaming_count + more <= *limits.roaming_nodes) {
        return {};
    }
    return fail(make_error(error_kind::quota_exceeded,
                           "cannot bind to exchange '{}': limit of levels behind '#' and another wildcard ({}) is "
                           "reached",
                           x.info->spec.name, *limits.roaming_nodes));
}

outcome<void> check_room_for_queue(std::string_view name, const vhost_node& v, const topology_limits& limits,
                                   std::uint64_t queues) {
    const auto full = [&](const auto& most) {
        return fail(make_error(error_kind::quota_exceeded,
                               "cannot declare queue '{}': queue limit in vhost '{}' ({}) is reached", name, v.name,
                               most));
    };
    if (exceeds(v.queue_count + 1, v.limits.queues_max)) {
        return full(*v.limits.queues_max);
    }
    if (limits.queues_per_vhost && v.queue_count >= *limits.queues_per_vhost) {
        return full(*limits.queues_per_vhost);
    }
    if (limits.queues && queues >= *limits.queues) {
        return fail(make_error(error_kind::quota_exceeded,
                               "cannot declare queue '{}': queue limit in cluster ({}) is reached", name,
                               *limits.queues));
    }
    return {};
}

outcome<void> check_room_for_exchange(std::string_view name, const vhost_node& v, const topology_limits& limits,
                                      std::uint64_t standard) {
    if (limits.exchanges_per_vhost && v.exchange_count >= *limits.exchanges_per_vhost + standard) {
        return fail(make_error(error_kind::quota_exceeded,
                               "cannot declare exchange '{}': exchange limit of {} is reached", name,
                               *limits.exchanges_per_vhost));
    }
    return {};
}

}  // namespace linnet::core
