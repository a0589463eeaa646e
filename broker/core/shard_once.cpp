#include "broker/core/shard_once.hpp"

#include "broker/core/shard_state.hpp"

#include <utility>

namespace linnet::core {

namespace {
constexpr auto once_slot = static_cast<std::uint32_t>(own_waiter::once);
}  // namespace

publish_result shard::publish_once(message_ptr m, const vhost_node& v, const route& r, const client_ticket& client,
                                   std::uint32_t number, session_handle publisher, std::uint64_t sink_tag,
                                   std::uint64_t sequence) {
    owner_.check();
    auto& s = *state_;
    return s.once.publish(std::move(m), v, r, client, number, s.confirm_for(publisher, sink_tag, sequence));
}

publish_result shard_once::publish(message_ptr m, const vhost_node& v, const shard::route& r,
                                   const client_ticket& client, std::uint32_t number, const durable_waiter& confirm) {
    under_way u{client, number, true, confirm};
    const std::uint64_t id = ++last_;
    tell(u, mark_step::expected);
    const session_handle self{once_slot, 0, home_.self.id()};
    publish_result out = home_.stores.empty() ? home_.self.publish(std::move(m), v, r, self, 0, id)
                                              : transact(std::move(m), v, r, u, id);
    u.accepted = !out.rejected;
    if (out.pending) {
        out.rejected = false;  // the verdict comes at the end
        open_.emplace(id, u);
    } else {
        tell(u, out.rejected ? mark_step::dropped : mark_step::taken);
    }
    return out;
}

publish_result shard_once::transact(message_ptr m, const vhost_node& v, const shard::route& r, const under_way& u,
                                    std::uint64_t id) {
    home_.self.begin_transaction();
    publish_result out = home_.errands.publish(std::move(m), v, r, home_.confirm_for({}, 0, 0));
    if (!out.rejected) {
        mark(u);
    }
    out.pending = home_.self.end_transaction({once_slot, 0, home_.self.id()}, 0, id);
    return out;
}

void shard_once::mark(const under_way& u) {
    const auto log = static_cast<std::uint16_t>(u.client.home);
    if (log == home_.self.id().value) {
        home_.clients.registry(log).note_mark(u.client.entry, u.number);
    } else {
        home_.errands.mark(log, {u.client.entry, u.number});
    }
}

// To the client's home; a mark that is withdrawn is answered for to the publisher, when it is durable that there is
// none.
void shard_once::tell(const under_way& u, mark_step what) {
    client_mark_command c{0, 0, {}, shard_clients::place_of(u.client), u.number, what};
    if (what == mark_step::withdrawn) {
        c.sequence = u.confirm.sequence;
        c.sink_tag = u.confirm.sink_tag;
        c.from = {u.confirm.slot, u.confirm.generation};
    }
    home_.clients.mark(c);
}

void shard_once::settled(std::uint64_t id, bool accepted) {
    const auto done = open_.extract(id);
    if (!done) {
        return;  // the shard has ended
    }
    const under_way& u = done.mapped();
    if (accepted && u.accepted) {
        tell(u, mark_step::taken);
        home_.on_durable(u.confirm);
    } else {
        tell(u, mark_step::withdrawn);
    }
}

}  // namespace linnet::core
