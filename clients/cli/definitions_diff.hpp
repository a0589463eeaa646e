// What distinguishes two sets of definitions, object by object.
#pragma once

#include "clients/cli/management.hpp"

#include <vector>

namespace linnet::cli {

struct definition_change {
    enum class kind : std::uint8_t { add, change, remove };

    kind what = kind::add;
    std::string section;  // "queues"
    json_value object;    // as it will be; of a removal: as it is
    json_value before;    // of a change
};

// What makes `is` into `wanted`. Sections that `wanted` does not have are left alone. In the order of an import;
// removals come last, what depends on others before them. `vhost`: of objects that name none.
[[nodiscard]] std::vector<definition_change> difference(const json_value& is, const json_value& wanted,
                                                        const std::string& vhost = "/");

// "queue orders in b", for the first object that names another vhost; empty: none does.
[[nodiscard]] std::string first_outside(const json_value& definitions, const std::string& vhost);

// "queue orders in /", for people.
[[nodiscard]] std::string text_of(const definition_change& change);

}  // namespace linnet::cli
