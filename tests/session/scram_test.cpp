#include "broker/session/scram.hpp"

#include "protocol/http/base64.hpp"

#include <gtest/gtest.h>

#include <string>

namespace linnet::session {
namespace {

std::string from64(std::string_view text) { return http::base64_decoded(text).value_or("?"); }

// RFC 7677, section 3.
constexpr std::string_view rfc_first = "n,,n=user,r=rOprNGfwEbeRWgbNEkqO";
const scram_terms rfc_terms{from64("W22ZaJ0SNY7soEsUEjb6gQ=="), 4096, "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0"};
constexpr std::string_view rfc_nonces = "rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
constexpr std::string_view rfc_proof = "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";

scram_conversation challenged() {
    scram_conversation c;
    EXPECT_TRUE(c.take_first(rfc_first));
    static_cast<void>(c.challenge(rfc_terms));
    return c;
}
std::string last(std::string_view binding, std::string_view nonces, std::string_view proof) {
    return "c=" + std::string(binding) + ",r=" + std::string(nonces) + ",p=" + std::string(proof);
}

TEST(ScramConversation, SaysWhatTheRfcSays) {
    scram_conversation c;
    ASSERT_TRUE(c.take_first(rfc_first));
    EXPECT_EQ(c.user(), "user");
    EXPECT_EQ(c.challenge(rfc_terms), "r=" + std::string(rfc_nonces) + ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096");
    const auto proof = c.take_last(last("biws", rfc_nonces, rfc_proof));
    ASSERT_TRUE(proof.has_value());
    EXPECT_EQ(proof->said, "n=user,r=rOprNGfwEbeRWgbNEkqO,r=" + std::string(rfc_nonces) +
                               ",s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,c=biws,r=" + std::string(rfc_nonces));
    EXPECT_EQ(proof->proof, from64(rfc_proof));
    EXPECT_EQ(scram_conversation::farewell(from64("6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=")),
              "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
}

TEST(ScramConversation, ReadsNamesWithCommasAndEqualsSigns) {
    scram_conversation c;
    ASSERT_TRUE(c.take_first("n,,n=a=2Cb=3Dc,r=x"));
    EXPECT_EQ(c.user(), "a,b=c");
}

TEST(ScramConversation, RefusesWhatIsNoFirstMessage) {
    for (const auto* text : {"", "n", "n,,", "n,,r=x", "n,,n=,r=x", "n,,n=user", "n,,n=user,r=", "n,,n=us=er,r=x",
                             "n,,n=us=2cer,r=x", "n,a=other,n=user,r=x",  // nobody acts for somebody else
                             "p=tls-unique,,n=user,r=x",                  // no channel binding
                             "n,,m=must,n=user,r=x", "n=user,r=x", "n,,n=user,r=\x01"}) {
        EXPECT_FALSE(scram_conversation().take_first(text)) << text;
    }
    EXPECT_FALSE(scram_conversation().take_first("n,,n=" + std::string(5000, 'u') + ",r=x"));
    EXPECT_FALSE(scram_conversation().take_first(std::string_view("n,,n=a\0b,r=x", 12)));
}

// reliability.md, A26
TEST(ScramConversation, RefusesAnswersToOtherChallenges) {
    EXPECT_TRUE(challenged().take_last(last("biws", rfc_nonces, rfc_proof)));
    // Overheard from another exchange, cut short, or with nothing of ours in it.
    for (const std::string nonce : {"rOprNGfwEbeRWgbNEkqO%other", "rOprNGfwEbeRWgbNEkqO", "", "x"}) {
        EXPECT_FALSE(challenged().take_last(last("biws", nonce, rfc_proof))) << nonce;
    }
    // Another word on channel binding than at first: somebody in between has changed it.
    EXPECT_FALSE(challenged().take_last(last("eSws", rfc_nonces, rfc_proof)));
    EXPECT_FALSE(challenged().take_last(last("cD10bHMtdW5pcXVlLCw=", rfc_nonces, rfc_proof)));
    EXPECT_FALSE(challenged().take_last(last("", rfc_nonces, rfc_proof)));
    // No proof, one of another length, and something behind it.
    EXPECT_FALSE(challenged().take_last("c=biws,r=" + std::string(rfc_nonces)));
    EXPECT_FALSE(challenged().take_last(last("biws", rfc_nonces, "")));
    EXPECT_FALSE(challenged().take_last(last("biws", rfc_nonces, "AAAA")));
    EXPECT_FALSE(challenged().take_last(last("biws", rfc_nonces, rfc_proof) + ",x=y"));
    EXPECT_FALSE(scram_conversation().take_last(last("biws", "", rfc_proof))) << "nothing was asked";
}

}  // namespace
}  // namespace linnet::session
