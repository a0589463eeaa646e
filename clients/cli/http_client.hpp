// HTTP/1.1, as a client: one request, one response, on a connection that is kept as long as the server keeps it.
//
// Threads:  one.
// Owns:     the connection.
// Bounds:   a response is waited for `timeout` at most, its body is held whole.
// Fails:    exit_code::unreachable, with what went wrong.
#pragma once

#include "clients/cli/failure.hpp"
#include "clients/cli/stream.hpp"
#include "protocol/http/method.hpp"

#include <optional>

namespace linnet::cli {

struct http_reply {
    unsigned code = 0;
    std::string date;  // as the server says it
    std::string body;
};

class http_client {
public:
    http_client(server_uri at, std::chrono::milliseconds timeout) : at_{std::move(at)}, timeout_{timeout} {}

    // `body`, when there is one, is JSON. `reason` goes into X-Reason, when it is not empty.
    [[nodiscard]] result<http_reply> ask(http::method method, const std::string& target,
                                         const std::optional<std::string>& body = {}, const std::string& reason = {});
    [[nodiscard]] const server_uri& at() const noexcept { return at_; }

private:
    [[nodiscard]] std::string request_of(http::method method, const std::string& target,
                                         const std::optional<std::string>& body, const std::string& reason) const;
    [[nodiscard]] tl::expected<http_reply, std::string> exchange(const std::string& request);
    [[nodiscard]] tl::expected<http_reply, std::string> read_reply();

    server_uri at_;
    std::chrono::milliseconds timeout_;
    std::optional<stream> connection_;
    std::string input_;
};

}  // namespace linnet::cli
