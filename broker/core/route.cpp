#include "broker/core/address.hpp"
#include "broker/core/header_match.hpp"
#include "broker/core/message_key.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/route_account.hpp"
#include "broker/core/route_scratch.hpp"
#include "broker/core/topology.hpp"
#include "broker/core/topology_nodes.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

// One route: a line of exchanges, each asked once, in RabbitMQ's manner: an exchange whose own bindings
// match nothing hands over to its alternate.

namespace linnet::core {

namespace {

[[nodiscard]] const exchange_node* exchange_of(const vhost_node& v, std::string_view name) noexcept {
    return topology_view::find_exchange(v, name);
}

// Messages are routed with nobody watching, which costs nothing.
struct unwatched {
    static void lined_up(const exchange_node&, step_reason) noexcept {}
    static void asked(const exchange_node&) noexcept {}
    static void held() noexcept {}
    static void matched(const binding_node&) noexcept {}
    static void matched(const queue_node&) noexcept {}
    static void turned_to(std::string_view) noexcept {}
};

// Writes down what a route passes.
class account_keeper {
public:
    explicit account_keeper(route_account& a) noexcept : account_(a) {}

    void lined_up(const exchange_node& x, step_reason why) { reasons_.emplace_back(&x, why); }
    void asked(const exchange_node& x) {
        const auto found = std::ranges::find(reasons_, &x, &std::pair<const exchange_node*, step_reason>::first);
        account_.steps.push_back({.exchange = &x, .why = found->second, .bindings = {}, .queues = {}, .alternate = {}});
    }
    void held() { account_.steps.back().held = true; }
    // Several keys may match one binding.
    void matched(const binding_node& b) { add_once(account_.steps.back().bindings, &b); }
    void matched(const queue_node& q) { add_once(account_.steps.back().queues, &q); }
    void turned_to(std::string_view alternate) { account_.steps.back().alternate = alternate; }

private:
    template <class T>
    static void add_once(std::vector<T>& to, T what) {
        if (std::ranges::find(to, what) == to.end()) {
            to.push_back(what);
        }
    }
    route_account& account_;
    std::vector<std::pair<const exchange_node*, step_reason>> reasons_;
};

// The state of one route; lives as long as the call.
template <class Watch>
class router {
public:
    router(const vhost_node& v, std::span<const std::string_view> keys, const route_input& in, route_scratch& s,
           Watch watch = {})
        : vhost_(v), keys_(keys), in_(in), s_(s), watch_(std::move(watch)) {}

    route_notes run(const exchange_node& first) {
        s_.line.clear();
        s_.passed.clear();
        visit(&first, step_reason::published);
        while (!s_.line.empty()) {
            const exchange_node& x = *s_.line.back();
            s_.line.pop_back();
            watch_.asked(x);
            if (holds(x)) {
                continue;
            }
            if (!ask(x) && x.info->spec.alternate_exchange) {
                watch_.turned_to(*x.info->spec.alternate_exchange);
                visit(exchange_of(vhost_, *x.info->spec.alternate_exchange), step_reason::alternate);
            }
        }
        return notes_;
    }

private:
    // A name that leads nowhere any more is passed over.
    void visit(const exchange_node* x, step_reason why) {
        if (x != nullptr && s_.passed.insert(reinterpret_cast<std::uintptr_t>(x))) {
            s_.line.push_back(x);
            watch_.lined_up(*x, why);
        }
    }

    bool holds(const exchange_node& x) {
        if (x.info->spec.type != exchange_type::delayed) {
            return false;
        }
        notes_.delayed = true;
        const bool held = !in_.delays_over && delay_asked(in_.reader, in_.properties) > 0;
        if (held) {
            s_.delays.push_back(x.info->spec.name);
            watch_.held();
        }
        return held;
    }

    void take(const binding_node& b) {
        watch_.matched(b);
        if (b.kind == bind_destination::exchange) {
            visit(exchange_of(vhost_, b.destination()), step_reason::binding);
        } else {
            s_.found.add(b.queue);
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
                watch_.matched(*q);
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
                    if (!(dollar && is_hidden_from(b, key))) {
                        take(b);
                        any = true;
                    }
                });
            });
        }
        return any;
    }
    // What the broker says of itself every few seconds is for those who name it, whatever they speak.
    static bool is_hidden_from(const binding_node& b, std::string_view key) noexcept {
        return b.hide_dollar || (key.starts_with(broker_keys) && !b.key().starts_with(broker_keys));
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
    [[no_unique_address]] Watch watch_;
};

}  // namespace

route_notes topology_view::route(const vhost_node& v, const exchange_node& x, const route_input& in,
                                 route_scratch& out) {
    return route_keys(v, x, {&in.routing_key, 1}, in, out);
}

route_notes topology_view::route_more(const vhost_node& v, const exchange_node& x, const route_input& in,
                                      route_scratch& out) {
    return router<unwatched>(v, {&in.routing_key, 1}, in, out).run(x);
}

route_notes topology_view::route_keys(const vhost_node& v, const exchange_node& x,
                                      std::span<const std::string_view> keys, const route_input& in,
                                      route_scratch& out) {
    out.found.clear();
    out.delays.clear();
    return router<unwatched>(v, keys, in, out).run(x);
}

route_account explain_route(const vhost_node& v, const exchange_node& x, std::span<const std::string_view> keys,
                            const route_input& in) {
    route_account account;
    route_scratch scratch;
    account.notes = router<account_keeper>(v, keys, in, scratch, account_keeper(account)).run(x);
    account.targets.assign(scratch.found.all().begin(), scratch.found.all().end());
    return account;
}

}  // namespace linnet::core
