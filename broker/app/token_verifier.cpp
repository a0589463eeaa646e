#include "broker/app/token_verifier.hpp"

#include "broker/app/placed_json.hpp"
#include "broker/core/scope_grant.hpp"
#include "broker/core/topology.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <optional>
#include <utility>

namespace linnet::app {

namespace {

constexpr std::size_t header_bytes_max = 4096;
constexpr double latest_s = 9e9;  // in the year 2255: nanoseconds since 1970 have room for it

[[nodiscard]] tl::unexpected<token_fault> forged(std::string why) {
    return fail(token_fault{token_fault::kind::forged, std::move(why)});
}
[[nodiscard]] tl::unexpected<token_fault> invalid(std::string why) {
    return fail(token_fault{token_fault::kind::invalid, std::move(why)});
}

struct parts {
    std::string_view header;
    std::string_view claims;
    std::string_view signature;
    std::string_view is_signed;  // header and claims, with the dot between
};

[[nodiscard]] std::optional<parts> cut(std::string_view token) {
    const auto first = token.find('.');
    const auto second = first == std::string_view::npos ? first : token.find('.', first + 1);
    if (second == std::string_view::npos || token.find('.', second + 1) != std::string_view::npos) {
        return std::nullopt;
    }
    return parts{token.substr(0, first), token.substr(first + 1, second - first - 1), token.substr(second + 1),
                 token.substr(0, second)};
}

[[nodiscard]] std::optional<placed_json> object_in(std::string_view part) {
    const auto text = from_base64url(part);
    auto read = text ? parse_json(*text, {}) : result<placed_json, placed_error>(fail(placed_error{}));
    return read && read->as<placed_json::object>() != nullptr ? std::optional(std::move(*read)) : std::nullopt;
}

[[nodiscard]] const std::string* text_in(const placed_json& object, std::string_view name) {
    const auto* found = object.find(name);
    return found == nullptr ? nullptr : found->as<std::string>();
}

// A list of texts, or one with spaces between. None: it is neither.
[[nodiscard]] std::optional<std::vector<std::string>> words_in(const placed_json& claim) {
    std::vector<std::string> words;
    if (const auto* text = claim.as<std::string>()) {
        for (std::string_view left = *text; !left.empty();) {
            const auto word = left.substr(0, left.find(' '));
            left.remove_prefix(std::min(word.size() + 1, left.size()));
            if (!word.empty()) {
                words.emplace_back(word);
            }
        }
        return words;
    }
    const auto* listed = claim.as<placed_json::list>();
    if (listed == nullptr) {
        return std::nullopt;
    }
    for (const auto& one : *listed) {
        const auto* text = one.as<std::string>();
        if (text == nullptr) {
            return std::nullopt;
        }
        words.push_back(*text);
    }
    return words;
}

// A moment in seconds since 1970, or none where the claim is there and is no number.
struct moment {
    bool there = false;
    std::optional<wall_ns> at{};
};
[[nodiscard]] moment moment_in(const placed_json& claims, std::string_view name) {
    const auto* found = claims.find(name);
    if (found == nullptr) {
        return {};
    }
    double seconds = 0;
    if (const auto* whole = found->as<std::int64_t>()) {
        seconds = static_cast<double>(*whole);
    } else if (const auto* real = found->as<double>(); real != nullptr && std::isfinite(*real)) {
        seconds = *real;
    } else {
        return {.there = true};
    }
    return {true, static_cast<wall_ns>(std::clamp(seconds, 0.0, latest_s)) * ns_per_s};
}

[[nodiscard]] bool is_name(std::string_view text) {
    return !text.empty() && text.size() <= core::name_bytes_max &&
           std::ranges::none_of(text, [](char c) { return static_cast<unsigned char>(c) < ' ' || c == '\x7f'; });
}

// RFC 7519, RFC 9068. Whatever else is signed by the same key is no access token.
[[nodiscard]] bool is_token_type(std::string_view type) {
    return type == "JWT" || type == "jwt" || type == "at+jwt" || type == "application/at+jwt";
}

[[nodiscard]] result<const token_key*, token_fault> find_key(const placed_json& header, const token_rules& rules) {
    const auto* algorithm = text_in(header, "alg");
    const auto named = algorithm == nullptr ? std::nullopt : token_algorithm_named(*algorithm);
    if (!named || std::ranges::find(rules.algorithms, *named) == rules.algorithms.end()) {
        return forged("it is signed by none of the algorithms that are allowed");
    }
    if (header.find("crit") != nullptr) {
        return forged("it has critical extensions");
    }
    if (header.find("typ") != nullptr) {
        const auto* type = text_in(header, "typ");
        if (type == nullptr || !is_token_type(*type)) {
            return forged("it is another type of token");
        }
    }
    const auto* id = text_in(header, "kid");
    if (id == nullptr && header.find("kid") != nullptr) {
        return forged("its kid is no text");
    }
    const token_key* found = nullptr;
    for (const auto& key : rules.keys) {
        // A secret has no name, whatever the token calls it.
        const bool fits = key.algorithm() == *named &&
                          (id == nullptr || *named == token_algorithm::hs256 || key.id() == *id);
        if (fits && found != nullptr) {
            return forged("it names no key, and there are several");
        }
        found = fits ? &key : found;
    }
    if (found == nullptr) {
        return forged("it is signed by a key that is not known");
    }
    return found;
}

// Why it does not hold here and now; empty: it does. `ends`: when it will not any more.
[[nodiscard]] std::string objection(const placed_json& claims, const token_rules& rules, wall_ns now, wall_ns& ends) {
    const auto expires = moment_in(claims, "exp");
    if (!expires.at) {
        return expires.there ? "its exp is no number" : "it never expires: exp is missing";
    }
    ends = *expires.at + rules.leeway;
    if (now >= ends) {
        return fmt::format("it has expired, {} s ago", (now - *expires.at) / ns_per_s);
    }
    const auto begins = moment_in(claims, "nbf");
    if (begins.there && !begins.at) {
        return "its nbf is no number";
    }
    if (begins.at && now < *begins.at - rules.leeway) {
        return fmt::format("it begins to hold in {} s", (*begins.at - now) / ns_per_s);
    }
    const auto* audience = claims.find("aud");
    const auto named = audience == nullptr ? std::nullopt : words_in(*audience);
    if (!named || std::ranges::find(*named, rules.resource_server) == named->end()) {
        return fmt::format("it is for others: its aud does not name \"{}\"", rules.resource_server);
    }
    const auto* issuer = text_in(claims, "iss");
    if (!rules.issuer.empty() && (issuer == nullptr || *issuer != rules.issuer)) {
        return "it comes from another issuer";
    }
    return {};
}

// Those of this resource server, without its name.
[[nodiscard]] std::optional<std::vector<std::string>> scopes_in(const placed_json& claims, const token_rules& rules) {
    const auto prefix = rules.resource_server + ".";
    std::vector<std::string> scopes;
    for (const std::string_view name : {std::string_view("scope"), std::string_view(rules.more_scopes)}) {
        const auto* claim = name.empty() ? nullptr : claims.find(name);
        if (claim == nullptr) {
            continue;
        }
        const auto words = words_in(*claim);
        if (!words) {
            return std::nullopt;
        }
        for (const auto& word : *words) {
            if (word.starts_with(prefix)) {
                scopes.push_back(word.substr(prefix.size()));
            }
        }
    }
    return scopes;
}

}  // namespace

bool looks_like_token(std::string_view text) noexcept {
    return text.starts_with("eyJ") && std::ranges::count(text, '.') == 2;
}

result<accepted_token, token_fault> token_verifier::verify(std::string_view token, wall_ns now) const {
    const auto cut_up = token.size() <= token_bytes_max ? cut(token) : std::nullopt;
    if (!cut_up || cut_up->header.size() > header_bytes_max) {
        return forged("it is no token of three parts, or a part is too long");
    }
    const auto header = object_in(cut_up->header);
    const auto signature = from_base64url(cut_up->signature);
    if (!header || !signature) {
        return forged("its header or its signature cannot be read");
    }
    const auto key = find_key(*header, rules_);
    if (!key) {
        return fail(key.error());
    }
    if (!(*key)->verifies(cut_up->is_signed, *signature)) {
        return forged("its signature is wrong");
    }
    const auto claims = object_in(cut_up->claims);
    if (!claims) {
        return invalid("its claims cannot be read");
    }
    wall_ns ends = 0;
    if (auto why = objection(*claims, rules_, now, ends); !why.empty()) {
        return invalid(std::move(why));
    }
    const auto* user = claims->find("sub") != nullptr ? text_in(*claims, "sub") : text_in(*claims, "client_id");
    if (user == nullptr || !is_name(*user)) {
        return invalid("it does not say whose it is: neither sub nor client_id is a name");
    }
    const auto scopes = scopes_in(*claims, rules_);
    if (!scopes) {
        return invalid("its scopes are neither a text nor a list of texts");
    }
    constexpr std::string_view tag = "tag:";
    accepted_token who{*user, {}, core::scope_grant::make(*scopes, ends)};
    for (const auto& s : *scopes) {
        if (s.starts_with(tag)) {
            who.tags.push_back(s.substr(tag.size()));
        }
    }
    return who;
}

}  // namespace linnet::app
