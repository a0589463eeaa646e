#pragma once

#include "broker/base/result.hpp"

#include <filesystem>
#include <span>
#include <string>
#include <string_view>

// Folders, for their owner's eyes only. Each call says in words what it could not do.

namespace linnet::store {

// What was made, renamed and removed in it is so for good. An empty path: the working directory.
[[nodiscard]] result<void, std::string> sync_folder(const std::string& path);
// Makes the folder and those above it that are missing, each there for good before the next.
[[nodiscard]] result<void, std::string> make_folders(const std::filesystem::path& path);
// The name of something in the folder that is none of these; empty: there is nothing else.
[[nodiscard]] result<std::string, std::string> stranger_in(const std::string& path,
                                                           std::span<const std::string_view> known);

}  // namespace linnet::store
