// The lists that the handshake's header fields hold: elements between commas, tokens, parameters (RFC 9110, 5.6).
//
// A field may come in several lines, which mean the same as one with commas between; all here takes the values of
// the lines, in their order.
//
// Owns:     nothing; all texts lie in the header's value.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

namespace linnet::ws {

using header_lines = std::span<const std::string_view>;

namespace detail {

[[nodiscard]] constexpr bool is_space(char c) noexcept { return c == ' ' || c == '\t'; }

[[nodiscard]] constexpr char lower(char c) noexcept { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

}  // namespace detail

// What header names, schemes and hosts are compared by.
[[nodiscard]] constexpr bool equal_ignoring_case(std::string_view a, std::string_view b) noexcept {
    if (a.size() != b.size())
        return false;
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (detail::lower(a[i]) != detail::lower(b[i]))
            return false;
    }
    return true;
}

[[nodiscard]] constexpr bool is_token_character(char c) noexcept {
    return c > 0x20 && c < 0x7F && std::string_view{"()<>@,;:\\\"/[]?={}"}.find(c) == std::string_view::npos;
}

[[nodiscard]] constexpr bool is_token(std::string_view text) noexcept {
    for (const char c : text) {
        if (!is_token_character(c))
            return false;
    }
    return !text.empty();
}

[[nodiscard]] constexpr std::string_view trimmed(std::string_view text) noexcept {
    while (!text.empty() && detail::is_space(text.front()))
        text.remove_prefix(1);
    while (!text.empty() && detail::is_space(text.back()))
        text.remove_suffix(1);
    return text;
}

// A cursor over one line: name *( ";" name [ "=" value ] ), separated by commas.
class header_cursor {
public:
    explicit constexpr header_cursor(std::string_view line) noexcept : rest_{line} { skip_spaces(); }

    [[nodiscard]] constexpr bool at_end() const noexcept { return rest_.empty(); }

    // Takes the separator if it is next.
    constexpr bool take(char separator) noexcept {
        if (rest_.empty() || rest_.front() != separator)
            return false;
        rest_.remove_prefix(1);
        skip_spaces();
        return true;
    }
    // Empty if there is none.
    constexpr std::string_view token() noexcept {
        std::size_t size = 0;
        while (size < rest_.size() && is_token_character(rest_[size]))
            ++size;
        const auto found = rest_.substr(0, size);
        rest_.remove_prefix(size);
        skip_spaces();
        return found;
    }
    // A token, or one in quotes: then its raw text, which may hold backslashes. Empty if there is none.
    constexpr std::string_view value() noexcept {
        if (rest_.empty() || rest_.front() != '"')
            return token();
        std::size_t size = 1;
        while (size < rest_.size() && rest_[size] != '"')
            size += rest_[size] == '\\' ? 2 : 1;
        if (size >= rest_.size())
            return {};
        const auto found = rest_.substr(1, size - 1);
        rest_.remove_prefix(size + 1);
        skip_spaces();
        return found;
    }

private:
    constexpr void skip_spaces() noexcept {
        while (!rest_.empty() && detail::is_space(rest_.front()))
            rest_.remove_prefix(1);
    }

    std::string_view rest_;
};

// Whether a list of tokens has this one, in whatever case (Upgrade, Connection).
[[nodiscard]] constexpr bool lists_token(header_lines lines, std::string_view wanted) noexcept {
    for (std::string_view line : lines) {
        while (!line.empty()) {
            const std::size_t comma = line.find(',');
            if (equal_ignoring_case(trimmed(line.substr(0, comma)), wanted))
                return true;
            line.remove_prefix(comma == std::string_view::npos ? line.size() : comma + 1);
        }
    }
    return false;
}

}  // namespace linnet::ws
