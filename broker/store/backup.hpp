#pragma once

#include "broker/base/result.hpp"

#include <cstdint>
#include <functional>
#include <string>

// Copies of a data folder from which a broker can go on, and the way back.
//
// A backup holds a cut through all logs (store_cut.hpp): everything that was confirmed before it began, of what came
// meanwhile some, and nothing whose cause is missing. The broker serves on. It is copied under another name, read back
// and checked record by record, and only then gets its own: what bears the name is good.

namespace linnet::store {

enum class backup_phase : std::uint8_t { waiting, copying, checking };
struct backup_progress {
    backup_phase phase = backup_phase::waiting;  // for the broker's answer
    std::uint64_t done = 0;                      // bytes
    std::uint64_t total = 0;
};
// Asked after each piece, and now and then while waiting. False: stop, and leave nothing behind.
using backup_observer = std::function<bool(const backup_progress&)>;

struct backup_report {
    std::string made;  // when, for people
    std::uint64_t logs = 0;
    std::uint64_t files = 0;
    std::uint64_t bytes = 0;
    std::uint64_t records = 0;  // that were checked
    bool online = false;        // a broker served the folder meanwhile
};

enum class backup_fault : std::uint8_t {
    unfit,        // what was named to be copied is no store, or no backup
    busy,         // another backup is under way
    unreachable,  // the broker that serves the folder does not answer
    damaged,      // what was to be copied
    source,       // cannot be read
    target,       // cannot be written: a full disk, something that is there already
    stopped,
};
struct backup_failure {
    backup_fault why = backup_fault::unfit;
    std::string text;
};

// Of the data folder, into a folder that must not be there yet.
[[nodiscard]] result<backup_report, backup_failure> back_up(const std::string& data_folder, const std::string& to,
                                                            const backup_observer& observe);
// Into a folder that is missing or empty; a broker can be started there afterwards.
[[nodiscard]] result<backup_report, backup_failure> restore(const std::string& from, const std::string& data_folder,
                                                            const backup_observer& observe);

}  // namespace linnet::store
