#include "broker/admin/connection_book.hpp"

#include "broker/admin/tour.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linnet::admin {

void connection_book::fill(const call_ptr& c, std::vector<core::session_handle> who,
                           std::function<void(const connection_book&)> then) {
    std::vector<core::shard_id> visits;
    for (const auto& h : who) {
        if (std::ranges::find(visits, h.shard) == visits.end()) {
            visits.push_back(h.shard);
        }
    }
    tour::start(c->all, c->home(), std::move(visits),
                {[this, then, who = std::move(who)](core::shard& here, cursor&) {
                     for (const auto& h : who) {
                         core::connection_look look;
                         auto* port = h.shard == here.id() ? here.find_session(h) : nullptr;
                         if (port != nullptr && port->describe(look)) {
                             entries_[key_of(h)] = {look.name, look.user, look.peer_address, look.peer_port};
                         }
                     }
                     return true;
                 },
                 [this, then] { then(*this); }});
}

const connection_book::entry& connection_book::find(core::session_handle h) const {
    static const entry nobody;
    const auto at = entries_.find(key_of(h));
    return at == entries_.end() ? nobody : at->second;
}

void connection_book::write_consumer(json_writer& w, const services& s, const core::consumer_look& look,
                                     std::string_view queue, std::string_view vhost) const {
    const auto& from = find(look.session);
    w.object()
        .member("ack_required", !look.no_ack)
        .member("active", look.active)
        .member("activity_status", look.active ? "up" : "waiting")
        .member("arguments", look.arguments)
        .key("channel_details")
        .object()
        .member("connection_name", from.name)
        .member("name", fmt::format("{} ({})", from.name, look.place))
        .member("node", s.node_name)
        .member("number", look.place)
        .member("peer_host", from.peer_address)
        .member("peer_port", from.peer_port)
        .member("user", from.user)
        .end()
        .member("consumer_tag", look.label)
        .key("consumer_timeout")
        .null()
        .member("exclusive", look.exclusive)
        .member("prefetch_count", look.prefetch)
        .key("queue")
        .object()
        .member("name", queue)
        .member("vhost", vhost)
        .end()
        .end();
}

void connection_book::write_owner(json_writer& w) const {
    const auto& from = find(owner);
    w.object()
        .member("name", from.name)
        .member("peer_host", from.peer_address)
        .member("peer_port", from.peer_port)
        .end();
}

}  // namespace linnet::admin
