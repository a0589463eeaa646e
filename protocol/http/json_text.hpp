// The one thing about JSON that HTTP's own bodies need: a string.
#pragma once

#include <string>
#include <string_view>

namespace linnet::http {

// Appends `text` in quotation marks, escaped (RFC 8259). Bytes that are not UTF-8 become U+FFFD, one for each, so
// what comes out is JSON whatever a peer has sent.
void append_json_string(std::string& out, std::string_view text);

}  // namespace linnet::http
