#include "broker/store/backup_plan.hpp"

#include "broker/store/file_disk.hpp"
#include "broker/store/log_copy.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <system_error>
#include <utility>

namespace linnet::store {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view streams_name = "streams";

// Names of the folders of logs in a data folder that nobody serves.
backup_outcome<std::vector<std::string>> folders_in(const std::string& data_folder, std::uint32_t logs) {
    std::vector<std::string> names{"meta"};
    for (std::uint32_t n = 0; n < logs; ++n) {
        names.push_back(std::to_string(n));
    }
    std::error_code error;
    std::vector<std::string> streams;
    for (fs::directory_iterator at(fs::path(data_folder) / streams_name, error), end; !error && at != end;
         at.increment(error)) {
        streams.push_back(fmt::format("{}/{}", streams_name, at->path().filename().string()));
    }
    if (error && error != std::errc::no_such_file_or_directory) {
        return backup_failed(backup_fault::source,
                             fmt::format("cannot list {}/{}: {}", data_folder, streams_name, error.message()));
    }
    std::ranges::sort(streams);
    names.insert(names.end(), streams.begin(), streams.end());
    return names;
}

}  // namespace

std::uint64_t bytes_of(const backup_plan& p) {
    std::uint64_t sum = 0;
    for (const planned_log& l : p) {
        sum += l.bytes();
    }
    return sum;
}

backup_plan plan_of(const std::vector<log_cut>& cuts) {
    backup_plan p;
    for (const log_cut& c : cuts) {
        planned_log l{.folder = c.folder,
                      .number = c.log_number,
                      .segment_bytes = c.segment_bytes,
                      .end = c.end,
                      .files = files_of(c)};
        if (!l.files.empty()) {
            p.push_back(std::move(l));
        }
    }
    return p;
}

backup_plan plan_of(const backup_manifest& m) {
    backup_plan p;
    for (const auto& f : m.files) {
        if (p.empty() || p.back().folder != f.folder) {
            p.push_back({.folder = f.folder,
                         .number = log_number_in(f.name).value_or(0),
                         .segment_bytes = f.size,
                         .end = 0,
                         .files = {}});
        }
        p.back().files.push_back({.name = f.name, .stored = f.stored, .size = f.size});
    }
    return p;
}

backup_outcome<std::unique_ptr<disk>> open_to_read(const std::string& folder) {
    auto opened = open_file_disk(folder, {.read_only = true});
    if (!opened) {
        return backup_failed(backup_fault::source, to_text(opened.error()));
    }
    return *std::move(opened);
}

backup_outcome<backup_plan> plan_at_rest(const std::string& data_folder, std::uint32_t logs) {
    const auto folders = folders_in(data_folder, logs);
    if (!folders) {
        return fail(folders.error());
    }
    backup_plan p;
    for (const std::string& name : *folders) {
        const std::string path = fmt::format("{}/{}", data_folder, name);
        if (std::error_code none; !fs::exists(path, none)) {
            continue;  // a log that was never used
        }
        auto folder = open_to_read(path);
        if (!folder) {
            return fail(std::move(folder).error());
        }
        auto files = files_in(**folder);
        if (!files) {
            return backup_failed(backup_fault::source, to_text(files.error()));
        }
        if (!files->empty()) {
            p.push_back({.folder = name,
                         .number = log_number_in(files->front().name).value_or(0),
                         .segment_bytes = files->front().size,
                         .end = 0,
                         .files = *std::move(files)});
        }
    }
    return p;
}

}  // namespace linnet::store
