#pragma once

#include <tl/expected.hpp>

// A value or the reason why there is none. One alias, so that it can become std::expected later.

namespace linnet {

template <class T, class E>
using result = tl::expected<T, E>;

template <class E>
[[nodiscard]] auto fail(E&& error) {
    return tl::unexpected<std::decay_t<E>>(std::forward<E>(error));
}

}  // namespace linnet
