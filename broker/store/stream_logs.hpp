#pragma once

#include "broker/core/stream.hpp"
#include "broker/store/log_file.hpp"
#include "broker/store/store_cut.hpp"
#include "broker/store/store_folder.hpp"

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

namespace linnet::store {

// The logs of streams in a data folder, each a folder of its own: streams/<uid, 16 hex digits>/.
//
// Threads: any, for different streams; complaints() and sweep() before the shards run; remove_left() the main thread.
class stream_folders final : public core::stream_store {
public:
    // What opening a log had to report, for whoever writes the daemon's own log. Called by open().
    using reporter = std::function<void(const std::string& name, const recovery_report& r)>;

    stream_folders(const store_folder& folder, bool salvage, store_cut& cut, sync_times& syncs, reporter report)
        : folder_(folder), salvage_(salvage), cut_(cut), syncs_(syncs), report_(std::move(report)) {}

    [[nodiscard]] result<std::unique_ptr<core::durable_log>, std::string> open(
        core::owner_uid uid, std::uint64_t segment_bytes,
        const std::function<void(const core::log_record&)>& visit) override;
    void remove(core::owner_uid uid) override;

    // Why those failed that were opened so far; a line each.
    [[nodiscard]] const std::vector<std::string>& complaints() const noexcept { return complaints_; }
    // Once all streams are open: removes the logs of those that are no more, whose end the disk had not seen whole.
    // Returns how many there were.
    std::size_t sweep();
    // What was to be removed or swept while a cut was wanted, and was left to whoever copied it.
    void remove_left();

private:
    [[nodiscard]] result<std::unique_ptr<core::durable_log>, std::string> open_in(
        const std::string& path, core::owner_uid uid, std::uint64_t segment_bytes,
        const std::function<void(const core::log_record&)>& visit) const;
    [[nodiscard]] std::string path_of(core::owner_uid uid) const;

    const store_folder& folder_;
    const bool salvage_;
    store_cut& cut_;
    sync_times& syncs_;
    const reporter report_;
    std::mutex mutex_;
    std::vector<std::string> complaints_;
    std::set<std::string> opened_;  // names of folders
    std::vector<core::owner_uid> left_;
    bool sweep_later_ = false;  // the main thread's
};

// Logs in memory, for a broker without a store.
class stream_memory final : public core::stream_store {
public:
    [[nodiscard]] result<std::unique_ptr<core::durable_log>, std::string> open(
        core::owner_uid uid, std::uint64_t segment_bytes,
        const std::function<void(const core::log_record&)>& visit) override;
    void remove(core::owner_uid) override {}
};

}  // namespace linnet::store
