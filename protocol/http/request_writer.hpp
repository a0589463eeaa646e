// Writes requests, for the programs that are HTTP's clients.
//
// As in response_writer nothing can be broken from inside: a byte that must not stand in the target is escaped, a
// control character in a field becomes a space.
//
// Owns:     nothing; it appends to the text that it was given.
#pragma once

#include "protocol/http/response_writer.hpp"

namespace linnet::http {

enum class expect : std::uint8_t { nothing, continue_ };

// The whole request, with a body of known length.
void append_request(std::string& out, method m, std::string_view target, std::string_view host,
                    std::span<const field> fields, std::string_view body);

// The head alone: the body follows later, in chunks when its size is not given.
void append_request_head(std::string& out, method m, std::string_view target, std::string_view host,
                         std::span<const field> fields, std::optional<std::uint64_t> body_bytes, expect wish);

}  // namespace linnet::http
