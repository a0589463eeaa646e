#include "broker/admin/api_handler.hpp"
#include "broker/admin/binding_rows.hpp"
#include "broker/admin/listing.hpp"
#include "broker/admin/topology_steps.hpp"
#include "broker/core/topology_walk.hpp"
#include "protocol/http/percent.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

// /api/bindings. Among those of one pair a binding is known by its properties_key: the routing key, and a hash of its
// arguments if it has any.

namespace linnet::admin {
namespace {

using core::bind_destination;
using core::topology_view;

std::string in_path(std::string_view name) {
    std::string text;
    http::append_percent_encoded(text, name);
    return text;
}

// In paths the default exchange has a name.
std::string exchange_name(const std::string& segment) { return segment == "amq.default" ? std::string() : segment; }

std::string hash_of(const core::value_table& arguments) {
    std::string text;
    json_writer(text).value(arguments);
    std::uint64_t hash = 0xcbf29ce484222325ULL;
    for (const char c : text) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3ULL;
    }
    return fmt::format("{:016x}", hash);
}

std::string properties_key(const core::binding_view& b) {
    if (b.routing_key.empty() && b.arguments.empty()) {
        return "~";
    }
    std::string key;
    for (const char c : in_path(b.routing_key)) {  // a point may end a file name: it is escaped as well
        key += c == '.' ? std::string("%2E") : std::string(1, c);
    }
    return b.arguments.empty() ? key : key + "~" + hash_of(b.arguments);
}

}  // namespace

void write_binding(json_writer& w, std::string_view vhost, const core::binding_view& b) {
    w.object()
        .member("source", b.source)
        .member("vhost", vhost)
        .member("destination", b.destination)
        .member("destination_type", b.kind == bind_destination::queue ? "queue" : "exchange")
        .member("routing_key", b.routing_key)
        .member("arguments", b.arguments)
        .member("properties_key", properties_key(b))
        .end();
}

namespace {

void add(row_list& to, const core::vhost_node& v, const core::binding_view& b) {
    to.add_whole({v.name, fmt::format("{}\n{}\n{}", b.source, b.destination, b.routing_key)},
                 [&](json_writer& w) { write_binding(w, v.name, b); });
}

// Rows of the vhost that the call names first, from one version of the topology: where there cannot be many.
template <class F>
void list_from(call_ptr c, F f) {
    row_source s;
    s.where = {c->home()};
    s.collect = [c, f = std::move(f)](core::shard& here, cursor&, row_list& to) {
        if (const auto* v = here.topology().find_vhost(c->names[0])) {
            f(to, *v);
        }
        return true;
    };
    answer_list(std::move(c), std::move(s));
}

// Of all vhosts, in pieces.
void list_all(call_ptr c) {
    row_source s;
    s.where = {c->home()};
    s.collect = [c, steps = std::make_shared<binding_steps>()](core::shard& here, cursor&, row_list& to) {
        const auto view = here.topology();
        return steps->go_on(
            view, [&](const core::vhost_node& v) { return sees(c->user, view, v.id); },
            [&](const core::vhost_node& v, const core::binding_view& b) { add(to, v, b); });
    };
    answer_list(std::move(c), std::move(s));
}

// Those of the vhost that the call names first which `wanted` takes, in pieces.
template <class Wanted>
void list_some(call_ptr c, Wanted wanted) {
    row_source s;
    s.where = {c->home()};
    s.collect = [c, wanted = std::move(wanted), steps = std::make_shared<binding_steps>()](core::shard& here, cursor&,
                                                                                           row_list& to) {
        const auto* v = here.topology().find_vhost(c->names[0]);
        return v == nullptr || steps->go_on_in(*v, [&](const core::vhost_node& in, const core::binding_view& b) {
            if (wanted(b)) {
                add(to, in, b);
            }
        });
    };
    answer_list(std::move(c), std::move(s));
}

void list_in_vhost(call_ptr c) {
    if (c->here().topology().find_vhost(c->names[0]) == nullptr) {
        c->not_found();
        return;
    }
    list_some(std::move(c), [](const core::binding_view&) { return true; });
}

// ---- Between two -------------------------------------------------------------------------------

// names: vhost, source, destination[, properties_key]
template <bind_destination kind>
bool ends_exist(call& c) {
    const auto* v = c.here().topology().find_vhost(c.names[0]);
    const bool there = v != nullptr && topology_view::find_exchange(*v, exchange_name(c.names[1])) != nullptr &&
                       (kind == bind_destination::queue
                            ? topology_view::find_queue(*v, c.names[2]) != nullptr
                            : topology_view::find_exchange(*v, exchange_name(c.names[2])) != nullptr);
    if (!there) {
        c.not_found();
    }
    return there;
}

template <bind_destination kind, class F>
void for_each_between(const core::vhost_node& v, const std::string& source, const std::string& destination, F&& f) {
    static const core::value_table none;
    if (source.empty() && kind == bind_destination::queue && source != destination) {
        f(core::binding_view{"", destination, kind, destination, none});
        return;
    }
    const auto from_it = [&](const core::binding_view& b) {
        if (b.source == source) {
            f(b);
        }
    };
    if constexpr (kind == bind_destination::queue) {
        core::for_each_binding_of_queue(v, destination, from_it);
    } else if (const auto* x = topology_view::find_exchange(v, destination)) {
        core::for_each_binding_to(*x, from_it);
    }
}

template <bind_destination kind>
void list_between(call_ptr c) {
    if (!ends_exist<kind>(*c)) {
        return;
    }
    list_from(c, [c](row_list& to, const core::vhost_node& v) {
        for_each_between<kind>(v, exchange_name(c->names[1]), exchange_name(c->names[2]),
                               [&](const core::binding_view& b) { add(to, v, b); });
    });
}

template <bind_destination kind>
bool may_bind(call& c, const core::vhost_node& v, std::string_view key) {
    const auto view = c.here().topology();
    const auto destination = kind == bind_destination::queue ? "queue" : "exchange";
    for (const auto& right : {may(core::right::write, c.user, view, v, destination, exchange_name(c.names[2])),
                              may(core::right::read, c.user, view, v, "exchange", exchange_name(c.names[1])),
                              may_read_topic(c.user, view, v, exchange_name(c.names[1]), key)}) {
        if (!right) {
            c.fail(right.error());
            return false;
        }
    }
    return true;
}

template <bind_destination kind>
void create(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body || !ends_exist<kind>(*c)) {
        return;
    }
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    const auto key = body->text("routing_key").value_or("");
    if (!may_bind<kind>(*c, *v, key)) {
        return;
    }
    core::bind b;
    b.source = exchange_name(c->names[1]);
    b.destination = exchange_name(c->names[2]);
    b.kind = kind;
    b.routing_key = key;
    b.arguments = body->table("arguments");
    const auto location = fmt::format(
        "/api/bindings/{}/e/{}/{}/{}/{}", in_path(c->names[0]), in_path(c->names[1]),
        kind == bind_destination::queue ? "q" : "e", in_path(c->names[2]),
        in_path(properties_key({b.source, b.destination, kind, b.routing_key, b.arguments})));
    c->client.ask(topology_view::id_of(*v), std::move(b), [c, location](core::reply&& r) {
        if (r.result) {
            c->answer({.code = http::status::created, .fields = {{"Location", location}}});
        } else {
            c->fail(r.result.error());
        }
    });
}

template <bind_destination kind>
void show(call_ptr c) {
    if (!ends_exist<kind>(*c)) {
        return;
    }
    std::string out;
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    for_each_between<kind>(*v, exchange_name(c->names[1]), exchange_name(c->names[2]),
                           [&](const core::binding_view& b) {
                               if (out.empty() && properties_key(b) == c->names[3]) {
                                   json_writer w(out);
                                   write_binding(w, v->name, b);
                               }
                           });
    out.empty() ? c->not_found() : c->json(std::move(out));
}

template <bind_destination kind>
void remove(call_ptr c) {
    if (!ends_exist<kind>(*c)) {
        return;
    }
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    std::optional<core::unbind> found;
    for_each_between<kind>(*v, exchange_name(c->names[1]), exchange_name(c->names[2]),
                           [&](const core::binding_view& b) {
                               if (!found && properties_key(b) == c->names[3]) {
                                   found.emplace();
                                   found->source = b.source;
                                   found->destination = b.destination;
                                   found->kind = kind;
                                   found->routing_key = b.routing_key;
                                   found->arguments = b.arguments;
                               }
                           });
    if (!found) {
        c->not_found();
        return;
    }
    if (!may_bind<kind>(*c, *v, found->routing_key)) {
        return;
    }
    c->client.ask(topology_view::id_of(*v), std::move(*found),
                  [c](core::reply&& r) { r.result ? c->no_content() : c->fail(r.result.error()); });
}

template <bind_destination kind>
constexpr route between(std::string_view pattern) {
    return {.pattern = pattern,
            .reads = need::vhost,
            .get = list_between<kind>,
            .writes = need::vhost,
            .post = create<kind>};
}
template <bind_destination kind>
constexpr route one_of_them(std::string_view pattern) {
    return {.pattern = pattern, .reads = need::vhost, .get = show<kind>, .writes = need::vhost, .remove = remove<kind>};
}

constexpr std::array routes{
    route{.pattern = "bindings", .get = list_all},
    route{.pattern = "bindings/?", .reads = need::vhost, .get = list_in_vhost},
    between<bind_destination::queue>("bindings/?/e/?/q/?"),
    between<bind_destination::exchange>("bindings/?/e/?/e/?"),
    one_of_them<bind_destination::queue>("bindings/?/e/?/q/?/?"),
    one_of_them<bind_destination::exchange>("bindings/?/e/?/e/?/?"),
};

}  // namespace

void list_bindings_to(call_ptr c, bind_destination kind) {
    const auto name = kind == bind_destination::queue ? c->names[1] : exchange_name(c->names[1]);
    list_some(std::move(c),
              [kind, name](const core::binding_view& b) { return b.kind == kind && b.destination == name; });
}

void list_bindings_from(call_ptr c) {
    const auto name = exchange_name(c->names[1]);
    list_some(std::move(c), [name](const core::binding_view& b) { return b.source == name; });
}

std::span<const route> binding_routes() noexcept { return routes; }

}  // namespace linnet::admin
