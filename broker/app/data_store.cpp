#include "broker/app/data_store.hpp"

#include "broker/base/log.hpp"
#include "broker/core/shard.hpp"
#include "broker/store/disk.hpp"

#include <fmt/format.h>

#include <sys/statvfs.h>

#include <algorithm>
#include <ctime>
#include <utility>

namespace linnet::app {

namespace {

constexpr log::context as_store{.domain = "store"};

// The topology is small; its segments are, too, so that a new store is made quickly.
constexpr std::uint64_t topology_segment_bytes = std::uint64_t{4} << 20;
// Beyond the number of any log of messages: bytes of one are never taken for the other's.
constexpr std::uint32_t topology_log_number = 0xffff'ffff;

// Of the memory budget: what may wait to be written, in all logs together; but so much in each, for the disk to be
// busy.
constexpr std::uint64_t congested_part = 16;
constexpr std::uint64_t congested_bytes_min = std::uint64_t{2} << 20;

[[nodiscard]] open_failure failure(exit_code code, std::string text) { return {code, {std::move(text)}}; }

void report(std::string_view name, const store::recovery_report& r) {
    for (const auto& d : r.skipped) {
        log::error(as_store, "log {}: {} at {} + {}: skipped, as --salvage asks", name, d.what, d.segment, d.offset);
    }
    if (r.cut_bytes != 0) {
        log::info(as_store, "log {}: {} bytes at the end had never become durable and were cut", name, r.cut_bytes);
    }
    if (r.records != 0) {
        log::info(as_store, "log {}: {} records, {} bytes{}", name, r.records, r.bytes,
                  r.clean ? "" : "; it had not been closed");
    }
}

}  // namespace

data_store::data_store(store::store_folder folder, const store_config& c, bool salvage)
    : folder_(std::move(folder)),
      config_(c),
      salvage_(salvage),
      streams_(folder_, salvage, cut_, syncs_, report),
      backups_(folder_.path()) {
    // One that the process before had answered may still be copying: nothing is dropped until it has ended.
    if (backups_.asked() != 0) {
        cut_.begin();
    }
}

result<std::unique_ptr<data_store>, open_failure> data_store::open(const config& c, std::uint16_t shards,
                                                                   bool salvage) {
    auto folder = store::store_folder::open(c.data_dir, shards);
    if (!folder) {
        return fail(failure(exit_code::cannot_create,
                            fmt::format("{} (data_dir; with store.mode = \"memory\" nothing is kept, and no folder is "
                                        "needed)",
                                        folder.error())));
    }
    if (const auto grown = folder->grow(shards); !grown) {
        return fail(failure(exit_code::cannot_create, grown.error()));
    }
    return std::make_unique<data_store>(std::move(*folder), c.store, salvage);
}

result<store::opened_log, open_failure> data_store::open_one(std::string_view name, std::uint32_t number,
                                                             std::uint64_t segment_bytes, const visitor& visit,
                                                             recovery_progress& progress) const {
    const auto path = folder_.subfolder(name);
    if (!path) {
        return fail(failure(exit_code::cannot_create, path.error()));
    }
    auto disk = store::open_disk(*path, store::disk_method::automatic);
    if (!disk) {
        return fail(failure(exit_code::cannot_create, fmt::format("{}: {}", *path, disk.error().what)));
    }
    store::log_options o;
    o.store_id = folder_.id();
    o.log_number = number;
    o.segment_bytes = segment_bytes;
    o.salvage = salvage_;
    o.cut = &cut_;
    o.folder = name;
    o.syncs = &syncs_;
    if (memory_budget_ != 0) {
        const std::uint64_t part = memory_budget_ / congested_part / std::max<std::uint64_t>(folder_.logs(), 1);
        o.congested_bytes = std::clamp(part, congested_bytes_min, o.congested_bytes);
    }
    std::uint64_t seen_done = 0;
    std::uint64_t seen_total = 0;
    auto opened = store::open_log(std::move(*disk), o, visit, [&](std::uint64_t done, std::uint64_t total) {
        progress.total += total - std::exchange(seen_total, total);
        progress.done += done - std::exchange(seen_done, done);
    });
    if (!opened) {
        return fail(failure(exit_code::io_error,
                            salvage_ ? fmt::format("{}: {}", *path, opened.error())
                                     : fmt::format("{}: {} (linnetd --salvage goes on without the damaged records, and "
                                                   "names them)",
                                                   *path, opened.error())));
    }
    report(name, opened->report);
    return std::move(*opened);
}

std::optional<open_failure> data_store::open_topology(recovery_progress& progress) {
    core::topology_replay found;
    core::log_position unreadable = 0;
    auto opened = open_one(
        "meta", topology_log_number, topology_segment_bytes,
        [&](const core::log_record& r) {
            if (!found.add(r) && unreadable == 0) {
                unreadable = r.at;
            }
        },
        progress);
    if (!opened) {
        return std::move(opened.error());
    }
    if (unreadable != 0 && salvage_) {
        log::error(as_store, "log meta: records of an unknown kind from {} on: skipped, as --salvage asks", unreadable);
    } else if (unreadable != 0) {
        return failure(exit_code::io_error, fmt::format("{}/meta: the record at {} is of a kind that this version does "
                                                        "not know; a later one may have written it",
                                                        path(), unreadable));
    }
    topology_log_ = std::move(opened->log);
    topology_ = std::make_unique<core::topology_journal>(topology_log_.get(), std::move(found));
    return std::nullopt;
}

std::optional<open_failure> data_store::recover(core::shard& s, std::uint16_t shards,
                                                recovery_progress& progress) const {
    for (std::uint16_t n = s.id().value; n < logs(); n = static_cast<std::uint16_t>(n + shards)) {
        auto opened = open_one(
            std::to_string(n), n, config_.segment_bytes, [&](const core::log_record& r) { s.replay(n, r); }, progress);
        if (!opened) {
            return std::move(opened.error());
        }
        s.open_log(n, std::move(opened->log), opened->report.clean);
    }
    return std::nullopt;
}

std::optional<open_failure> data_store::settle_streams() {
    if (!streams_.complaints().empty()) {
        return open_failure{exit_code::io_error, streams_.complaints()};
    }
    if (const auto swept = streams_.sweep(); swept != 0) {
        log::info(as_store, "removed what {} deleted streams had left", swept);
    }
    return std::nullopt;
}

std::optional<open_failure> data_store::settle_topology() {
    auto& j = *topology_;
    static_cast<void>(j.seal());
    topology_log_->flush();
    while (j.durable() < j.position()) {
        if (topology_log_->health() == core::log_health::failed) {
            return failure(exit_code::io_error, fmt::format("{}/meta: {}", path(), topology_log_->complaint()));
        }
        // It would wait for ever, and before anybody could make room.
        if (topology_log_->health() == core::log_health::full && !topology_log_->busy()) {
            return failure(exit_code::cannot_create, fmt::format("{}/meta: {}", path(), topology_log_->complaint()));
        }
        if (!j.poll()) {
            const timespec moment{0, 50'000};
            ::nanosleep(&moment, nullptr);
        }
    }
    return std::nullopt;
}

std::string data_store::close() {
    if (topology_log_ == nullptr || topology_log_->close()) {
        return {};
    }
    return fmt::format("{}/meta: {}", path(), topology_log_->complaint());
}

bool data_store::watch_backup() {
    const std::uint64_t asked = backups_.asked();
    const bool changed = asked != request_ || (asked == 0 && cut_.wanted() != 0);
    if (changed && asked != 0) {
        log::info(as_store, "a backup begins: segments are kept until it has been copied");
        cut_.begin();
    } else if (changed) {
        log::info(as_store, "the backup has been copied, or given up");
        cut_.lift();
        backups_.forget();
        streams_.remove_left();
    }
    answered_ = answered_ && !changed;
    request_ = asked;
    if (const auto cuts = backup_pending() ? cut_.finished() : std::nullopt) {
        const auto answered = backups_.answer(request_, *cuts);
        answered_ = answered.has_value();
        if (!answered) {
            log::error(as_store, "{}: a backup cannot begin", answered.error());
        }
    }
    return changed;
}

std::optional<std::uint64_t> data_store::free_bytes() const {
    struct statvfs disk {};
    if (::statvfs(path().c_str(), &disk) != 0) {
        return std::nullopt;
    }
    return std::uint64_t{disk.f_bavail} * disk.f_frsize;
}

}  // namespace linnet::app
