#include "broker/admin/messages.hpp"

#include "broker/admin/access.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/properties.hpp"
#include "broker/core/topology.hpp"
#include "broker/session/amqp_properties.hpp"
#include "protocol/http/base64.hpp"
#include "protocol/wire/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <utility>

// Reading and writing single messages, for people who look around.

namespace linnet::admin {
namespace {

using core::topology_view;

constexpr std::int64_t got_messages_max = 10'000;
constexpr std::uint64_t got_bytes_max = std::uint64_t{64} << 20;

// ---- Properties, both ways ---------------------------------------------------------------------

void add_text(json_writer& w, std::string_view name, const std::optional<std::string>& v) {
    if (v) {
        w.member(name, *v);
    }
}

void write_properties(json_writer& w, const core::neutral_properties& p) {
    w.object();
    add_text(w, "app_id", p.app_id);
    add_text(w, "content_encoding", p.content_encoding);
    add_text(w, "content_type", p.content_type);
    add_text(w, "correlation_id", p.correlation_id);
    w.member("delivery_mode", std::uint32_t{p.persistent ? 2U : 1U});
    if (p.time_to_live >= 0) {
        w.member("expiration", std::to_string(p.time_to_live / ns_per_ms));
    }
    w.member("headers", p.headers);
    add_text(w, "message_id", p.message_id);
    if (p.priority) {
        w.member("priority", std::uint32_t{*p.priority});
    }
    add_text(w, "reply_to", p.reply_to);
    if (p.timestamp_s) {
        w.member("timestamp", *p.timestamp_s);
    }
    add_text(w, "type", p.type);
    add_text(w, "user_id", p.user_id);
    w.end();
}

// What a consumer of AMQP would be shown, with what has become of the message.
core::neutral_properties properties_of(const core::delivery& d, const core::property_reader* reader) {
    const auto& m = *d.msg;
    const bool ours = m.properties_of() == core::protocol_tag::amqp091;
    const auto said = reader == nullptr ? core::neutral_properties{} : reader->read(m.properties(), m.traits());
    if (m.deaths() == nullptr) {
        return said;
    }
    const auto block = session::properties_with_history(m, 0, ours ? nullptr : &said);
    return session::amqp_reader().read({reinterpret_cast<const std::uint8_t*>(block.data()), block.size()}, m.traits());
}

std::optional<std::string> text_of(const core::value_table& t, std::string_view name) {
    const auto* v = core::find(t, name);
    const auto* s = v == nullptr ? nullptr : v->as_string();
    return s == nullptr ? std::nullopt : std::optional(*s);
}

std::optional<std::int64_t> number_of(const core::value_table& t, std::string_view name) {
    const auto* v = core::find(t, name);
    const auto* n = v == nullptr ? nullptr : v->as_integer();
    if (n != nullptr) {
        return *n;
    }
    const auto text = text_of(t, name);
    std::int64_t read = 0;
    const auto done = text ? std::from_chars(text->data(), text->data() + text->size(), read)
                           : std::from_chars_result{};
    return text && !text->empty() && done.ptr == text->data() + text->size() ? std::optional(read) : std::nullopt;
}

}  // namespace

core::neutral_properties read_properties(const core::value_table& t) {
    core::neutral_properties p;
    p.app_id = text_of(t, "app_id");
    p.content_encoding = text_of(t, "content_encoding");
    p.content_type = text_of(t, "content_type");
    p.correlation_id = text_of(t, "correlation_id");
    p.message_id = text_of(t, "message_id");
    p.reply_to = text_of(t, "reply_to");
    p.type = text_of(t, "type");
    p.user_id = text_of(t, "user_id");
    p.persistent = number_of(t, "delivery_mode").value_or(1) == 2;
    if (const auto n = number_of(t, "priority")) {
        p.priority = static_cast<std::uint8_t>(std::clamp<std::int64_t>(*n, 0, 255));
    }
    if (const auto n = number_of(t, "timestamp"); n && *n >= 0) {
        p.timestamp_s = static_cast<std::uint64_t>(*n);
    }
    if (const auto n = number_of(t, "expiration"); n && *n >= 0) {
        p.time_to_live = std::min(*n, std::numeric_limits<std::int64_t>::max() / ns_per_ms) * ns_per_ms;
    }
    if (const auto* headers = core::find(t, "headers")) {
        if (const auto* members = std::get_if<core::value_table>(&headers->data)) {
            p.headers = *members;
        }
    }
    return p;
}

namespace {

// ---- Get ---------------------------------------------------------------------------------------

enum class encoding : std::uint8_t { automatic, base64 };

// One message after the other, until there are enough or no more; then all of them are settled as was asked.
class getting : public std::enable_shared_from_this<getting> {
public:
    struct wish {
        std::int64_t count = 1;
        bool requeue = false;
        bool rejects = false;
        encoding as = encoding::automatic;
        std::optional<std::uint64_t> truncate;
    };
    getting(call_ptr c, core::vhost_id v, wish w) : call_(std::move(c)), vhost_(v), wish_(w) {}

    void next() {
        if (wish_.count == 0 || bytes_ >= got_bytes_max) {
            finish();
            return;
        }
        --wish_.count;
        call_->client.ask(vhost_, core::get{call_->names[1], false},
                          [self = shared_from_this()](core::reply&& r) { self->got(std::move(r)); });
    }

private:
    void got(core::reply&& r) {
        if (!r.result) {
            settle();
            call_->fail(r.result.error());
            return;
        }
        auto& g = std::get<core::got_message>(*r.result);
        if (!g.message) {
            finish();
            return;
        }
        bytes_ += g.message->msg->body_bytes();
        if (!held_.empty()) {
            text_ += ',';
        }
        json_writer w(text_);
        write(w, *g.message, g.remaining);
        held_.push_back(std::move(*g.message));
        // Not from within: a queue at hand answers at once, and there may be thousands.
        call_->all.post(call_->home(), [self = shared_from_this()] { self->next(); });
    }

    void write(json_writer& w, const core::delivery& d, std::uint64_t remaining) const {
        const auto& m = *d.msg;
        const auto* reader = call_->here().parts().reader_of(m.properties_of());
        std::string_view body(reinterpret_cast<const char*>(m.body().data()), m.body().size());
        if (wish_.truncate) {
            body = body.substr(0, *wish_.truncate);
        }
        const bool readable = wish_.as == encoding::automatic && wire::is_utf8(body);
        w.object()
            .member("payload_bytes", m.body_bytes())
            .member("redelivered", d.redelivered)
            .member("exchange", m.exchange())
            .member("routing_key", m.routing_key())
            .member("message_count", remaining)
            .key("properties");
        write_properties(w, properties_of(d, reader));
        if (readable) {
            w.member("payload", body);
        } else {
            std::string encoded;
            http::append_base64(encoded, body);
            w.member("payload", encoded);
        }
        w.member("payload_encoding", readable ? "string" : "base64").end();
    }

    void settle() {
        if (held_.empty()) {
            return;
        }
        using core::settlement;
        const auto how = wish_.requeue   ? settlement::looked_at
                         : wish_.rejects ? settlement::rejected
                                         : settlement::accepted;
        auto& counts = call_->here().counts(core::spoken::http).of(core::queue_type::classic);
        counts.got += held_.size();
        counts.acknowledged += how == settlement::accepted ? held_.size() : 0;
        call_->here().settle(held_, how);
        call_->here().pump();
        held_.clear();
    }
    void finish() {
        settle();
        call_->json("[" + text_ + "]");
    }

    call_ptr call_;
    core::vhost_id vhost_;
    wish wish_;
    std::vector<core::delivery> held_;
    std::string text_;
    std::uint64_t bytes_ = 0;
};

std::optional<getting::wish> read_wish(call& c, const body_reader& body) {
    getting::wish w;
    const auto count = body.integer("count");
    const auto mode = body.text("ackmode");
    const auto as = body.text("encoding");
    if (!count || !as) {
        c.bad_request(!count ? "key_missing: count" : "key_missing: encoding");
        return std::nullopt;
    }
    if (*count < 0 || *count > got_messages_max) {
        c.bad_request(fmt::format("count must be from 0 to {}", got_messages_max));
        return std::nullopt;
    }
    w.count = *count;
    if (*as != "auto" && *as != "base64") {
        c.bad_request(fmt::format("Unsupported encoding: {}", *as));
        return std::nullopt;
    }
    w.as = *as == "auto" ? encoding::automatic : encoding::base64;
    const auto how = mode.value_or(body.flag("requeue").value_or(true) ? "ack_requeue_true" : "ack_requeue_false");
    if (how != "ack_requeue_true" && how != "ack_requeue_false" && how != "reject_requeue_true" &&
        how != "reject_requeue_false") {
        c.bad_request(fmt::format("unknown ackmode: {}", how));
        return std::nullopt;
    }
    w.requeue = how.ends_with("true");
    w.rejects = how.starts_with("reject");
    if (const auto n = body.integer("truncate"); n && *n >= 0) {
        w.truncate = static_cast<std::uint64_t>(*n);
    }
    return w;
}

}  // namespace

void get_from_queue(call_ptr c) {
    const auto body = body_reader::of(*c);
    const auto wish = body ? read_wish(*c, *body) : std::nullopt;
    const auto* v = wish ? c->here().topology().find_vhost(c->names[0]) : nullptr;
    if (v == nullptr) {
        return;
    }
    if (auto right = may(core::right::read, c->user, c->here().topology(), *v, "queue", c->names[1]); !right) {
        c->fail(right.error());
        return;
    }
    if (!c->connects_to(*v)) {
        return;
    }
    std::make_shared<getting>(c, topology_view::id_of(*v), *wish)->next();
}

// ---- Publish -----------------------------------------------------------------------------------

void publish_to_exchange(call_ptr c) {
    const auto body = body_reader::of(*c);
    if (!body) {
        return;
    }
    if (const auto alarms = c->here().active_alarms(); alarms || c->here().congested()) {
        auto a = error_answer(http::status::service_unavailable, "service_unavailable",
                              alarms.disk     ? "the disk is full"
                              : alarms.memory ? "memory is short"
                                              : "more is under way than can be worked on");
        a.fields.emplace_back("Retry-After", "1");
        c->answer(std::move(a));
        return;
    }
    const auto key = body->text("routing_key");
    const auto payload = body->text("payload");
    const auto as = body->text("payload_encoding").value_or("string");
    if (!key || !payload) {
        c->bad_request(!key ? "key_missing: routing_key" : "key_missing: payload");
        return;
    }
    if (as != "string" && as != "base64") {
        c->bad_request(fmt::format("Unsupported encoding: {}", as));
        return;
    }
    const auto bytes = as == "string" ? payload : http::base64_decoded(*payload);
    if (!bytes) {
        c->bad_request("payload is no base64");
        return;
    }
    if (key->size() > core::name_bytes_max) {
        c->bad_request(fmt::format("routing_key is longer than {} bytes", core::name_bytes_max));
        return;
    }
    const auto exchange = c->names[1] == "amq.default" ? std::string() : c->names[1];
    const auto view = c->here().topology();
    const auto* v = view.find_vhost(c->names[0]);
    if (v == nullptr || topology_view::find_exchange(*v, exchange) == nullptr) {
        c->not_found();
        return;
    }
    if (const auto bar = core::bar_to_publishing(*v, c->user.rules_in(view, *v).get(), exchange, *key)) {
        c->fail(refusal_to_publish(*bar, c->user.name, *v, exchange, *key));
        return;
    }
    if (!c->connects_to(*v)) {
        return;
    }
    const auto said = read_properties(body->table("properties"));
    if (said.user_id && *said.user_id != c->user.name) {
        c->bad_request(
            fmt::format("user_id property set to '{}' but authenticated user was '{}'", *said.user_id, c->user.name));
        return;
    }
    core::message_traits traits;
    traits.properties_of = core::protocol_tag::amqp091;
    traits.persistent = said.persistent;
    traits.identified = said.message_id.has_value();
    traits.priority = said.priority.value_or(0);
    traits.time_to_live = said.time_to_live;
    const auto block = session::to_block(said);
    const auto as_bytes = [](const std::string& s) {
        return std::span(reinterpret_cast<const std::uint8_t*>(s.data()), s.size());
    };
    auto m = core::make_message(c->here().pool(), exchange, *key, as_bytes(block), as_bytes(*bytes), traits);
    core::route_memo memo;
    const auto to = c->here().find_route(*v, exchange, *key, &session::amqp_reader(), m->properties(), memo);
    auto& counts = c->here().counts(core::spoken::http);
    counts.sizes.add(m->body_bytes());
    ++counts.received_confirm;
    const bool routed = !to.where.empty();
    counts.unroutable_returned += routed ? 0 : 1;
    if (!routed && !to.delayed && !to.remember) {
        if (m->traits().identified) {
            c->here().note_unrouted(core::flight_step::returned, *m, topology_view::id_of(*v), {});
        }
        c->json(R"({"routed":false})");
        return;
    }
    c->client.publish(std::move(m), *v, to, [c, routed](bool accepted) {
        c->here().counts(core::spoken::http).confirmed += accepted ? 1 : 0;
        c->json(routed && accepted ? R"({"routed":true})" : R"({"routed":false})");
    });
}

}  // namespace linnet::admin
