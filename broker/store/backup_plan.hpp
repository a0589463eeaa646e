#pragma once

#include "broker/store/backup.hpp"
#include "broker/store/backup_manifest.hpp"
#include "broker/store/disk.hpp"
#include "broker/store/log_view.hpp"
#include "broker/store/store_cut.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

// Which files of which logs a backup or its restoring copies.

namespace linnet::store {

template <class T>
using backup_outcome = result<T, backup_failure>;
[[nodiscard]] inline auto backup_failed(backup_fault why, std::string text) {
    return fail(backup_failure{why, std::move(text)});
}

struct planned_log {
    std::string folder;
    std::uint32_t number = 0;
    std::uint64_t segment_bytes = 0;
    std::uint64_t end = 0;  // 0: wherever it ends
    std::vector<file_extent> files;

    [[nodiscard]] std::uint64_t bytes() const {
        std::uint64_t sum = 0;
        for (const file_extent& f : files) {
            sum += f.stored;
        }
        return sum;
    }
};
using backup_plan = std::vector<planned_log>;

[[nodiscard]] std::uint64_t bytes_of(const backup_plan& p);
[[nodiscard]] backup_plan plan_of(const std::vector<log_cut>& cuts);
[[nodiscard]] backup_plan plan_of(const backup_manifest& m);
// Everything in a data folder that nobody serves.
[[nodiscard]] backup_outcome<backup_plan> plan_at_rest(const std::string& data_folder, std::uint32_t logs);

// A log's folder, of which nothing is changed.
[[nodiscard]] backup_outcome<std::unique_ptr<disk>> open_to_read(const std::string& folder);

}  // namespace linnet::store
