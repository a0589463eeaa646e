#include "broker/app/token_key.hpp"

#include "broker/app/placed_json.hpp"
#include "broker/app/scram_verifier.hpp"
#include "broker/app/secret_bytes.hpp"

#include <fmt/format.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <array>
#include <utility>

namespace linnet::app {

namespace {

constexpr std::array<std::pair<std::string_view, token_algorithm>, 4> algorithms{{
    {"RS256", token_algorithm::rs256},
    {"ES256", token_algorithm::es256},
    {"EdDSA", token_algorithm::eddsa},
    {"HS256", token_algorithm::hs256},
}};

constexpr int rsa_bits_min = 2048;
constexpr std::size_t p256_bytes = 32;  // of a coordinate, and of each half of a signature
constexpr std::size_t ed25519_bytes = 32;

template <auto Free>
struct deleter {
    template <class T>
    void operator()(T* p) const noexcept {
        Free(p);
    }
};
using pkey_ptr = std::unique_ptr<EVP_PKEY, deleter<EVP_PKEY_free>>;
using pkey_context = std::unique_ptr<EVP_PKEY_CTX, deleter<EVP_PKEY_CTX_free>>;
using digest_context = std::unique_ptr<EVP_MD_CTX, deleter<EVP_MD_CTX_free>>;
using bignum = std::unique_ptr<BIGNUM, deleter<BN_free>>;
using param_builder = std::unique_ptr<OSSL_PARAM_BLD, deleter<OSSL_PARAM_BLD_free>>;
using param_list = std::unique_ptr<OSSL_PARAM, deleter<OSSL_PARAM_free>>;
using ecdsa_signature = std::unique_ptr<ECDSA_SIG, deleter<ECDSA_SIG_free>>;

[[nodiscard]] bignum number_of(std::string_view big_endian) {
    return bignum(BN_bin2bn(bytes_of(big_endian), static_cast<int>(big_endian.size()), nullptr));
}

[[nodiscard]] pkey_ptr key_from(const char* type, OSSL_PARAM_BLD* parts) {
    const param_list list(OSSL_PARAM_BLD_to_param(parts));
    const pkey_context context(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
    EVP_PKEY* made = nullptr;
    if (list == nullptr || context == nullptr || EVP_PKEY_fromdata_init(context.get()) != 1 ||
        EVP_PKEY_fromdata(context.get(), &made, EVP_PKEY_PUBLIC_KEY, list.get()) != 1) {
        return nullptr;
    }
    pkey_ptr key(made);
    const pkey_context check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.get(), nullptr));
    return check != nullptr && EVP_PKEY_public_check(check.get()) == 1 ? std::move(key) : nullptr;
}

[[nodiscard]] pkey_ptr rsa_key(std::string_view modulus, std::string_view exponent) {
    const auto n = number_of(modulus);
    const auto e = number_of(exponent);
    const param_builder parts(OSSL_PARAM_BLD_new());
    if (n == nullptr || e == nullptr || parts == nullptr || BN_num_bits(n.get()) < rsa_bits_min ||
        OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_N, n.get()) != 1 ||
        OSSL_PARAM_BLD_push_BN(parts.get(), OSSL_PKEY_PARAM_RSA_E, e.get()) != 1) {
        return nullptr;
    }
    return key_from("RSA", parts.get());
}

[[nodiscard]] pkey_ptr p256_key(std::string_view x, std::string_view y) {
    if (x.size() != p256_bytes || y.size() != p256_bytes) {
        return nullptr;
    }
    const auto point = "\x04" + std::string(x) + std::string(y);  // uncompressed
    const param_builder parts(OSSL_PARAM_BLD_new());
    if (parts == nullptr ||
        OSSL_PARAM_BLD_push_utf8_string(parts.get(), OSSL_PKEY_PARAM_GROUP_NAME, "prime256v1", 0) != 1 ||
        OSSL_PARAM_BLD_push_octet_string(parts.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size()) != 1) {
        return nullptr;
    }
    return key_from("EC", parts.get());
}

[[nodiscard]] pkey_ptr ed25519_key(std::string_view x) {
    return x.size() != ed25519_bytes
               ? nullptr
               : pkey_ptr(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, bytes_of(x), x.size()));
}

// A JWS has the two halves side by side, OpenSSL wants them in DER.
[[nodiscard]] std::optional<std::string> der_of(std::string_view signature) {
    if (signature.size() != 2 * p256_bytes) {
        return std::nullopt;
    }
    auto r = number_of(signature.substr(0, p256_bytes));
    auto s = number_of(signature.substr(p256_bytes));
    const ecdsa_signature both(ECDSA_SIG_new());
    if (r == nullptr || s == nullptr || both == nullptr || ECDSA_SIG_set0(both.get(), r.get(), s.get()) != 1) {
        return std::nullopt;
    }
    static_cast<void>(r.release());  // they are its own now
    static_cast<void>(s.release());
    unsigned char* made = nullptr;
    const int size = i2d_ECDSA_SIG(both.get(), &made);
    if (size <= 0) {
        return std::nullopt;
    }
    std::string der(reinterpret_cast<const char*>(made), static_cast<std::size_t>(size));
    OPENSSL_free(made);
    return der;
}

// ---- A key set ---------------------------------------------------------------------------------

[[nodiscard]] std::string text_or_nothing(const placed_json& entry, std::string_view name) {
    const auto* found = entry.find(name);
    const auto* text = found == nullptr ? nullptr : found->as<std::string>();
    return text == nullptr ? std::string{} : *text;
}

[[nodiscard]] std::string bytes_in(const placed_json& entry, std::string_view name) {
    return from_base64url(text_or_nothing(entry, name)).value_or("");
}

[[nodiscard]] bool is_for_verifying(const placed_json& entry) {
    const auto use = text_or_nothing(entry, "use");
    if (!use.empty() && use != "sig") {
        return false;
    }
    const auto* listed = entry.find("key_ops");
    const auto* operations = listed == nullptr ? nullptr : listed->as<placed_json::list>();
    if (operations == nullptr) {
        return true;
    }
    for (const auto& one : *operations) {
        if (const auto* text = one.as<std::string>(); text != nullptr && *text == "verify") {
            return true;
        }
    }
    return false;
}

struct found_key {
    token_algorithm algorithm;
    pkey_ptr key;
};
[[nodiscard]] std::optional<found_key> key_in(const placed_json& entry) {
    const auto type = text_or_nothing(entry, "kty");
    const auto curve = text_or_nothing(entry, "crv");
    if (type == "RSA") {
        return found_key{token_algorithm::rs256, rsa_key(bytes_in(entry, "n"), bytes_in(entry, "e"))};
    }
    if (type == "EC" && curve == "P-256") {
        return found_key{token_algorithm::es256, p256_key(bytes_in(entry, "x"), bytes_in(entry, "y"))};
    }
    if (type == "OKP" && curve == "Ed25519") {
        return found_key{token_algorithm::eddsa, ed25519_key(bytes_in(entry, "x"))};
    }
    return std::nullopt;
}

[[nodiscard]] int base64url_value(char c) noexcept {
    if (c >= 'A' && c <= 'Z') {
        return c - 'A';
    }
    if (c >= 'a' && c <= 'z') {
        return c - 'a' + 26;
    }
    if (c >= '0' && c <= '9') {
        return c - '0' + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : -1;
}

}  // namespace

struct token_key::public_key {
    pkey_ptr key;
};

std::optional<token_algorithm> token_algorithm_named(std::string_view name) noexcept {
    for (const auto& [known, a] : algorithms) {
        if (known == name) {
            return a;
        }
    }
    return std::nullopt;
}

token_key::token_key(std::string id, token_algorithm fits, std::shared_ptr<const public_key> key)
    : id_(std::move(id)), algorithm_(fits), key_(std::move(key)) {}

token_key token_key::of_secret(std::string secret) {
    token_key made({}, token_algorithm::hs256, nullptr);
    made.secret_ = std::move(secret);
    return made;
}

bool token_key::verifies(std::string_view text, std::string_view signature) const {
    if (algorithm_ == token_algorithm::hs256) {
        return same_secret(signature, hmac_sha256(secret_, text));
    }
    std::string der;
    if (algorithm_ == token_algorithm::es256) {
        auto made = der_of(signature);
        if (!made) {
            return false;
        }
        der = std::move(*made);
        signature = der;
    }
    // Ed25519 digests by itself.
    const auto* digest = algorithm_ == token_algorithm::eddsa ? nullptr : EVP_sha256();
    const digest_context context(EVP_MD_CTX_new());
    return context != nullptr && EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key_->key.get()) == 1 &&
           EVP_DigestVerify(context.get(), bytes_of(signature), signature.size(), bytes_of(text), text.size()) == 1;
}

result<std::vector<token_key>, std::string> read_key_set(std::string_view json) {
    const auto read = parse_json(json, {});
    if (!read) {
        return fail(
            fmt::format("line {}, column {}: {}", read.error().at.line, read.error().at.column, read.error().what));
    }
    const auto* listed = read->find("keys");
    const auto* entries = listed == nullptr ? nullptr : listed->as<placed_json::list>();
    if (entries == nullptr) {
        return fail(std::string("a key set is an object with a list of \"keys\""));
    }
    std::vector<token_key> keys;
    for (const auto& entry : *entries) {
        auto found = is_for_verifying(entry) ? key_in(entry) : std::nullopt;
        if (!found) {
            continue;
        }
        const auto said = text_or_nothing(entry, "alg");
        if (!said.empty() && token_algorithm_named(said) != found->algorithm) {
            continue;  // for another algorithm, such as RS512
        }
        auto id = text_or_nothing(entry, "kid");
        if (found->key == nullptr) {
            return fail(fmt::format("line {}: key \"{}\" is none: a part is missing or wrong, or it is too short",
                                    entry.line, id));
        }
        for (const auto& other : keys) {
            if (other.id() == id && other.algorithm() == found->algorithm) {
                return fail(fmt::format("line {}: there is a key \"{}\" already", entry.line, id));
            }
        }
        keys.emplace_back(std::move(id), found->algorithm,
                          std::make_shared<const token_key::public_key>(token_key::public_key{std::move(found->key)}));
    }
    if (keys.empty()) {
        return fail(std::string("there is no key in it for RS256, ES256 or EdDSA"));
    }
    return keys;
}

std::optional<std::string> from_base64url(std::string_view text) {
    std::string out;
    out.reserve(text.size() * 3 / 4);
    std::uint32_t held = 0;
    unsigned bits = 0;
    for (const char c : text) {
        const int value = base64url_value(c);
        if (value < 0) {
            return std::nullopt;
        }
        held = (held << 6U | static_cast<std::uint32_t>(value)) & 0xffffU;
        bits += 6;
        if (bits >= 8) {
            bits -= 8;
            out += static_cast<char>(held >> bits & 0xffU);
        }
    }
    // What is left over is less than a letter, and zeros: else two spellings would mean the same.
    const bool whole = bits < 6 && (held & ((1U << bits) - 1)) == 0;
    return whole ? std::optional(std::move(out)) : std::nullopt;
}

}  // namespace linnet::app
