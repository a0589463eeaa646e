#include "broker/admin/call.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace linnet::admin {

using http::status;

session::http_answer error_answer(status code, std::string_view error, std::string_view reason) {
    session::http_answer a{.code = code,
                           .fields = {{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}}};
    json_writer(a.body).object().member("error", error).member("reason", reason).end();
    return a;
}

call::call(services& s, core_client& c, const session::http_request& r, session::http_responder to)
    : all(s),
      client(c),
      method(r.method()),
      query(r.head.target.query().pairs()),
      content_type(r.field("Content-Type")),
      reason(r.field("X-Reason")),
      body(r.body),
      user(r.user),
      peer(r.peer),
      to_(std::move(to)) {}

std::optional<std::string> call::find(std::string_view name) const {
    const auto at = std::ranges::find(query, name, &http::query_view::pair::name);
    return at == query.end() ? std::nullopt : std::optional(at->value);
}

bool call::is_set(std::string_view name) const {
    const auto value = find(name);
    return value && (*value == "true" || value->empty());
}

void call::answer(session::http_answer a) { std::move(to_).answer(std::move(a)); }

void call::json(std::string text, status code) {
    answer({.code = code,
            .fields = {{"Content-Type", "application/json"}, {"Cache-Control", "no-cache"}},
            .body = std::move(text)});
}

void call::empty(status code) { answer({.code = code}); }
void call::not_found() { answer(error_answer(status::not_found, "Object Not Found", "Not Found")); }
void call::bad_request(std::string_view why) { answer(error_answer(status::bad_request, "bad_request", why)); }
void call::refuse(std::string_view why) { answer(error_answer(status::unauthorized, "not_authorised", why)); }

// RabbitMQ does these in the user's name over AMQP and says what that said.
void call::fail(const core::error& e) {
    switch (e.kind) {
        case core::error_kind::not_found: not_found(); return;
        case core::error_kind::access_refused: refuse(e.text); return;
        case core::error_kind::precondition_failed:
        case core::error_kind::resource_locked:
        case core::error_kind::not_allowed:
        case core::error_kind::command_invalid:
        case core::error_kind::quota_exceeded:
        case core::error_kind::resource_error:
        case core::error_kind::not_implemented: bad_request(e.text); return;
        case core::error_kind::internal:
            answer(error_answer(status::internal_error, "internal_server_error", e.text));
            return;
    }
}

bool call::connects_to(const core::vhost_node& v) {
    auto seat = core::topology_view::take_seat(v, user.name);
    if (!seat) {
        refuse(seat.error().text);
        return false;
    }
    to_.hold(std::move(*seat));
    return true;
}

// ---- Bodies ------------------------------------------------------------------------------------

std::optional<body_reader> body_reader::of(call& c) {
    if (c.body.empty()) {
        return body_reader({});
    }
    auto read = c.all.read_json(c.body);
    if (!read) {
        c.answer(error_answer(status::bad_request, "not_json", read.error()));
        return std::nullopt;
    }
    auto* members = std::get_if<core::value_table>(&read->data);
    if (members == nullptr) {
        c.bad_request("the body is no JSON object");
        return std::nullopt;
    }
    return body_reader(std::move(*members));
}

const core::value* body_reader::find(std::string_view name) const noexcept {
    const auto* v = core::find(members_, name);
    return v == nullptr || v->type == core::value_type::nothing ? nullptr : v;
}

std::optional<std::string> body_reader::text(std::string_view name) const {
    const auto* v = find(name);
    const auto* s = v == nullptr ? nullptr : v->as_string();
    return s == nullptr ? std::nullopt : std::optional(*s);
}

std::optional<std::int64_t> body_reader::integer(std::string_view name) const {
    const auto* v = find(name);
    if (const auto* n = v == nullptr ? nullptr : v->as_integer()) {
        return *n;
    }
    const auto* s = v == nullptr ? nullptr : v->as_string();
    std::int64_t n = 0;
    if (s != nullptr && std::from_chars(s->data(), s->data() + s->size(), n).ptr == s->data() + s->size() &&
        !s->empty()) {
        return n;
    }
    return std::nullopt;
}

std::optional<bool> body_reader::flag(std::string_view name) const {
    const auto* v = find(name);
    if (const auto* b = v == nullptr ? nullptr : v->as_bool()) {
        return *b;
    }
    const auto* s = v == nullptr ? nullptr : v->as_string();
    return s != nullptr && (*s == "true" || *s == "false") ? std::optional(*s == "true") : std::nullopt;
}

core::value_table body_reader::table(std::string_view name) const {
    const auto* v = find(name);
    const auto* t = v == nullptr ? nullptr : std::get_if<core::value_table>(&v->data);
    return t == nullptr ? core::value_table{} : *t;
}

}  // namespace linnet::admin
