#include "broker/base/random.hpp"

#include "broker/base/assert.hpp"

#include <sys/random.h>

#include <cerrno>

namespace linnet {

void fill_random(std::span<std::uint8_t> bytes) {
    while (!bytes.empty()) {
        const auto n = ::getrandom(bytes.data(), bytes.size(), 0);
        LINNET_ASSERT(n > 0 || errno == EINTR, "getrandom: {}", errno);
        bytes = bytes.subspan(n > 0 ? static_cast<std::size_t>(n) : 0);
    }
}

}  // namespace linnet
