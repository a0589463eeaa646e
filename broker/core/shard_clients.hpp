#pragma once

#include "broker/core/client_registry.hpp"
#include "broker/core/command.hpp"
#include "broker/core/session_port.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

struct shard_state;

// A shard's named clients: the registries of its logs, and what goes to and fro between them, the sessions of all
// shards and the control, to whom it speaks as a session would.
//
// What would call a session or publish is put off to poll(), so that nothing happens within a session's own call.
//
// Threads: the shard's.
class shard_clients final : public client_context, private session_port {
public:
    explicit shard_clients(shard_state& home) : home_(home) {}

    // ---- For sessions of this shard ------------------------------------------------------------
    void detach(vhost_id v, session_handle from, detach_client&& d);
    void mark(const client_mark_command& m);
    [[nodiscard]] static client_place place_of(const client_ticket& t) noexcept { return {t.number, t.entry, t.home}; }
    // The log that they live with.
    [[nodiscard]] std::uint16_t home_of(vhost_id v, std::string_view name) const noexcept;

    // ---- For all, at the client's home ---------------------------------------------------------
    void request(routed_request& r);
    void receive_detach(detach_client&& d);
    void receive_mark(shard_id from, const client_mark_command& m);
    void receive_taken_over(session_handle who, client_ticket t);
    // The reply to an attach found nobody.
    void give_back(const attached_client& a);

    // ---- The turn ------------------------------------------------------------------------------
    void poll();
    [[nodiscard]] bool more() const noexcept { return !later_.empty() || !sayings_.empty(); }
    void on_durable(std::uint64_t sequence);

    // ---- Storing -------------------------------------------------------------------------------
    [[nodiscard]] client_registry& registry(std::uint16_t log);
    [[nodiscard]] std::span<const std::unique_ptr<client_registry>> all() const noexcept { return registries_; }
    void on_recovery_end(std::uint16_t log, bool clean);
    void hand_over() noexcept;
    // Memory, beside messages.
    [[nodiscard]] std::uint64_t bytes() const noexcept;
    void end();

    // ---- client_context ------------------------------------------------------------------------
    [[nodiscard]] shard_id here() const noexcept override;
    [[nodiscard]] mono_ns now() const noexcept override;
    [[nodiscard]] wall_ns wall_now() const noexcept override;
    [[nodiscard]] timer_wheel& timers() noexcept override;
    [[nodiscard]] message_pool& pool() noexcept override;
    [[nodiscard]] std::string name_of(vhost_id v) const override;
    [[nodiscard]] std::optional<vhost_id> find_vhost(std::string_view name) const override;
    [[nodiscard]] bool lists_user(std::string_view name) const override;
    void later(std::function<void()> f) override { later_.push_back(std::move(f)); }
    void answer(session_handle to, reply&& r) override;
    void take_over(session_handle from, client_ticket t) override;
    void settle(const durable_waiter& w) override;
    void delete_queue(client_registry& of, position id, vhost_id v, const std::string& name) override;
    void publish_will(client_registry& of, position id, const will_speaker& who, message_ptr m) override;
    void found(const client_registry& at, vhost_id v, std::string_view name) override;

private:
    // ---- session_port --------------------------------------------------------------------------
    void on_reply(reply&& r) override;
    void on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) override;
    void on_settled_batch() override {}
    [[nodiscard]] delivery_sink* find_sink(std::uint64_t) override { return nullptr; }
    void on_alarms(alarms) override {}
    void on_shutdown(std::string_view) override {}

    [[nodiscard]] session_handle self();
    [[nodiscard]] bool is_here(std::uint16_t log) const noexcept;
    [[nodiscard]] shard_id shard_of(std::uint16_t log) const noexcept;
    [[nodiscard]] client_registry& registry_of(std::uint64_t token);
    // A last will on its way.
    struct saying {
        std::uint64_t token;
        will_speaker who;
        message_ptr what;
    };
    [[nodiscard]] bool may_say(const saying& s, const vhost_node& v) const;
    void say(saying&& s);

    shard_state& home_;
    std::vector<std::unique_ptr<client_registry>> registries_;  // by log / shards; null until there is need
    session_handle self_{};
    std::vector<std::function<void()>> later_;
    std::vector<saying> sayings_;
};

}  // namespace linnet::core
