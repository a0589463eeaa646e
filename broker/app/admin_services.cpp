#include "broker/app/admin_services.hpp"

#include "broker/app/build_info.hpp"
#include "broker/app/definitions_file.hpp"
#include "broker/app/definitions_import.hpp"
#include "broker/app/descriptors.hpp"
#include "broker/app/password.hpp"
#include "broker/app/placed_json.hpp"
#include "broker/app/resident_memory.hpp"
#include "broker/app/topology_setup.hpp"
#include "broker/core/topology_journal.hpp"
#include "broker/net/connection.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>

namespace linnet::app {
namespace {

constexpr mono_ns sampled_after_asking = 2 * 60 * ns_per_s;

}  // namespace

admin_services::admin_services(const config& c, const core::broker& b, verifier_pool& logins, const clock_source& clock,
                               const std::atomic<bool>& serving)
    : broker_(b),
      logins_(logins),
      clock_(clock),
      serving_(serving),
      began_(clock.now()),
      disk_limit_(c.store.disk_free_limit_bytes),
      connections_max_(c.limits.connections != 0 ? c.limits.connections
                                                 : descriptors_max() - descriptors_kept(b.options().logs)),
      asked_at_(clock.now() - sampled_after_asking) {
    node_name = c.compat.node_name;
    cluster_name = c.compat.cluster_name.empty() ? c.compat.node_name : c.compat.cluster_name;
    product = c.compat.product;
    version = version_number();
    rabbitmq_version = c.compat.rabbitmq_version;
}

void admin_services::set_reactors(std::vector<net::reactor*> all) {
    reactors_ = std::move(all);
    for (auto* r : reactors_) {
        shards.push_back(&r->shard());
    }
}

void admin_services::sample(std::uint64_t disk_free) {
    disk_free_bytes_.store(disk_free, std::memory_order_relaxed);
    const bool first = resident_bytes_.load(std::memory_order_relaxed) == 0;
    if (!first && clock_.now() - asked_at_.load(std::memory_order_relaxed) > sampled_after_asking) {
        return;
    }
    resident_bytes_.store(resident_bytes(), std::memory_order_relaxed);
    descriptors_.store(descriptors_open(), std::memory_order_relaxed);
}

admin::node_figures admin_services::figures() const {
    asked_at_.store(clock_.now(), std::memory_order_relaxed);
    admin::node_figures f;
    f.resident_bytes = resident_bytes_.load(std::memory_order_relaxed);
    f.descriptors = descriptors_.load(std::memory_order_relaxed);
    f.disk_free_bytes = disk_free_bytes_.load(std::memory_order_relaxed);
    f.descriptors_max = descriptors_max();
    f.processors = std::thread::hardware_concurrency();
    f.process_id = static_cast<std::uint32_t>(::getpid());
    f.memory_limit_bytes = broker_.options().memory_high_bytes;
    f.memory_held_bytes = broker_.held_bytes();
    for (std::size_t i = 0; i < core::memory_uses; ++i) {
        f.memory_by_use[i] = broker_.bytes_of(static_cast<core::memory_use>(i));
    }
    if (store_ != nullptr) {
        f.syncs = store_->syncs();
    }
    f.memory_alarm = broker_.memory_alarm();
    f.disk_alarm = broker_.disk_alarm();
    f.disk_limit_bytes = disk_limit_;
    f.uptime_ms = static_cast<std::uint64_t>((clock_.now() - began_) / ns_per_ms);
    f.connections_max = connections_max_;
    for (const auto* r : reactors_) {
        f.connections += r->connection_count();
        f.turns.push_back(r->turns());
    }
    return f;
}

// In RabbitMQ's form, so that what is exported can be imported there.
std::string admin_services::hash_password(std::string_view plain) const { return salted_sha256(plain); }

bool admin_services::is_password_hash(std::string_view text) const { return password_hash::parse(text).has_value(); }

std::string admin_services::hashing_algorithm(const std::string& hash) const {
    return std::string(hashing_algorithm_of(hash));
}

void admin_services::users_changed(const core::topology_journal& now) { logins_.reload(users_of(now)); }

template <class F>
void admin_services::for_each_session_of(core::shard_id where, std::span<const std::string> users, F f) {
    reactors_[where.value]->for_each_connection([&](net::connection& c) {
        auto* s = c.session();
        if (s != nullptr && (users.empty() || std::ranges::find(users, s->user_name()) != users.end())) {
            f(*s);
        }
    });
}

void admin_services::end_connections(core::shard_id where, std::span<const std::string> users) {
    if (!users.empty()) {
        for_each_session_of(where, users, [](session::session& s) { s.on_shutdown("user was deleted"); });
    }
}

void admin_services::rights_changed(core::shard_id where, std::span<const std::string> users) {
    for_each_session_of(where, users, [](session::session& s) { s.on_rights_changed(); });
}

result<core::value, std::string> admin_services::read_json(std::string_view text) const {
    auto read = parse_json(text, {});
    if (!read) {
        return fail(
            fmt::format("line {}, column {}: {}", read.error().at.line, read.error().at.column, read.error().what));
    }
    return to_value(*read);
}

result<core::install, std::string> admin_services::import_definitions(std::string_view text, const std::string& vhost) {
    return install_definitions(text, {"definitions", vhost},
                               [this](const core::topology_journal& now) { users_changed(now); });
}

std::string admin_services::write_definitions(std::vector<core::definition> all, const std::string& vhost) const {
    return app::write_definitions(std::move(all), {rabbitmq_version, version, vhost});
}

}  // namespace linnet::app
