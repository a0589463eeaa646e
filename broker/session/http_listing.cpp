// What there is: last values, queues, exchanges, and this API itself.

#include "broker/core/text_hash.hpp"
#include "broker/core/topology_walk.hpp"
#include "broker/session/http_messaging.hpp"
#include "broker/session/http_openapi.hpp"
#include "broker/session/http_properties.hpp"
#include "broker/session/http_words.hpp"
#include "broker/session/mqtt_topic.hpp"
#include "protocol/http/conditional.hpp"
#include "protocol/http/json_text.hpp"
#include "protocol/wire/bytes.hpp"

#include <algorithm>
#include <cstddef>
#include <memory>
#include <utility>

namespace linnet::session {
namespace {

using core::right;
using core::topology_view;
using http::status;

constexpr std::size_t rows_a_piece = 500;

// Texts that were rows of one moment, written as they are read.
class rows_source final : public http_source {
public:
    explicit rows_source(std::vector<std::string> rows) : rows_(std::move(rows)) {}
    progress write(http_body& to) override {
        std::string text = at_ == 0 ? "[" : "";
        for (const auto end = std::min(at_ + rows_a_piece, rows_.size()); at_ < end; ++at_) {
            text += at_ == 0 ? "" : ",";
            text += rows_[at_];
        }
        text += at_ == rows_.size() ? "]\n" : "";
        to.append(text);
        return at_ == rows_.size() ? progress::done : progress::more;
    }

private:
    const std::vector<std::string> rows_;
    std::size_t at_ = 0;
};

void say_rows(std::vector<std::string> rows, http_responder to) {
    std::ranges::sort(rows);
    static_cast<void>(std::move(to).stream({.fields = {{"Content-Type", "application/json"}}},
                                           std::make_unique<rows_source>(std::move(rows))));
}

std::string row_of(std::string_view name, std::string_view type, bool durable) {
    std::string row = "{\"name\":";
    http::append_json_string(row, name);
    row += ",\"type\":";
    http::append_json_string(row, type);
    row += durable ? ",\"durable\":true}" : ",\"durable\":false}";
    return row;
}

std::string_view type_of(core::queue_type t) {
    switch (t) {
        case core::queue_type::classic: return "classic";
        case core::queue_type::quorum: return "quorum";
        case core::queue_type::stream: return "stream";
    }
    return "classic";
}

// Changes whenever the value does: who keeps an old one may go on keeping it.
std::string etag_of(const core::message& m) {
    const auto body = wire::as_text(m.body());
    return http::make_etag(core::stable_hash(body, core::stable_hash(wire::as_text(m.properties()))));
}

}  // namespace

void http_messaging::read_last_value(const http_request& r, const place& at, std::string topic, http_responder to) {
    if (!may_topic(at, right::read, settings_.topic_exchange, key_of_topic(topic))) {
        std::move(to).answer(forbidden("reading that topic is not allowed"));
        return;
    }
    auto then = later(std::move(to));
    ask(topology_view::id_of(*at.vhost),
        core::read_retained{.pattern = key_of_topic(topic), .count_max = 1, .after = {}},
        [this, then = std::move(then), known = std::string(r.field("If-None-Match"))](core::reply&& reply) {
            if (!reply.result) {
                then(refusal_of(reply.result.error()));
                return;
            }
            const auto& found = std::get<core::retained_messages>(*reply.result).messages;
            if (found.empty()) {
                then(problem_answer({.code = status::not_found, .detail = "that topic has no last value"}));
                return;
            }
            const auto& m = *found.front().message;
            http_answer a;
            const auto etag = etag_of(m);
            a.fields.emplace_back("ETag", etag);
            a.fields.emplace_back("Cache-Control", "no-cache");
            if (!known.empty() && http::names_etag_weakly(known, etag)) {
                a.code = status::not_modified;
            } else {
                append_properties(a, properties_of(m, reader_of(m)));
                a.body = wire::as_text(m.body());
            }
            then(std::move(a));
        });
}

// Those that the user may do anything with.
void http_messaging::list_queues(const place& at, http_responder to) {
    std::vector<std::string> rows;
    core::for_each_queue(*at.vhost, [&](const core::queue_entry& q) {
        const auto& name = q.spec.name;
        if (may(at, right::read, name) || may(at, right::configure, name) || may(at, right::write, name)) {
            rows.push_back(row_of(name, type_of(q.spec.settings.type), q.spec.durable));
        }
    });
    say_rows(std::move(rows), std::move(to));
}

void http_messaging::list_exchanges(const place& at, http_responder to) {
    std::vector<std::string> rows;
    core::for_each_exchange(*at.vhost, [&](const core::exchange_spec& x, const core::exchange_node&) {
        if (may(at, right::write, x.name) || may(at, right::configure, x.name) || may(at, right::read, x.name)) {
            rows.push_back(row_of(x.name, x.type_name, x.durable));
        }
    });
    say_rows(std::move(rows), std::move(to));
}

void http_messaging::say_openapi(const http_request& r, http_responder to) {
    if (r.method() == http::method::get || r.method() == http::method::head) {
        std::move(to).answer({.fields = {{"Content-Type", "application/json"}}, .body = std::string(openapi_json)});
    } else {
        std::move(to).answer(method_not_allowed("GET, HEAD"));
    }
}

}  // namespace linnet::session
