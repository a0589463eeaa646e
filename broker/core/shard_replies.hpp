#pragma once

#include "broker/core/command.hpp"
#include "broker/core/reply_registry.hpp"
#include "broker/core/shard.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace linnet::core {

struct shard_state;

// A shard's reply handles: the registries of its logs, and what goes to and fro between them and the sessions of all
// shards.
//
// Threads: the shard's.
class shard_replies final : public reply_context {
public:
    explicit shard_replies(shard_state& home) : home_(home) {}

    // ---- For sessions of this shard ------------------------------------------------------------
    // A handle opened here lives here.
    [[nodiscard]] reply_registry& own();
    [[nodiscard]] std::optional<reply_token> lend(vhost_id v, const delivery& request, const neutral_properties& said);
    [[nodiscard]] publish_result answer(message_ptr m, vhost_id v, const reply_token& t, const durable_waiter& w);
    void unwatch(const reply_watcher& w);
    [[nodiscard]] std::uint16_t home_of(const reply_token& t) const noexcept;

    // ---- For all, at the handle's home ---------------------------------------------------------
    void request(const routed_request& r);
    void receive(shard_id from, routed_answer&& a);
    void receive_unwatch(const reply_watcher& w);
    // ... and back at the session's.
    void receive_unrouted(const publish_settled_command& c);
    void receive_news(session_handle to, reply_news&& news);
    // An answer that was published on has been taken, or refused, by whoever it was for.
    void forwarded(std::uint64_t sequence, bool accepted);
    void on_durable(std::uint64_t sequence);

    // ---- Storing -------------------------------------------------------------------------------
    [[nodiscard]] reply_registry& registry(std::uint16_t log);
    void on_recovery_end(std::uint16_t log, bool clean);
    void hand_over() noexcept;
    // Memory, beside messages.
    [[nodiscard]] std::uint64_t bytes() const noexcept;
    void end() { registries_.clear(); }
    [[nodiscard]] reply_registry::figures look() const noexcept;

    // ---- reply_context -------------------------------------------------------------------------
    [[nodiscard]] shard_id here() const noexcept override;
    [[nodiscard]] std::uint16_t shards() const noexcept override;
    [[nodiscard]] const reply_limits& limits() const noexcept override;
    [[nodiscard]] mono_ns now() const noexcept override;
    [[nodiscard]] wall_ns wall_now() const noexcept override;
    [[nodiscard]] timer_wheel& timers() noexcept override;
    [[nodiscard]] message_pool& pool() noexcept override;
    [[nodiscard]] const property_reader* reader_of(protocol_tag tag) const noexcept override;
    [[nodiscard]] std::string name_of(vhost_id v) const override;
    [[nodiscard]] std::optional<vhost_id> find_vhost(std::string_view name) const override;
    void later(std::function<void()> f) override;
    void answer(session_handle to, reply&& r) override;
    void tell(session_handle watcher, reply_news&& news) override;
    [[nodiscard]] bool deliver(const answer_inbox& to, message_ptr m) override;
    [[nodiscard]] publish_result publish(vhost_id v, message_ptr m, const durable_waiter& w) override;
    void settle(const durable_waiter& w) override;
    void found(const reply_registry& at, const reply_token& t) override;

private:
    [[nodiscard]] shard_id shard_of(std::uint16_t log) const noexcept;
    [[nodiscard]] bool is_here(std::uint16_t log) const noexcept;

    shard_state& home_;
    std::vector<std::unique_ptr<reply_registry>> registries_;  // by log / shards; null until there is need
    std::unordered_map<std::uint64_t, durable_waiter> forwarded_;
    std::uint64_t last_forwarded_ = 0;
};

}  // namespace linnet::core
