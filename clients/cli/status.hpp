#pragma once

#include "clients/cli/exit_code.hpp"
#include "clients/cli/output.hpp"

#include <chrono>
#include <string>

namespace linnet::cli {

struct broker_options {
    std::string url;  // empty: the environment's, else this machine
    std::chrono::milliseconds timeout{5'000};
    output_form form = output_form::table;
};

// `linnet status`: what a broker says about itself, and how fast it answers. Logs in.
[[nodiscard]] exit_code show_status(const broker_options& options);

}  // namespace linnet::cli
