#include "broker/app/password.hpp"

#include "broker/app/base64.hpp"
#include "broker/app/secret_bytes.hpp"

#include <argon2.h>
#include <crypt.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <array>
#include <memory>
#include <vector>

namespace linnet::app {
namespace {

constexpr std::uint32_t argon2_memory_kib = 19'456;
constexpr std::uint32_t argon2_passes = 2;
constexpr std::uint32_t argon2_lanes = 1;
constexpr std::uint32_t argon2_memory_kib_max = 256 * 1024;
constexpr std::uint32_t argon2_passes_max = 16;
constexpr std::size_t rabbitmq_salt_bytes = 4;

template <std::size_t N>
std::array<unsigned char, N> random_bytes() {
    auto bytes = std::array<unsigned char, N>{};
    const bool ok = RAND_bytes(bytes.data(), static_cast<int>(N)) == 1;
    expect_memory_for(ok);
    return bytes;
}

std::string salted_digest(const EVP_MD* algorithm, std::string_view salt, std::string_view password) {
    auto digest = std::array<unsigned char, EVP_MAX_MD_SIZE>{};
    auto length = 0U;
    const auto context = std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)>{EVP_MD_CTX_new(), EVP_MD_CTX_free};
    const bool ok = context && EVP_DigestInit_ex(context.get(), algorithm, nullptr) == 1 &&
                    EVP_DigestUpdate(context.get(), salt.data(), salt.size()) == 1 &&
                    EVP_DigestUpdate(context.get(), password.data(), password.size()) == 1 &&
                    EVP_DigestFinal_ex(context.get(), digest.data(), &length) == 1;
    // An algorithm that the provider refuses (MD5 under FIPS) matches nothing.
    return ok ? std::string{reinterpret_cast<const char*>(digest.data()), length} : std::string{};
}

bool matches_digest(const EVP_MD* algorithm, std::string_view stored, std::string_view password) {
    const auto salt = stored.substr(0, rabbitmq_salt_bytes);
    return same_secret(salted_digest(algorithm, salt, password), stored.substr(rabbitmq_salt_bytes));
}

bool matches_crypt(const std::string& stored, std::string_view password) {
    // crypt(3) takes C strings: what stands behind a NUL would not count, and "a" would open "a\0b".
    if (password.find('\0') != std::string_view::npos) {
        return false;
    }
    const auto work = std::make_unique<crypt_data>();  // 32 KiB: not for a stack
    const auto secret = std::string{password};
    const char* hashed = crypt_r(secret.c_str(), stored.c_str(), work.get());
    return hashed != nullptr && same_secret(hashed, stored);
}

// Reads "name=<number>" and the comma behind it, if any.
std::optional<std::uint32_t> take_parameter(std::string_view& text, std::string_view name) {
    if (!text.starts_with(name)) {
        return std::nullopt;
    }
    text.remove_prefix(name.size());
    auto number = std::uint64_t{0};
    auto digits = std::size_t{0};
    while (digits < text.size() && digits < 9 && text[digits] >= '0' && text[digits] <= '9') {
        number = number * 10 + static_cast<std::uint64_t>(text[digits++] - '0');
    }
    if (digits == 0) {
        return std::nullopt;
    }
    text.remove_prefix(digits);
    if (text.starts_with(',')) {
        text.remove_prefix(1);
    }
    return static_cast<std::uint32_t>(number);
}

bool is_bounded_argon2id(std::string_view text) {
    constexpr auto prefix = std::string_view{"$argon2id$v=19$"};
    if (!text.starts_with(prefix) || text.size() > 512 || text.find('\0') != std::string_view::npos) {
        return false;
    }
    text.remove_prefix(prefix.size());
    const auto memory = take_parameter(text, "m=");
    const auto passes = take_parameter(text, "t=");
    const auto lanes = take_parameter(text, "p=");
    const auto salt_and_hash = text.find('$', 1);
    return memory && passes && lanes && *memory >= 8 && *memory <= argon2_memory_kib_max && *passes >= 1 &&
           *passes <= argon2_passes_max && *lanes >= 1 && *lanes <= 16 && text.starts_with('$') &&
           salt_and_hash != std::string_view::npos && salt_and_hash + 1 < text.size();
}

// "$2b$10$" and 53 letters of salt and hash; each step of the cost doubles the work: 16 is some 4 s.
bool is_bounded_bcrypt(std::string_view text) {
    constexpr std::size_t size = 60;
    const auto cost = text.size() == size ? text.substr(4, 2) : std::string_view{};
    return text.size() == size && text[6] == '$' && cost >= "04" && cost <= "16" && cost[1] >= '0' && cost[1] <= '9';
}

// "$6$rounds=5000$salt$hash"; without the word it is 5000 rounds.
bool is_bounded_sha_crypt(std::string_view text) {
    constexpr std::uint32_t rounds_max = 1'000'000;
    text.remove_prefix(3);
    if (!text.starts_with("rounds=")) {
        return true;
    }
    const auto rounds = take_parameter(text, "rounds=");
    return rounds && *rounds <= rounds_max && text.starts_with('$');
}

bool is_crypt(const std::string& text) {
    // crypt_checksalt() calls some good forms legacy ($5$); which ones we take is said below.
    if (text.find('\0') != std::string::npos || text.size() > 256 ||
        crypt_checksalt(text.c_str()) == CRYPT_SALT_INVALID) {
        return false;
    }
    const auto begins = [&](std::string_view prefix) { return text.starts_with(prefix); };
    if (begins("$2a$") || begins("$2b$") || begins("$2y$")) {
        return is_bounded_bcrypt(text);
    }
    if (begins("$5$") || begins("$6$")) {
        return is_bounded_sha_crypt(text);
    }
    return begins("$y$");
}

}  // namespace

std::optional<password_hash> password_hash::parse(std::string_view stored) {
    auto text = std::string{stored};
    if (is_bounded_argon2id(stored)) {
        return password_hash{form::argon2id, std::move(text)};
    }
    if (is_crypt(text)) {
        return password_hash{form::crypt, std::move(text)};
    }
    if (auto verifier = scram_verifier::parse(stored)) {
        password_hash made{form::scram_sha256, std::move(text)};
        made.scram_ = std::move(verifier);
        return made;
    }
    auto bytes = from_base64(stored);
    if (!bytes) {
        return std::nullopt;
    }
    switch (bytes->size()) {
        case rabbitmq_salt_bytes + 32: return password_hash{form::rabbitmq_sha256, std::move(*bytes)};
        case rabbitmq_salt_bytes + 64: return password_hash{form::rabbitmq_sha512, std::move(*bytes)};
        case rabbitmq_salt_bytes + 16: return password_hash{form::rabbitmq_md5, std::move(*bytes)};
    }
    return std::nullopt;
}

bool password_hash::matches(std::string_view password) const {
    switch (form_) {
        case form::argon2id: return argon2id_verify(text_.c_str(), password.data(), password.size()) == ARGON2_OK;
        case form::rabbitmq_sha256: return matches_digest(EVP_sha256(), text_, password);
        case form::rabbitmq_sha512: return matches_digest(EVP_sha512(), text_, password);
        case form::rabbitmq_md5: return matches_digest(EVP_md5(), text_, password);
        case form::crypt: return matches_crypt(text_, password);
        case form::scram_sha256: return scram_->opens_with(password);
    }
    return false;
}

hash_cost password_hash::cost() const noexcept {
    switch (form_) {
        case form::argon2id:
        case form::crypt: return hash_cost::dear;
        case form::rabbitmq_sha256:
        case form::rabbitmq_sha512:
        case form::rabbitmq_md5:
        case form::scram_sha256: break;
    }
    return hash_cost::cheap;
}

std::string argon2id(std::string_view password) {
    constexpr std::size_t hash_bytes = 32;
    const auto salt = random_bytes<16>();
    auto text = std::string(
        argon2_encodedlen(argon2_passes, argon2_memory_kib, argon2_lanes, salt.size(), hash_bytes, Argon2_id), '\0');
    const int status = argon2id_hash_encoded(argon2_passes, argon2_memory_kib, argon2_lanes, password.data(),
                                             password.size(), salt.data(), salt.size(), hash_bytes, text.data(),
                                             text.size());
    expect_memory_for(status == ARGON2_OK);
    text.resize(text.find('\0'));
    return text;
}

std::string salted_sha256(std::string_view password) {
    const auto random = random_bytes<rabbitmq_salt_bytes>();
    const auto salt = std::string{reinterpret_cast<const char*>(random.data()), random.size()};
    const auto digest = salted_digest(EVP_sha256(), salt, password);
    expect_memory_for(!digest.empty());  // it will be stored
    return base64(salt + digest);
}

}  // namespace linnet::app
