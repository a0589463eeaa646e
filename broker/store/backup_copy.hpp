#pragma once

#include "broker/store/backup_plan.hpp"
#include "broker/store/log_copy.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>

namespace linnet::store {

// A backup takes the used part of each file, and its manifest is filled in; a data folder takes whole files, of which
// the used part must be what the manifest says.
enum class copy_goal : std::uint8_t { backup, data_folder };

// Copies the logs of one folder into another, shows how far it is, and makes sure of the copy.
//
// Bounds: one piece of a file in memory.
class backup_copy {
public:
    backup_copy(std::string from, std::string to, const backup_observer& observe)
        : from_(std::move(from)), to_(std::move(to)), observe_(observe) {}

    [[nodiscard]] backup_outcome<void> room_for(std::uint64_t bytes) const;
    [[nodiscard]] backup_outcome<void> copy_all(const backup_plan& p, backup_manifest& m, copy_goal goal);
    // Reads a backup back, as a start would what is restored from it. How many records there are.
    [[nodiscard]] backup_outcome<std::uint64_t> check_all(const backup_plan& p, const backup_manifest& m);

private:
    [[nodiscard]] backup_outcome<void> copy_log(const planned_log& l, backup_manifest& m, copy_goal goal);
    [[nodiscard]] bool observe(std::uint64_t bytes) {
        progress_.done += bytes;
        return observe_(progress_);
    }
    [[nodiscard]] std::string in(const std::string& root, const std::string& name) const { return root + "/" + name; }

    const std::string from_;
    const std::string to_;
    const backup_observer& observe_;
    backup_progress progress_;
    std::size_t file_ = 0;  // of the manifest, when that is known
};

}  // namespace linnet::store
