#include "broker/app/password.hpp"

#include "broker/app/base64.hpp"

#include <gtest/gtest.h>

#include <string>

namespace linnet::app {
namespace {

struct known_hash {
    const char* form;
    std::string_view stored;
    std::string_view password;
};

class KnownHash : public ::testing::TestWithParam<known_hash> {};

TEST_P(KnownHash, MatchesItsPasswordAlone) {
    const auto hash = password_hash::parse(GetParam().stored);
    ASSERT_TRUE(hash);
    const auto password = std::string{GetParam().password};
    EXPECT_TRUE(hash->matches(password));
    EXPECT_FALSE(hash->matches(password + 'x'));
    EXPECT_FALSE(hash->matches(password.substr(1)));
    EXPECT_FALSE(hash->matches(""));
    EXPECT_FALSE(hash->matches(password + '\0'));
    EXPECT_FALSE(hash->matches(password + std::string{"\0x", 2}));
}

// Made elsewhere: Argon2's own test vector; RabbitMQ's documentation (SHA-256) and Python's hashlib; libxcrypt through
// Python, the second also by openssl passwd -6.
INSTANTIATE_TEST_SUITE_P(
    Forms, KnownHash,
    ::testing::Values(
        known_hash{"argon2id", "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
                   "password"},
        known_hash{"rabbitmq_sha256", "kI3GCqW5JLMJa4iX1lo7X4D6XbYqlLgxIs30+P6tENUV2POR", "test12"},
        known_hash{
            "rabbitmq_sha512",
            "kI3GChuNuIYf8lRbCCxZjgjKwsY19ns6+uFO0zcXRBGA/XGJPYD8OWMy7EB8TaOmAzjP2azv84GbINYwX2cDWb4DHnc=", "test12"},
        known_hash{"rabbitmq_md5", "kI3GChNpte2FApYFXScl+0dIluk=", "test12"},
        known_hash{"bcrypt", "$2b$04$abcdefghijklmnopqrstuu.DVVGLfP4tg2vyQ7TXKFqBaf6BeH1Ge", "test12"},
        known_hash{
            "sha512_crypt",
            "$6$saltstring$Qn7i9/zjmnFkpNLwevMPzB9FghaOKzJB9N20fQy98zId2nZ5bdasq.l/e8Gvb5jVYnqV6djSx3Rr04fAIpYq41",
            "test12"},
        known_hash{"sha256_crypt", "$5$saltstring$E8HuCsIpzTPpdyhGBmWNxYmZJM0t2j4rF8p.PtgvWT7", "test12"},
        known_hash{"yescrypt", "$y$j75$abcdefgh$67YM0FA3pwb6awlg1rrrQUd05GCI0UrFNKkqEya1bc2", "test12"}),
    [](const auto& one) { return std::string{one.param.form}; });

TEST(PasswordHash, MadeHereMatchesAndIsSalted) {
    const auto one = argon2id("sesame");
    EXPECT_EQ(one.rfind("$argon2id$v=19$m=19456,t=2,p=1$", 0), 0U) << one;
    EXPECT_NE(one, argon2id("sesame"));
    EXPECT_TRUE(password_hash::parse(one)->matches("sesame"));
    EXPECT_FALSE(password_hash::parse(one)->matches("Sesame"));
    EXPECT_EQ(password_hash::parse(one)->cost(), hash_cost::dear);

    const auto two = salted_sha256("sesame");
    EXPECT_NE(two, salted_sha256("sesame"));
    EXPECT_TRUE(password_hash::parse(two)->matches("sesame"));
    EXPECT_FALSE(password_hash::parse(two)->matches("Sesame"));
    EXPECT_EQ(password_hash::parse(two)->cost(), hash_cost::cheap);
}

TEST(PasswordHash, TakesPasswordsOfAnyBytes) {
    const auto password = std::string{"a\0b\xff\n", 5};
    EXPECT_TRUE(password_hash::parse(salted_sha256(password))->matches(password));
    EXPECT_FALSE(password_hash::parse(salted_sha256(password))->matches("a"));
    EXPECT_TRUE(password_hash::parse(argon2id(password))->matches(password));
    EXPECT_FALSE(password_hash::parse(argon2id(password))->matches("a"));
}

// The example of RFC 7677, section 3: "pencil".
constexpr auto rfc_verifier =
    "SCRAM-SHA-256$4096:W22ZaJ0SNY7soEsUEjb6gQ==$WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=:"
    "wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=";
constexpr auto rfc_said =
    "n=user,r=rOprNGfwEbeRWgbNEkqO,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,"
    "i=4096,c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";

TEST(PasswordHash, InScramsFormIsAVerifierToo) {
    const auto hash = password_hash::parse(rfc_verifier);
    ASSERT_TRUE(hash);
    ASSERT_NE(hash->scram(), nullptr);
    EXPECT_TRUE(hash->matches("pencil"));
    EXPECT_FALSE(hash->matches("Pencil"));
    const auto proof = *from_base64("dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=");
    EXPECT_TRUE(hash->scram()->accepts(rfc_said, proof));
    EXPECT_FALSE(hash->scram()->accepts(std::string(rfc_said) + "x", proof));
    EXPECT_FALSE(hash->scram()->accepts(rfc_said, std::string(32, '\0')));
    EXPECT_FALSE(hash->scram()->accepts(rfc_said, ""));
    EXPECT_EQ(base64(hash->scram()->signature(rfc_said)), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
    EXPECT_EQ(hash->scram()->to_text(), rfc_verifier);
    EXPECT_EQ(password_hash::parse(salted_sha256("pencil"))->scram(), nullptr);
    const auto own = scram_sha256("sesame", 5000);
    EXPECT_NE(own, scram_sha256("sesame", 5000));
    EXPECT_TRUE(password_hash::parse(own)->matches("sesame"));
    EXPECT_EQ(password_hash::parse(own)->scram()->iterations(), 5000U);
}

// reliability.md, A26: the floor is 4096.
TEST(PasswordHash, InScramsFormNeedsIterationsAndWholeKeys) {
    const std::string good = rfc_verifier;
    const auto with = [&](std::string_view what, std::string_view by) {
        auto text = good;
        text.replace(text.find(what), what.size(), by);
        return password_hash::parse(text).has_value();
    };
    EXPECT_TRUE(with("4096", "1000000"));
    for (const auto* count : {"1", "4095", "0", "-4096", "1000001", "99999999999", "4096x", ""}) {
        EXPECT_FALSE(with("4096", count)) << count;
    }
    EXPECT_FALSE(with("W22ZaJ0SNY7soEsUEjb6gQ==", ""));
    EXPECT_FALSE(with("WG5d8oPm3OtcPnkdi4Uo7BkeZkBFzpcXkuLmtbsT4qY=", "AAAA"));
    EXPECT_FALSE(with("wfPLwcE6nTWhTAmQ7tl2KeoiWGPlZqQxSrmfPwDl2dU=", ""));
    EXPECT_FALSE(with("SCRAM-SHA-256", "SCRAM-SHA-1"));
}

TEST(PasswordHash, InNoKnownFormIsRefused) {
    for (auto text :
         {"", "secret", "guest", "QUJD", "====", "$1$abc$def", "$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ$aGFzaA",
          "$argon2id$v=19$m=19456,t=2,p=1$", "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ",
          "$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHQ$", "$argon2id$v=16$m=8,t=1,p=1$c2FsdHNhbHQ$aGFzaA",
          "$2b$99$abcdefghijklmnopqrstuv", "plain:guest"}) {
        EXPECT_FALSE(password_hash::parse(text)) << text;
    }
}

TEST(PasswordHash, ThatOrdersTooMuchWorkIsRefused) {
    EXPECT_TRUE(password_hash::parse("$argon2id$v=19$m=262144,t=16,p=1$c2FsdHNhbHQ$aGFzaGhhc2g"));
    for (auto text : {"$argon2id$v=19$m=262145,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
                      "$argon2id$v=19$m=4294967296,t=2,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
                      "$argon2id$v=19$m=19456,t=17,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
                      "$argon2id$v=19$m=19456,t=2,p=17$c2FsdHNhbHQ$aGFzaGhhc2g",
                      "$argon2id$v=19$m=19456,t=0,p=1$c2FsdHNhbHQ$aGFzaGhhc2g",
                      "$2b$17$abcdefghijklmnopqrstuu.DVVGLfP4tg2vyQ7TXKFqBaf6BeH1Ge",
                      "$2b$3:$abcdefghijklmnopqrstuu.DVVGLfP4tg2vyQ7TXKFqBaf6BeH1Ge",
                      "$6$rounds=1000001$saltstring$Qn7i9", "$6$rounds=x$saltstring$Qn7i9"}) {
        EXPECT_FALSE(password_hash::parse(text)) << text;
    }
}

}  // namespace
}  // namespace linnet::app
