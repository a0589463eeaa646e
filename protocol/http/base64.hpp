// Base64 and its form for URLs (RFC 4648), read strictly: one text for each value.
//
// So no line breaks, no blanks, the padding exactly where it belongs and the unused bits zero; a signature that is
// compared as text cannot be written in two ways.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::http {

enum class base64_form : std::uint8_t { standard, url };  // + / and padded; - _ and not padded

[[nodiscard]] constexpr std::size_t base64_size(std::size_t bytes, base64_form form) noexcept {
    return form == base64_form::standard ? (bytes + 2) / 3 * 4 : (bytes * 4 + 2) / 3;
}
void append_base64(std::string& out, std::string_view bytes, base64_form form = base64_form::standard);
[[nodiscard]] std::optional<std::string> base64_decoded(std::string_view text,
                                                        base64_form form = base64_form::standard);

}  // namespace linnet::http
