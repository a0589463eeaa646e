// `linnet top`: what a broker does at this moment, drawn anew every second.
#pragma once

#include "clients/cli/management.hpp"

#include <string>

namespace linnet::cli {

struct top_order {
    std::string name;  // of the column
    std::string sort;  // as the API knows it
    bool falling = true;
};

// One picture, of `lines` lines at most.
[[nodiscard]] std::string top_picture(const json_value& overview, const json_value& nodes, const json_value& queues,
                                      const top_order& order, std::size_t lines);

}  // namespace linnet::cli
