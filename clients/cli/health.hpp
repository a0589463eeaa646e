#pragma once

#include "clients/cli/status.hpp"

namespace linnet::cli {

// `linnet health`: whether a broker can be used, for HEALTHCHECK and probes. 0 or 69.
//
// With credentials in the URL or the environment it logs in and opens a channel; without, the broker's
// greeting must do: guessing at guest every few seconds would only feed its throttle.
[[nodiscard]] exit_code check_health(const broker_options& options);

}  // namespace linnet::cli
