#pragma once

#include "broker/base/result.hpp"
#include "broker/store/disk.hpp"
#include "broker/store/log_file.hpp"
#include "broker/store/store_cut.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// Copying the files of a log, and making sure of the copy.

namespace linnet::store {

struct file_extent;

// What a cut leaves, as files.
[[nodiscard]] std::vector<file_extent> files_of(const log_cut& c);
// All segments in the folder, of whatever log, whole. Nobody writes to them.
[[nodiscard]] disk_result<std::vector<file_extent>> files_in(disk& folder);
// The number in a segment's name, else none.
[[nodiscard]] std::optional<std::uint32_t> log_number_in(std::string_view segment);

enum class copy_side : std::uint8_t { source, target, stopped };
struct copy_error {
    copy_side at = copy_side::source;
    disk_error why;
};
// So many bytes more are done with. False: stop.
using copy_observer = std::function<bool(std::uint64_t bytes)>;

// How far there is anything but zeros, in whole blocks.
[[nodiscard]] disk_result<std::uint64_t> used_bytes(disk& from, const std::string& name);

// Copies the first `bytes` of a file and returns their CRC-32C. The new one is `size` bytes long, and stored once the
// folder has been synced. Runs of zeros are left out, as they are there already.
struct copy_order {
    std::string name;
    std::uint64_t bytes = 0;
    std::uint64_t size = 0;
};
[[nodiscard]] result<std::uint32_t, copy_error> copy_file(disk& from, disk& to, const copy_order& what,
                                                          const copy_observer& observe);

// Reads a log as a start would and changes nothing: every record, the chain of commits. `end`: where it was cut, for
// then an earlier end is damage, too; 0: wherever it ends.
struct checked_log {
    std::uint64_t records = 0;
};
[[nodiscard]] result<checked_log, std::string> check_log(disk& folder, const std::vector<file_extent>& files,
                                                         const log_options& o, core::log_position end);

}  // namespace linnet::store
