#pragma once

#include "broker/store/backup_plan.hpp"
#include "broker/store/posix_file.hpp"

#include <string>
#include <string_view>

// A folder that is being filled bears a mark, which whoever fills it keeps locked: what a process that was killed has
// left can be told from what is somebody's, and be taken away.

namespace linnet::store {

inline constexpr std::string_view unfinished_mark = ".linnet-unfinished";

// The mark, locked for as long as the result lives.
[[nodiscard]] backup_outcome<unique_fd> begin_in(const std::string& folder);
// Everything goes but the mark, a store's lock and what a file system puts there.
void clear_unfinished(const std::string& folder);
[[nodiscard]] backup_outcome<void> finish_in(const std::string& folder);

}  // namespace linnet::store
