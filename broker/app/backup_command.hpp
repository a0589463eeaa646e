#pragma once

#include "broker/app/command_line.hpp"

#include <string>

namespace linnet::app {

// `linnetd --backup-to F` and `linnetd --restore-from F`, which `linnet backup` and `linnet restore` are. Shows its
// progress on stderr; SIGINT and SIGTERM end it and leave nothing behind.
[[nodiscard]] answer run_backup_command(const command_line& line, const std::string& data_folder);

}  // namespace linnet::app
