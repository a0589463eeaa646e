// The words that HTTP's fields are made of: tokens, lists, quoted strings (RFC 9110, section 5.6).
//
// Owns:     nothing; what comes back views the text that was given.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::http {

[[nodiscard]] bool is_token_char(char c) noexcept;
[[nodiscard]] bool is_token(std::string_view text) noexcept;  // not empty, and token characters only

// ASCII only, whatever the locale.
[[nodiscard]] constexpr char to_lower(char c) noexcept {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c;
}
// Inline: most names differ in their lengths already, or else in their first letters.
[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (to_lower(a[i]) != to_lower(b[i]))
            return false;
    }
    return true;
}
[[nodiscard]] bool starts_ignoring_case(std::string_view text, std::string_view prefix) noexcept;

// Without spaces and tabs around it.
[[nodiscard]] std::string_view trimmed(std::string_view text) noexcept;

// Takes the next part of a text off its front, up to `separator` or the end; a separator within a quoted string
// is none. Parts come trimmed. Empty ones are skipped, as RFC 9110 wants of lists; nullopt at the end.
[[nodiscard]] std::optional<std::string_view> take_item(std::string_view& rest, char separator = ',') noexcept;

// What a token or a quoted string says; nullopt when it is neither.
[[nodiscard]] std::optional<std::string> unquoted(std::string_view text);

// Digits alone, no sign or space, and no overflow.
[[nodiscard]] std::optional<std::uint64_t> parse_decimal(std::string_view text) noexcept;

// A field value that may go on the wire: no control character but the tab.
[[nodiscard]] bool is_field_value(std::string_view text) noexcept;

[[nodiscard]] constexpr bool is_control(char c) noexcept { return (c >= 0 && c < ' ') || c == 0x7F; }

}  // namespace linnet::http
