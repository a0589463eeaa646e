#pragma once

#include "broker/app/config.hpp"

#include <string>
#include <string_view>

// What a configuration named, kept in the store: so that a later one which no longer names it takes it away, and
// nothing that came to be in another way.

namespace linnet::app {

// JSON. `default_user`: guest was made because there was nobody.
[[nodiscard]] std::string names_in(const config& c, bool default_user);

// Users, permissions and policies with nothing but their names. Text that is none of ours names nothing.
struct configured_names {
    config names;
    bool default_user = false;
};
[[nodiscard]] configured_names names_from(std::string_view text);

}  // namespace linnet::app
