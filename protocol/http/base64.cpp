#include "protocol/http/base64.hpp"

#include <array>

namespace linnet::http {
namespace {

constexpr std::string_view letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

constexpr char letter_of(std::uint32_t value, base64_form form) {
    if (value < letters.size())
        return letters[value];
    return value == 62 ? (form == base64_form::url ? '-' : '+') : (form == base64_form::url ? '_' : '/');
}

constexpr std::uint8_t no_letter = 0xFF;

constexpr std::array<std::uint8_t, 256> make_values(base64_form form) {
    std::array<std::uint8_t, 256> values{};
    values.fill(no_letter);
    for (std::uint8_t value = 0; value < 64; ++value)
        values[static_cast<unsigned char>(letter_of(value, form))] = value;
    return values;
}

constexpr std::array<std::uint8_t, 256> standard_values = make_values(base64_form::standard);
constexpr std::array<std::uint8_t, 256> url_values = make_values(base64_form::url);

}  // namespace

void append_base64(std::string& out, std::string_view bytes, base64_form form) {
    out.reserve(out.size() + base64_size(bytes.size(), form));
    for (std::size_t at = 0; at < bytes.size(); at += 3) {
        const std::string_view group = bytes.substr(at, 3);
        std::uint32_t bits = 0;
        for (std::size_t i = 0; i < 3; ++i)
            bits = bits << 8 | (i < group.size() ? static_cast<std::uint8_t>(group[i]) : 0U);
        for (std::size_t i = 0; i < 4; ++i) {
            if (i <= group.size())
                out += letter_of(bits >> (18 - 6 * i) & 63, form);
            else if (form == base64_form::standard)
                out += '=';
        }
    }
}

std::optional<std::string> base64_decoded(std::string_view text, base64_form form) {
    if (form == base64_form::standard) {
        if (text.size() % 4 != 0)
            return std::nullopt;
        for (int padding = 0; padding < 2 && !text.empty() && text.back() == '='; ++padding)
            text.remove_suffix(1);
    }
    if (text.size() % 4 == 1)
        return std::nullopt;
    const auto& values = form == base64_form::url ? url_values : standard_values;
    std::string bytes;
    bytes.reserve(text.size() * 3 / 4);
    std::uint32_t bits = 0;
    unsigned held = 0;
    for (const char c : text) {
        const std::uint8_t value = values[static_cast<unsigned char>(c)];
        if (value == no_letter)
            return std::nullopt;
        bits = bits << 6 | value;
        held += 6;
        if (held >= 8) {
            held -= 8;
            bytes += static_cast<char>(bits >> held & 0xFF);
        }
    }
    if ((bits & ((1U << held) - 1)) != 0)
        return std::nullopt;
    return bytes;
}

}  // namespace linnet::http
