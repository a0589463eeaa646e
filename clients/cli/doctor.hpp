// `linnet doctor`: what is wrong with a broker, or soon will be, and what to do about it.
#pragma once

#include "clients/cli/management.hpp"

#include <string>
#include <vector>

namespace linnet::cli {

struct finding {
    enum class verdict : std::uint8_t { good, warning, bad };

    std::string check;
    verdict is = verdict::good;
    std::string detail;
    std::string next{};  // what to do
};

// What the API tells about nodes and queues.
[[nodiscard]] std::vector<finding> findings_of_nodes(const json_value& nodes);
[[nodiscard]] std::vector<finding> findings_of_queues(const json_value& queues);
// `date`: of the broker's answer, at `now` of this machine.
[[nodiscard]] finding finding_of_clock(const std::string& date, std::int64_t now);

}  // namespace linnet::cli
