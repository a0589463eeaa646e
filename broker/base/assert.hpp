#pragma once

#include <fmt/format.h>

#include <string_view>

// Assertions are for our own mistakes only; what a peer or a disk controls is answered with a value.
//
// LINNET_ASSERT stays on in every build: use it where the path is cold. LINNET_DEBUG_ASSERT is compiled
// in when LINNET_DEBUG_CHECKS is set (presets dev, asan, tsan, fuzz): use it on hot paths.
// Both print the expression, the place and a formatted message to stderr, then abort.

namespace linnet::detail {

[[noreturn]] void assertion_failed(std::string_view expression, std::string_view file, int line,
                                   std::string_view message) noexcept;

}  // namespace linnet::detail

#define LINNET_ASSERT(cond, ...)                                                                                       \
    do {                                                                                                               \
        if (!(cond)) [[unlikely]] {                                                                                    \
            ::linnet::detail::assertion_failed(#cond, __FILE__, __LINE__, ::fmt::format(__VA_ARGS__));                 \
        }                                                                                                              \
    } while (false)

#if defined(LINNET_DEBUG_CHECKS)
#define LINNET_DEBUG_ASSERT(cond, ...) LINNET_ASSERT(cond, __VA_ARGS__)
#else
#define LINNET_DEBUG_ASSERT(cond, ...)                                                                                 \
    do {                                                                                                               \
    } while (false)
#endif
