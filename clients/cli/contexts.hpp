// The brokers that a person has given names to, in $XDG_CONFIG_HOME/linnet/contexts.json, which only they may read:
// URLs hold passwords.
//
// Fails:    exit_code::config when the file cannot be understood, exit_code::io when it cannot be read or written.
#pragma once

#include "clients/cli/failure.hpp"

#include <map>
#include <string>

namespace linnet::cli {

struct context {
    std::string url;
    std::string vhost;  // empty: the URL's
};

struct contexts {
    std::map<std::string, context> all;
    std::string current;  // empty: none

    [[nodiscard]] static std::string path();
    // Without a file there are none.
    [[nodiscard]] static result<contexts> load();
    [[nodiscard]] result<void> save() const;
};

}  // namespace linnet::cli
