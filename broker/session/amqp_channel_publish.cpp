// Publishing on an AMQP channel: checks, routing, confirms, returns, transactions.

#include "broker/session/amqp_arguments.hpp"
#include "broker/session/amqp_channel.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/amqp_reply_text.hpp"
#include "protocol/amqp/properties_builder.hpp"
#include "protocol/amqp/table_builder.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

namespace linnet::session {
namespace {

using amqp::reply_code;
using core::right;
using core::topology_view;

// Of the keys that are no queue's: reply handles and direct replies.
constexpr std::string_view reserved_prefix = "amq.r";
// Ten years, RabbitMQ's bound.
constexpr std::int64_t expiration_max_ms = 315'360'000'000;
// Where Erlang's formatting of a term begins a new line.
constexpr std::size_t term_columns = 80;

// How Erlang prints {tag,value} behind a text of `column` characters.
std::string pair_text(std::size_t column, std::string_view tag, std::string_view value) {
    const bool wraps = column + tag.size() + value.size() + 3 > term_columns;
    return fmt::format("{{{},{}{}}}", tag, wraps ? "\n" + std::string(column + 1, ' ') : std::string(), value);
}

// The blocks that high rates bring: nothing at all, or a delivery mode alone.
bool is_plain(wire::bytes_view block, core::message_traits& traits) noexcept {
    if (block.size() == 2) {
        return wire::load<std::uint16_t>(block.data()) == 0;
    }
    traits.persistent = block.size() == 3 && block[2] == 2;
    return block.size() == 3 && (block[2] == 1 || block[2] == 2) &&
           wire::load<std::uint16_t>(block.data()) == amqp::flag_of(amqp::property::delivery_mode);
}

// Of the reply handle that it is published to; none: it is an ordinary message.
std::optional<core::reply_token> token_of(const core::message& m) noexcept {
    return m.exchange().empty() ? core::reply_token_of(m.routing_key()) : std::nullopt;
}

std::string_view without_zeros(std::string_view digits) noexcept {
    const auto at = digits.find_first_not_of('0');
    return at == std::string_view::npos ? digits.substr(digits.size() - 1) : digits.substr(at);
}

}  // namespace

amqp_channel::incoming& amqp_channel::content() {
    if (content_ == nullptr) {
        content_ = std::make_unique<incoming>();
    }
    return *content_;
}

// ---- The hot path ------------------------------------------------------------------------------

void amqp_channel::on_publish(const amqp::basic_publish& m, wire::bytes_view block, wire::bytes_view body) {
    prepared p;
    if (m.immediate) [[unlikely]] {
        fail(reply_code::not_implemented, "immediate=true");
        return;
    }
    if (!prepare(m.exchange, m.routing_key, block, body.size(), p)) [[unlikely]] {
        return;
    }
    auto msg = core::make_message(session_.shard().pool(), m.exchange, m.routing_key, p.block, body, p.traits);
    if (mode_ == mode::transaction || p.has_copies) [[unlikely]] {
        route_and_publish(std::move(msg), m.mandatory,
                          p.has_copies ? std::span<const std::string>(content_->copies)
                                       : std::span<const std::string>{});
        return;
    }
    const auto route = session_.shard().find_route(session_.vhost(), msg->exchange(), msg->routing_key(),
                                                   &amqp_reader(), msg->properties(), memo_);
    if (route.where.empty()) [[unlikely]] {
        hand_over(std::move(msg), m.mandatory, route, mode_ == mode::confirm ? confirms_.begin() : 0);
        return;
    }
    dispatch(std::move(msg), route, mode_ == mode::confirm ? confirms_.begin() : 0);
}

inline void amqp_channel::count_publish(const core::message& m) noexcept {
    ++counts_.publish;
    session_.counts().sizes.add(m.body_bytes());
}

inline void amqp_channel::note_publish(const core::publish_result& done, std::uint64_t sequence) {
    if (done.rejected) [[unlikely]] {
        confirms_.refused_now(sequence);
    } else if (done.pending) {
        confirms_.pending(sequence);
    } else {
        confirms_.accepted_now(sequence);
    }
    session_.mark_dirty(*this);
}

// Hands a routed message over and notes what confirm is due for it; sequence 0: none.
void amqp_channel::dispatch(core::message_ptr msg, const core::shard::route& r, std::uint64_t sequence) {
    count_publish(*msg);
    core::publish_result done;
    if (!r.where.empty() || r.delayed || r.remember || msg->traits().retain) [[likely]] {
        done = session_.shard().publish(std::move(msg), session_.vhost(), r, session_.handle(), publish_tag_, sequence);
    }
    if (sequence != 0) {
        ++session_.counts().received_confirm;
        note_publish(done, sequence);
    }
}

// ---- Checks ------------------------------------------------------------------------------------

bool amqp_channel::may_publish(std::string_view exchange, std::string_view key) {
    if (checked_version_ != session_.topology_version() || exchange != checked_exchange_) [[unlikely]] {
        if (!examine_address(exchange, key)) {
            return false;
        }
    }
    return !checks_topic_ || topic_allowed(right::write, exchange, key);
}

bool amqp_channel::examine_address(std::string_view exchange, std::string_view key) {
    if (exchange.empty() && core::reply_token_of(key)) {
        return true;  // whoever knows the token may answer
    }
    checked_version_ = 0;
    if (!is_text(exchange)) {
        return false;
    }
    const auto* rules = session_.rules();
    if (const auto bar = core::bar_at_exchange(session_.vhost(), rules, exchange)) {
        refuse_publish(*bar, exchange);
        return false;
    }
    checks_topic_ = rules != nullptr && rules->has_topic_rules();
    checked_exchange_ = exchange;
    checked_version_ = session_.topology_version();
    return true;
}

void amqp_channel::refuse_publish(core::publish_bar bar, std::string_view exchange) {
    switch (bar) {
        case core::publish_bar::no_rights:
        case core::publish_bar::exchange: refuse_access("exchange", exchange); return;
        case core::publish_bar::no_exchange:
            fail(reply_code::not_found, fmt::format("no {}", in_vhost("exchange", exchange)));
            return;
        case core::publish_bar::internal:
            fail(reply_code::access_refused,
                 fmt::format("cannot publish to internal {}", in_vhost("exchange", exchange)));
            return;
        case core::publish_bar::topic: return;  // asked and told by topic_allowed(), with the key
    }
}

bool amqp_channel::prepare(std::string_view exchange, std::string_view key, wire::bytes_view block,
                           std::uint64_t body_bytes, prepared& p) {
    if (body_bytes > session_.settings().message_bytes_max) [[unlikely]] {
        fail(reply_code::precondition_failed, fmt::format("message size {} is larger than configured max size {}",
                                                          body_bytes, session_.settings().message_bytes_max));
        return false;
    }
    if (!may_publish(exchange, key)) [[unlikely]] {
        return false;
    }
    p.block = block;
    p.traits.properties_of = core::protocol_tag::amqp091;
    return is_plain(block, p.traits) || prepare_properties(p);
}

bool amqp_channel::prepare_properties(prepared& p) {
    const auto summary = amqp::summarise_properties(p.block);
    if (!summary) [[unlikely]] {
        session_.fail(amqp::reply_code_of(summary.reason()), amqp::describe(summary.reason()));
        return false;
    }
    constexpr auto modes = amqp::flag_of(amqp::property::delivery_mode);
    if ((summary->flags & modes) != 0 && summary->delivery_mode != 1 && summary->delivery_mode != 2) [[unlikely]] {
        fail(reply_code::precondition_failed,
             fmt::format("invalid message: {{delivery_mode_unknown,{}}}", summary->delivery_mode));
        return false;
    }
    p.traits.persistent = summary->is_persistent();
    p.traits.priority = summary->priority;
    constexpr auto usual = amqp::flag_of(amqp::property::delivery_mode) | amqp::flag_of(amqp::property::priority);
    if ((summary->flags & ~usual) == 0) [[likely]] {
        return true;
    }
    p.traits.identified = summary->has(amqp::property::message_id);
    if (!summary->reply_to.empty()) {
        if (summary->reply_to == reply_queue && !rewrite_reply_to(p)) {
            return false;
        }
        p.traits.answerable = summary->reply_to.starts_with(reserved_prefix) || may_publish_to_queues();
    }
    if (summary->has(amqp::property::user_id) && summary->user_id != session_.user()) {
        fail(reply_code::precondition_failed,
             fmt::format("user_id property set to '{}' but authenticated user was '{}'", summary->user_id,
                         session_.user()));
        return false;
    }
    if (summary->has(amqp::property::expiration) && !prepare_expiration(summary->expiration, p.traits)) {
        return false;
    }
    return summary->headers.empty() || prepare_headers(summary->headers, p);
}

// Answers come to a queue in the name of who asked for them.
bool amqp_channel::may_publish_to_queues() {
    if (reply_rights_version_ != session_.topology_version()) {
        const auto* rules = session_.rules();
        reply_rights_ = rules != nullptr && rules->allowed(right::write, "amq.default");
        reply_rights_version_ = session_.topology_version();
    }
    return reply_rights_;
}

bool amqp_channel::prepare_expiration(std::string_view text, core::message_traits& traits) {
    const bool negative = text.starts_with('-');
    const auto digits_at = std::size_t{negative || text.starts_with('+')};
    const auto digits_end = std::min(text.find_first_not_of("0123456789", digits_at), text.size());
    const auto digits = text.substr(digits_at, digits_end - digits_at);
    std::int64_t ms = 0;
    const auto parsed = std::from_chars(digits.data(), digits.data() + digits.size(), ms);
    const auto prefix = fmt::format("invalid expiration '{}': ", text);
    std::string why;
    if (digits.empty()) {
        why = "no_integer";
    } else if (digits_end != text.size()) {
        why = pair_text(prefix.size(), "leftover_string", fmt::format("\"{}\"", text.substr(digits_end)));
    } else if (negative && without_zeros(digits) != "0") {
        why = pair_text(prefix.size(), "value_negative", fmt::format("-{}", without_zeros(digits)));
    } else if (parsed.ec != std::errc{} || ms > expiration_max_ms) {
        why = pair_text(prefix.size(), "value_too_large", without_zeros(digits));
    } else {
        traits.time_to_live = ms * ns_per_ms;
        return true;
    }
    fail(reply_code::precondition_failed, prefix + why);
    return false;
}

// The keys of CC and BCC; nobody may see BCC, so it leaves the block. x-retain: the message becomes its key's last
// value.
bool amqp_channel::prepare_headers(amqp::table_view headers, prepared& p) {
    if (const auto retain = headers.find("x-retain")) {
        p.traits.retain = retain->as_bool().value_or(false);
    }
    const bool blind = headers.contains("BCC");
    if (!blind && !headers.contains("CC")) [[likely]] {
        return true;
    }
    content().copies.clear();
    if (!collect_copies(headers, "CC") || !collect_copies(headers, "BCC")) {
        return false;
    }
    p.has_copies = !content_->copies.empty();
    if (blind) {
        amqp::table_builder without;
        without.put_all_but(headers, {"BCC"});
        const auto view = amqp::basic_properties_view::parse(p.block);
        auto block = amqp::basic_properties_builder{*view}.set_headers(without.view()).encode();
        content_->block = std::move(block);
        p.block = wire::as_bytes(content_->block);
    }
    return true;
}

bool amqp_channel::collect_copies(amqp::table_view headers, std::string_view name) {
    const auto field = headers.find(name);
    if (!field) {
        return true;
    }
    const auto keys = field->as_array();
    if (!keys) {
        fail(reply_code::precondition_failed, fmt::format("invalid message: {{unacceptable_type_in_header,\"{}\",{}}}",
                                                          name, erlang_type(to_value(*field).type)));
        return false;
    }
    for (const auto& key : *keys) {
        if (const auto text = key.as_string()) {
            content_->copies.emplace_back(*text);
        }
    }
    return true;
}

bool amqp_channel::rewrite_reply_to(prepared& p) {
    if (replies_ == nullptr) {
        fail(reply_code::precondition_failed, "fast reply consumer does not exist");
        return false;
    }
    const auto view = amqp::basic_properties_view::parse(p.block);
    auto block = amqp::basic_properties_builder{*view}.set_text(amqp::property::reply_to, replies_->key).encode();
    content().block = std::move(block);
    p.block = wire::as_bytes(content_->block);
    return true;
}

// ---- Contents in pieces ------------------------------------------------------------------------

void amqp_channel::on(const amqp::basic_publish& m) {
    auto& c = content();
    c.expected = true;
    c.mandatory = m.mandatory;
    c.immediate = m.immediate;
    c.exchange = m.exchange;
    c.key = m.routing_key;
}

void amqp_channel::on_header(wire::bytes_view payload) {
    if (between_contents()) {
        session_.fail(reply_code::unexpected_frame, "expected method frame, got non method frame instead");
        return;
    }
    if (content_->builder.active()) {
        session_.fail(reply_code::unexpected_frame, "expected content body, got non content body frame instead");
        return;
    }
    const auto head = amqp::decode_content_header(payload);
    if (!head) {
        session_.fail(amqp::reply_code_of(head.reason()), amqp::describe(head.reason()));
        return;
    }
    if (head->weight != 0) {
        session_.fail(reply_code::unexpected_frame,
                      "expected content header for class 60, got non content header frame instead");
        return;
    }
    if (head->class_number != static_cast<std::uint16_t>(amqp::class_id::basic)) {
        session_.fail(
            reply_code::unexpected_frame,
            fmt::format("expected content header for class 60, got one for class {} instead", head->class_number));
        return;
    }
    prepared p;
    if (content_->immediate) {
        fail(reply_code::not_implemented, "immediate=true");
        return;
    }
    if (!prepare(content_->exchange, content_->key, head->properties, head->body_size, p)) {
        return;
    }
    if (!p.has_copies) {
        content_->copies.clear();
    }
    content_->builder.begin(session_.shard().pool(), content_->exchange, content_->key, p.block, head->body_size,
                            p.traits);
    if (head->body_size == 0) {
        finish_content();
    }
}

void amqp_channel::on_body(wire::bytes_view part) {
    if (!expects_body()) {
        session_.fail(reply_code::unexpected_frame,
                      between_contents()
                          ? "expected method frame, got non method frame instead"
                          : "expected content header for class 60, got non content header frame instead");
        return;
    }
    auto& builder = content_->builder;
    if (part.size() > builder.missing()) {
        session_.fail(reply_code::unexpected_frame, "expected content body, got non content body frame instead");
        return;
    }
    builder.append(part);
    if (builder.missing() == 0) {
        finish_content();
    }
}

void amqp_channel::finish_content() {
    auto msg = content_->builder.finish();
    content_->expected = false;
    // The topology may have moved on since the header came.
    if (!may_publish(content_->exchange, content_->key)) {
        return;
    }
    route_and_publish(std::move(msg), content_->mandatory, content_->copies);
}

// ---- Every publish but the hot ones ------------------------------------------------------------

core::shard::route amqp_channel::route_of(const core::message& m, std::span<const std::string> copies) {
    auto& shard = session_.shard();
    if (copies.empty()) {
        return shard.find_route(session_.vhost(), m.exchange(), m.routing_key(), &amqp_reader(), m.properties(), memo_);
    }
    std::vector<std::string_view> keys{m.routing_key()};
    keys.insert(keys.end(), copies.begin(), copies.end());
    return shard.find_routes(session_.vhost(), m.exchange(), keys, &amqp_reader(), m.properties());
}

void amqp_channel::route_and_publish(core::message_ptr msg, bool mandatory, std::span<const std::string> copies) {
    const auto route = route_of(*msg, copies);
    if (mode_ == mode::transaction) {
        transaction_->publishes.push_back({.msg = std::move(msg),
                                           .mandatory = mandatory,
                                           .where = {route.where.begin(), route.where.end()},
                                           .delays = {route.delays.begin(), route.delays.end()},
                                           .remember = route.remember});
        return;
    }
    hand_over(std::move(msg), mandatory, route, mode_ == mode::confirm ? confirms_.begin() : 0);
}

// One that may be for a reply handle, or have no route.
void amqp_channel::hand_over(core::message_ptr msg, bool mandatory, const core::shard::route& r,
                             std::uint64_t sequence) {
    if (const auto token = token_of(*msg)) {
        answer(std::move(msg), *token, mandatory, sequence);
        return;
    }
    answer_publish(msg, mandatory, r);
    dispatch(std::move(msg), r, sequence);
}

// What becomes of it beside being routed.
void amqp_channel::answer_publish(const core::message_ptr& msg, bool mandatory, const core::shard::route& r) {
    if (msg->exchange().empty() && msg->routing_key().starts_with(reply_prefix)) {
        send_to_reply_queue(msg.share());
    }
    if (r.where.empty() && !r.delayed) {
        unrouted(msg, mandatory);
    }
}

// A reply address is no queue: `mandatory` still finds no route (as RabbitMQ documents it).
void amqp_channel::send_to_reply_queue(core::message_ptr msg) {
    if (const auto a = reply_address::parse(msg->routing_key())) {
        static_cast<void>(session_.shard().deliver_direct(a->session, a->channel, std::move(msg)));
    }
}

// To a reply handle: a route like any other, but for not being known before it has been tried.
void amqp_channel::answer(core::message_ptr msg, const core::reply_token& to, bool mandatory, std::uint64_t sequence) {
    count_publish(*msg);
    std::uint64_t named = sequence;
    if (mandatory) {
        if (returnable_ == nullptr) {
            returnable_ = std::make_unique<returnable_answers>();
        }
        named = sequence != 0 ? sequence : ++returnable_->last;
        returnable_->waiting.emplace(named, msg.share());
    }
    const auto done = session_.shard().answer(std::move(msg), session_.vhost_id(), to, session_.handle(), publish_tag_,
                                              named);
    if (!done.pending && returnable_ != nullptr) {
        const auto kept = returnable_->waiting.extract(named);
        if (kept && done.routed == 0) {
            unrouted(kept.mapped(), true);
        }
    }
    if (sequence != 0) {
        ++session_.counts().received_confirm;
        note_publish(done, sequence);
    }
}

void amqp_channel::on_publish_unrouted(std::uint64_t sequence) {
    if (returnable_ != nullptr) {
        if (const auto kept = returnable_->waiting.extract(sequence)) {
            unrouted(kept.mapped(), true);
        }
    }
    if (sequence < returnable_answers::own_sequences) {
        on_publish_settled(sequence, true);
    }
}

void amqp_channel::unrouted(const core::message_ptr& msg, bool mandatory) {
    if (msg->traits().identified) {
        session_.shard().note_unrouted(mandatory ? core::flight_step::returned : core::flight_step::dropped, *msg,
                                       session_.vhost_id(), session_.handle());
    }
    if (mandatory) {
        ++counts_.return_unroutable;
        ++session_.counts().unroutable_returned;
        say_no_route(msg);
    } else if (!msg->exchange().empty() || !msg->routing_key().starts_with(reply_prefix)) {
        ++counts_.drop_unroutable;
        ++session_.counts().unroutable_dropped;
    }
}

void amqp_channel::say_no_route(const core::message_ptr& msg) {
    session_.send_content(number_,
                          amqp::basic_return{.code = static_cast<std::uint16_t>(reply_code::no_route),
                                             .text = "NO_ROUTE",
                                             .exchange = msg->exchange(),
                                             .routing_key = msg->routing_key()},
                          msg->properties(), msg);
}

// ---- Confirms ----------------------------------------------------------------------------------

void amqp_channel::flush_confirms() {
    if (mode_ != mode::confirm || !confirms_.anything_to_say()) {
        return;
    }
    const auto before = confirms_.said();
    std::uint64_t refused = 0;
    confirms_.flush([this](std::uint64_t sequence,
                           bool multiple) { send(amqp::basic_ack{.delivery_tag = sequence, .multiple = multiple}); },
                    [this, &refused](std::uint64_t sequence) {
                        ++refused;
                        // Everything before has been confirmed: `multiple`, which RabbitMQ sets, adds nothing.
                        send(amqp::basic_nack{.delivery_tag = sequence, .multiple = true, .requeue = true});
                    });
    const auto confirmed = confirms_.said() - before - refused;
    counts_.confirm += confirmed;
    session_.counts().confirmed += confirmed;
}

void amqp_channel::on_publish_settled(std::uint64_t sequence, bool accepted) {
    if (returnable_ != nullptr) [[unlikely]] {
        returnable_->waiting.erase(sequence);
        if (sequence > returnable_answers::own_sequences) {
            return;
        }
    }
    confirms_.settled(sequence, accepted);
    if (mode_ == mode::confirm) {
        session_.mark_dirty(*this);  // one answer for all that this drain brings
        return;
    }
    if (mode_ == mode::transaction) {
        transaction_->refused |= !accepted;
        if (confirms_.all_settled()) {
            session_.commit_settled(*this);
        }
    }
}

// ---- Transactions ------------------------------------------------------------------------------

void amqp_channel::on(const amqp::tx_commit&) {
    if (mode_ != mode::transaction) {
        fail(reply_code::precondition_failed, "channel is not transactional");
        return;
    }
    transaction_->refused = false;
    session_.shard().begin_transaction();
    commit_publishes();
    for (const auto& s : std::exchange(transaction_->settlements, {})) {
        settle_one(unacked_.at(s.tag), s.tag, s.how);
    }
    unacked_.trim();
    flush_acks();
    // The answer waits for what was settled as it does for each publish.
    const auto sequence = confirms_.begin();
    if (session_.shard().end_transaction(session_.handle(), publish_tag_, sequence)) {
        confirms_.pending(sequence);
    } else {
        confirms_.accepted_now(sequence);
    }
    update_ready();
    if (confirms_.all_settled()) {
        finish_commit();
    } else {
        session_.wait(then(amqp_continuation::kind::commit, false));
    }
}

// To where each was routed when it was published, as RabbitMQ does.
void amqp_channel::commit_publishes() {
    for (auto& p : std::exchange(transaction_->publishes, {})) {
        core::shard::route r;
        r.where = p.where;
        r.delays = p.delays;
        r.delayed = !p.delays.empty();
        r.remember = p.remember;
        const auto sequence = confirms_.begin();
        if (const auto token = token_of(*p.msg)) {
            answer(std::move(p.msg), *token, p.mandatory, sequence);
            continue;
        }
        count_publish(*p.msg);
        answer_publish(p.msg, p.mandatory, r);
        note_publish(session_.shard().publish_in_transaction(std::move(p.msg), session_.vhost(), r, session_.handle(),
                                                             publish_tag_, sequence),
                     sequence);
    }
}

void amqp_channel::finish_commit() {
    bool refused = transaction_->refused;
    // Nothing is said of single parts; the window only told when all of them were settled.
    confirms_.flush([](std::uint64_t, bool) {}, [&](std::uint64_t) { refused = true; });
    if (refused) {
        fail(reply_code::precondition_failed, "partial tx completion");
        return;
    }
    send(amqp::tx_commit_ok{});
}

}  // namespace linnet::session
