#include "broker/admin/access.hpp"
#include "broker/admin/api_handler.hpp"
#include "broker/admin/connection_book.hpp"
#include "broker/admin/listing.hpp"
#include "broker/admin/stats.hpp"
#include "broker/base/log.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

// /api/connections, channels and consumers, of all protocols.

namespace linnet::admin {
namespace {

using core::topology_view;

constexpr std::uint32_t sessions_a_turn = 256;
constexpr std::uint32_t queues_a_turn = 256;

bool may_see(const call& c, const core::connection_look& l) { return monitors(c.user) || l.user == c.user.name; }

void write_connection(json_writer& w, const services& s, const core::connection_look& l) {
    const auto rate = [&](std::uint64_t core::octet_counts::*m) {
        return core::rate_of(l.octets.*m, l.seen.before.*m, l.seen.seconds);
    };
    w.object()
        .member("auth_mechanism", l.mechanism)
        .member("channel_max", l.channel_max)
        .member("channels", l.channels)
        .member("client_properties", l.properties)
        .member("connected_at", static_cast<std::uint64_t>(l.since / ns_per_ms))
        .member("frame_max", l.frame_max)
        .key("garbage_collection")
        .object()
        .end()
        .member("host", l.local_address)
        .member("name", l.name)
        .member("node", s.node_name);
    for (const auto name : {"peer_cert_issuer", "peer_cert_subject", "peer_cert_validity"}) {
        w.key(name).null();
    }
    w.member("peer_host", l.peer_address)
        .member("peer_port", l.peer_port)
        .member("port", l.local_port)
        .member("protocol", l.protocol);
    using octets = core::octet_counts;
    w.member("recv_cnt", l.octets.reads);
    add_counted(w, "recv_oct", l.octets.received, rate(&octets::received));
    add_counted(w, "reductions", 0, 0);
    w.member("send_cnt", l.octets.writes);
    add_counted(w, "send_oct", l.octets.sent, rate(&octets::sent));
    w.member("send_pend", l.waiting_bytes).member("ssl", l.tls);
    for (const auto name : {"ssl_cipher", "ssl_hash", "ssl_key_exchange", "ssl_protocol"}) {
        w.key(name).null();
    }
    w.member("state", l.state)
        .member("timeout", l.heartbeat_s)
        .member("type", "network")
        .member("user", l.user)
        .member("user_provided_name", l.given_name)
        .member("user_who_performed_action", l.user)
        .member("vhost", l.vhost)
        .end();
}

void write_channel(json_writer& w, const services& s, const core::connection_look& l, const core::channel_look& ch) {
    w.object()
        .member("acks_uncommitted", ch.acks_uncommitted)
        .member("confirm", ch.confirm)
        .key("connection_details")
        .object()
        .member("name", l.name)
        .member("peer_host", l.peer_address)
        .member("peer_port", l.peer_port)
        .end()
        .member("consumer_count", ch.consumers)
        .key("garbage_collection")
        .object()
        .end()
        .member("global_prefetch_count", ch.prefetch_all)
        .member("idle_since", time_text(ch.seen.moved));
    add_message_stats(w, ch.counts, ch.seen, client_members());
    w.member("messages_unacknowledged", ch.unacked)
        .member("messages_uncommitted", ch.uncommitted)
        .member("messages_unconfirmed", ch.unconfirmed)
        .member("name", fmt::format("{} ({})", l.name, ch.number))
        .member("node", s.node_name)
        .member("number", ch.number)
        .member("pending_raft_commands", std::uint64_t{0})
        .member("prefetch_count", ch.prefetch);
    add_counted(w, "reductions", 0, 0);
    w.member("state", ch.state)
        .member("transactional", ch.transactional)
        .member("user", l.user)
        .member("user_who_performed_action", l.user)
        .member("vhost", l.vhost)
        .end();
}

using connection_filter = std::function<bool(const core::connection_look&)>;

void describe_connections(const services& s, core::shard& here, std::span<row> rows, const column_list& columns) {
    for (auto& r : rows) {
        const auto* h = std::get_if<core::session_handle>(&r.place);
        core::connection_look l;
        auto* port = h == nullptr ? nullptr : here.find_session(*h);
        if (port != nullptr && port->describe(l)) {
            json_writer w(r.json, &columns);
            write_connection(w, s, l);
        }
    }
}

void list_connections(call_ptr c, connection_filter wanted) {
    row_source s;
    s.where = tour::everywhere(c->all);
    s.collect = [c, wanted = std::move(wanted)](core::shard& here, cursor& at, row_list& to) {
        at = here.for_some_sessions(at, sessions_a_turn, [&](core::session_handle h, core::session_port& port) {
            core::connection_look l;
            if (port.describe(l) && may_see(*c, l) && wanted(l)) {
                to.add({}, l.name, h, [&](json_writer& w) { write_connection(w, c->all, l); });
            }
        });
        return at == 0;
    };
    s.describe = [c](core::shard& here, std::span<row> rows, const column_list& columns) {
        describe_connections(c->all, here, rows, columns);
    };
    answer_list(std::move(c), std::move(s));
}

void list_channels(call_ptr c, connection_filter wanted) {
    row_source s;
    s.where = tour::everywhere(c->all);
    s.collect = [c, wanted = std::move(wanted)](core::shard& here, cursor& at, row_list& to) {
        at = here.for_some_sessions(at, sessions_a_turn, [&](core::session_handle, core::session_port& port) {
            core::connection_look l;
            if (!port.describe(l) || !may_see(*c, l) || !wanted(l)) {
                return;
            }
            std::vector<core::channel_look> channels;
            port.describe_channels(channels);
            for (const auto& ch : channels) {
                to.add_whole({{}, fmt::format("{} ({})", l.name, ch.number)},
                             [&](json_writer& w) { write_channel(w, c->all, l, ch); });
            }
        });
        return at == 0;
    };
    answer_list(std::move(c), std::move(s));
}

void all_connections(call_ptr c) {
    list_connections(std::move(c), [](const core::connection_look&) { return true; });
}
void all_channels(call_ptr c) {
    list_channels(std::move(c), [](const core::connection_look&) { return true; });
}

connection_filter in_vhost(const call& c) {
    return [vhost = c.names[0]](const core::connection_look& l) { return l.vhost == vhost; };
}
connection_filter of_user(const call& c) {
    return [user = c.names[0]](const core::connection_look& l) { return l.user == user; };
}

template <void (*list)(call_ptr, connection_filter)>
void in_vhost(call_ptr c) {
    if (c->here().topology().find_vhost(c->names[0]) == nullptr) {
        c->not_found();
    } else {
        auto wanted = in_vhost(*c);
        list(std::move(c), std::move(wanted));
    }
}

void of_user(call_ptr c) {
    auto wanted = of_user(*c);
    list_connections(std::move(c), std::move(wanted));
}

// Walks until it finds them, a piece a turn; `then` hears how many there were.
void for_connections(const call_ptr& c, connection_filter wanted,
                     std::function<void(core::session_port&, const core::connection_look&)> f,
                     std::function<void(std::size_t found)> then) {
    auto found = std::make_shared<std::size_t>(0);
    tour::start(c->all, c->home(), tour::everywhere(c->all),
                {[c, found, wanted = std::move(wanted), f = std::move(f)](core::shard& here, cursor& at) {
                     std::vector<core::session_handle> hits;
                     at = here.for_some_sessions(at, sessions_a_turn,
                                                 [&](core::session_handle h, core::session_port& port) {
                                                     core::connection_look l;
                                                     if (port.describe(l) && may_see(*c, l) && wanted(l)) {
                                                         hits.push_back(h);
                                                     }
                                                 });
                     for (const auto h : hits) {
                         core::connection_look l;
                         auto* port = here.find_session(h);
                         if (port != nullptr && port->describe(l)) {
                             ++*found;
                             f(*port, l);
                         }
                     }
                     return at == 0;
                 },
                 [found, then = std::move(then)] { then(*found); }});
}

connection_filter named(const call& c) {
    return [name = c.names[0]](const core::connection_look& l) { return l.name == name; };
}

void show_connection(call_ptr c) {
    auto out = std::make_shared<std::string>();
    for_connections(
        c, named(*c),
        [c, out](core::session_port&, const core::connection_look& l) {
            json_writer w(*out);
            write_connection(w, c->all, l);
        },
        [c, out](std::size_t n) { n == 0 ? c->not_found() : c->json(std::move(*out)); });
}

void channels_of_connection(call_ptr c) {
    auto wanted = named(*c);
    list_channels(std::move(c), std::move(wanted));
}

// Its protocol says why: in AMQP 320, with the words that the caller gives.
void close_those(const call_ptr& c, connection_filter wanted) {
    const auto why = c->reason.empty() ? std::string("Closed via management plugin") : c->reason;
    for_connections(
        c, std::move(wanted),
        [why, by = c->user.name](core::session_port& port, const core::connection_look& l) {
            log::info({.domain = "connection", .conn = l.name}, "closed by '{}' through the management API: {}", by,
                      why);
            port.on_shutdown(why);
        },
        [c](std::size_t n) { n == 0 ? c->not_found() : c->no_content(); });
}

// Who may only watch sees others' connections, and closes no more than their own.
void close_connection(call_ptr c) {
    close_those(c, [c, wanted = named(*c)](const core::connection_look& l) {
        return wanted(l) && (administers(c->user) || l.user == c->user.name);
    });
}
void close_of_user(call_ptr c) { close_those(c, of_user(*c)); }

// "127.0.0.1:5000 -> 127.0.0.1:5672 (1)"
void show_channel(call_ptr c) {
    auto out = std::make_shared<std::string>();
    const auto& name = c->names[0];
    const auto bracket = name.rfind(" (");
    const auto connection = name.substr(0, bracket);
    const auto number = bracket == std::string::npos ? std::string()
                                                     : name.substr(bracket + 2, name.size() - bracket - 3);
    for_connections(
        c, [connection](const core::connection_look& l) { return l.name == connection; },
        [c, out, number](core::session_port& port, const core::connection_look& l) {
            std::vector<core::channel_look> channels;
            port.describe_channels(channels);
            for (const auto& ch : channels) {
                if (std::to_string(ch.number) == number) {
                    json_writer w(*out);
                    write_channel(w, c->all, l, ch);
                }
            }
        },
        [c, out](std::size_t) {
            if (out->empty()) {
                c->not_found();
                return;
            }
            out->pop_back();
            *out += ",\"consumer_details\":[],\"deliveries\":[],\"publishes\":[]}";
            c->json(std::move(*out));
        });
}

// ---- Consumers ---------------------------------------------------------------------------------

struct found_consumer {
    core::consumer_look look;
    std::string queue;
    std::string vhost;
};

// They are with their queues, their connections' names elsewhere: two tours, then the list.
void list_consumers(call_ptr c, std::optional<core::vhost_id> only) {
    struct gathered {
        std::vector<found_consumer> consumers;
        connection_book book;
    };
    auto seen = std::make_shared<gathered>();
    auto answer = [c, seen](const connection_book& book) {
        row_source s;
        s.where = {c->home()};
        s.collect = [c, seen, &book](core::shard&, cursor&, row_list& to) {
            for (const auto& one : seen->consumers) {
                to.add_whole({one.vhost, one.look.label},
                             [&](json_writer& w) { book.write_consumer(w, c->all, one.look, one.queue, one.vhost); });
            }
            return true;
        };
        answer_list(c, std::move(s));
    };
    tour::start(c->all, c->home(), tour::everywhere(c->all),
                {[c, seen, only](core::shard& here, cursor& at) {
                     const auto view = here.topology();
                     at = here.for_some_queues(at, queues_a_turn, [&](const core::queue_look& q) {
                         const auto* v = view.find_vhost(q.spec().vhost);
                         if (v == nullptr || (only && q.spec().vhost != *only) ||
                             !sees(c->user, view, q.spec().vhost)) {
                             return;
                         }
                         for (auto& look : q.consumers()) {
                             seen->consumers.push_back(
                                 {std::move(look), q.spec().name, std::string(topology_view::name_of(*v))});
                         }
                     });
                     return at == 0;
                 },
                 [c, seen, answer = std::move(answer)] {
                     std::vector<core::session_handle> who;
                     for (const auto& one : seen->consumers) {
                         who.push_back(one.look.session);
                     }
                     seen->book.fill(c, std::move(who), answer);
                 }});
}

void all_consumers(call_ptr c) { list_consumers(std::move(c), {}); }
void consumers_in_vhost(call_ptr c) {
    const auto* v = c->here().topology().find_vhost(c->names[0]);
    v == nullptr ? c->not_found() : list_consumers(c, topology_view::id_of(*v));
}

constexpr std::array routes{
    route{.pattern = "connections", .get = all_connections},
    route{.pattern = "connections/username/?",
          .reads = need::monitoring,
          .get = of_user,
          .writes = need::administrator,
          .remove = close_of_user},
    route{.pattern = "connections/?", .get = show_connection, .remove = close_connection},
    route{.pattern = "connections/?/channels", .get = channels_of_connection},
    route{.pattern = "channels", .get = all_channels},
    route{.pattern = "channels/?", .get = show_channel},
    route{.pattern = "vhosts/?/connections", .reads = need::vhost, .get = in_vhost<list_connections>},
    route{.pattern = "vhosts/?/channels", .reads = need::vhost, .get = in_vhost<list_channels>},
    route{.pattern = "consumers", .get = all_consumers},
    route{.pattern = "consumers/?", .reads = need::vhost, .get = consumers_in_vhost},
};

}  // namespace

std::span<const route> connection_routes() noexcept { return routes; }

}  // namespace linnet::admin
