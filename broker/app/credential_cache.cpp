#include "broker/app/credential_cache.hpp"

#include "broker/app/secret_bytes.hpp"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <cstdint>
#include <string>

namespace linnet::app {

credential_cache::credential_cache(std::size_t entries_max, mono_ns lifetime)
    : entries_max_{entries_max}, lifetime_{lifetime}, key_{} {
    const bool ok = RAND_bytes(key_.data(), static_cast<int>(key_.size())) == 1;
    expect_memory_for(ok);
}

credential_cache::~credential_cache() { OPENSSL_cleanse(key_.data(), key_.size()); }

credential_cache::fingerprint credential_cache::fingerprint_of(std::string_view user, std::string_view password) const {
    // The length keeps ("ab", "c") and ("a", "bc") apart.
    auto text = std::to_string(user.size());
    text += ':';
    text += user;
    text += password;
    auto result = fingerprint{};
    auto length = static_cast<unsigned>(result.size());
    const auto* done = HMAC(EVP_sha256(), key_.data(), static_cast<int>(key_.size()),
                            reinterpret_cast<const unsigned char*>(text.data()), text.size(), result.data(), &length);
    OPENSSL_cleanse(text.data(), text.size());
    expect_memory_for(done != nullptr && length == result.size());
    return result;
}

bool credential_cache::contains(const fingerprint& f, mono_ns now) const {
    const auto it = entries_.find(f);
    return it != entries_.end() && now < it->second;
}

void credential_cache::remember(const fingerprint& f, mono_ns now) {
    if (entries_.size() >= entries_max_) {
        std::erase_if(entries_, [&](const auto& e) { return e.second <= now; });
    }
    if (entries_.size() >= entries_max_ && !entries_.contains(f)) {
        entries_.erase(entries_.begin());
    }
    entries_.insert_or_assign(f, now + lifetime_);
}

}  // namespace linnet::app
