#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace linnet::app {

// As passwords' hashes are written: with padding, no line breaks.
[[nodiscard]] std::string base64(std::string_view bytes);
// None: that is no base64, or more than any hash has.
[[nodiscard]] std::optional<std::string> from_base64(std::string_view text);

}  // namespace linnet::app
