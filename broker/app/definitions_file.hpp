#pragma once

#include "broker/app/config_merge.hpp"
#include "broker/app/placed_json.hpp"
#include "broker/base/result.hpp"
#include "broker/core/definitions.hpp"

#include <string>
#include <string_view>
#include <vector>

// Definitions as RabbitMQ exports and imports them: a JSON file of users, vhosts, rights, policies, exchanges,
// queues and bindings.

namespace linnet::app {

struct placed_definition {
    core::definition what;
    position at;
};

// In the order in which they depend on each other.
using definitions_document = std::vector<placed_definition>;

struct read_options {
    std::string source;       // for places in errors
    std::string vhost = "/";  // of a file that was exported of a single one, whose things name none
};

// Reads what RabbitMQ 3.x and 4.x and Linnet write. What this broker does not know is passed over, except where it
// would mean something else without; parameters of plugins are carried along.
//
// Fails: with every mistake that can be seen in the file itself.
[[nodiscard]] result<definitions_document, std::vector<config_error>> read_definitions(std::string_view text,
                                                                                       const read_options& options);

struct write_options {
    std::string rabbitmq_version;  // whose format this is
    std::string version;           // of this broker
    std::string vhost;             // of that one alone, which is then not named; empty: everything
};

// The same topology gives the same bytes. Notes are the store's own and are left out.
[[nodiscard]] std::string write_definitions(std::vector<core::definition> all, const write_options& options);

// JSON as a value of the core's, which has a place for everything in it.
[[nodiscard]] core::value to_value(const placed_json& v);

// In an export's words; empty for forms that RabbitMQ does not have.
[[nodiscard]] std::string_view hashing_algorithm_of(std::string_view hash);

}  // namespace linnet::app
