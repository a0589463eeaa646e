#pragma once

#include "broker/core/session_port.hpp"
#include "broker/core/shard.hpp"

#include <cstdint>
#include <functional>
#include <unordered_map>

namespace linnet::admin {

// Asks the core for what any session may ask, on behalf of requests that come by HTTP: one for all of a shard.
//
// Threads: its shard's.
// Owns:    its place among the shard's sessions; end() gives it back.
class core_client final : public core::session_port {
public:
    using reply_handler = std::function<void(core::reply&&)>;
    using settled_handler = std::function<void(bool accepted)>;

    explicit core_client(core::shard& s) noexcept : shard_(s) {}

    [[nodiscard]] core::shard& shard() noexcept { return shard_; }
    [[nodiscard]] core::session_handle handle();
    // The answer comes by `then`, at once or later.
    void ask(core::vhost_id vhost, core::request_body body, reply_handler then);
    // Hands a message to the core; `then` hears whether its queues took it, at once or later. Returns to how many
    // queues it went.
    std::uint32_t publish(core::message_ptr m, const core::vhost_node& v, const core::shard::route& r,
                          settled_handler then);
    void end();

    // core::session_port
    void on_reply(core::reply&& r) override;
    void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) override;
    void on_settled_batch() override {}
    [[nodiscard]] core::delivery_sink* find_sink(std::uint64_t) override { return nullptr; }
    void on_alarms(core::alarms) override {}
    void on_shutdown(std::string_view) override {}

private:
    core::shard& shard_;
    core::session_handle handle_{};  // known from the first use on
    std::uint64_t last_ = 0;
    std::unordered_map<std::uint64_t, reply_handler> replies_;
    std::unordered_map<std::uint64_t, settled_handler> settled_;
};

}  // namespace linnet::admin
