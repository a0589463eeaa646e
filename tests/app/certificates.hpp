#pragma once

#include <string>

namespace linnet::test {

struct pem_pair {
    std::string certificate;
    std::string key;
};

// A fresh P-256 key and a certificate for "localhost" that it signs itself, good for an hour.
[[nodiscard]] pem_pair make_certificate();

// The same key under a password.
[[nodiscard]] std::string encrypted_key(const pem_pair& pair, std::string password);

}  // namespace linnet::test
