#include "broker/base/assert.hpp"

#include <cstdio>
#include <cstdlib>

namespace linnet::detail {

void assertion_failed(std::string_view expression, std::string_view file, int line, std::string_view message) noexcept {
    std::fprintf(stderr, "assertion failed: %.*s at %.*s:%d: %.*s\n", static_cast<int>(expression.size()),
                 expression.data(), static_cast<int>(file.size()), file.data(), line, static_cast<int>(message.size()),
                 message.data());
    std::abort();
}

}  // namespace linnet::detail
