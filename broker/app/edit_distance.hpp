#pragma once

#include <span>
#include <string_view>

namespace linnet::app {

// How many letters must be inserted, removed, changed or swapped with a neighbour to turn one into the other.
[[nodiscard]] std::size_t edit_distance(std::string_view a, std::string_view b);

// The name that was probably meant, or an empty view when none is near enough to suggest.
[[nodiscard]] std::string_view closest(std::string_view wrong, std::span<const std::string_view> names);

}  // namespace linnet::app
