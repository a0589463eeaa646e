#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>

namespace linnet {

// An integer that cannot be mistaken for another kind of integer: `using queue_slot = strong_id<struct
// queue_slot_tag>`.
template <class Tag, class Rep = std::uint32_t>
struct strong_id {
    Rep value{};

    constexpr auto operator<=>(const strong_id&) const = default;
};

}  // namespace linnet

template <class Tag, class Rep>
struct std::hash<linnet::strong_id<Tag, Rep>> {
    std::size_t operator()(linnet::strong_id<Tag, Rep> id) const noexcept { return std::hash<Rep>{}(id.value); }
};
