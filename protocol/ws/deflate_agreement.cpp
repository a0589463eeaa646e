#include "protocol/ws/deflate_agreement.hpp"

#include <algorithm>

namespace linnet::ws {
namespace {

constexpr std::string_view extension_name = "permessage-deflate";
constexpr int window_bits_most = 15;

// The parameters of one element, offer or answer.
struct parameters {
    bool valid = true;  // each known, once, with a value that it may have
    bool server_no_context_takeover = false;
    bool client_no_context_takeover = false;
    bool client_window_named = false;  // with a value or without
    std::optional<int> server_window_bits{};
    std::optional<int> client_window_bits{};
};

// 8 to 15 without leading zeros; `raw` may hold backslashes if it stood in quotes.
std::optional<int> window_bits(std::string_view raw) noexcept {
    std::string_view digits = raw;
    int number = 0;
    int count = 0;
    for (std::size_t i = 0; i < digits.size(); ++i) {
        const char c = digits[i] == '\\' && i + 1 < digits.size() ? digits[++i] : digits[i];
        if (c < '0' || c > '9' || (c == '0' && count == 0) || ++count > 2)
            return std::nullopt;
        number = number * 10 + (c - '0');
    }
    return number >= 8 && number <= window_bits_most ? std::optional{number} : std::nullopt;
}

void set_flag(bool& flag, bool& valid, std::optional<std::string_view> value) noexcept {
    valid = valid && !flag && !value;
    flag = true;
}

void add_parameter(parameters& found, std::string_view name, std::optional<std::string_view> value) noexcept {
    if (name == "server_no_context_takeover") {
        set_flag(found.server_no_context_takeover, found.valid, value);
    } else if (name == "client_no_context_takeover") {
        set_flag(found.client_no_context_takeover, found.valid, value);
    } else if (name == "server_max_window_bits") {
        found.valid = found.valid && !found.server_window_bits && value;
        found.server_window_bits = window_bits(value.value_or(""));
        found.valid = found.valid && found.server_window_bits;
    } else if (name == "client_max_window_bits") {
        found.valid = found.valid && !found.client_window_named;
        found.client_window_named = true;
        found.client_window_bits = value ? window_bits(*value) : std::nullopt;
        found.valid = found.valid && (!value || found.client_window_bits);
    } else {
        found.valid = false;
    }
}

// Reads the parameters behind an extension's name. Nothing if they break the grammar.
std::optional<parameters> take_parameters(header_cursor& line) noexcept {
    parameters found;
    while (line.take(';')) {
        const auto name = line.token();
        if (name.empty())
            return std::nullopt;
        std::optional<std::string_view> value;
        if (line.take('=')) {
            value = line.value();
            if (value->empty())
                return std::nullopt;
        }
        add_parameter(found, name, value);
    }
    return found;
}

// Calls `visit(name, parameters)` for each element of the list; false if the list breaks the grammar.
template <class Visit>
bool for_each_extension(header_lines lines, Visit visit) {
    for (const std::string_view text : lines) {
        header_cursor line{text};
        while (!line.at_end()) {
            if (line.take(','))
                continue;  // empty elements mean nothing (RFC 9110, 5.6.1)
            const auto name = line.token();
            if (name.empty())
                return false;
            const auto found = take_parameters(line);
            if (!found || (!line.at_end() && !line.take(',')))
                return false;
            visit(name, *found);
        }
    }
    return true;
}

deflate_agreement agree(const parameters& offered, const deflate_policy& policy) noexcept {
    const int server_bits = std::min(policy.server_window_bits_max,
                                     offered.server_window_bits.value_or(window_bits_most));
    // Without the parameter in the offer the client's window is what it likes.
    const int client_bits = offered.client_window_named
                                ? std::min(policy.client_window_bits_max,
                                           offered.client_window_bits.value_or(window_bits_most))
                                : window_bits_most;
    return {.server_keeps_context = policy.server_keeps_context && !offered.server_no_context_takeover,
            .client_keeps_context = policy.client_keeps_context && !offered.client_no_context_takeover,
            .server_window_bits = server_bits,
            .client_window_bits = client_bits,
            .names_server_window_bits = offered.server_window_bits || server_bits < window_bits_most,
            .names_client_window_bits = client_bits < window_bits_most};
}

void append_bits(std::string& text, std::string_view name, int bits) {
    text.append("; ").append(name).append("=").append(std::to_string(bits));
}

}  // namespace

deflate_answer agree_on_deflate(header_lines offers, const deflate_policy& policy) noexcept {
    deflate_answer answer = deflate_declined{};
    const bool well_formed = for_each_extension(offers, [&](std::string_view name, const parameters& offered) {
        if (name == extension_name && offered.valid && std::holds_alternative<deflate_declined>(answer))
            answer = agree(offered, policy);
    });
    return well_formed ? answer : header_malformed{};
}

std::string to_header(const deflate_agreement& agreement) {
    std::string text{extension_name};
    if (!agreement.server_keeps_context)
        text += "; server_no_context_takeover";
    if (!agreement.client_keeps_context)
        text += "; client_no_context_takeover";
    if (agreement.names_server_window_bits)
        append_bits(text, "server_max_window_bits", agreement.server_window_bits);
    if (agreement.names_client_window_bits)
        append_bits(text, "client_max_window_bits", agreement.client_window_bits);
    return text;
}

std::string to_header(const deflate_offer& offer) {
    std::string text{extension_name};
    if (!offer.server_keeps_context)
        text += "; server_no_context_takeover";
    if (!offer.client_keeps_context)
        text += "; client_no_context_takeover";
    if (offer.server_window_bits_max)
        append_bits(text, "server_max_window_bits", *offer.server_window_bits_max);
    if (offer.client_window_bits_max == window_bits_most)
        text += "; client_max_window_bits";
    else if (offer.client_window_bits_max)
        append_bits(text, "client_max_window_bits", *offer.client_window_bits_max);
    return text;
}

deflate_answer accept_deflate(header_lines answer, const deflate_offer& offer) noexcept {
    std::optional<deflate_agreement> agreed;
    bool allowed = true;
    const bool well_formed = for_each_extension(answer, [&](std::string_view name, const parameters& got) {
        // Once, and nothing that was not offered (RFC 7692, 7.1); what limits the server must not be ignored.
        allowed = allowed && name == extension_name && got.valid && !agreed &&
                  (offer.server_keeps_context || got.server_no_context_takeover) &&
                  (!got.client_window_named || (got.client_window_bits && offer.client_window_bits_max &&
                                                *got.client_window_bits <= *offer.client_window_bits_max)) &&
                  (!offer.server_window_bits_max ||
                   (got.server_window_bits && *got.server_window_bits <= *offer.server_window_bits_max));
        agreed = deflate_agreement{
            .server_keeps_context = !got.server_no_context_takeover,
            .client_keeps_context = offer.client_keeps_context && !got.client_no_context_takeover,
            .server_window_bits = got.server_window_bits.value_or(window_bits_most),
            .client_window_bits = std::min(got.client_window_bits.value_or(window_bits_most),
                                           offer.client_window_bits_max.value_or(window_bits_most)),
            .names_server_window_bits = got.server_window_bits.has_value(),
            .names_client_window_bits = got.client_window_named};
    });
    if (!well_formed || !allowed)
        return header_malformed{};
    return agreed ? deflate_answer{*agreed} : deflate_declined{};
}

}  // namespace linnet::ws
