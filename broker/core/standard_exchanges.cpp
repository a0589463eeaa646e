#include "broker/core/standard_exchanges.hpp"

#include <array>

namespace linnet::core {
namespace {

struct standard_exchange {
    std::string_view name;
    exchange_type type;
    bool internal = false;
};
constexpr std::array<standard_exchange, standard_exchange_count> standard_exchanges{{
    {"", exchange_type::direct},
    {"amq.direct", exchange_type::direct},
    {"amq.fanout", exchange_type::fanout},
    {"amq.topic", exchange_type::topic},
    {"amq.headers", exchange_type::headers},
    {"amq.match", exchange_type::headers},
    {"amq.rabbitmq.trace", exchange_type::topic, true},
}};

}  // namespace

void add_standard_exchanges(vhost_node& v) {
    for (const standard_exchange& standard : standard_exchanges) {
        auto info = make_node<exchange_record>();
        auto& spec = info.own().spec;
        spec.name = standard.name;
        spec.type_name = to_text(standard.type);
        spec.type = standard.type;
        spec.durable = true;
        spec.internal = standard.internal;
        info.own().routes_as = standard.type;
        v.exchanges.put(make_node<exchange_node>(std::move(info)));
    }
    v.exchange_count += standard_exchanges.size();
}

}  // namespace linnet::core
