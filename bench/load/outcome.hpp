// A value, or one sentence for the person at the terminal that says why there is none.
#pragma once

#include <fmt/format.h>

#include <string>
#include <tl/expected.hpp>
#include <utility>

namespace linnet::load {

template <class T>
using outcome = tl::expected<T, std::string>;

template <class... Args>
[[nodiscard]] tl::unexpected<std::string> failure(fmt::format_string<Args...> text, Args&&... args) {
    return tl::unexpected<std::string>(fmt::format(text, std::forward<Args>(args)...));
}

}  // namespace linnet::load
