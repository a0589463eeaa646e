#include "broker/core/vhost_limits.hpp"

#include "broker/core/rabbit_text.hpp"

#include <fmt/format.h>

namespace linnet::core {

namespace {

constexpr const char* connections_name = "max-connections";
constexpr const char* queues_name = "max-queues";

}  // namespace

result<vhost_limits, std::string> read_vhost_limits(const value_table& t) {
    vhost_limits read;
    for (const auto& [name, v] : t) {
        if (name != connections_name && name != queues_name) {
            return fail(fmt::format("Unrecognised terms [{{{},{}}}] in limits", erlang_binary(name), erlang_term(v)));
        }
        const auto* n = v.as_integer();
        if (n == nullptr) {
            return fail(fmt::format("{} should be a number, actually was {}", name, erlang_term(v)));
        }
        (name == connections_name ? read.connections_max : read.queues_max) = *n;
    }
    return read;
}

value_table to_table(const vhost_limits& l) {
    value_table t;
    if (l.connections_max) {
        t.emplace_back(connections_name, make_int64(*l.connections_max));
    }
    if (l.queues_max) {
        t.emplace_back(queues_name, make_int64(*l.queues_max));
    }
    return t;
}

}  // namespace linnet::core
