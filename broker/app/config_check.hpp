#pragma once

#include "broker/app/config_merge.hpp"
#include "broker/app/config_schema.hpp"

#include <map>

namespace linnet::app {

// Where each value was said, by its path: "limits.queues", "user[1].password_hash". An element's own
// path ("user[1]") is where it begins. What nobody said is not in it.
using places = std::map<std::string, position, std::less<>>;

// Puts the values of a merged tree into `into`, each checked against its row of the schema; the defaults
// go first. Errors are appended; `into` is usable only if there were none.
void check_values(const node::table& tree, const environment& variables, config& into, places& where,
                  std::vector<placed_error>& errors);

// Fills in what depends on several values (listeners when none are given, the guest user, the node's
// name) and checks what one value alone cannot show: references, duplicates, certificates, expressions.
void check_whole(config& values, const places& where, std::vector<placed_error>& errors,
                 std::vector<std::string>& warnings);

}  // namespace linnet::app
