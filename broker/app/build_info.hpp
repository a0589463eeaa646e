#pragma once

#include <string>

namespace linnet::app {

// "linnet 0.1.0 (1da8596, gcc 12.2.0, asio 1.22.1, openssl 3.0.11)"
[[nodiscard]] std::string version_line();

// "0.1.0"
[[nodiscard]] std::string version_number();

// The same and more, one "name: value" a line.
[[nodiscard]] std::string build_info_text();

}  // namespace linnet::app
