#pragma once

#include "broker/base/result.hpp"
#include "broker/core/definitions.hpp"
#include "broker/core/memory_use.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/sync_histogram.hpp"
#include "broker/core/value.hpp"
#include "broker/session/http_handler.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {
class topology_journal;
}
namespace linnet::session {
struct mqtt_settings;
}

namespace linnet::admin {

// What the process and its machine say of themselves, some moments ago.
struct node_figures {
    std::uint64_t resident_bytes = 0;
    std::uint64_t memory_limit_bytes = 0;
    std::uint64_t memory_held_bytes = 0;                           // what counts towards the limit
    std::array<std::uint64_t, core::memory_uses> memory_by_use{};  // of those
    [[nodiscard]] std::uint64_t memory_of(core::memory_use what) const noexcept {
        return memory_by_use[static_cast<std::size_t>(what)];
    }
    std::uint64_t disk_free_bytes = 0;
    std::uint64_t disk_limit_bytes = 0;
    std::uint64_t descriptors = 0;
    std::uint64_t descriptors_max = 0;
    std::uint64_t connections = 0;  // sockets of any protocol
    std::uint64_t connections_max = 0;
    std::uint64_t uptime_ms = 0;
    std::uint32_t processors = 0;
    std::uint32_t process_id = 0;
    bool memory_alarm = false;
    bool disk_alarm = false;
    std::vector<std::uint64_t> turns{};  // of each shard's loop
    core::sync_histogram syncs{};        // of all logs of the store
};

struct listener_look {
    std::string protocol;  // "amqp", "http" ...
    std::string address;
    std::uint16_t port = 0;
    std::int64_t certificate_ends_s = 0;  // since 1970; 0: no certificate
};

// What management needs of the daemon that it manages; app has it all.
//
// Threads: any, unless it says otherwise.
class services {
public:
    services() = default;
    services(const services&) = delete;
    services& operator=(const services&) = delete;
    virtual ~services() = default;

    // Set before the first request, and constant.
    std::string node_name;
    std::string cluster_name;
    std::string product;
    std::string version;               // ours
    std::string rabbitmq_version;      // the one whose behaviour clients may expect
    std::vector<core::shard*> shards;  // each to be touched on its own thread only
    session::post_to_shard post;
    const session::mqtt_settings* mqtt = nullptr;  // where topics lie, and how they are written

    [[nodiscard]] virtual node_figures figures() const = 0;
    [[nodiscard]] virtual std::vector<listener_look> listeners() const = 0;
    [[nodiscard]] virtual bool in_service() const noexcept = 0;

    [[nodiscard]] virtual std::string hash_password(std::string_view plain) const = 0;
    [[nodiscard]] virtual bool is_password_hash(std::string_view text) const = 0;
    // In the words of exported definitions; empty for forms that RabbitMQ does not have.
    [[nodiscard]] virtual std::string hashing_algorithm(const std::string& hash) const = 0;
    // On the control's thread: logins are checked against what is there now.
    virtual void users_changed(const core::topology_journal& now) = 0;

    // On that shard's thread: whoever is there as one of them is told that its user was deleted, and disconnected.
    virtual void end_connections(core::shard_id where, std::span<const std::string> users) = 0;

    // On that shard's thread: whoever is there as one of them looks whether it may still read what it reads. No names:
    // everybody.
    virtual void rights_changed(core::shard_id where, std::span<const std::string> users) = 0;

    // What cannot be read is a sentence.
    [[nodiscard]] virtual result<core::value, std::string> read_json(std::string_view text) const = 0;
    // What brings a document in, all of it or nothing. `vhost`: of one that names none.
    [[nodiscard]] virtual result<core::install, std::string> import_definitions(std::string_view text,
                                                                                const std::string& vhost) = 0;
    // `vhost`: of that one alone; empty: everything.
    [[nodiscard]] virtual std::string write_definitions(std::vector<core::definition> all,
                                                        const std::string& vhost) const = 0;
};

}  // namespace linnet::admin
