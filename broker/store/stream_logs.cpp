#include "broker/store/stream_logs.hpp"

#include "broker/store/disk.hpp"
#include "broker/store/memory_log.hpp"

#include <fmt/format.h>

#include <filesystem>
#include <mutex>
#include <system_error>
#include <utility>
#include <vector>

namespace linnet::store {

namespace {

constexpr std::string_view folder_name = "streams";
// Beyond the numbers of the logs of messages: bytes of one are never taken for the other's.
constexpr std::uint32_t first_number = 0x8000'0000;

std::string name_of(core::owner_uid uid) { return fmt::format("{}/{:016x}", folder_name, uid); }

}  // namespace

std::string stream_folders::path_of(core::owner_uid uid) const {
    return fmt::format("{}/{}", folder_.path(), name_of(uid));
}

result<std::unique_ptr<core::durable_log>, std::string> stream_folders::open(
    core::owner_uid uid, std::uint64_t segment_bytes, const std::function<void(const core::log_record&)>& visit) {
    if ((uid & core::fleeting_owner) != 0) {
        return stream_memory().open(uid, segment_bytes, visit);
    }
    {
        // First, so that a sweep takes nobody's folder from under it.
        const std::lock_guard lock(mutex_);
        opened_.insert(std::filesystem::path(path_of(uid)).filename());
    }
    const auto path = folder_.subfolder(name_of(uid));
    auto log = path ? open_in(*path, uid, segment_bytes, visit) : fail(path.error());
    if (!log) {
        const std::lock_guard lock(mutex_);
        complaints_.push_back(log.error());
    }
    return log;
}

result<std::unique_ptr<core::durable_log>, std::string> stream_folders::open_in(
    const std::string& path, core::owner_uid uid, std::uint64_t segment_bytes,
    const std::function<void(const core::log_record&)>& visit) const {
    auto disk = open_disk(path, disk_method::automatic);
    if (!disk) {
        return fail(fmt::format("{}: {}", path, disk.error().what));
    }
    log_options o;
    o.store_id = folder_.id();
    o.log_number = first_number | static_cast<std::uint32_t>(uid & (first_number - 1));
    o.segment_bytes = segment_bytes;
    o.salvage = salvage_;
    o.cut = &cut_;
    o.folder = name_of(uid);
    o.syncs = &syncs_;
    auto opened = open_log(std::move(*disk), o, visit, [](std::uint64_t, std::uint64_t) {});
    if (!opened) {
        return fail(fmt::format("{}: {}", path, opened.error()));
    }
    report_(name_of(uid), opened->report);
    return std::move(opened->log);
}

// A folder that cannot be removed now is swept up at the next start.
void stream_folders::remove(core::owner_uid uid) {
    if (cut_.wanted() != 0) {
        const std::lock_guard lock(mutex_);
        left_.push_back(uid);
        return;
    }
    std::error_code left;
    std::filesystem::remove_all(path_of(uid), left);
}

void stream_folders::remove_left() {
    std::vector<core::owner_uid> left;
    {
        const std::lock_guard lock(mutex_);
        left.swap(left_);
    }
    for (const core::owner_uid uid : left) {
        remove(uid);
    }
    if (std::exchange(sweep_later_, false)) {
        static_cast<void>(sweep());
    }
}

std::size_t stream_folders::sweep() {
    if (cut_.wanted() != 0) {
        sweep_later_ = true;  // a backup goes on that began with the process before
        return 0;
    }
    const std::lock_guard lock(mutex_);
    std::vector<std::filesystem::path> gone;
    std::error_code none;
    for (std::filesystem::directory_iterator at(fmt::format("{}/{}", folder_.path(), folder_name), none), end;
         !none && at != end; at.increment(none)) {
        if (!opened_.contains(at->path().filename())) {
            gone.push_back(at->path());
        }
    }
    for (const auto& path : gone) {
        std::filesystem::remove_all(path, none);
    }
    return gone.size();
}

result<std::unique_ptr<core::durable_log>, std::string> stream_memory::open(
    core::owner_uid, std::uint64_t segment_bytes, const std::function<void(const core::log_record&)>&) {
    return std::make_unique<memory_log>(segment_bytes);
}

}  // namespace linnet::store
