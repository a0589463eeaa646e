// What commands that change something have in common: --dry-run says it, --quiet keeps still, --yes does not ask.
#pragma once

#include "clients/cli/target.hpp"

namespace linnet::cli {

// PUT; tells whether the thing was made or was there.
result<void> make(const invocation& call, management& api, const std::string& path, const json_value& body,
                  const std::string& what);

// DELETE, after it was confirmed.
result<void> unmake(const invocation& call, management& api, const std::string& path, const std::string& what,
                    const std::string& reason = {});

}  // namespace linnet::cli
