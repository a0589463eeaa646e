// The management API (/api), as RabbitMQ has it and Linnet: JSON in, JSON out, its refusals as failures.
//
// Threads:  one.
// Owns:     the connection.
// Fails:    77 when the user may not, 1 when what it is about is not there or the broker refuses, 69 without a broker.
#pragma once

#include "clients/cli/http_client.hpp"

#include <nlohmann/json.hpp>

#include <initializer_list>

namespace linnet::cli {

using json_value = nlohmann::ordered_json;

// "/api/queues/%2F/orders" of {"queues", "/", "orders"}.
[[nodiscard]] std::string api_path(std::initializer_list<std::string_view> segments);

class management {
public:
    management(server_uri at, std::chrono::milliseconds timeout) : http_{std::move(at), timeout} {}

    // `what`: the thing that the path is about, for the failure's sentence ("queue \"orders\"").
    [[nodiscard]] result<json_value> get(const std::string& path, std::string_view what);
    // Answers whether it was made: false where it was there already.
    [[nodiscard]] result<bool> put(const std::string& path, const json_value& body, std::string_view what);
    [[nodiscard]] result<json_value> post(const std::string& path, const json_value& body, std::string_view what);
    [[nodiscard]] result<void> remove(const std::string& path, std::string_view what, const std::string& reason = {});

    [[nodiscard]] const server_uri& at() const noexcept { return http_.at(); }
    // The Date of the last answer; empty without one.
    [[nodiscard]] const std::string& server_date() const noexcept { return date_; }

private:
    [[nodiscard]] result<http_reply> ask(http::method method, const std::string& path,
                                         const std::optional<std::string>& body, std::string_view what,
                                         const std::string& reason = {});
    [[nodiscard]] result<json_value> parsed(const http_reply& reply, const std::string& path) const;

    http_client http_;
    std::string date_;
};

}  // namespace linnet::cli
