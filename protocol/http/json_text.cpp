#include "protocol/http/json_text.hpp"

#include "protocol/wire/utf8.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

void append_escaped(std::string& out, char c) {
    constexpr std::string_view digits = "0123456789abcdef";
    switch (c) {
        case '"': out += "\\\""; return;
        case '\\': out += "\\\\"; return;
        case '\n': out += "\\n"; return;
        case '\r': out += "\\r"; return;
        case '\t': out += "\\t"; return;
        default: break;
    }
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20)
        out += {'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]};
    else
        out += c;
}

// How many bytes at the front stand for themselves.
std::size_t plain_size(std::string_view text) {
    const auto end = std::find_if(text.begin(), text.end(),
                                  [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\'; });
    return static_cast<std::size_t>(end - text.begin());
}

// How many bytes the character at the front has; 0 when it is none.
std::size_t character_size(std::string_view text) {
    for (std::size_t size = 1; size <= std::min<std::size_t>(text.size(), 4); ++size) {
        if (wire::is_utf8(text.substr(0, size)))
            return size;
    }
    return 0;
}

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
    out += '"';
    const bool sound = wire::is_utf8(text);
    while (!text.empty()) {
        // Nearly every text is nothing but one such piece.
        if (const auto plain = sound ? plain_size(text) : 0; plain != 0) {
            out += text.substr(0, plain);
            text.remove_prefix(plain);
            continue;
        }
        const std::size_t size = sound || static_cast<unsigned char>(text[0]) < 0x80 ? 1 : character_size(text);
        if (size == 0)
            out += "\xEF\xBF\xBD";
        else if (size == 1)
            append_escaped(out, text[0]);
        else
            out += text.substr(0, size);
        text.remove_prefix(std::max<std::size_t>(size, 1));
    }
    out += '"';
}

}  // namespace linnet::http
