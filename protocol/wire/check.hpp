// An assertion for codecs that is on wherever LINNET_DEBUG_CHECKS is, whatever NDEBUG says.
//
// Never about bytes that a peer has sent: only about what our own caller has promised.
#pragma once

#include <cstdio>
#include <cstdlib>

namespace linnet::wire::detail {

[[noreturn]] inline void check_failed(const char* condition, const char* file, int line) noexcept {
    std::fprintf(stderr, "%s:%d: the caller broke a promise: %s\n", file, line, condition);
    std::abort();
}

}  // namespace linnet::wire::detail

#ifdef LINNET_DEBUG_CHECKS
#define LINNET_WIRE_CHECK(condition)                                                                                   \
    (static_cast<bool>(condition) ? void(0) : ::linnet::wire::detail::check_failed(#condition, __FILE__, __LINE__))
#else
#define LINNET_WIRE_CHECK(condition) void(0)
#endif
