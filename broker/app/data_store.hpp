#pragma once

#include "broker/app/command_line.hpp"
#include "broker/app/config.hpp"
#include "broker/base/clock.hpp"
#include "broker/base/result.hpp"
#include "broker/core/log.hpp"
#include "broker/core/topology_journal.hpp"
#include "broker/store/backup_request.hpp"
#include "broker/store/log_file.hpp"
#include "broker/store/store_cut.hpp"
#include "broker/store/store_folder.hpp"
#include "broker/store/stream_logs.hpp"
#include "broker/store/sync_times.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {
class shard;
}

namespace linnet::app {

// What went wrong while the daemon was opened, and what to leave with.
struct open_failure {
    exit_code code = exit_code::failure;
    std::vector<std::string> lines;
};

// Bytes of logs read so far, of those there are. Written by whoever reads a log, read by whoever reports.
struct recovery_progress {
    std::atomic<std::uint64_t> done{0};
    std::atomic<std::uint64_t> total{0};
};

// The daemon's data folder: the lock on it, the log of the topology and the logs of messages.
//
//     meta/               the topology, users, notes
//     0/ 1/ ...           messages; log i is served by shard i mod shards
//     streams/<uid>/      a stream each
//
// Threads: set up on the main thread; recover() on a thread a shard. The logs then belong to their shards.
// Fails:   with the exit code that tells a supervisor whether it is worth trying again.
class data_store {
public:
    data_store(store::store_folder folder, const store_config& c, bool salvage);

    [[nodiscard]] static result<std::unique_ptr<data_store>, open_failure> open(const config& c, std::uint16_t shards,
                                                                                bool salvage);

    // Of the whole broker, 0: none: what may wait to be written is a part of it. Before any log is opened.
    void set_memory_budget(std::uint64_t bytes) noexcept { memory_budget_ = bytes; }

    [[nodiscard]] std::uint16_t logs() const noexcept { return static_cast<std::uint16_t>(folder_.logs()); }
    [[nodiscard]] const std::string& path() const noexcept { return folder_.path(); }

    // Reads the topology's log; the journal that goes on with it stays here.
    [[nodiscard]] std::optional<open_failure> open_topology(recovery_progress& progress);
    [[nodiscard]] core::topology_journal& topology() noexcept { return *topology_; }
    // Writes what the set-up changed, and waits for it. Before the shards run.
    [[nodiscard]] std::optional<open_failure> settle_topology();
    // Marks a clean end, after the shards have ended. Why not, else nothing.
    [[nodiscard]] std::string close();

    // Reads the logs of that shard and hands them over. The shard's queues have been restored.
    [[nodiscard]] std::optional<open_failure> recover(core::shard& s, std::uint16_t shards,
                                                      recovery_progress& progress) const;

    // The logs of streams, each opened with its queue.
    [[nodiscard]] core::stream_store& streams() noexcept { return streams_; }
    // After the queues have been restored: what was wrong with streams, else what deleted ones left is removed.
    [[nodiscard]] std::optional<open_failure> settle_streams();

    // About once a second, and more often while backup_pending(): answers backups (store/backup_request.hpp). True: all
    // logs are to have a look at once.
    [[nodiscard]] bool watch_backup();
    [[nodiscard]] bool backup_pending() const noexcept { return request_ != 0 && !answered_; }

    // Of all logs. Any thread.
    [[nodiscard]] core::sync_histogram syncs() const noexcept { return syncs_.look(); }
    // Of the disk below; nothing when it cannot be told.
    [[nodiscard]] std::optional<std::uint64_t> free_bytes() const;

private:
    using visitor = std::function<void(const core::log_record&)>;
    [[nodiscard]] result<store::opened_log, open_failure> open_one(std::string_view name, std::uint32_t number,
                                                                   std::uint64_t segment_bytes, const visitor& visit,
                                                                   recovery_progress& progress) const;

    store::store_folder folder_;
    store_config config_;
    bool salvage_;
    std::uint64_t memory_budget_ = 0;
    // Before the logs, which borrow them.
    mutable store::store_cut cut_;
    system_clock_source clock_;
    mutable store::sync_times syncs_{clock_};
    store::stream_folders streams_;
    std::unique_ptr<core::durable_log> topology_log_;
    std::unique_ptr<core::topology_journal> topology_;
    store::backup_watch backups_;
    std::uint64_t request_ = 0;  // of the backup that is under way
    bool answered_ = false;
};

}  // namespace linnet::app
