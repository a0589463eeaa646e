#pragma once

#include "broker/admin/access.hpp"
#include "broker/admin/call.hpp"

#include <span>
#include <string_view>

namespace linnet::admin {

using action = void (*)(call_ptr);

// A path below /api and what may be done there. In a pattern, ? stands for any one segment.
struct route {
    std::string_view pattern;
    need reads = need::management;
    action get = nullptr;
    need writes = need::management;
    action put = nullptr;
    action post = nullptr;
    action remove = nullptr;
};

// All of them, by group, in the order in which they are tried.
[[nodiscard]] std::span<const route> overview_routes() noexcept;
[[nodiscard]] std::span<const route> queue_routes() noexcept;
[[nodiscard]] std::span<const route> exchange_routes() noexcept;
[[nodiscard]] std::span<const route> binding_routes() noexcept;
[[nodiscard]] std::span<const route> connection_routes() noexcept;
[[nodiscard]] std::span<const route> vhost_routes() noexcept;
[[nodiscard]] std::span<const route> user_routes() noexcept;
[[nodiscard]] std::span<const route> permission_routes() noexcept;
[[nodiscard]] std::span<const route> policy_routes() noexcept;
[[nodiscard]] std::span<const route> parameter_routes() noexcept;
[[nodiscard]] std::span<const route> definition_routes() noexcept;
[[nodiscard]] std::span<const route> health_routes() noexcept;
[[nodiscard]] std::span<const route> explain_routes() noexcept;
[[nodiscard]] std::span<const route> where_routes() noexcept;

// RabbitMQ's management API below /api, so that what people have for RabbitMQ works here.
//
// A request finds its route, then it is asked once who may do this (access.hpp), then its action runs. What concerns
// other shards is asked by tours; nothing here waits for anybody.
//
// Threads: its shard's.
// Bounds:  bodies by body_bytes_max, what a listing gathers by what there is.
class api_handler final : public session::http_handler {
public:
    api_handler(services& s, core::shard& home) : all_(s), client_(home) {}

    void on_request(const session::http_request& r, session::http_responder to) override;
    [[nodiscard]] std::uint64_t body_bytes_max() const noexcept override { return std::uint64_t{20} << 20; }
    [[nodiscard]] session::http_answer refusal(const http::problem& p) override;
    void stop() override { client_.end(); }

private:
    services& all_;
    core_client client_;
};

}  // namespace linnet::admin
