#pragma once

#include "broker/store/disk.hpp"

#include <memory>
#include <string>

namespace linnet::store {

// What open_disk() may use; tests leave things out to see the others.
struct disk_means {
    disk_method method = disk_method::automatic;
    bool direct = true;  // O_DIRECT, where the file system has it
    // Another one works in this folder: files are opened for reading, and nothing is changed, cleared away or tried
    // out.
    bool read_only = false;
};

[[nodiscard]] disk_result<std::unique_ptr<disk>> open_file_disk(const std::string& folder, const disk_means& means);

}  // namespace linnet::store
