#include "clients/cli/http_client.hpp"

#include "protocol/http/base64.hpp"
#include "protocol/http/request_writer.hpp"
#include "protocol/http/response_parser.hpp"

#include <array>
#include <vector>

namespace linnet::cli {

std::string http_client::request_of(http::method method, const std::string& target,
                                    const std::optional<std::string>& body, const std::string& reason) const {
    auto credentials = std::string{"Basic "};
    http::append_base64(credentials, at_.user.value_or("guest") + ':' + at_.password.value_or("guest"));
    auto fields = std::vector<http::field>{{"Authorization", credentials}, {"Accept", "application/json, */*;q=0.1"}};
    if (body) {
        fields.push_back({"Content-Type", "application/json"});
    }
    if (!reason.empty()) {
        fields.push_back({"X-Reason", reason});
    }
    auto out = std::string{};
    http::append_request(out, method, target, fmt::format("{}:{}", at_.host, at_.port), fields, body.value_or(""));
    return out;
}

result<http_reply> http_client::ask(http::method method, const std::string& target,
                                    const std::optional<std::string>& body, const std::string& reason) {
    const auto request = request_of(method, target, body, reason);
    const bool was_open = connection_.has_value();
    auto reply = exchange(request);
    // A kept connection may have ended meanwhile; what is asked once more must be safe to do twice.
    if (!reply && was_open && method != http::method::post) {
        reply = exchange(request);
    }
    if (!reply) {
        return fail(exit_code::unreachable, fmt::format("{}: {}", at_.text(), reply.error()),
                    "Is the management API there? --url http://host:15672, or `linnet context add`.");
    }
    return std::move(*reply);
}

tl::expected<http_reply, std::string> http_client::exchange(const std::string& request) {
    const auto until = std::chrono::steady_clock::now() + timeout_;
    auto error = std::string{};
    if (connection_) {
        connection_->wait_until(until);
    } else {
        input_.clear();
        connection_.emplace(until);
        error = connection_->connect(at_);
    }
    if (error.empty()) {
        error = connection_->write(wire::as_bytes(request));
    }
    auto reply = error.empty() ? read_reply() : tl::expected<http_reply, std::string>{tl::unexpected{error}};
    if (!reply) {
        connection_.reset();
    }
    return reply;
}

tl::expected<http_reply, std::string> http_client::read_reply() {
    auto parser = http::response_parser{};
    auto reply = http_reply{};
    auto part = std::array<std::uint8_t, 16 * 1024>{};
    bool keep = true;
    bool at_end = false;
    for (;;) {
        const auto step = at_end ? parser.at_close() : parser.next(wire::as_bytes(input_));
        reply.body += wire::as_text(step.body);
        if (step.what == http::response_event::head) {
            reply.code = parser.response().code;
            reply.date = parser.response().fields.get("Date");
            keep = parser.response().keep_alive;
        }
        const bool over = step.what == http::response_event::end && reply.code >= 200;
        input_.erase(0, step.taken);
        if (over) {
            if (!keep || at_end) {
                connection_.reset();
            }
            return reply;
        }
        if (step.what == http::response_event::refused || at_end) {
            return tl::unexpected{std::string{at_end ? "the server closed the connection" : "this is not HTTP"}};
        }
        if (step.what != http::response_event::need_more) {
            continue;
        }
        auto size = std::size_t{0};
        if (auto error = connection_->read(part, size); !error.empty()) {
            return tl::unexpected{std::move(error)};
        }
        at_end = size == 0;
        input_.append(wire::as_text({part.data(), size}));
    }
}

}  // namespace linnet::cli
