#pragma once

#include "broker/app/definitions_file.hpp"
#include "broker/core/administer.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_journal.hpp"

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::app {

struct import_result {
    std::vector<config_error> errors;          // any: nothing was imported
    std::vector<std::string> warnings;         // what is there already in another way and was kept, or was left out
    std::vector<core::queue_entry> changed{};  // queues that were there and have new settings: their owners must hear
};

// Adds what the document defines to what there is: all of it, or nothing. Where an exchange or a queue is there
// already and differs, it stays as it is: it may hold messages. A binding whose ends are not there is left out. Users,
// rights, policies and parameters are replaced.
//
// It is tried on a copy first, which costs as much as there are queues. Before the shards run.
[[nodiscard]] import_result import_definitions(const definitions_document& what, core::topology_editor& editor,
                                               core::topology_journal& journal,
                                               const core::topology_journal::queue_maker& make);

// The same while the shards run, as one change of the control. `then` runs there, once everything is in. Fails with
// what is wrong with the text itself; what does not go with what is there is the refusal of the change.
[[nodiscard]] result<core::install, std::string> install_definitions(
    std::string_view text, const read_options& options, std::function<void(const core::topology_journal&)> then);

// Everything that an export holds.
[[nodiscard]] std::vector<core::definition> all_definitions(const core::topology_editor& editor,
                                                            const core::topology_journal& journal);

// The file that the configuration names, tried on nothing but that configuration.
[[nodiscard]] std::vector<config_error> check_definitions_file(const config& c);

}  // namespace linnet::app
