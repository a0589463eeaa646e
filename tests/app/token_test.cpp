// Tokens that are good, and every known way to pass off one that is not (RFC 8725).

#include "broker/app/scram_verifier.hpp"
#include "broker/app/token_verifier.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::app {
namespace {

using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr wall_ns now = 1'700'000'000 * ns_per_s;

[[nodiscard]] std::string base64url(std::string_view bytes) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    unsigned held = 0;
    unsigned bits = 0;
    for (const char c : bytes) {
        held = held << 8U | static_cast<unsigned char>(c);
        bits += 8;
        for (; bits >= 6; bits -= 6) {
            out += letters[held >> (bits - 6) & 63U];
        }
    }
    if (bits != 0) {
        out += letters[held << (6 - bits) & 63U];
    }
    return out;
}

// A key pair of one kind: its entry in a key set, and its signatures.
class signer {
public:
    explicit signer(std::string_view algorithm) : algorithm_(algorithm) {
        key_.reset(algorithm == "RS256"   ? EVP_RSA_gen(2048)
                   : algorithm == "ES256" ? EVP_EC_gen("prime256v1")
                                          : EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    }
    [[nodiscard]] json entry(const std::string& id) const {
        json e{{"kid", id}, {"use", "sig"}};
        if (algorithm_ == "RS256") {
            e.update({{"kty", "RSA"}, {"n", number("n")}, {"e", number("e")}});
        } else if (algorithm_ == "ES256") {
            e.update({{"kty", "EC"}, {"crv", "P-256"}, {"x", number("qx")}, {"y", number("qy")}});
        } else {
            std::array<unsigned char, 32> raw{};
            auto size = raw.size();
            EXPECT_EQ(EVP_PKEY_get_raw_public_key(key_.get(), raw.data(), &size), 1);
            e.update({{"kty", "OKP"},
                      {"crv", "Ed25519"},
                      {"x", base64url({reinterpret_cast<const char*>(raw.data()), raw.size()})}});
        }
        return e;
    }
    [[nodiscard]] std::string sign(std::string_view text) const {
        const auto* digest = algorithm_ == "EdDSA" ? nullptr : EVP_sha256();
        const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> c(EVP_MD_CTX_new(), EVP_MD_CTX_free);
        const auto* in = reinterpret_cast<const unsigned char*>(text.data());
        std::string out(1024, '\0');
        auto size = out.size();
        EXPECT_EQ(EVP_DigestSignInit(c.get(), nullptr, digest, nullptr, key_.get()), 1);
        EXPECT_EQ(EVP_DigestSign(c.get(), reinterpret_cast<unsigned char*>(out.data()), &size, in, text.size()), 1);
        out.resize(size);
        return algorithm_ == "ES256" ? halves(out) : out;
    }
    [[nodiscard]] std::string pem() const {
        BIO* out = BIO_new(BIO_s_mem());
        PEM_write_bio_PUBKEY(out, key_.get());
        char* at = nullptr;
        const auto size = BIO_get_mem_data(out, &at);
        std::string text(at, static_cast<std::size_t>(size));
        BIO_free(out);
        return text;
    }
    [[nodiscard]] const std::string& algorithm() const { return algorithm_; }

private:
    [[nodiscard]] std::string number(const char* name) const {
        BIGNUM* n = nullptr;
        EXPECT_EQ(EVP_PKEY_get_bn_param(key_.get(), name, &n), 1);
        const bool coordinate = name[0] == 'q';
        std::string bytes(coordinate ? 32 : static_cast<std::size_t>(BN_num_bytes(n)), '\0');
        BN_bn2binpad(n, reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
        BN_free(n);
        return base64url(bytes);
    }
    static std::string halves(std::string_view der) {
        const auto* at = reinterpret_cast<const unsigned char*>(der.data());
        ECDSA_SIG* s = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
        std::string both(64, '\0');
        auto* to = reinterpret_cast<unsigned char*>(both.data());
        BN_bn2binpad(ECDSA_SIG_get0_r(s), to, 32);
        BN_bn2binpad(ECDSA_SIG_get0_s(s), to + 32, 32);
        ECDSA_SIG_free(s);
        return both;
    }

    std::string algorithm_;
    std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_{nullptr, EVP_PKEY_free};
};

const std::string secret = "a secret of thirty-two bytes, or so";

class Token : public testing::Test {
protected:
    static void SetUpTestSuite() {
        for (const auto* algorithm : {"RS256", "ES256", "EdDSA"}) {
            keys().push_back(std::make_unique<signer>(algorithm));
        }
    }
    static void TearDownTestSuite() { keys().clear(); }
    // Dear to make: once for all.
    static std::vector<std::unique_ptr<signer>>& keys() {
        static std::vector<std::unique_ptr<signer>> all;
        return all;
    }
    [[nodiscard]] static const signer& rsa() { return *keys()[0]; }

    Token() {
        json set{{"keys", json::array()}};
        for (const auto& k : keys()) {
            set["keys"].push_back(k->entry("key " + k->algorithm()));
        }
        rules.resource_server = "rabbitmq";
        rules.issuer = "https://issuer";
        rules.leeway = 10 * ns_per_s;
        rules.algorithms = {token_algorithm::rs256, token_algorithm::es256, token_algorithm::eddsa};
        rules.keys = std::move(*read_key_set(set.dump()));
    }

    [[nodiscard]] static std::string join(std::string_view header, std::string_view claims,
                                          const std::function<std::string(std::string_view)>& sign) {
        const auto text = base64url(header) + "." + base64url(claims);
        return text + "." + base64url(sign(text));
    }
    [[nodiscard]] static json header_of(const signer& by) {
        return {{"alg", by.algorithm()}, {"typ", "JWT"}, {"kid", "key " + by.algorithm()}};
    }
    [[nodiscard]] static std::string signed_by(const signer& by, const json& claims) {
        return join(header_of(by).dump(), claims.dump(), [&](auto text) { return by.sign(text); });
    }
    [[nodiscard]] static std::string with_header(const json& header) {
        return join(header.dump(), good_claims().dump(), [&](auto text) { return rsa().sign(text); });
    }
    [[nodiscard]] static json good_claims() {
        return {{"sub", "ann"},
                {"iss", "https://issuer"},
                {"aud", {"others", "rabbitmq"}},
                {"exp", 1'700'000'060},
                {"nbf", 1'699'999'990},
                {"scope", "rabbitmq.read:*/a other.write:*/* rabbitmq.tag:administrator openid"}};
    }
    [[nodiscard]] std::string verdict(std::string_view token) const {
        const auto who = token_verifier(rules).verify(token, now);
        return who ? who->user
                   : (who.error().what == token_fault::kind::forged ? "forged: " : "invalid: ") + who.error().why;
    }
    [[nodiscard]] std::string with(const json& changes) const {
        auto claims = good_claims();
        claims.update(changes);
        return verdict(signed_by(rsa(), claims));
    }
    [[nodiscard]] std::string without(const std::string& name) const {
        auto claims = good_claims();
        claims.erase(name);
        return verdict(signed_by(rsa(), claims));
    }

    token_rules rules;
};

TEST_F(Token, OfEachAlgorithmIsTaken) {
    for (const auto& k : keys()) {
        const auto token = signed_by(*k, good_claims());
        const auto who = token_verifier(rules).verify(token, now);
        ASSERT_TRUE(who) << k->algorithm() << ": " << who.error().why;
        EXPECT_EQ(who->user, "ann");
        EXPECT_THAT(who->tags, ElementsAre("administrator"));
        EXPECT_EQ(who->grant->ends_at(), 1'700'000'070 * ns_per_s) << "the leeway is its";
        const auto rules_there = who->grant->rules_in("v");
        ASSERT_NE(rules_there, nullptr);
        EXPECT_TRUE(rules_there->allowed(core::right::read, "a"));
        EXPECT_FALSE(rules_there->allowed(core::right::write, "a")) << "another server's scope";
        EXPECT_TRUE(looks_like_token(token));
    }
    rules.algorithms = {token_algorithm::hs256};
    rules.keys.push_back(token_key::of_secret(secret));
    EXPECT_EQ(
        verdict(join(R"({"alg":"HS256"})", good_claims().dump(), [](auto text) { return hmac_sha256(secret, text); })),
        "ann");
}

TEST_F(Token, WithAnyByteChangedIsForged) {
    for (const auto& k : keys()) {
        const auto token = signed_by(*k, good_claims());
        for (std::size_t i = 0; i < token.size(); i += 7) {
            auto other = token;
            other[i] = other[i] == 'A' ? 'B' : 'A';
            EXPECT_THAT(verdict(other), HasSubstr("forged: ")) << k->algorithm() << " at " << i;
        }
        EXPECT_THAT(verdict(token.substr(0, token.size() - 4)), HasSubstr("forged: "));
        EXPECT_THAT(verdict(token.substr(0, token.rfind('.') + 1)), HasSubstr("forged: ")) << "no signature at all";
    }
}

TEST_F(Token, SignedByNobodyIsForged) {
    for (const auto* none : {"none", "None", "NONE", "nOnE", ""}) {
        const auto token = join(json{{"alg", none}}.dump(), good_claims().dump(), [](auto) { return std::string(); });
        EXPECT_EQ(verdict(token), "forged: it is signed by none of the algorithms that are allowed") << none;
    }
    EXPECT_THAT(verdict(with_header({{"typ", "JWT"}})), HasSubstr("none of the algorithms"));
    EXPECT_THAT(verdict(with_header({{"alg", 1}})), HasSubstr("none of the algorithms"));
    EXPECT_THAT(verdict(with_header({{"alg", json::array({"RS256"})}})), HasSubstr("none of the algorithms"));
}

// What everybody knows, the public key, taken for the secret that it is not.
TEST_F(Token, SignedWithThePublicKeyAsASecretIsForged) {
    rules.keys.push_back(token_key::of_secret(secret));
    rules.algorithms.push_back(token_algorithm::hs256);
    const auto known = rsa().entry("key RS256");
    for (const auto& guess : {rsa().pem(), known.dump(), known["n"].get<std::string>(),
                              *from_base64url(known["n"].get<std::string>()), std::string()}) {
        const auto token = join(R"({"alg":"HS256","kid":"key RS256"})", good_claims().dump(),
                                [&](auto text) { return hmac_sha256(guess, text); });
        EXPECT_EQ(verdict(token), "forged: its signature is wrong");
    }
    // And the other way round: the key is of another algorithm than the token says.
    EXPECT_THAT(verdict(join(R"({"alg":"ES256","kid":"key RS256"})", good_claims().dump(),
                             [](auto text) { return rsa().sign(text); })),
                HasSubstr("a key that is not known"));
}

TEST_F(Token, IsNotSignedByWhatItBringsAlong) {
    const signer own("RS256");
    auto header = header_of(own);
    const auto sign = [&](auto text) { return own.sign(text); };
    header["jwk"] = own.entry("key RS256");
    header["jku"] = "http://127.0.0.1:1/keys";
    header["x5u"] = "file:///etc/passwd";
    header["x5c"] = json::array({"MIIB"});
    EXPECT_EQ(verdict(join(header.dump(), good_claims().dump(), sign)), "forged: its signature is wrong");
    header["kid"] = "own";
    EXPECT_EQ(verdict(join(header.dump(), good_claims().dump(), sign)),
              "forged: it is signed by a key that is not known");
    // With all of that in it, one that is signed as it should be is taken.
    header["kid"] = "key RS256";
    EXPECT_EQ(verdict(join(header.dump(), good_claims().dump(), [](auto text) { return rsa().sign(text); })), "ann");
}

TEST_F(Token, NamesItsKeyAndNothingElse) {
    for (const auto* kid : {"../../../../dev/null", "/dev/null", "key RS256\0", "key rs256", "' OR 1=1 --", "", "*"}) {
        auto header = header_of(rsa());
        header["kid"] = kid == std::string_view("key RS256") ? std::string("key RS256\0", 10) : std::string(kid);
        EXPECT_THAT(verdict(with_header(header)), HasSubstr("a key that is not known")) << kid;
    }
    EXPECT_THAT(verdict(with_header({{"alg", "RS256"}, {"kid", 1}})), HasSubstr("its kid is no text"));
    EXPECT_EQ(verdict(with_header({{"alg", "RS256"}})), "ann") << "there is one that fits";
    json two{{"keys", {rsa().entry("a"), signer("RS256").entry("b")}}};
    rules.keys = std::move(*read_key_set(two.dump()));
    EXPECT_THAT(verdict(with_header({{"alg", "RS256"}})), HasSubstr("it names no key, and there are several"));
    EXPECT_EQ(verdict(with_header({{"alg", "RS256"}, {"kid", "a"}})), "ann");
}

TEST_F(Token, WithCriticalExtensionsOrOfAnotherTypeIsRefused) {
    auto header = header_of(rsa());
    header["crit"] = json::array({"b64"});
    header["b64"] = false;
    EXPECT_THAT(verdict(with_header(header)), HasSubstr("critical extensions"));
    header = header_of(rsa());
    header["crit"] = json::array();
    EXPECT_THAT(verdict(with_header(header)), HasSubstr("critical extensions"));
    for (const json& type : {json("secevent+jwt"), json("dpop+jwt"), json(7)}) {
        header = header_of(rsa());
        header["typ"] = type;
        EXPECT_THAT(verdict(with_header(header)), HasSubstr("another type of token"));
    }
    header["typ"] = "at+jwt";
    EXPECT_EQ(verdict(with_header(header)), "ann");
}

TEST_F(Token, HoldsForATime) {
    EXPECT_EQ(without("exp"), "invalid: it never expires: exp is missing");
    EXPECT_EQ(without("nbf"), "ann");
    EXPECT_EQ(with({{"exp", 1'699'999'991}}), "ann") << "within the leeway";
    EXPECT_EQ(with({{"exp", 1'699'999'990}}), "invalid: it has expired, 10 s ago");
    EXPECT_EQ(with({{"exp", 1'700'000'000.5}}), "ann");
    EXPECT_EQ(with({{"nbf", 1'700'000'010}}), "ann");
    EXPECT_EQ(with({{"nbf", 1'700'000'011}}), "invalid: it begins to hold in 11 s");
    for (const json& wrong :
         {json("1700000060"), json(nullptr), json(true), json::array({1'700'000'060}), json::object()}) {
        EXPECT_EQ(with({{"exp", wrong}}), "invalid: its exp is no number") << wrong;
        EXPECT_EQ(with({{"nbf", wrong}}), "invalid: its nbf is no number") << wrong;
    }
    EXPECT_THAT(with({{"exp", -1}}), HasSubstr("it has expired"));
    EXPECT_THAT(with({{"exp", -1e300}}), HasSubstr("it has expired"));
    EXPECT_EQ(with({{"exp", 9'223'372'036'854'775'807}}), "ann");
    EXPECT_EQ(with({{"exp", 1e300}}), "ann");
    // Larger than any number there is: the JSON itself is refused.
    const auto endless = join(header_of(rsa()).dump(),
                              R"({"sub":"ann","aud":"rabbitmq","iss":"https://issuer","exp":1e999})",
                              [](auto text) { return rsa().sign(text); });
    EXPECT_EQ(verdict(endless), "invalid: its claims cannot be read");
}

TEST_F(Token, IsForUsAndFromWhomWeTrust) {
    const std::string other = "invalid: it is for others: its aud does not name \"rabbitmq\"";
    EXPECT_EQ(without("aud"), other);
    for (const json& wrong : {json("rabbit"), json("rabbitmq2"), json(""), json::array(), json::array({"RabbitMQ"}),
                              json(1), json(nullptr), json::object({{"rabbitmq", 1}}), json::array({"rabbitmq", 1})}) {
        EXPECT_EQ(with({{"aud", wrong}}), other) << wrong;
    }
    EXPECT_EQ(with({{"aud", "rabbitmq"}}), "ann");
    EXPECT_EQ(with({{"aud", "other rabbitmq"}}), "ann") << "as RabbitMQ reads it";
    EXPECT_EQ(without("iss"), "invalid: it comes from another issuer");
    EXPECT_EQ(with({{"iss", "https://issuer/"}}), "invalid: it comes from another issuer");
    EXPECT_EQ(with({{"iss", json::array({"https://issuer"})}}), "invalid: it comes from another issuer");
    rules.issuer.clear();
    EXPECT_EQ(without("iss"), "ann");
}

TEST_F(Token, SaysWhoseItIsAndWhatThatMayDo) {
    const std::string nobody = "invalid: it does not say whose it is: neither sub nor client_id is a name";
    EXPECT_EQ(without("sub"), nobody);
    auto claims = good_claims();
    claims.erase("sub");
    claims["client_id"] = "machine";
    EXPECT_EQ(verdict(signed_by(rsa(), claims)), "machine");
    for (const json& wrong : {json(""), json(1), json(nullptr), json("a\nb"), json(std::string(256, 'a'))}) {
        EXPECT_EQ(with({{"sub", wrong}}), nobody) << wrong;
    }
    EXPECT_THAT(with({{"scope", 1}}), HasSubstr("neither a text nor a list of texts"));
    EXPECT_THAT(with({{"scope", json::array({1})}}), HasSubstr("neither a text nor a list of texts"));
    const auto may = [&](const json& changes) {
        auto all = good_claims();
        all.update(changes);
        const auto who = token_verifier(rules).verify(signed_by(rsa(), all), now);
        const auto there = who ? who->grant->rules_in("v") : nullptr;
        return there == nullptr ? std::string("nothing")
                                : std::string(there->allowed(core::right::read, "a") ? "read" : "no");
    };
    EXPECT_EQ(may({{"scope", json::array({"rabbitmq.read:v/*", "x"})}}), "read");
    EXPECT_EQ(may({{"scope", "read:v/*"}}), "nothing") << "whose scope is that?";
    EXPECT_EQ(may({{"scope", ""}, {"more", "rabbitmq.read:v/*"}}), "nothing");
    rules.more_scopes = "more";
    EXPECT_EQ(may({{"scope", ""}, {"more", "rabbitmq.read:v/*"}}), "read");
}

TEST_F(Token, ThatCannotBeReadInOneWayOnlyIsRefused) {
    const auto sign = [](auto text) { return rsa().sign(text); };
    const auto header = header_of(rsa()).dump();
    const auto claims = [](std::string_view more) {
        return R"({"sub":"ann","iss":"https://issuer","aud":"rabbitmq","exp":1700000060,)" + std::string(more) + "}";
    };
    EXPECT_EQ(verdict(join(header, claims(R"("x":1)"), sign)), "ann");
    EXPECT_EQ(verdict(join(header, claims(R"("sub":"admin")"), sign)), "invalid: its claims cannot be read");
    EXPECT_EQ(verdict(join(header, claims(R"("s\u0075b":"admin")"), sign)), "invalid: its claims cannot be read");
    EXPECT_EQ(verdict(join(R"({"alg":"none","alg":"RS256"})", claims(R"("x":1)"), sign)),
              "forged: its header or its signature cannot be read");
    EXPECT_EQ(verdict(join(header, claims(R"("x":1)") + "{}", sign)), "invalid: its claims cannot be read");
    EXPECT_EQ(verdict(join(header, "[1]", sign)), "invalid: its claims cannot be read");
    const auto token = join(header, claims(R"("x":1)"), sign);
    for (const auto& other : {token + "=", token + ".", "." + token, token + "." + token, " " + token, token + "\n",
                              std::string(".."), std::string(), std::string("a"), std::string("...")}) {
        EXPECT_THAT(verdict(other), HasSubstr("forged: ")) << other;
    }
    EXPECT_FALSE(from_base64url("QQ=="));
    EXPECT_FALSE(from_base64url("QR")) << "bits that mean nothing";
    EXPECT_FALSE(from_base64url("Q"));
    EXPECT_FALSE(from_base64url("Q+/Q"));
    EXPECT_EQ(from_base64url("_-8").value_or(""), "\xff\xef");
}

TEST_F(Token, ThatIsDeepOrLongCostsNothing) {
    const std::string deep = std::string(10'000, '[') + std::string(10'000, ']');
    const auto sign = [](auto text) { return rsa().sign(text); };
    EXPECT_THAT(verdict(join(R"({"alg":"RS256","x":)" + deep + "}", "{}", sign)), HasSubstr("forged: "));
    EXPECT_EQ(verdict(join(header_of(rsa()).dump(), R"({"x":)" + deep + "}", sign)),
              "invalid: its claims cannot be read");
    EXPECT_THAT(verdict(std::string(1 << 20, 'a')), HasSubstr("forged: "));
    EXPECT_THAT(verdict(signed_by(rsa(), {{"x", std::string(1 << 20, 'a')}})), HasSubstr("a part is too long"));
    EXPECT_THAT(verdict(std::string(1 << 20, '.')), HasSubstr("forged: "));
}

TEST(KeySet, TakesWhatCanVerifyAndPassesOverTheRest) {
    const signer rsa("RS256");
    auto e = rsa.entry("a");
    const auto ids = [](const json& keys) {
        const auto read = read_key_set(json{{"keys", keys}}.dump());
        std::string all;
        for (const auto& k : read ? *read : std::vector<token_key>{}) {
            all += k.id() + " ";
        }
        return read ? all : read.error();
    };
    EXPECT_EQ(ids(json::array({e})), "a ");
    EXPECT_EQ(ids({e, json{{"kty", "oct"}, {"k", "AAAA"}, {"kid", "s"}, {"alg", "HS256"}},
                   json{{"kty", "EC"}, {"crv", "P-384"}, {"kid", "b"}}, json{{"kty", "new"}}, json{{"kid", "c"}}}),
              "a ");
    const auto with = [&](const json& more) {
        auto other = e;
        other.update(more);
        return ids(json::array({other}));
    };
    const std::string none = "there is no key in it for RS256, ES256 or EdDSA";
    EXPECT_EQ(with({{"use", "enc"}}), none);
    EXPECT_EQ(with({{"key_ops", json::array({"sign"})}}), none);
    EXPECT_EQ(with({{"key_ops", json::array({"verify"})}}), "a ");
    EXPECT_EQ(with({{"alg", "RS512"}}), none);
    EXPECT_EQ(with({{"alg", "RS256"}}), "a ");
    EXPECT_THAT(with({{"n", "AQAB"}}), HasSubstr("key \"a\" is none"));
    EXPECT_THAT(with({{"e", "%"}}), HasSubstr("key \"a\" is none"));
    EXPECT_THAT(ids(json::array({e, e})), HasSubstr("there is a key \"a\" already"));
    EXPECT_EQ(ids(json::array()), none);
    EXPECT_THAT(read_key_set("[]").error(), HasSubstr("list of \"keys\""));
    EXPECT_THAT(read_key_set("{").error(), HasSubstr("line 1"));
    auto point = signer("ES256").entry("p");
    point["y"] = point["x"];
    EXPECT_THAT(ids(json::array({point})), HasSubstr("key \"p\" is none")) << "not on the curve";
}

}  // namespace
}  // namespace linnet::app
