// Exchanges, queues and bindings, as an AMQP channel asks for them: names, rights, then the core.

#include "broker/session/amqp_arguments.hpp"
#include "broker/session/amqp_channel.hpp"

#include "protocol/wire/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::reply_code;
using core::bind_destination;
using core::right;
using core::topology_view;
using kind = amqp_continuation::kind;

// As RabbitMQ: line ends in a name are taken for a slip of a shell script.
std::string strip_line_ends(std::string_view name) {
    std::string clean(name);
    std::erase_if(clean, [](char c) { return c == '\r' || c == '\n'; });
    return clean;
}

// "amq.default" in rules and in texts.
std::string_view shown_name(std::string_view kind_name, std::string_view name) noexcept {
    return kind_name == "exchange" && name.empty() ? "amq.default" : name;
}

}  // namespace

std::string amqp_channel::in_vhost(std::string_view kind_name, std::string_view name) const {
    return fmt::format("{} '{}' in vhost '{}'", kind_name, name, session_.vhost_name());
}

// Each of these says what is wrong itself; false means that it is all over.

bool amqp_channel::allowed(right r, std::string_view kind_name, std::string_view name) {
    const auto* rules = session_.rules();
    if (rules != nullptr && rules->allowed(r, shown_name(kind_name, name))) {
        return true;
    }
    refuse_access(kind_name, name);
    return false;
}

void amqp_channel::refuse_access(std::string_view kind_name, std::string_view name) {
    fail(reply_code::access_refused, fmt::format("access to {} refused for user '{}'",
                                                 in_vhost(kind_name, shown_name(kind_name, name)), session_.user()));
}

bool amqp_channel::topic_allowed(right r, std::string_view exchange, std::string_view key) {
    const auto* rules = session_.rules();
    if (rules == nullptr || !rules->has_topic_rules()) {
        return true;
    }
    const auto* x = topology_view::find_exchange(session_.vhost(), exchange);
    if (x == nullptr || core::may_use_key(*rules, r, *x, key)) {
        return true;
    }
    fail(reply_code::access_refused, fmt::format("access to topic '{}' in {} refused for user '{}'", key,
                                                 in_vhost("exchange", exchange), session_.user()));
    return false;
}

std::optional<std::string> amqp_channel::clean_name(std::string_view name) {
    if (!is_text(name)) {
        return std::nullopt;
    }
    return strip_line_ends(name);
}

bool amqp_channel::is_text(std::string_view name) {
    if (wire::is_utf8(name)) {
        return true;
    }
    session_.blame(0);
    session_.fail(reply_code::frame_error, "Malformed UTF-8 in shortstr");
    return false;
}

bool amqp_channel::named(std::string_view exchange) {
    if (!exchange.empty()) {
        return true;
    }
    fail(reply_code::access_refused, "operation not permitted on the default exchange");
    return false;
}

bool amqp_channel::creatable(std::string_view kind_name, std::string_view name) {
    if (!name.starts_with("amq.")) {
        return true;
    }
    fail(reply_code::access_refused, fmt::format("{} name '{}' contains reserved prefix 'amq.*'", kind_name, name));
    return false;
}

std::optional<std::string> amqp_channel::queue_or_last(std::string_view name) {
    if (!name.empty()) {
        return clean_name(name);
    }
    if (last_queue_.empty()) {
        fail(reply_code::not_found, "no previously declared queue");
        return std::nullopt;
    }
    return last_queue_;
}

// ---- Exchanges ---------------------------------------------------------------------------------

void amqp_channel::on(const amqp::exchange_declare& m) {
    auto name = clean_name(m.exchange);
    if (!name || !named(*name)) {
        return;
    }
    core::declare_exchange d{.name = std::move(*name),
                             .type = std::string(m.type),
                             .durable = m.durable,
                             .auto_delete = m.auto_delete,
                             .internal = m.internal,
                             .arguments = to_values(m.arguments),
                             .absent = m.passive ? core::if_absent::fail : core::if_absent::create};
    if (!m.passive) {
        if (!allowed(right::configure, "exchange", d.name)) {
            return;
        }
        if (topology_view::find_exchange(session_.vhost(), d.name) == nullptr) {
            const auto* alternate = core::find(d.arguments, "alternate-exchange");
            const auto* alternate_name = alternate == nullptr ? nullptr : alternate->as_string();
            if (!creatable("exchange", d.name) ||
                (alternate_name != nullptr &&
                 (!allowed(right::read, "exchange", d.name) || !allowed(right::write, "exchange", *alternate_name)))) {
                return;
            }
        }
    }
    session_.ask(std::move(d), then(kind::simple_ok, m.no_wait));
}

void amqp_channel::on(const amqp::exchange_delete& m) {
    auto name = clean_name(m.exchange);
    if (!name || !named(*name)) {
        return;
    }
    if (name->starts_with("amq.")) {
        fail(reply_code::access_refused, fmt::format("deletion of system {} not allowed", in_vhost("exchange", *name)));
        return;
    }
    if (allowed(right::configure, "exchange", *name)) {
        session_.ask(core::delete_exchange{std::move(*name), m.if_unused}, then(kind::simple_ok, m.no_wait));
    }
}

bool amqp_channel::may_bind(bind_destination to, const std::string& destination, const std::string& from,
                            std::string_view key, bool both_ways) {
    const auto* kind_name = to == bind_destination::queue ? "queue" : "exchange";
    if (!allowed(right::write, kind_name, destination)) {
        return false;
    }
    if ((both_ways && !named(destination)) || !named(from)) {
        return false;
    }
    return allowed(right::read, "exchange", from) && topic_allowed(right::read, from, key);
}

void amqp_channel::on(const amqp::exchange_bind& m) {
    auto destination = clean_name(m.destination);
    auto from = destination ? clean_name(m.source) : std::nullopt;
    if (from && may_bind(bind_destination::exchange, *destination, *from, m.routing_key, true)) {
        session_.ask(core::bind{std::move(*from), std::move(*destination), bind_destination::exchange,
                                std::string(m.routing_key), to_values(m.arguments)},
                     then(kind::simple_ok, m.no_wait));
    }
}

void amqp_channel::on(const amqp::exchange_unbind& m) {
    auto destination = clean_name(m.destination);
    auto from = destination ? clean_name(m.source) : std::nullopt;
    if (from && may_bind(bind_destination::exchange, *destination, *from, m.routing_key, true)) {
        session_.ask(core::unbind{std::move(*from), std::move(*destination), bind_destination::exchange,
                                  std::string(m.routing_key), to_values(m.arguments)},
                     then(kind::simple_ok, m.no_wait));
    }
}

// The pseudo queue of direct replies needs no right; it is no queue, though.
bool amqp_channel::readable(std::string_view queue) {
    if (queue != reply_queue) {
        return allowed(right::read, "queue", queue);
    }
    fail(reply_code::not_found, fmt::format("no {}", in_vhost("queue", queue)));
    return false;
}

// ---- Queues ------------------------------------------------------------------------------------

void amqp_channel::declare_reply_queue(const std::string& name, bool no_wait) {
    auto t = then(kind::find_reply_queue, no_wait);
    t.name = name;
    if (name == reply_queue) {
        session_.take_answer({0, core::queue_info{}}, std::move(t));
        return;
    }
    if (const auto a = reply_address::parse(name)) {
        session_.ask_reply_queue(a->session, name, std::move(t));
        return;
    }
    fail(reply_code::not_found, fmt::format("no {}", in_vhost("queue", name)));
}

bool amqp_channel::dead_letter_allowed(const std::string& name, const core::value_table& arguments) {
    const auto* exchange = core::find(arguments, "x-dead-letter-exchange");
    const auto* exchange_name = exchange == nullptr ? nullptr : exchange->as_string();
    return exchange_name == nullptr ||
           (allowed(right::read, "queue", name) && allowed(right::write, "exchange", *exchange_name));
}

void amqp_channel::on(const amqp::queue_declare& m) {
    auto clean = clean_name(m.queue);
    if (!clean) {
        return;
    }
    auto name = std::move(*clean);
    if (name == reply_queue || std::string_view{name}.starts_with(reply_prefix)) {
        declare_reply_queue(name, m.no_wait);
        return;
    }
    if (name.empty() && m.passive) {
        fail(reply_code::not_found, fmt::format("no {}", in_vhost("queue", name)));
        return;
    }
    const bool made_up = name.empty();
    if (made_up) {
        name = make_queue_name();
    }
    core::declare_queue d{.name = name,
                          .durable = m.durable,
                          .exclusive = m.exclusive,
                          .auto_delete = m.auto_delete,
                          .arguments = to_values(m.arguments),
                          .absent = m.passive ? core::if_absent::fail : core::if_absent::create,
                          .server_named = made_up};
    if (!m.passive) {
        if (!allowed(right::configure, "queue", name)) {
            return;
        }
        if (topology_view::find_queue(session_.vhost(), name) == nullptr &&
            ((!made_up && !creatable("queue", name)) || !dead_letter_allowed(name, d.arguments))) {
            return;
        }
    }
    auto t = then(kind::declare_queue, m.no_wait);
    t.name = name;
    last_queue_ = std::move(name);  // without one the channel ends
    flush_acks();
    session_.ask(std::move(d), std::move(t));
}

void amqp_channel::on(const amqp::queue_bind& m) {
    auto queue = queue_or_last(m.queue);
    if (!queue) {
        return;
    }
    // Both names empty: the key is the queue's name, too.
    const std::string key(m.queue.empty() && m.routing_key.empty() ? std::string_view{*queue} : m.routing_key);
    auto from = clean_name(m.exchange);
    if (from && may_bind(bind_destination::queue, *queue, *from, key, false)) {
        session_.ask(
            core::bind{std::move(*from), std::move(*queue), bind_destination::queue, key, to_values(m.arguments)},
            then(kind::simple_ok, m.no_wait));
    }
}

void amqp_channel::on(const amqp::queue_unbind& m) {
    auto queue = queue_or_last(m.queue);
    if (!queue) {
        return;
    }
    const std::string key(m.queue.empty() && m.routing_key.empty() ? std::string_view{*queue} : m.routing_key);
    auto from = clean_name(m.exchange);
    if (from && may_bind(bind_destination::queue, *queue, *from, key, false)) {
        session_.ask(
            core::unbind{std::move(*from), std::move(*queue), bind_destination::queue, key, to_values(m.arguments)},
            then(kind::simple_ok, false));
    }
}

void amqp_channel::on(const amqp::queue_purge& m) {
    auto queue = queue_or_last(m.queue);
    if (queue && readable(*queue) && check_stream(*queue, "queue.purge")) {
        flush_acks();
        session_.ask(core::purge_queue{std::move(*queue)}, then(kind::purge, m.no_wait));
    }
}

void amqp_channel::on(const amqp::queue_delete& m) {
    auto queue = queue_or_last(m.queue);
    if (queue && *queue == reply_queue) {
        session_.take_answer({0, core::queue_info{}}, then(kind::delete_queue, m.no_wait));
        return;
    }
    if (queue && allowed(right::configure, "queue", *queue)) {
        flush_acks();
        session_.ask(core::delete_queue{std::move(*queue), m.if_unused, m.if_empty},
                     then(kind::delete_queue, m.no_wait));
    }
}

}  // namespace linnet::session
