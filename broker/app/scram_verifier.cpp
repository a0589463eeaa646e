#include "broker/app/scram_verifier.hpp"

#include "broker/app/base64.hpp"
#include "broker/app/secret_bytes.hpp"

#include <fmt/format.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include <charconv>
#include <utility>

namespace linnet::app {
namespace {

constexpr std::string_view prefix = "SCRAM-SHA-256$";
constexpr std::size_t key_bytes = 32;
constexpr std::size_t salt_bytes = 16;

std::string sha256(std::string_view text) {
    std::string digest(key_bytes, '\0');
    const bool ok = EVP_Digest(text.data(), text.size(), reinterpret_cast<unsigned char*>(digest.data()), nullptr,
                               EVP_sha256(), nullptr) == 1;
    expect_memory_for(ok);
    return digest;
}

std::string salted(std::string_view password, std::string_view salt, std::uint32_t iterations) {
    std::string key(key_bytes, '\0');
    const bool ok = PKCS5_PBKDF2_HMAC(password.data(), static_cast<int>(password.size()), bytes_of(salt),
                                      static_cast<int>(salt.size()), static_cast<int>(iterations), EVP_sha256(),
                                      static_cast<int>(key_bytes), reinterpret_cast<unsigned char*>(key.data())) == 1;
    expect_memory_for(ok);
    return key;
}

// What stands before the separator, taken from the front with it.
std::optional<std::string_view> take_until(std::string_view& text, char separator) noexcept {
    const auto at = text.find(separator);
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const auto taken = text.substr(0, at);
    text.remove_prefix(at + 1);
    return taken;
}

}  // namespace

std::string hmac_sha256(std::string_view key, std::string_view text) {
    std::string mac(key_bytes, '\0');
    const bool ok = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()), bytes_of(text), text.size(),
                         reinterpret_cast<unsigned char*>(mac.data()), nullptr) != nullptr;
    expect_memory_for(ok);
    return mac;
}

std::string random_text(std::size_t bytes) {
    std::string text(bytes, '\0');
    const bool ok = RAND_bytes(reinterpret_cast<unsigned char*>(text.data()), static_cast<int>(bytes)) == 1;
    expect_memory_for(ok);
    return text;
}

std::optional<scram_verifier> scram_verifier::parse(std::string_view text) {
    if (!text.starts_with(prefix)) {
        return std::nullopt;
    }
    text.remove_prefix(prefix.size());
    const auto number = take_until(text, ':');
    const auto salt = take_until(text, '$');
    const auto stored = take_until(text, ':');
    if (!number || !salt || !stored) {
        return std::nullopt;
    }
    scram_verifier v;
    const auto [end, wrong] = std::from_chars(number->data(), number->data() + number->size(), v.iterations_);
    auto salt_read = from_base64(*salt);
    auto stored_read = from_base64(*stored);
    auto server_read = from_base64(text);
    if (wrong != std::errc{} || end != number->data() + number->size() || v.iterations_ < iterations_min ||
        v.iterations_ > iterations_max || !salt_read || !stored_read || stored_read->size() != key_bytes ||
        !server_read || server_read->size() != key_bytes) {
        return std::nullopt;
    }
    v.salt_ = std::move(*salt_read);
    v.stored_key_ = std::move(*stored_read);
    v.server_key_ = std::move(*server_read);
    return v;
}

scram_verifier scram_verifier::of(std::string_view password, std::string salt, std::uint32_t iterations) {
    auto key = salted(password, salt, iterations);
    scram_verifier v;
    v.iterations_ = iterations;
    v.salt_ = std::move(salt);
    v.stored_key_ = sha256(hmac_sha256(key, "Client Key"));
    v.server_key_ = hmac_sha256(key, "Server Key");
    OPENSSL_cleanse(key.data(), key.size());
    return v;
}

std::string scram_verifier::to_text() const {
    return fmt::format("{}{}:{}${}:{}", prefix, iterations_, base64(salt_), base64(stored_key_), base64(server_key_));
}

bool scram_verifier::accepts(std::string_view said, std::string_view proof) const {
    auto client_key = hmac_sha256(stored_key_, said);
    if (proof.size() != client_key.size()) {
        return false;
    }
    for (std::size_t i = 0; i < proof.size(); ++i) {
        client_key[i] = static_cast<char>(client_key[i] ^ proof[i]);
    }
    return same_secret(sha256(client_key), stored_key_);
}

std::string scram_verifier::signature(std::string_view said) const { return hmac_sha256(server_key_, said); }

bool scram_verifier::opens_with(std::string_view password) const {
    return same_secret(of(password, salt_, iterations_).stored_key_, stored_key_);
}

std::string scram_sha256(std::string_view password, std::uint32_t iterations) {
    return scram_verifier::of(password, random_text(salt_bytes), iterations).to_text();
}

}  // namespace linnet::app
