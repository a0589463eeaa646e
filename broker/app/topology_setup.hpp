#pragma once

#include "broker/app/config.hpp"
#include "broker/core/topology_editor.hpp"

#include <string>
#include <vector>

namespace linnet::app {

struct setup_result {
    std::vector<std::string> problems;              // a pattern that does not compile, an unknown policy key
    std::vector<core::queue_entry> changed_queues;  // their settings, as they are now: owners must be told
};

// Brings the editor's vhosts, rights and policies in line with `wanted`. What `before` had and `wanted`
// has not goes away, vhosts excepted: their queues would go with them, and that no reload should do.
//
// With problems nothing should be published: try it on a scratch editor first.
[[nodiscard]] setup_result apply_to_topology(core::topology_editor& editor, const config& before, const config& wanted);

}  // namespace linnet::app
