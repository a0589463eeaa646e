#pragma once

#include "broker/app/config.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_journal.hpp"

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

// What others than the configuration bring along, beside what the store has: definitions from a file.
struct newcomers {
    bool users = false;
    bool vhosts = false;
};

// Lays the configuration over what the store has: it wins for what it names, and takes away what an earlier one had
// named and it does not. Its defaults, "/" and guest, are for a store that has no vhost or no user of its own.
[[nodiscard]] setup_result configure(core::topology_editor& editor, core::topology_journal& journal,
                                     const config& wanted, newcomers others = {});

// Those who may log in.
[[nodiscard]] std::vector<user_config> users_of(const core::topology_journal& journal);

}  // namespace linnet::app
