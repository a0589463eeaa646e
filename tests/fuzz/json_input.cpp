// Feeds bytes of any kind to what reads the JSON of others: tokens, their claims, key sets, definitions. The first
// byte chooses which.
//
// Beyond crashes it looks for what must not be: a token that its key has not signed is accepted, a claim gives a name
// that is none, bytes have two spellings in base64url, or definitions are others after they were written and read. A
// disagreement aborts, which libFuzzer reports like a crash.
#include "broker/app/definitions_file.hpp"
#include "broker/app/placed_json.hpp"
#include "broker/app/scram_verifier.hpp"
#include "broker/app/token_verifier.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace linnet;
using namespace linnet::app;

constexpr wall_ns now = 1'700'000'000 * ns_per_s;
constexpr std::string_view secret = "a secret that no input knows: it is not in the tree of any corpus";

void require(bool condition) {
    if (!condition) {
        std::abort();
    }
}

std::string base64url(std::string_view bytes) {
    constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    std::string out;
    unsigned held = 0;
    unsigned bits = 0;
    for (const char c : bytes) {
        held = (held << 8U | static_cast<unsigned char>(c)) & 0xffffU;
        for (bits += 8; bits >= 6; bits -= 6) {
            out += letters[held >> (bits - 6) & 63U];
        }
    }
    if (bits != 0) {
        out += letters[held << (6 - bits) & 63U];
    }
    return out;
}

const token_verifier& verifier() {
    static const auto made = [] {
        token_rules rules;
        rules.resource_server = "linnet";
        rules.more_scopes = "roles";
        rules.leeway = 5 * ns_per_s;
        rules.algorithms = {token_algorithm::rs256, token_algorithm::es256, token_algorithm::eddsa,
                            token_algorithm::hs256};
        rules.keys.push_back(token_key::of_secret(std::string(secret)));
        return token_verifier(std::move(rules));
    }();
    return made;
}

void token_of_a_stranger(std::string_view text) { require(!verifier().verify(text, now)); }

// As an issuer whose claims somebody else could write.
void signed_claims(std::string_view claims) {
    static const std::string header = base64url(R"({"alg":"HS256","typ":"JWT"})") + '.';
    const auto signed_text = header + base64url(claims);
    const auto token = signed_text + '.' + base64url(hmac_sha256(secret, signed_text));
    const auto who = verifier().verify(token, now);
    if (!who) {
        require(who.error().what == token_fault::kind::invalid || token.size() > token_verifier::token_bytes_max);
        return;
    }
    require(!who->user.empty() && who->grant != nullptr);
    require(std::ranges::none_of(who->user, [](char c) { return static_cast<unsigned char>(c) < ' '; }));
}

void key_set(std::string_view text) {
    const auto keys = read_key_set(text);
    require(keys ? !keys->empty() : !keys.error().empty());
    for (std::size_t i = 0; keys && i < keys->size(); ++i) {
        require((*keys)[i].algorithm() != token_algorithm::hs256);
        require(!(*keys)[i].verifies(text, text));
    }
}

void spelling(std::string_view text) {
    const auto bytes = from_base64url(text);
    require(!bytes || base64url(*bytes) == text);
}

void json(std::string_view text) {
    const auto read = parse_json(text, "input");
    if (!read) {
        require(!read.error().what.empty() && read.error().at.line >= 1 && read.error().at.column >= 1);
        return;
    }
    // A number may lose digits as it is written, but only once.
    const auto written = to_text(*read);
    const auto again = parse_json(written, "written");
    require(again && to_text(*again) == written);
}

std::string written(const definitions_document& document) {
    std::vector<core::definition> all;
    for (const auto& each : document) {
        all.push_back(each.what);
    }
    return write_definitions(std::move(all), {"3.10.8", "0", ""});
}

void definitions(std::string_view text) {
    const auto read = read_definitions(text, {.source = "input"});
    if (!read) {
        require(!read.error().empty());
        return;
    }
    const auto once = written(*read);
    const auto again = read_definitions(once, {.source = "written"});
    require(again && written(*again) == once);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    switch (data[0] % 6) {
        case 0: token_of_a_stranger(text); break;
        case 1: signed_claims(text); break;
        case 2: key_set(text); break;
        case 3: spelling(text); break;
        case 4: json(text); break;
        default: definitions(text); break;
    }
    return 0;
}
