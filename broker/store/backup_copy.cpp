#include "broker/store/backup_copy.hpp"

#include "broker/store/folder.hpp"

#include <fmt/format.h>

#include <memory>
#include <utility>

namespace linnet::store {

namespace {

backup_outcome<std::unique_ptr<disk>> open_to_write(const std::string& folder) {
    if (auto made = make_folders(folder); !made) {
        return backup_failed(backup_fault::target, made.error());
    }
    auto opened = open_disk(folder, disk_method::thread);
    if (!opened) {
        return backup_failed(backup_fault::target, to_text(opened.error()));
    }
    return *std::move(opened);
}

backup_failure as_failure(const copy_error& e, const std::string& from, const std::string& to) {
    switch (e.at) {
        case copy_side::source: return {backup_fault::source, fmt::format("{}: {}", from, to_text(e.why))};
        case copy_side::target: return {backup_fault::target, fmt::format("{}: {}", to, to_text(e.why))};
        case copy_side::stopped: break;
    }
    return {backup_fault::stopped, "stopped"};
}

}  // namespace

backup_outcome<void> backup_copy::room_for(std::uint64_t bytes) const {
    auto folder = open_to_write(to_);
    const auto free = folder ? (*folder)->free_bytes() : fail(disk_error{});
    // Where it cannot be told, writing does.
    if (!free || *free >= bytes) {
        return {};
    }
    return backup_failed(backup_fault::target,
                         fmt::format("{} bytes are to be written below {}, and {} are free there", bytes, to_, *free));
}

backup_outcome<void> backup_copy::copy_all(const backup_plan& p, backup_manifest& m, copy_goal goal) {
    progress_ = {backup_phase::copying, 0, bytes_of(p)};
    for (const planned_log& l : p) {
        if (auto done = copy_log(l, m, goal); !done) {
            return done;
        }
    }
    return {};
}

backup_outcome<void> backup_copy::copy_log(const planned_log& l, backup_manifest& m, copy_goal goal) {
    const std::string from = in(from_, l.folder);
    const std::string to = in(to_, l.folder);
    const auto source = open_to_read(from);
    const auto target = source ? open_to_write(to) : fail(source.error());
    if (!target) {
        return fail(target.error());
    }
    log_view view(**source, l.files);
    for (const file_extent& f : l.files) {
        const auto used = goal == copy_goal::data_folder ? disk_result<std::uint64_t>(f.stored)
                                                         : used_bytes(view, f.name);
        if (!used) {
            return backup_failed(backup_fault::source, fmt::format("{}: {}", from, to_text(used.error())));
        }
        const std::uint64_t size = goal == copy_goal::data_folder ? f.size : *used;
        const auto crc = copy_file(view, **target, {.name = f.name, .bytes = *used, .size = size},
                                   [this](std::uint64_t bytes) { return observe(bytes); });
        if (!crc) {
            return fail(as_failure(crc.error(), from, to));
        }
        if (!observe(f.stored > *used ? f.stored - *used : 0)) {
            return backup_failed(backup_fault::stopped, "stopped");
        }
        if (goal == copy_goal::backup) {
            m.files.push_back({.folder = l.folder, .name = f.name, .stored = *used, .size = f.size, .crc = *crc});
        } else if (m.files[file_++].crc != *crc) {
            return backup_failed(backup_fault::damaged,
                                 fmt::format("{}/{} is damaged: its checksum is not the manifest's", from, f.name));
        }
    }
    if (const auto synced = (*target)->sync_folder(); !synced) {
        return backup_failed(backup_fault::target, to_text(synced.error()));
    }
    return {};
}

backup_outcome<std::uint64_t> backup_copy::check_all(const backup_plan& p, const backup_manifest& m) {
    const backup_plan copied = plan_of(m);
    progress_ = {backup_phase::checking, 0, bytes_of(copied)};
    std::uint64_t records = 0;
    for (std::size_t i = 0; i < copied.size(); ++i) {
        const planned_log& l = copied[i];
        const auto folder = open_to_read(in(to_, l.folder));
        if (!folder) {
            return fail(folder.error());
        }
        log_options o;
        o.store_id = m.store.id;
        o.log_number = l.number;
        o.segment_bytes = l.segment_bytes;
        const auto checked = check_log(**folder, l.files, o, p[i].end);
        if (!checked) {
            return backup_failed(backup_fault::damaged, fmt::format("{}: {}", in(from_, l.folder), checked.error()));
        }
        records += checked->records;
        if (!observe(l.bytes())) {
            return backup_failed(backup_fault::stopped, "stopped");
        }
    }
    return records;
}

}  // namespace linnet::store
