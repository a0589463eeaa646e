// Publishing through HTTP: one message, the same one again, many at once.

#include "broker/core/broker.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/publish_access.hpp"
#include "broker/core/text_hash.hpp"
#include "broker/core/topology_walk.hpp"
#include "broker/session/amqp_names.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/http_batch.hpp"
#include "broker/session/http_messaging.hpp"
#include "broker/session/http_properties.hpp"
#include "broker/session/http_words.hpp"
#include "protocol/http/json_text.hpp"
#include "protocol/http/media_type.hpp"
#include "protocol/http/prefer.hpp"
#include "protocol/wire/bytes.hpp"

#include <fmt/format.h>

#include <array>
#include <utility>

namespace linnet::session {
namespace {

using core::topology_view;
using http::status;

constexpr std::size_t idempotency_key_bytes_max = 200;
constexpr std::size_t known_queues_max = 1'000'000;
// What an answer that is kept takes beside its text: the nodes and strings around it.
constexpr std::size_t kept_answer_bytes = 600;

std::string make_id() {
    std::array<std::uint8_t, 16> random{};
    fill_random(random);
    return to_base64url(random);
}

std::string_view durability_text(bool stored) { return stored ? "stored" : "memory"; }

bool is_batch(const http_request& r) {
    const auto type = http::media_type::parse(r.field("Content-Type"));
    return type && type->is("application", "x-ndjson");
}

// Of its slots a shard uses each again and again, and so the generation's bits: none may be lost.
std::uint64_t place_of(core::queue_handle h) noexcept { return (std::uint64_t{h.generation} << 32) | h.slot; }

}  // namespace

// ---- What is to be published ---------------------------------------------------------------------

std::optional<http_answer> http_messaging::admit(const place& at, std::string_view exchange,
                                                 std::string_view key) const {
    const auto bar = core::bar_to_publishing(*at.vhost, at.rules.get(), exchange, key);
    if (!bar) {
        return std::nullopt;
    }
    switch (*bar) {
        case core::publish_bar::no_exchange:
            return problem_answer(
                {.code = status::not_found, .detail = fmt::format("there is no exchange '{}'", exchange)});
        case core::publish_bar::internal: return forbidden(fmt::format("exchange '{}' is internal", exchange));
        case core::publish_bar::no_rights:
        case core::publish_bar::exchange:
        case core::publish_bar::topic: break;
    }
    return forbidden("publishing there is not allowed");
}

std::optional<http_answer> http_messaging::make_order(const http_request& r, order& into,
                                                      core::neutral_properties& said) {
    if (const auto complaint = read_properties(r.head, said)) {
        return bad_request(*complaint);
    }
    const auto durability = r.head.fields.find("Durability").value_or("stored");
    if (durability != "stored" && durability != "memory") {
        return bad_request("Durability is 'stored' or 'memory'");
    }
    said.persistent = durability == "stored";
    const auto once = r.field("Idempotency-Key");
    if (auto no = complain_of_key(once)) {
        return no;
    }
    if (!said.message_id) {
        said.message_id = once.empty() ? make_id() : std::string(once);
    }
    into.id = *said.message_id;
    into.traits.properties_of = core::protocol_tag::amqp091;
    into.traits.identified = true;
    into.traits.persistent = said.persistent;
    into.traits.priority = said.priority.value_or(0);
    into.traits.time_to_live = said.time_to_live;
    into.properties = to_block(said);
    return std::nullopt;
}

void http_messaging::publish_to(const http_request& r, const place& at, std::string exchange, std::string key,
                                publish_kind kind, http_responder to) {
    if (key.size() > UINT16_MAX || exchange.size() > UINT8_MAX) {
        std::move(to).answer(bad_request("that name is too long"));
        return;
    }
    if (auto no = admit(at, exchange, key)) {
        std::move(to).answer(std::move(*no));
        return;
    }
    order o{.vhost = topology_view::id_of(*at.vhost), .exchange = std::move(exchange), .key = std::move(key)};
    if (kind == publish_kind::message && is_batch(r)) {
        publish_batch(r, at, o, std::move(to));
        return;
    }
    core::neutral_properties said;
    if (auto no = make_order(r, o, said)) {
        std::move(to).answer(std::move(*no));
        return;
    }
    // Answers come to a queue in the name of who asked for them.
    o.traits.answerable = said.reply_to && may(at, core::right::write, {});
    o.traits.retain = kind != publish_kind::message;
    const auto body = kind == publish_kind::no_value ? std::string_view{} : r.body;
    if (!r.field("Idempotency-Key").empty()) {
        do_once(
            r,
            [o = std::move(o), text = std::string(body)](http_messaging& m, answer_once then) {
                m.carry_out(o, text, [id = o.id, then = std::move(then)](published p) {
                    then(answer_of(id, p), p.what == fate::confirmed ? repetition::same : repetition::tried);
                });
            },
            std::move(to));
        return;
    }
    if (http::parse_prefer(r.head.fields.joined("Prefer")).respond_async) {
        // What is known at once is told; nobody waits for the rest.
        auto box = std::make_shared<std::optional<published>>();
        carry_out(o, body, [box](published p) { *box = p; });
        if (!*box || (*box)->what == fate::confirmed) {
            std::move(to).answer({.code = status::accepted, .fields = {{"Message-Id", o.id}}});
        } else {
            std::move(to).answer(answer_of(o.id, **box));
        }
        return;
    }
    const auto id = o.id;
    auto then = later(std::move(to));
    carry_out(o, body, [id, then = std::move(then)](published p) { then(answer_of(id, p)); });
}

// ---- Publishing ----------------------------------------------------------------------------------

void http_messaging::carry_out(const order& o, std::string_view body, on_published then) {
    const auto view = shard_.topology();
    const auto* v = view.find_vhost(o.vhost);
    if (v == nullptr) {
        then({.what = fate::no_exchange});
        return;
    }
    auto m = core::make_message(shard_.pool(), o.exchange, o.key, wire::as_bytes(o.properties), wire::as_bytes(body),
                                o.traits);
    if (const auto token = o.exchange.empty() ? core::reply_token_of(o.key) : std::nullopt) {
        const auto sequence = ++last_sequence_;
        const auto done = shard_.answer(std::move(m), o.vhost, *token, handle(), 0, sequence);
        if (done.pending) {
            publishing_.emplace(sequence, pending_publish{std::move(then), false});
        } else {
            then({.what = done.rejected ? fate::refused : done.routed == 0 ? fate::unroutable : fate::confirmed});
        }
        return;
    }
    if (o.exchange.empty() && o.key.starts_with(reply_prefix)) {
        // An AMQP requester waits for it.
        const auto whom = reply_address::parse(o.key);
        const bool there = whom && shard_.deliver_direct(whom->session, whom->channel, std::move(m));
        then({.what = there ? fate::confirmed : fate::unroutable});
        return;
    }
    const auto route = shard_.find_route(*v, m->exchange(), m->routing_key(), &amqp_reader(), m->properties(), memo_);
    if (route.exchange == nullptr) {
        then({.what = fate::no_exchange});
        return;
    }
    if (route.where.empty() && !route.delayed && !o.traits.retain) {
        if (route.remember) {
            static_cast<void>(shard_.publish(std::move(m), *v, route, handle(), 0, 0));
        } else {
            shard_.note_unrouted(core::flight_step::dropped, *m, o.vhost, handle());
        }
        then({.what = fate::unroutable});
        return;
    }
    const auto sequence = ++last_sequence_;
    const bool stored = is_stored(*v, route.where, o.traits);
    const auto done = shard_.publish(std::move(m), *v, route, handle(), 0, sequence);
    if (done.pending && !done.rejected) {
        publishing_.emplace(sequence, pending_publish{std::move(then), stored});
    } else {
        then({.what = done.rejected ? fate::refused : fate::confirmed, .stored = stored});
    }
}

// Whether a confirm of it means that it survives: all of its queues are durable. A queue's place means it for good, so
// what is looked up once stays known.
bool http_messaging::is_stored(const core::vhost_node& v, core::targets where, const core::message_traits& t) {
    if (shard_.parts().options().logs == 0 || !(t.persistent || t.retain)) {
        return false;
    }
    durable_.resize(peers_.size());
    bool kept = where.empty() || t.retain;
    for (const auto& q : where) {
        if (q.slot >= core::first_subscriber_slot) {
            continue;  // who listens live keeps nothing
        }
        kept = true;
        auto& known = durable_[q.shard.value];
        auto at = known.find(place_of(q));
        if (at == known.end()) {
            if (known.size() > known_queues_max) {
                known.clear();
            }
            core::for_each_queue(v, [&](const core::queue_entry& e) {
                durable_[e.handle.shard.value].insert_or_assign(place_of(e.handle),
                                                                e.spec.durable || core::is_stream(e.handle));
            });
            at = known.find(place_of(q));
        }
        if (at == known.end() || !at->second) {
            return false;
        }
    }
    return kept;
}

http_answer http_messaging::answer_of(const std::string& id, const published& p) {
    switch (p.what) {
        case fate::confirmed: break;
        case fate::refused:
            return problem_answer({.code = status::too_many_requests, .detail = "a queue is full"},
                                  {{"Retry-After", "1"}});
        case fate::unroutable:
            return problem_answer({.code = status::not_found, .detail = "no queue is bound that would take it"});
        case fate::no_exchange: return problem_answer({.code = status::not_found, .detail = "the exchange has gone"});
    }
    http_answer a{.code = status::created,
                  .fields = {{"Content-Type", "application/json"},
                             {"Message-Id", id},
                             {"Durability", std::string(durability_text(p.stored))}}};
    a.body = "{\"id\":";
    http::append_json_string(a.body, id);
    a.body += fmt::format(",\"durability\":\"{}\"}}\n", durability_text(p.stored));
    return a;
}

// ---- Once ----------------------------------------------------------------------------------------

std::optional<http_answer> http_messaging::complain_of_key(std::string_view once) {
    if (once.size() <= idempotency_key_bytes_max) {
        return std::nullopt;
    }
    return bad_request(fmt::format("Idempotency-Key has {} bytes at most", idempotency_key_bytes_max));
}

void http_messaging::do_once(const http_request& r, once_work work, http_responder to, on_told then) {
    auto name = fmt::format("{}\n{}\n{}\n{}", r.user.name, r.head.method_name, r.head.target.path(),
                            r.field("Idempotency-Key"));
    const auto home = static_cast<std::uint16_t>(core::stable_hash(name) % peers_.size());
    on_shard(
        core::shard_id{home},
        [name = std::move(name), work = std::move(work)](http_messaging& m, answer_later told) {
            m.work_once(name, work, std::move(told));
            m.shard_.pump();
        },
        std::move(to), std::move(then));
}

// What was done under a key is not done again: its answer is given. What failed may be tried again.
void http_messaging::work_once(const std::string& name, const once_work& work, answer_later then) {
    forget_repeated();
    const auto [at, is_new] = repeated_.try_emplace(name);
    if (!is_new) {
        if (at->second.answer) {
            auto again = *at->second.answer;
            again.fields.emplace_back("Idempotent-Replayed", "true");
            then(std::move(again));
        } else {
            at->second.waiting.push_back(std::move(then));
        }
        return;
    }
    work(*this, [this, name, then = std::move(then)](const http_answer& a, repetition r) {
        std::vector<answer_later> waiting;
        if (const auto entry = repeated_.find(name); entry != repeated_.end()) {
            waiting = std::move(entry->second.waiting);
            if (r == repetition::same) {
                keep_repeated(entry->second, name, a);
            } else {
                repeated_.erase(entry);
            }
        }
        then(a);
        for (const auto& w : waiting) {
            w(a);
        }
    });
}

void http_messaging::keep_repeated(repeated& entry, const std::string& name, const http_answer& a) {
    entry.answer = a;
    entry.bytes = kept_answer_bytes + 2 * name.size() + a.body.size();
    repeated_bytes_ += entry.bytes;
    shard_.note_connection_bytes(static_cast<std::int64_t>(entry.bytes));
    repeated_order_.emplace_back(shard_.now() + settings_.repeated_for, name);
    forget_repeated();
}

void http_messaging::forget_repeated() {
    while (!repeated_order_.empty() &&
           (repeated_order_.front().first <= shard_.now() || repeated_order_.size() > settings_.repeated_max ||
            repeated_bytes_ > settings_.repeated_bytes_max)) {
        const auto oldest = repeated_.find(repeated_order_.front().second);
        repeated_bytes_ -= oldest->second.bytes;
        shard_.note_connection_bytes(-static_cast<std::int64_t>(oldest->second.bytes));
        repeated_.erase(oldest);
        repeated_order_.pop_front();
    }
}

// ---- Many ----------------------------------------------------------------------------------------

struct http_messaging::batch {
    struct message {
        order what;
        std::string body;
    };
    std::vector<message> messages;
    std::vector<std::string> lines;  // what is told of each; of one that is refused already it is there from the start
    std::size_t waiting = 0;
    std::size_t published = 0;
    answer_once then;

    void tell(std::size_t i, const http_answer& a, std::string_view id) {
        lines[i] = fmt::format("{{\"status\":{},\"id\":", http::number_of(a.code));
        http::append_json_string(lines[i], id);
        lines[i] += "}\n";
    }
    // Of which nothing was published, that may be tried again.
    void done() {
        if (--waiting == 0) {
            http_answer a{.fields = {{"Content-Type", "application/x-ndjson"}}};
            for (const auto& l : lines) {
                a.body += l;
            }
            then(std::move(a), published != 0 ? repetition::same : repetition::tried);
        }
    }
};

// Every line is one message and has one line in the answer, in the same order; one that is refused stops no other.
void http_messaging::publish_batch(const http_request& r, const place& at, const order& o, http_responder to) {
    const auto once = r.field("Idempotency-Key");
    if (auto no = complain_of_key(once)) {
        std::move(to).answer(std::move(*no));
        return;
    }
    auto made = make_batch(r, at, o);
    if (!made) {
        std::move(to).answer(bad_request(made.error()));
    } else if (once.empty()) {
        carry_out(*made, [then = later(std::move(to))](http_answer a, repetition) { then(std::move(a)); });
    } else {
        do_once(
            r, [b = std::move(*made)](http_messaging& m, answer_once then) { m.carry_out(b, std::move(then)); },
            std::move(to));
    }
}

result<std::shared_ptr<http_messaging::batch>, std::string> http_messaging::make_batch(const http_request& r,
                                                                                       const place& at,
                                                                                       const order& o) const {
    auto read = read_batch(r.body);
    if (!read) {
        return fail(std::move(read.error()));
    }
    const bool stored = r.head.fields.find("Durability").value_or("stored") == "stored";
    const auto once = r.field("Idempotency-Key");
    auto b = std::make_shared<batch>();
    b->messages.resize(read->size());
    b->lines.resize(read->size());
    for (std::size_t i = 0; i < read->size(); ++i) {
        auto& item = (*read)[i];
        auto& one = b->messages[i].what;
        one = {.vhost = o.vhost, .exchange = o.exchange, .key = item.key.value_or(o.key)};
        item.said.persistent = stored;
        if (!item.said.message_id) {
            // As a single one's: queues that drop duplicates know it by that, longer than we do.
            item.said.message_id = once.empty() ? make_id() : fmt::format("{}:{}", once, i + 1);
        }
        one.id = *item.said.message_id;
        if (one.key.size() > UINT16_MAX) {
            b->tell(i, bad_request("key too long"), one.id);
        } else if (const auto no = item.key ? admit(at, one.exchange, one.key) : std::nullopt) {
            b->tell(i, *no, one.id);
        } else {
            one.traits = {.persistent = stored,
                          .priority = item.said.priority.value_or(0),
                          .properties_of = core::protocol_tag::amqp091,
                          .identified = true,
                          .time_to_live = item.said.time_to_live};
            one.properties = to_block(item.said);
            b->messages[i].body = std::move(item.body);
        }
    }
    return b;
}

void http_messaging::carry_out(const std::shared_ptr<batch>& b, answer_once then) {
    b->then = std::move(then);
    b->waiting = b->messages.size() + 1;
    const auto messages = std::exchange(b->messages, {});
    for (std::size_t i = 0; i < messages.size(); ++i) {
        if (!b->lines[i].empty()) {
            b->done();
            continue;
        }
        const auto& [what, body] = messages[i];
        carry_out(what, body, [b, i, id = what.id](published p) {
            b->published += p.what == fate::confirmed ? 1 : 0;
            b->tell(i, answer_of(id, p), id);
            b->done();
        });
    }
    b->done();
}

}  // namespace linnet::session
