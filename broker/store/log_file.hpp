#pragma once

#include "broker/core/log.hpp"
#include "broker/store/disk.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace linnet::store {

class store_cut;
class sync_times;

struct log_options {
    std::uint64_t store_id = 0;  // of the whole store: bytes of another one are never taken for ours
    std::uint32_t log_number = 0;
    std::uint64_t segment_bytes = std::uint64_t{64} << 20;
    std::uint32_t batch_bytes_max = 256 * 1024;
    std::uint32_t writes_max = 8;                             // batches under way
    std::uint64_t congested_bytes = std::uint64_t{16} << 20;  // appended and not yet written
    // Go on where the stored bytes are damaged: skip exactly the bad records and report them. Else opening fails.
    bool salvage = false;
    // Of all logs of the store, for backups; borrowed. With it, the log's folder as the cut is to name it.
    store_cut* cut = nullptr;
    std::string folder;
    // Where it is counted how long writes take; borrowed. Null: nowhere.
    sync_times* syncs = nullptr;
};

// Where damage was found, in words for people.
struct damage {
    core::log_position at = 0;
    std::string segment;
    std::uint64_t offset = 0;
    std::string what;
};

struct recovery_report {
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    std::uint64_t cut_bytes = 0;  // of a torn tail
    bool clean = false;           // the log had been closed
    std::vector<damage> skipped;  // salvage only
};

struct opened_log {
    std::unique_ptr<core::durable_log> log;
    recovery_report report;
};

// Opens the log in the disk's folder, an empty one as a new log, and shows every record that is left to
// `visit`, in order. `progress(done, total)` in bytes.
//
// Fails: damage within what was durable (unless salvage), a foreign or newer format, I/O errors: each with the
//        segment and offset.
[[nodiscard]] result<opened_log, std::string> open_log(
    std::unique_ptr<disk> d, const log_options& options, const std::function<void(const core::log_record&)>& visit,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

// The same interface with nothing behind it: survives nothing, durable at once (or, for tests, when told).
[[nodiscard]] std::unique_ptr<core::durable_log> make_memory_log();

}  // namespace linnet::store
