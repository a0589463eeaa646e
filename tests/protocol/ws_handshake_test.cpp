#include "protocol/ws/handshake.hpp"
#include "protocol/ws/sha1.hpp"
#include "tests/protocol/hex.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace linnet::ws {
namespace {

using linnet::test::to_hex;
using texts = std::vector<std::string_view>;

// ---- SHA-1: NIST's vectors (FIPS 180 examples and SHA1ShortMsg) -----------------------------------

TEST(WsSha1, MeetsTheStandardsVectors) {
    const auto digest = [](std::string_view text) { return to_hex(sha1(wire::as_bytes(text))); };
    EXPECT_EQ(digest(""), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
    EXPECT_EQ(digest("abc"), "a9993e364706816aba3e25717850c26c9cd0d89d");
    EXPECT_EQ(digest("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq"),
              "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
    EXPECT_EQ(digest("abcdefghbcdefghicdefghijdefghijkefghijklfghijklmghijklmnhijklmnoijklmnopjklmnopqklmnopqrlmnopqrs"
                     "mnopqrstnopqrstu"),
              "a49b2446a02c645bf419f995b67091253a04a259");
    EXPECT_EQ(digest(std::string(1'000'000, 'a')), "34aa973cd4c4daa4f61eeb2bdbad27316534016f");
    const auto of_hex = [](std::string_view hex) { return to_hex(sha1(linnet::test::from_hex(hex))); };
    EXPECT_EQ(of_hex("36"), "c1dfd96eea8cc2b62785275bca38ac261256e278");
    EXPECT_EQ(of_hex("195a"), "0a1c2d555bbe431ad6288af5a54f93e0449c9232");
}

// ---- Keys --------------------------------------------------------------------------------------

TEST(WsHandshake, AnswersTheKeyAsInTheSpecification) {
    constexpr std::string_view key = "dGhlIHNhbXBsZSBub25jZQ==";
    EXPECT_TRUE(is_key(key));
    const accept_text accept = accept_of(key);
    EXPECT_EQ((std::string_view{accept.data(), accept.size()}), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    const auto random = linnet::test::from_hex("000102030405060708090a0b0c0d0eff");
    const key_text made = make_key(std::span<const std::uint8_t, 16>{random.data(), 16});
    EXPECT_EQ((std::string_view{made.data(), made.size()}), "AAECAwQFBgcICQoLDA0O/w==");
    EXPECT_TRUE(is_key({made.data(), made.size()}));
    for (const std::string_view bad :
         {"", "dGhlIHNhbXBsZSBub25jZQ", "dGhlIHNhbXBsZSBub25jZQ=a", "dGhlIHNhbXBsZSBub25jZ===",
          "dGhlIHNhbXBsZSBub25jZQ== ", "dGhl_HNhbXBsZSBub25jZQ==", "dGhlIHNhbXBsZSBub25jZWE="})
        EXPECT_FALSE(is_key(bad)) << bad;
}

// ---- Sub-protocols -----------------------------------------------------------------------------

TEST(WsHandshake, ChoosesTheClientsFirstProtocolThatIsServed) {
    const texts served{"mqtt", "mqttv3.1", "amqp"};
    const auto choice = [&](const texts& offered) { return choose_protocol(offered, served); };
    EXPECT_EQ(choice({}), "");
    EXPECT_EQ(choice({"amqp, mqtt"}), "amqp");
    EXPECT_EQ(choice({"v12.stomp ,\tmqtt , amqp"}), "mqtt");
    EXPECT_EQ(choice({"v12.stomp", "mqttv3.1"}), "mqttv3.1") << "two lines";
    EXPECT_EQ(choice({"MQTT"}), "") << "names have a case";
    EXPECT_EQ(choice({",mqtt,"}), "mqtt") << "empty elements mean nothing";
    EXPECT_EQ(choice({"chat, mqtt, chat"}), std::nullopt) << "each once";
    EXPECT_EQ(choice({"mqtt amqp"}), std::nullopt);
    EXPECT_EQ(choice({"mqtt;q=1"}), std::nullopt);
    EXPECT_EQ(choice({"\"mqtt\""}), std::nullopt);
    std::string many;
    for (int i = 0; i < 33; ++i)
        many += "p" + std::to_string(i) + ",";
    EXPECT_EQ(choice({many}), std::nullopt) << "more than anybody means";
}

// ---- Origins -----------------------------------------------------------------------------------

TEST(WsOrigin, IsHeldAgainstTheListAndTheHost) {
    const texts list{"https://example.com", "http://intern:8080", "https://*.example.org", "null"};
    const auto allowed = [&](std::string_view origin) {
        return may_connect(origin, "broker.example.net", {.allowed = list});
    };
    EXPECT_TRUE(allowed("https://example.com"));
    EXPECT_TRUE(allowed("https://EXAMPLE.com:443"));
    EXPECT_FALSE(allowed("http://example.com"));
    EXPECT_FALSE(allowed("https://example.com:444"));
    EXPECT_FALSE(allowed("https://example.com.evil.net"));
    EXPECT_FALSE(allowed("https://notexample.com"));
    EXPECT_TRUE(allowed("http://intern:8080"));
    EXPECT_FALSE(allowed("http://intern"));
    EXPECT_TRUE(allowed("https://a.b.example.org"));
    EXPECT_FALSE(allowed("https://example.org"));
    EXPECT_FALSE(allowed("https://.example.org"));
    EXPECT_FALSE(allowed("https://evilexample.org"));
    EXPECT_TRUE(allowed("null"));
    EXPECT_FALSE(allowed(""));
    EXPECT_TRUE(allowed("https://broker.example.net")) << "the same host";
    EXPECT_FALSE(allowed("https://broker.example.net:8443"));
    EXPECT_FALSE(may_connect("https://broker.example.net", "broker.example.net", {.same_host_allowed = false}));
}

TEST(WsOrigin, KnowsPortsAddressesAndItsAbsence) {
    EXPECT_TRUE(may_connect("http://localhost:15675", "localhost:15675", {}));
    EXPECT_FALSE(may_connect("http://localhost:15675", "localhost:15676", {}));
    EXPECT_TRUE(may_connect("http://[::1]:8080", "[::1]:8080", {}));
    EXPECT_TRUE(may_connect("http://[::1]", "[::1]:80", {}));
    EXPECT_FALSE(may_connect("http://[::1]", "[::2]", {}));
    EXPECT_FALSE(may_connect("null", "", {}));
    EXPECT_TRUE(may_connect(std::nullopt, "host", {}));
    EXPECT_FALSE(may_connect(std::nullopt, "host", {.without = missing_origin::refused}));
    const texts all{"*"};
    EXPECT_TRUE(may_connect("https://anywhere.example", "host", {.allowed = all}));
    EXPECT_TRUE(may_connect("null", "host", {.allowed = all}));
}

// ---- permessage-deflate ------------------------------------------------------------------------

constexpr deflate_policy generous{.server_keeps_context = true, .client_keeps_context = true};

// The answer's header; "declined" or "malformed".
std::string answer_to(const texts& offers, const deflate_policy& policy = generous) {
    const auto answer = agree_on_deflate(offers, policy);
    if (const auto* agreed = std::get_if<deflate_agreement>(&answer))
        return to_header(*agreed);
    return std::holds_alternative<deflate_declined>(answer) ? "declined" : "malformed";
}

TEST(WsDeflateAgreement, TakesTheFirstOfferThatIsValid) {
    EXPECT_EQ(answer_to({}), "declined");
    EXPECT_EQ(answer_to({"permessage-deflate"}), "permessage-deflate");
    EXPECT_EQ(answer_to({"x-webkit-deflate-frame, permessage-deflate"}), "permessage-deflate");
    EXPECT_EQ(answer_to({"permessage-bzip2; level=9"}), "declined");
    EXPECT_EQ(answer_to({"permessage-deflate; server_no_context_takeover"}),
              "permessage-deflate; server_no_context_takeover");
    EXPECT_EQ(answer_to({"permessage-deflate;client_no_context_takeover"}),
              "permessage-deflate; client_no_context_takeover");
    EXPECT_EQ(answer_to({"permessage-deflate; server_max_window_bits=10"}),
              "permessage-deflate; server_max_window_bits=10");
    EXPECT_EQ(answer_to({"permessage-deflate; server_max_window_bits=15"}),
              "permessage-deflate; server_max_window_bits=15")
        << "asked for, so named";
    EXPECT_EQ(answer_to({"permessage-deflate; server_max_window_bits=\"10\""}),
              "permessage-deflate; server_max_window_bits=10");
    EXPECT_EQ(answer_to({R"(permessage-deflate; server_max_window_bits="1\0")"}),
              "permessage-deflate; server_max_window_bits=10");
    EXPECT_EQ(answer_to({"permessage-deflate; client_max_window_bits"}), "permessage-deflate");
    EXPECT_EQ(answer_to({"permessage-deflate; client_max_window_bits=9"}),
              "permessage-deflate; client_max_window_bits=9");
    EXPECT_EQ(answer_to({"permessage-deflate; unheard_of, permessage-deflate; server_max_window_bits=8"}),
              "permessage-deflate; server_max_window_bits=8");
    EXPECT_EQ(answer_to({"permessage-deflate; unheard_of", "permessage-deflate"}), "permessage-deflate") << "two lines";
}

TEST(WsDeflateAgreement, DeclinesParametersThatAreInvalid) {
    for (const std::string_view offer :
         {"unknown", "unknown=1", "server_no_context_takeover=1", "client_no_context_takeover=\"x\"",
          "server_no_context_takeover; server_no_context_takeover", "server_max_window_bits",
          "server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=08",
          "server_max_window_bits=0", "server_max_window_bits=100", "server_max_window_bits=1x",
          "server_max_window_bits=4294967304", "server_max_window_bits=9; server_max_window_bits=9",
          "client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits; client_max_window_bits",
          "SERVER_NO_CONTEXT_TAKEOVER"}) {
        EXPECT_EQ(answer_to({"permessage-deflate; " + std::string{offer}}), "declined") << offer;
    }
}

TEST(WsDeflateAgreement, RefusesWhatBreaksTheGrammar) {
    for (const std::string_view header :
         {"permessage-deflate;", "permessage-deflate; =1", "permessage-deflate; a=", "permessage-deflate foo",
          "permessage-deflate; a=\"", "permessage-deflate; a=\"b\\", "permessage-deflate; a=\"\"", ";a", "=",
          "permessage-deflate; a b", "permessage-deflate, \"quoted\""})
        EXPECT_EQ(answer_to({header}), "malformed") << header;
}

TEST(WsDeflateAgreement, KeepsToTheServersPolicy) {
    EXPECT_EQ(answer_to({"permessage-deflate; client_max_window_bits"}, {}),
              "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    const deflate_policy small{.server_keeps_context = true,
                               .client_keeps_context = true,
                               .server_window_bits_max = 11,
                               .client_window_bits_max = 10};
    EXPECT_EQ(answer_to({"permessage-deflate"}, small), "permessage-deflate; server_max_window_bits=11")
        << "a client that did not say so may not be limited";
    const auto unlimited = agree_on_deflate(texts{"permessage-deflate"}, small);
    EXPECT_EQ(std::get<deflate_agreement>(unlimited).client_window_bits, 15);
    EXPECT_EQ(answer_to({"permessage-deflate; client_max_window_bits"}, small),
              "permessage-deflate; server_max_window_bits=11; client_max_window_bits=10");
    EXPECT_EQ(answer_to({"permessage-deflate; client_max_window_bits=9; server_max_window_bits=9"}, small),
              "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9");
}

TEST(WsDeflateAgreement, AClientHoldsTheServerToItsOffer) {
    const auto accepted = [](std::string_view answer, const deflate_offer& offer) {
        return std::holds_alternative<deflate_agreement>(accept_deflate(texts{answer}, offer));
    };
    EXPECT_TRUE(std::holds_alternative<deflate_declined>(accept_deflate({}, {})));
    EXPECT_TRUE(accepted("permessage-deflate", {}));
    EXPECT_TRUE(accepted("permessage-deflate; client_max_window_bits=9; server_no_context_takeover", {}));
    EXPECT_FALSE(accepted("permessage-deflate; client_max_window_bits=9", {.client_window_bits_max = std::nullopt}));
    EXPECT_FALSE(accepted("permessage-deflate; client_max_window_bits", {}));
    EXPECT_FALSE(accepted("permessage-deflate", {.server_keeps_context = false}));
    EXPECT_FALSE(accepted("permessage-deflate", {.server_window_bits_max = 10}));
    EXPECT_FALSE(accepted("permessage-deflate; server_max_window_bits=11", {.server_window_bits_max = 10}));
    EXPECT_TRUE(accepted("permessage-deflate; server_max_window_bits=10", {.server_window_bits_max = 10}));
    EXPECT_FALSE(accepted("permessage-deflate, permessage-deflate", {}));
    EXPECT_FALSE(accepted("permessage-bzip2", {}));
    EXPECT_FALSE(accepted("permessage-deflate;", {}));
}

TEST(WsDeflateAgreement, BothSidesComeToTheSame) {
    for (const bool server_keeps : {true, false}) {
        for (const bool client_keeps : {true, false}) {
            for (const std::optional<int> server_bits : {std::optional<int>{}, std::optional{9}, std::optional{15}}) {
                for (const std::optional<int> client_bits :
                     {std::optional<int>{}, std::optional{9}, std::optional{15}}) {
                    for (const int policy_bits : {8, 15}) {
                        const deflate_offer offer{server_keeps, client_keeps, server_bits, client_bits};
                        const std::string offered = to_header(offer);
                        const auto server = std::get<deflate_agreement>(
                            agree_on_deflate(texts{offered}, {.server_keeps_context = true,
                                                              .client_keeps_context = true,
                                                              .server_window_bits_max = policy_bits,
                                                              .client_window_bits_max = policy_bits}));
                        const std::string answered = to_header(server);
                        const auto client = accept_deflate(texts{answered}, offer);
                        ASSERT_TRUE(std::holds_alternative<deflate_agreement>(client)) << offered << " | " << answered;
                        EXPECT_EQ(std::get<deflate_agreement>(client), server) << offered << " | " << answered;
                    }
                }
            }
        }
    }
}

// ---- The whole ---------------------------------------------------------------------------------

const texts upgrade_lines{"websocket"};
const texts connection_lines{"keep-alive, Upgrade"};
const texts protocol_lines{"mqtt"};
const texts extension_lines{"permessage-deflate; client_max_window_bits"};
const texts served_protocols{"mqtt", "amqp"};

upgrade_request good_request() {
    return {.method = "GET",
            .host = "broker.example.net",
            .upgrade = upgrade_lines,
            .connection = connection_lines,
            .key = "dGhlIHNhbXBsZSBub25jZQ==",
            .version = "13",
            .protocols = protocol_lines,
            .extensions = extension_lines};
}

TEST(WsHandshake, AcceptsAGoodRequest) {
    const auto answer = answer_upgrade(good_request(), {.protocols = served_protocols, .deflate = deflate_policy{}});
    ASSERT_TRUE(std::holds_alternative<upgrade_accepted>(answer));
    EXPECT_EQ(to_response(std::get<upgrade_accepted>(answer)),
              "HTTP/1.1 101 Switching Protocols\r\n"
              "Upgrade: websocket\r\n"
              "Connection: Upgrade\r\n"
              "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"
              "Sec-WebSocket-Protocol: mqtt\r\n"
              "Sec-WebSocket-Extensions: permessage-deflate; server_no_context_takeover; client_no_context_takeover\r\n"
              "\r\n");
    // Neither protocol nor compression, if the server has none.
    const auto plain = answer_upgrade(good_request(), {});
    ASSERT_TRUE(std::holds_alternative<upgrade_accepted>(plain));
    EXPECT_EQ(std::get<upgrade_accepted>(plain).protocol, "");
    EXPECT_EQ(to_response(std::get<upgrade_accepted>(plain)).find("Sec-WebSocket-Ex"), std::string::npos);
}

template <class Change>
upgrade_refused refusal(Change change) {
    upgrade_request request = good_request();
    change(request);
    const auto answer = answer_upgrade(request, {.protocols = served_protocols});
    EXPECT_TRUE(std::holds_alternative<upgrade_refused>(answer));
    const auto* refused = std::get_if<upgrade_refused>(&answer);
    return refused != nullptr ? *refused : upgrade_refused{.status = 0};
}

TEST(WsHandshake, RefusesABadRequestWithTheStatusThatSaysWhy) {
    EXPECT_EQ(refusal([](auto& r) { r.upgrade = {}; }).status, 426);
    EXPECT_EQ(refusal([](auto& r) { r.connection = {}; }).status, 426);
    EXPECT_EQ(refusal([](auto& r) { r.method = "POST"; }).status, 405);
    EXPECT_EQ(refusal([](auto& r) { r.http_1_1 = false; }).status, 400);
    EXPECT_EQ(refusal([](auto& r) { r.host = ""; }).status, 400);
    EXPECT_EQ(refusal([](auto& r) { r.version = "8"; }).status, 426);
    EXPECT_EQ(refusal([](auto& r) { r.version = "8"; }).header_name, "Sec-WebSocket-Version");
    EXPECT_EQ(refusal([](auto& r) { r.version = "13, 13"; }).status, 426);
    EXPECT_EQ(refusal([](auto& r) { r.key = "c2hvcnQ="; }).status, 400);
    EXPECT_EQ(refusal([](auto& r) { r.key = "dGhlIHNhbXBsZSBub25jZQ==, dGhlIHNhbXBsZSBub25jZQ=="; }).status, 400);
    EXPECT_EQ(refusal([](auto& r) { r.origin = "https://evil.example"; }).status, 403);
    const texts bad_protocols{"mqtt, mqtt"};
    EXPECT_EQ(refusal([&](auto& r) { r.protocols = bad_protocols; }).status, 400);
    const texts bad_extensions{"permessage-deflate;"};
    EXPECT_EQ(refusal([&](auto& r) { r.extensions = bad_extensions; }).status, 400);
}

TEST(WsHandshake, WritesARefusalThatIsAWholeResponse) {
    EXPECT_EQ(to_response(refusal([](auto& r) { r.version = "8"; })),
              "HTTP/1.1 426 Upgrade Required\r\n"
              "Sec-WebSocket-Version: 13\r\n"
              "Connection: close\r\n"
              "Content-Type: text/plain; charset=utf-8\r\n"
              "Content-Length: 58\r\n"
              "\r\n"
              "Only version 13 of the WebSocket protocol is spoken here.\n");
    EXPECT_TRUE(to_response(refusal([](auto& r) { r.upgrade = {}; })).find("Upgrade: websocket\r\n") !=
                std::string::npos);
    EXPECT_TRUE(to_response(refusal([](auto& r) { r.origin = "x"; })).starts_with("HTTP/1.1 403 Forbidden\r\n"));
}

TEST(WsHandshake, ReadsUpgradeAndConnectionAsLists) {
    const auto asks = [](const texts& upgrade, const texts& connection) {
        return asks_for_websocket({.upgrade = upgrade, .connection = connection});
    };
    EXPECT_TRUE(asks({"WebSocket"}, {"upgrade"}));
    EXPECT_TRUE(asks({"h2c", "websocket"}, {"close ,\tUPGRADE "}));
    EXPECT_TRUE(asks({"h2c, websocket"}, {"keep-alive", "Upgrade"}));
    EXPECT_FALSE(asks({"websocket2"}, {"Upgrade"}));
    EXPECT_FALSE(asks({"websocket"}, {"keep-alive, Upgraded"}));
    EXPECT_FALSE(asks({}, {}));
}

}  // namespace
}  // namespace linnet::ws
