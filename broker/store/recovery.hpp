#pragma once

#include "broker/base/result.hpp"
#include "broker/core/log.hpp"
#include "broker/store/disk.hpp"
#include "broker/store/log_file.hpp"
#include "broker/store/segment.hpp"
#include "broker/store/segment_chain.hpp"

#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace linnet::store {

// What the files of a log were found to be, mended where that was called for: writing can go on.
struct recovered_log {
    segment_geometry geometry;
    std::deque<segment> segments;
    std::vector<segment_chain::spare> spares;
    core::log_position end = 0;
    std::vector<std::uint8_t> block;  // what lies before `end` in its block
    core::log_position last_commit = 0;
    std::uint64_t last_index = 0;
    std::uint64_t last_epoch = 0;
    recovery_report report;
};

// Reads the log from front to back, shows every whole record to `visit`, and cuts off what a crash has torn.
//
// The first place where no record is decides. Does a later commit say that it was durable? Then the disk has lost
// what it had promised: refuse, or leave out just that (salvage). Else it is the end.
[[nodiscard]] result<recovered_log, std::string> recover(
    disk& d, const log_options& options, const std::function<void(const core::log_record&)>& visit,
    const std::function<void(std::uint64_t done, std::uint64_t total)>& progress);

}  // namespace linnet::store
