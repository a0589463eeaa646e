#pragma once

#include <openssl/crypto.h>

#include <new>
#include <string_view>

// Texts as OpenSSL takes them, and what it means when it fails.

namespace linnet::app {

[[nodiscard]] inline const unsigned char* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

// Takes as long wherever they differ; that their sizes do is no secret.
[[nodiscard]] inline bool same_secret(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// Of functions over algorithms that OpenSSL and argon2 always have: these fail for want of memory only. An assertion
// would call that our mistake, and going on would keep a wrong hash.
inline void expect_memory_for(bool done) {
    if (!done) {
        throw std::bad_alloc();
    }
}

}  // namespace linnet::app
