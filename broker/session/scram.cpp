#include "broker/session/scram.hpp"

#include "protocol/http/base64.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linnet::session {
namespace {

using http::append_base64;
using http::base64_decoded;

constexpr std::size_t proof_bytes = 32;

// Takes "<name>=<value>" and the comma behind it from the front. None: something else stands there.
std::optional<std::string_view> take_attribute(std::string_view& text, char name) noexcept {
    if (text.size() < 2 || text[0] != name || text[1] != '=') {
        return std::nullopt;
    }
    const auto end = std::min(text.find(','), text.size());
    const auto value = text.substr(2, end - 2);
    text.remove_prefix(std::min(end + 1, text.size()));
    return value;
}

// "=2C" is a comma and "=3D" an equals sign; no other use of '=' is one.
std::optional<std::string> decoded_name(std::string_view text) {
    std::string name;
    while (!text.empty()) {
        if (text[0] != '=') {
            name += text[0];
            text.remove_prefix(1);
        } else if (text.starts_with("=2C") || text.starts_with("=3D")) {
            name += text[2] == 'C' ? ',' : '=';
            text.remove_prefix(3);
        } else {
            return std::nullopt;
        }
    }
    return name;
}

// Printable ASCII without a comma.
bool is_nonce(std::string_view text) noexcept {
    return !text.empty() && std::ranges::all_of(text, [](char c) { return c > ' ' && c <= '~' && c != ','; });
}

}  // namespace

bool scram_conversation::take_first(std::string_view message) {
    // "y": the client could bind to the channel and believes that we cannot, which is so.
    if (message.size() > client_message_max || !(message.starts_with("n,,") || message.starts_with("y,,"))) {
        return false;
    }
    header_ = message.substr(0, 3);
    bare_ = message.substr(3);
    std::string_view rest = bare_;
    const auto name = take_attribute(rest, 'n');
    const auto nonce = take_attribute(rest, 'r');
    const auto user = name ? decoded_name(*name) : std::nullopt;
    if (!user || user->empty() || user->find('\0') != std::string::npos || !nonce || !is_nonce(*nonce)) {
        return false;
    }
    // What follows are extensions: one that must be understood ("m=") would stand in front, and is refused there.
    user_ = *user;
    client_nonce_ = *nonce;
    return true;
}

std::string scram_conversation::challenge(const scram_terms& terms) {
    nonce_ = client_nonce_ + terms.nonce;
    challenge_ = fmt::format("r={},s=", nonce_);
    append_base64(challenge_, terms.salt);
    challenge_ += fmt::format(",i={}", terms.iterations);
    return challenge_;
}

std::optional<scram_proof> scram_conversation::take_last(std::string_view message) const {
    if (challenge_.empty() || message.size() > client_message_max) {
        return std::nullopt;
    }
    // The proof comes last, and is no part of what has been said.
    const auto at = message.rfind(",p=");
    if (at == std::string_view::npos) {
        return std::nullopt;
    }
    const auto without_proof = message.substr(0, at);
    auto rest = without_proof;
    const auto binding = take_attribute(rest, 'c');
    const auto nonce = take_attribute(rest, 'r');
    auto proof = base64_decoded(message.substr(at + 3));
    const auto header = binding ? base64_decoded(*binding) : std::nullopt;
    if (header != header_ || nonce != nonce_ || !proof || proof->size() != proof_bytes) {
        return std::nullopt;
    }
    scram_proof p;
    p.said = fmt::format("{},{},{}", bare_, challenge_, without_proof);
    p.proof = std::move(*proof);
    return p;
}

std::string scram_conversation::farewell(std::string_view signature) {
    std::string text = "v=";
    append_base64(text, signature);
    return text;
}

}  // namespace linnet::session
