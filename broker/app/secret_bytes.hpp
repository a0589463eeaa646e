#pragma once

#include <openssl/crypto.h>

#include <string_view>

// Texts as OpenSSL takes them.

namespace linnet::app {

[[nodiscard]] inline const unsigned char* bytes_of(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

// Takes as long wherever they differ; that their sizes do is no secret.
[[nodiscard]] inline bool same_secret(std::string_view a, std::string_view b) noexcept {
    return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace linnet::app
