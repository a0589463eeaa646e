#pragma once

#include "broker/admin/services.hpp"
#include "broker/app/config.hpp"
#include "broker/app/data_store.hpp"
#include "broker/app/verifier_pool.hpp"
#include "broker/base/clock.hpp"
#include "broker/core/broker.hpp"
#include "broker/net/reactor.hpp"

#include <atomic>
#include <functional>
#include <memory>
#include <vector>

namespace linnet::app {

// What management is told of the daemon.
//
// Threads: as admin::services says; sample() on the main thread. Figures that cost system calls are those of the last
//          sample.
class admin_services final : public admin::services {
public:
    admin_services(const config& c, const core::broker& b, verifier_pool& logins, const clock_source& clock,
                   const std::atomic<bool>& serving);

    void set_reactors(std::vector<net::reactor*> all);
    // Of the store, if there is one; it must outlive this.
    void set_store(const data_store& s) noexcept { store_ = &s; }
    void add_listener(admin::listener_look l) { listeners_.push_back(std::move(l)); }
    // Looks at the process and its machine, once, and then as long as somebody asks: it takes descriptors to count
    // descriptors. About once a second. `disk_free`: below the store; 0: there is none.
    void sample(std::uint64_t disk_free);

    // ---- admin::services -----------------------------------------------------------------------
    [[nodiscard]] admin::node_figures figures() const override;
    [[nodiscard]] std::vector<admin::listener_look> listeners() const override { return listeners_; }
    [[nodiscard]] bool in_service() const noexcept override { return serving_; }
    [[nodiscard]] std::string hash_password(std::string_view plain) const override;
    [[nodiscard]] bool is_password_hash(std::string_view text) const override;
    [[nodiscard]] std::string hashing_algorithm(const std::string& hash) const override;
    void users_changed(const core::topology_journal& now) override;
    void end_connections(core::shard_id where, std::span<const std::string> users) override;
    void rights_changed(core::shard_id where, std::span<const std::string> users) override;
    [[nodiscard]] result<core::value, std::string> read_json(std::string_view text) const override;
    [[nodiscard]] result<core::install, std::string> import_definitions(std::string_view text,
                                                                        const std::string& vhost) override;
    [[nodiscard]] std::string write_definitions(std::vector<core::definition> all,
                                                const std::string& vhost) const override;

private:
    template <class F>
    void for_each_session_of(core::shard_id where, std::span<const std::string> users, F f);

    // Constant before the first request.
    const core::broker& broker_;
    verifier_pool& logins_;
    const clock_source& clock_;
    const std::atomic<bool>& serving_;
    const mono_ns began_;
    const std::uint64_t disk_limit_;
    const std::uint64_t connections_max_;
    const data_store* store_ = nullptr;
    std::vector<net::reactor*> reactors_;
    std::vector<admin::listener_look> listeners_;

    // Written by the main thread, relaxed: a figure orders nothing else.
    std::atomic<std::uint64_t> resident_bytes_{0};
    std::atomic<std::uint64_t> descriptors_{0};
    std::atomic<std::uint64_t> disk_free_bytes_{0};
    // Written by whoever asks.
    mutable std::atomic<mono_ns> asked_at_;
};

}  // namespace linnet::app
