#include "broker/core/byte_codec.hpp"
#include "broker/core/client_registry.hpp"
#include "broker/core/command.hpp"
#include "broker/core/message_builder.hpp"

#include <algorithm>
#include <limits>
#include <utility>

// What a registry of clients keeps in its log.

namespace linnet::core {

namespace {

constexpr std::uint8_t client_record_version = 1;
// In place of it, of what is added to a state: the rest is the client's id, the version, and the bytes.
constexpr std::uint8_t client_addition_record = 2;

// Of what lies in segments that are to go, in new versions: some hundred clients. All that they have may be many a
// turn's work.
constexpr std::uint64_t saved_a_turn_bytes = 64 * 1024;

// Of a client's flags.
constexpr std::uint8_t flag_ending = 1;
constexpr std::uint8_t flag_listed = 2;  // older records do not say

[[nodiscard]] constexpr bool is_will(position id) noexcept { return (id & 1U) != 0; }

[[nodiscard]] std::string_view as_text(std::span<const std::uint8_t> bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}
[[nodiscard]] std::span<const std::uint8_t> as_bytes(std::string_view text) noexcept {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

// A will lies in the log with this in place of its properties, which come last.
struct will_head {
    std::string_view vhost;
    std::string_view user;
    std::string_view client;
    wall_ns due = 0;
    std::string_view properties;
};

[[nodiscard]] std::optional<will_head> read_will(std::span<const std::uint8_t> bytes) {
    byte_reader in(bytes);
    const bool known = in.get<std::uint8_t>() == client_record_version;
    will_head h;
    h.due = in.get<wall_ns>();
    h.vhost = in.get_text();
    h.user = in.get_text();
    h.client = in.get_text();
    h.properties = in.get_text();
    return known && in.ok() && in.at_end() ? std::optional(h) : std::nullopt;
}

[[nodiscard]] message_ptr unwrapped(message_pool& pool, const message& m) {
    const auto head = read_will(m.properties());
    return head ? make_message(pool, m.exchange(), m.routing_key(), as_bytes(head->properties), m.body(), m.traits())
                : message_ptr{};
}

}  // namespace

// ---- Recording ---------------------------------------------------------------------------------

client_registry::client_registry(client_context& context, journal* log, std::uint16_t number, std::uint64_t clients_max)
    : context_(context), log_(log), number_(number), clients_max_(clients_max) {}

client_registry::~client_registry() = default;

// One that was durable, is no longer and has a queue keeps a record, as of one that has expired: a crash would leave
// the queue behind, and nobody else knows whose it is.
void client_registry::record(entry& e) {
    const bool leaves_queue = e.is_recorded() && !e.names.queue().empty();
    if (log_ == nullptr || (!e.durable && !leaves_queue)) {
        weigh(e);
        forget_record(e);
        return;
    }
    auto& k = kept_of(e);
    weigh(e);
    byte_writer out;
    out.put(client_record_version);
    out.put(++k.version);
    out.put(static_cast<std::uint8_t>((e.now == phase::ending ? flag_ending : 0) | (e.listed ? flag_listed : 0)));
    out.put(e.durable ? e.expiry_s : 0);
    out.put(k.detached_at);
    out.put_text(context_.name_of(e.vhost));
    out.put_text(e.names.user());
    out.put_text(e.names.queue());
    out.put_text(as_text(k.state));
    out.put(static_cast<std::uint32_t>(k.marks.size()));
    for (const auto n : k.marks) {
        out.put(n);
    }
    const auto whole = make_message(context_.pool(), {}, e.names.name(), {}, out.bytes(), {});
    const message_place at{clients_of(number_), e.id, 0};
    const stored_ref where = log_->record_message(*whole, context_.wall_now(), {&at, 1});
    if (k.where) {
        log_->release(k.where);
    }
    k.where = where;
    note_change(e, 0);
    e.recorded_end = log_->log().end();
}

void client_registry::forget_record(entry& e) {
    if (!e.is_recorded()) {
        return;
    }
    const journal::run gone{e.id, 1};
    log_->record_settled(clients_of(number_), {&gone, 1});
    log_->release(std::exchange(e.kept->where, {}));
    note_change(e, 0);
    e.recorded_end = log_->log().end();
}

bool client_registry::record_mark(entry& e, std::uint32_t number, bool set) {
    if (!e.is_recorded()) {
        return false;
    }
    byte_writer out;
    out.put(client_record_version);
    out.put(e.id);
    out.put(e.kept->version);
    out.put(number);
    out.put_flag(set);
    record_change(e, out.bytes());
    return true;
}

bool client_registry::record_addition(entry& e, std::span<const std::uint8_t> bytes) {
    if (!e.is_recorded()) {
        return false;
    }
    byte_writer out;
    out.put(client_addition_record);
    out.put(e.id);
    out.put(e.kept->version);
    out.put_text(as_text(bytes));
    record_change(e, out.bytes());
    return true;
}

void client_registry::record_change(entry& e, std::span<const std::uint8_t> bytes) {
    const log_position at = log_->record_keys(clients_of(number_), bytes);
    if (e.kept->changed_at == 0) {
        note_change(e, at);
    }
    e.recorded_end = log_->log().end();
}

// Its first change is there, or it has none any more (0).
void client_registry::note_change(entry& e, log_position at) {
    changed_.erase(std::exchange(e.kept->changed_at, at));
    if (at != 0) {
        changed_.emplace(at, e.id);
    }
}

void client_registry::record_will(position id, will& w, const entry& of) {
    if (log_ == nullptr || !of.durable) {
        return;
    }
    byte_writer out;
    out.put(client_record_version);
    out.put(context_.wall_now() + (w.due - context_.now()));
    out.put_text(context_.name_of(w.who.vhost));
    // A grant is not stored. Nobody has no name, so that no user of the same name speaks in its place.
    out.put_text(w.who.grant == nullptr ? std::string_view(w.who.user) : std::string_view{});
    out.put_text(of.names.name());
    out.put_text(as_text(w.what->properties()));
    const message& m = *w.what;
    const auto whole = make_message(context_.pool(), m.exchange(), m.routing_key(), out.bytes(), m.body(), m.traits());
    const message_place at{clients_of(number_), id, 0};
    w.where = log_->record_message(*whole, context_.wall_now(), {&at, 1});
}

void client_registry::forget_will(position id) {
    const auto at = wills_.find(id);
    if (at == wills_.end()) {
        return;
    }
    if (at->second.where) {
        const journal::run gone{id, 1};
        log_->record_settled(clients_of(number_), {&gone, 1});
        log_->release(at->second.where);
    }
    wills_.erase(at);
}

void client_registry::when_durable(const entry& e, std::function<void()> then) {
    if (log_ == nullptr || e.recorded_end <= log_->log().durable()) {
        then();
        return;
    }
    const std::uint64_t promise = ++last_promise_;
    promises_.emplace(promise, std::move(then));
    durable_waiter w;
    w.sequence = promise << 16 | number_;
    w.slot = static_cast<std::uint32_t>(own_waiter::client);
    w.publisher = context_.here();
    log_->wait(w);
}

void client_registry::on_durable(std::uint64_t sequence) {
    owner_.check();
    if (const auto kept = promises_.extract(sequence >> 16)) {
        kept.mapped()();
    }
}

// ---- Places ------------------------------------------------------------------------------------

record_range client_registry::place_of(position pos) const {
    if (is_will(pos)) {
        const auto at = wills_.find(pos);
        return at == wills_.end() ? record_range{} : record_range{at->second.where.at, at->second.where.bytes};
    }
    const auto at = by_id_.find(pos);
    if (at == by_id_.end() || at->second.kept == nullptr) {
        return {};
    }
    const auto& where = at->second.kept->where;
    return {where.at, where.bytes};
}

void client_registry::on_moved(position pos, const stored_ref& to) {
    if (const auto w = wills_.find(pos); w != wills_.end()) {
        w->second.where = to;
    } else if (entry* const e = find(pos); e != nullptr && e->kept != nullptr) {
        e->kept->where = to;
    }
}

// A copy of a version tells nothing of later marks and additions: those that go are written into a new one.
bool client_registry::on_dropping(log_position keep) {
    const log_position enough = log_->log().end() + saved_a_turn_bytes;
    while (!changed_.empty() && changed_.begin()->first < keep) {
        if (log_->log().end() >= enough) {
            return false;
        }
        entry& e = *find(changed_.begin()->second);
        note_change(e, 0);
        record(e);
    }
    return true;
}

void client_registry::on_fetched(position pos, message_ptr m) {
    owner_.check();
    const auto at = wills_.find(pos);
    if (at == wills_.end()) {
        return;
    }
    auto what = m ? unwrapped(context_.pool(), *m) : message_ptr{};
    if (what) {
        context_.publish_will(*this, pos, at->second.who, std::move(what));
    } else {
        forget_will(pos);  // damaged: the journal says so
    }
}

// ---- Recovery ----------------------------------------------------------------------------------

struct client_registry::recovered_client {
    stored_ref where;
    std::uint64_t version = 0;
    bool ending = false;
    bool listed = false;
    std::uint32_t expiry_s = 0;
    wall_ns detached_at = 0;
    std::string name;
    std::string vhost;
    std::string user;
    std::string queue;
    std::vector<std::uint8_t> state;
    std::vector<std::uint32_t> marks;

    [[nodiscard]] bool read(const recovered_message& m);
};
struct client_registry::recovered_words {
    stored_ref where;
    std::string vhost;
    std::string user;
    std::string client;
    wall_ns due = 0;

    [[nodiscard]] bool read(const recovered_message& m);
};
// A mark, or an addition.
struct client_registry::recovered_change {
    std::uint64_t version = 0;
    log_position at = 0;
    bool is_addition = false;
    std::uint32_t number = 0;
    bool set = false;
    std::vector<std::uint8_t> bytes;

    [[nodiscard]] bool read(byte_reader& in);
};
struct client_registry::recovering {
    std::map<position, recovered_client> clients;
    std::map<position, recovered_words> wills;
    // Some come before the copy of the version that they belong to.
    std::map<position, std::vector<recovered_change>> changes;
};

bool client_registry::recovered_client::read(const recovered_message& m) {
    byte_reader in(m.body);
    const bool known = in.get<std::uint8_t>() == client_record_version;
    const auto number = in.get<std::uint64_t>();
    if (known && in.ok() && number == version) {
        return true;  // a copy of what has been read
    }
    version = number;
    const auto flags = in.get<std::uint8_t>();
    ending = (flags & flag_ending) != 0;
    listed = (flags & flag_listed) != 0;
    expiry_s = in.get<std::uint32_t>();
    detached_at = in.get<wall_ns>();
    name = m.key;
    vhost = in.get_text();
    user = in.get_text();
    queue = in.get_text();
    const auto bytes = as_bytes(in.get_text());
    state.assign(bytes.begin(), bytes.end());
    marks.clear();
    for (auto n = in.get_count(sizeof(std::uint32_t)); n != 0; --n) {
        marks.push_back(in.get<std::uint32_t>());
    }
    return known && flags <= (flag_ending | flag_listed) && in.ok() && in.at_end();
}

bool client_registry::recovered_words::read(const recovered_message& m) {
    const auto head = read_will(m.properties);
    if (head) {
        vhost = head->vhost;
        user = head->user;
        client = head->client;
        due = head->due;
    }
    return head.has_value();
}

bool client_registry::recovered_change::read(byte_reader& in) {
    version = in.get<std::uint64_t>();
    if (is_addition) {
        const auto added = as_bytes(in.get_text());
        bytes.assign(added.begin(), added.end());
    } else {
        number = in.get<std::uint32_t>();
        set = in.get_flag();
    }
    return in.ok() && in.at_end();
}

client_registry::recovering& client_registry::replay() {
    if (recovering_ == nullptr) {
        recovering_ = std::make_unique<recovering>();
    }
    return *recovering_;
}

void client_registry::on_recovered(const recovered_message& m) {
    auto& all = replay();
    last_id_ = std::max(last_id_, m.pos | 1U);
    const auto take = [&](auto& one) {
        if (one.where) {
            log_->release(one.where);
        }
        one.where = m.where;
        return one.read(m);
    };
    if (!(is_will(m.pos) ? take(all.wills[m.pos]) : take(all.clients[m.pos]))) {
        on_recovered_settled(m.pos, 1);
    }
}

void client_registry::on_recovered_settled(position first, std::uint64_t count) {
    auto& all = replay();
    const auto let_go = [&](auto& of) {
        for (auto at = of.lower_bound(first); at != of.end() && at->first - first < count; at = of.erase(at)) {
            log_->release(at->second.where);
        }
    };
    let_go(all.clients);
    let_go(all.wills);
    for (auto at = all.changes.lower_bound(first); at != all.changes.end() && at->first - first < count;) {
        at = all.changes.erase(at);
    }
}

bool client_registry::on_recovered_keys(std::span<const std::uint8_t> keys, log_position at) {
    byte_reader in(keys);
    const auto kind = in.get<std::uint8_t>();
    const auto id = in.get<position>();
    recovered_change c;
    c.at = at;
    c.is_addition = kind == client_addition_record;
    if ((!c.is_addition && kind != client_record_version) || !c.read(in)) {
        return false;
    }
    // They lie in the order in which they came about: what belongs to an earlier version is in this one.
    auto& all = replay().changes[id];
    if (!all.empty() && all.back().version != c.version) {
        all.clear();
    }
    all.push_back(std::move(c));
    return true;
}

void client_registry::on_recovery_end(bool) {
    if (recovering_ == nullptr) {
        return;
    }
    const auto all = std::exchange(recovering_, nullptr);
    // Records of before are even; what was given out since must not be given again.
    last_id_ += last_id_ & 1U;
    for (auto& [id, c] : all->clients) {
        revive(id, c, all->changes[id]);
    }
    for (auto& [id, w] : all->wills) {
        revive(id, w);
    }
}

void client_registry::revive(position id, recovered_client& c, const std::vector<recovered_change>& changes) {
    const auto v = context_.find_vhost(c.vhost);
    if (!v || by_name_.contains(client_key(*v, c.name))) {
        log_->release(c.where);
        context_.later([this, id] {
            const journal::run gone{id, 1};
            log_->record_settled(clients_of(number_), {&gone, 1});
        });
        return;
    }
    entry& e = by_id_.try_emplace(id, id, *v, c.name).first->second;
    by_name_.insert(&e);
    e.names.set(c.name, c.user, c.queue);
    e.durable = true;
    e.listed = c.listed;
    e.expiry_s = c.expiry_s;
    auto& k = kept_of(e);
    k.marks = std::move(c.marks);
    k.version = c.version;
    k.where = c.where;
    for (const auto& one : changes) {
        if (one.version != k.version) {
            continue;
        }
        if (one.is_addition) {
            c.state.insert(c.state.end(), one.bytes.begin(), one.bytes.end());
        } else {
            set_mark(e, one.number, one.set);
        }
        if (k.changed_at == 0) {
            note_change(e, one.at);
        }
    }
    if (may_keep(e, c.state.size())) {
        k.state = std::move(c.state);
    }
    weigh(e);
    context_.found(*this, *v, e.names.name());
    if (c.ending) {
        e.now = phase::ending;
        context_.delete_queue(*this, id, e.vhost, c.queue);
        return;
    }
    e.present = true;
    // From when it was detached; from now on, if it was not. A clock that was set back adds nothing.
    k.detached_at = c.detached_at == 0 ? context_.wall_now() : c.detached_at;
    const mono_ns whole = mono_ns{e.expiry_s} * ns_per_s;
    const mono_ns left = std::clamp<mono_ns>(k.detached_at + whole - context_.wall_now(), 0, whole);
    k.expires = e.expiry_s == never_expires_s ? 0 : std::max<mono_ns>(context_.now() + left, 1);
    arm(e);
    // Its end may have been under way when the broker crashed, or a store was put together by hand.
    if (e.listed && !context_.lists_user(c.user)) {
        e.doomed = true;
        context_.later([this, id] { end_idle(id); });
    }
}

void client_registry::revive(position id, recovered_words& w) {
    const auto v = context_.find_vhost(w.vhost);
    wills_[id] = {{v.value_or(vhost_id{}), std::move(w.user), w.client, {}}, {}, w.where, context_.now()};
    if (!v) {
        context_.later([this, id] { forget_will(id); });
        return;
    }
    // Without its entry, or with another will since, it was on its way already: once more is better than never.
    entry& e = make(*v, w.client);
    if (!e.present && e.now != phase::ending) {
        kept_of(e).expires = std::max<mono_ns>(context_.now(), 1);
    }
    if (e.will() != 0 || e.now == phase::ending) {
        context_.later([this, id] { fetch_will(id); });
        return;
    }
    kept_of(e).will = id;
    const mono_ns left = std::clamp<mono_ns>(w.due - context_.wall_now(), 0, mono_ns{e.expiry_s} * ns_per_s);
    wills_.at(id).due = context_.now() + left;
    arm(e);
}

void client_registry::fetch_will(position id) {
    const journal::wanted wanted{id, wills_.at(id).where};
    log_->fetch(clients_of(number_), {&wanted, 1});
}

}  // namespace linnet::core
