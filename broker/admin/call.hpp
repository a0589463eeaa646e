#pragma once

#include "broker/admin/core_client.hpp"
#include "broker/admin/json_writer.hpp"
#include "broker/admin/services.hpp"
#include "broker/session/http_handler.hpp"

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::admin {

// A request for /api on its way: all that is needed to answer it, however long that takes.
//
// Threads: its shard's, but for what is constant: texts may be read by whoever works for it.
struct call {
    call(services& s, core_client& c, const session::http_request& r, session::http_responder to);
    call(const call&) = delete;
    call& operator=(const call&) = delete;

    services& all;
    core_client& client;

    // Constant after construction.
    const http::method method;
    std::vector<std::string> names;  // what stands in the path where its pattern has a question mark
    const std::vector<http::query_view::pair> query;
    const std::string content_type;
    const std::string reason;  // X-Reason
    const std::string body;
    const session::http_user user;
    const session::peer_info peer;

    [[nodiscard]] core::shard& here() noexcept { return client.shard(); }
    [[nodiscard]] core::shard_id home() noexcept { return client.shard().id(); }
    [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
    // "true", or nothing at all behind the name.
    [[nodiscard]] bool is_set(std::string_view name) const;

    // ---- Answers, one of them ------------------------------------------------------------------
    void answer(session::http_answer a);
    void json(std::string text, http::status code = http::status::ok);
    void created() { empty(http::status::created); }
    void no_content() { empty(http::status::no_content); }
    void empty(http::status code);
    // 404, in RabbitMQ's words.
    void not_found();
    void bad_request(std::string_view reason);
    void refuse(std::string_view reason);  // known, but not allowed
    void fail(const core::error& e);
    [[nodiscard]] session::http_responder responder() { return std::move(to_); }
    // RabbitMQ does this over a connection of its own: one more in the vhost until it is answered. False: there are as
    // many as there may be, which has been answered.
    [[nodiscard]] bool connects_to(const core::vhost_node& v);

private:
    session::http_responder to_;
};
using call_ptr = std::shared_ptr<call>;

// {"error", "reason"}, as RabbitMQ says what is wrong.
[[nodiscard]] session::http_answer error_answer(http::status code, std::string_view error, std::string_view reason);

// What a request's body says: an object, read leniently as RabbitMQ reads it ("true" is true).
class body_reader {
public:
    // Answers what is wrong; then there is none.
    [[nodiscard]] static std::optional<body_reader> of(call& c);

    [[nodiscard]] const core::value* find(std::string_view name) const noexcept;
    [[nodiscard]] std::optional<std::string> text(std::string_view name) const;
    [[nodiscard]] std::optional<std::int64_t> integer(std::string_view name) const;
    [[nodiscard]] std::optional<bool> flag(std::string_view name) const;
    [[nodiscard]] core::value_table table(std::string_view name) const;
    [[nodiscard]] const core::value_table& members() const noexcept { return members_; }

private:
    explicit body_reader(core::value_table members) : members_(std::move(members)) {}
    core::value_table members_;
};

}  // namespace linnet::admin
