#include "broker/core/header_match.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/route_scratch.hpp"
#include "broker/core/topology.hpp"
#include "broker/core/topology_nodes.hpp"

#include <algorithm>
#include <cmath>

// One route: a line of exchanges, each asked once, in RabbitMQ's manner: an exchange whose own bindings
// match nothing hands over to its alternate.

namespace linnet::core {

namespace {

[[nodiscard]] const exchange_node* exchange_of(const vhost_node& v, std::string_view name) noexcept {
    return topology_view::find_exchange(v, name);
}

// The state of one route; lives as long as the call.
class router {
public:
    router(const vhost_node& v, std::span<const std::string_view> keys, const route_input& in, route_scratch& s)
        : vhost_(v), keys_(keys), in_(in), s_(s) {}

    route_notes run(const exchange_node& first) {
        notes_.delayed = first.info->spec.type == exchange_type::delayed;
        s_.line.clear();
        s_.passed.clear();
        visit(&first);
        while (!s_.line.empty()) {
            const exchange_node& x = *s_.line.back();
            s_.line.pop_back();
            if (!ask(x) && x.info->spec.alternate_exchange) {
                visit(exchange_of(vhost_, *x.info->spec.alternate_exchange));
            }
        }
        return notes_;
    }

private:
    // A name that leads nowhere any more is passed over.
    void visit(const exchange_node* x) {
        if (x != nullptr && s_.passed.insert(reinterpret_cast<std::uintptr_t>(x))) {
            s_.line.push_back(x);
        }
    }

    void take(const binding_node& b) {
        if (b.kind == bind_destination::queue) {
            s_.found.add(b.queue);
        } else {
            visit(exchange_of(vhost_, b.destination()));
        }
    }
    void take_all(const binding_set& set) {
        set.for_each([this](const binding_node& b) { take(b); });
    }

    // True when a binding matched, wherever it led.
    bool ask(const exchange_node& x) {
        switch (x.info->routes_as) {
            case exchange_type::direct: return x.info->spec.name.empty() ? ask_default() : ask_direct(x);
            case exchange_type::topic: return ask_topic(x);
            case exchange_type::headers: return ask_headers(x);
            case exchange_type::consistent_hash: return ask_consistent_hash(x);
            case exchange_type::modulus_hash: return ask_modulus_hash(x);
            case exchange_type::random:
            case exchange_type::local_random: return ask_random(x);
            case exchange_type::recent_history: notes_.remember = &x; break;
            case exchange_type::fanout:
            case exchange_type::delayed: break;
        }
        take_all(x.bindings);
        return !x.bindings.empty();
    }

    bool ask_default() {
        bool any = false;
        for (const auto key : keys_) {
            if (const queue_node* q = vhost_.queues.find(text_hash(key), key)) {
                s_.found.add(q->handle);
                any = true;
            }
        }
        return any;
    }
    bool ask_direct(const exchange_node& x) {
        bool any = false;
        for (const auto key : keys_) {
            if (const key_node* k = x.keys.find(text_hash(key), key)) {
                take_all(k->bindings);
                any = true;
            }
        }
        return any;
    }
    bool ask_topic(const exchange_node& x) {
        bool any = false;
        if (!x.topics) {
            return false;
        }
        for (const auto key : keys_) {
            const bool dollar = key.starts_with('$');
            s_.match.run(*x.topics, key, [&](const binding_set& set) {
                set.for_each([&](const binding_node& b) {
                    if (!(dollar && b.hide_dollar)) {
                        take(b);
                        any = true;
                    }
                });
            });
        }
        return any;
    }
    bool ask_headers(const exchange_node& x) {
        notes_.cacheable = false;
        const value_table headers = in_.reader == nullptr ? value_table{} : in_.reader->headers(in_.properties);
        bool any = false;
        x.bindings.for_each([&](const binding_node& b) {
            if (headers_match(b.arguments, b.match, headers)) {
                take(b);
                any = true;
            }
        });
        return any;
    }

    // Weighted rendezvous: every binding draws a number from (message, itself), the best draw wins. A
    // binding that comes or goes moves only what it wins or held, in proportion to its weight, and there is
    // no ring to keep; the price is a draw a binding.
    bool ask_consistent_hash(const exchange_node& x) {
        const std::uint64_t h = stable_hash(hashed_text(x.info->hashed));
        const binding_node* best = nullptr;
        double best_draw = 0;
        x.bindings.for_each([&](const binding_node& b) {
            const std::uint64_t mixed = stable_hash(b.destination(), h + static_cast<std::uint64_t>(b.kind));
            // Uniform in (0, 1]; -ln of it divided by the weight: the smallest wins in proportion to weights.
            const double uniform = (static_cast<double>(mixed >> 11) + 1) * 0x1p-53;
            const double draw = -std::log(uniform) / b.weight;
            if (best == nullptr || draw < best_draw || (draw == best_draw && b.destination() < best->destination())) {
                best = &b;
                best_draw = draw;
            }
        });
        return take_chosen(best);
    }
    [[nodiscard]] std::string hashed_text(const hash_source& what) {
        using part = hash_source::part;
        if (what.of == part::routing_key) {
            return std::string(keys_.front());
        }
        notes_.cacheable = false;
        if (in_.reader == nullptr) {
            return {};
        }
        switch (what.of) {
            case part::message_id: return in_.reader->message_id(in_.properties);
            case part::correlation_id: return in_.reader->correlation_id(in_.properties);
            case part::timestamp: return in_.reader->timestamp(in_.properties);
            case part::header: {
                const auto found = in_.reader->header(in_.properties, what.header);
                return found ? hash_text_of(*found) : std::string{};
            }
            case part::routing_key: break;
        }
        return {};
    }

    bool ask_modulus_hash(const exchange_node& x) {
        gather(x.bindings);
        // By name, so that the choice does not depend on the order of some table.
        std::ranges::sort(s_.choice, {}, [](const binding_node* b) { return std::pair(b->destination(), b->kind); });
        return take_chosen(s_.choice.empty() ? nullptr : s_.choice[stable_hash(keys_.front()) % s_.choice.size()]);
    }
    bool ask_random(const exchange_node& x) {
        notes_.cacheable = false;
        gather(x.bindings);
        if (x.info->routes_as == exchange_type::local_random) {
            keep_local();
        }
        const std::uint64_t draw = detail::mix(in_.entropy ^ detail::odd_a, detail::odd_b);
        return take_chosen(s_.choice.empty() ? nullptr : s_.choice[draw % s_.choice.size()]);
    }
    void gather(const binding_set& set) {
        s_.choice.clear();
        set.for_each([this](const binding_node& b) { s_.choice.push_back(&b); });
    }
    // Nobody can see shards, so where none of the queues is on ours, any will do.
    void keep_local() {
        const auto foreign = std::partition(s_.choice.begin(), s_.choice.end(), [this](const binding_node* b) {
            return b->kind == bind_destination::queue && b->queue.shard == in_.here;
        });
        if (foreign != s_.choice.begin()) {
            s_.choice.erase(foreign, s_.choice.end());
        }
    }
    bool take_chosen(const binding_node* b) {
        if (b != nullptr) {
            take(*b);
        }
        return b != nullptr;
    }

    const vhost_node& vhost_;
    const std::span<const std::string_view> keys_;
    const route_input& in_;
    route_scratch& s_;
    route_notes notes_;
};

}  // namespace

route_notes topology_view::route(const vhost_node& v, const exchange_node& x, const route_input& in,
                                 route_scratch& out) {
    return route_keys(v, x, {&in.routing_key, 1}, in, out);
}

route_notes topology_view::route_more(const vhost_node& v, const exchange_node& x, const route_input& in,
                                      route_scratch& out) {
    return router(v, {&in.routing_key, 1}, in, out).run(x);
}

route_notes topology_view::route_keys(const vhost_node& v, const exchange_node& x,
                                      std::span<const std::string_view> keys, const route_input& in,
                                      route_scratch& out) {
    out.found.clear();
    return router(v, keys, in, out).run(x);
}

}  // namespace linnet::core
