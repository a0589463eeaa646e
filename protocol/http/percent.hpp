// Percent-encoding (RFC 3986, section 2.1), read strictly: a bad escape is refused, never passed on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::http {

// What a plus sign means. Forms and browsers' URLSearchParams write a space so; in a path, and in a topic filter of
// MQTT that somebody has typed, it is itself.
enum class plus : std::uint8_t { is_plus, is_space };

// Every % has two hexadecimal digits behind it, which are not 00: names with a NUL in them have deceived too many
// readers down the line.
[[nodiscard]] bool is_percent_encoded(std::string_view text) noexcept;

// Appends what the text says. It must be percent-encoded, as above.
void append_percent_decoded(std::string& out, std::string_view text, plus meaning);

// Appends the text as one segment of a path or one value of a query: everything but letters, digits, - . _ ~
// escaped. (A segment that is . or .. cannot be written so that every proxy leaves it alone; the parser refuses it.)
void append_percent_encoded(std::string& out, std::string_view text);

}  // namespace linnet::http
