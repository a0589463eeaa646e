// What a client would like: the Accept and Accept-Encoding fields (RFC 9110, section 12.5), as far as we offer a
// choice.
#pragma once

#include <cstddef>
#include <optional>
#include <span>
#include <string_view>

namespace linnet::http {

// The index of the media type that suits best, the first of those that suit alike; nullopt: none does (406). An
// empty field suits everything. A range counts by how exactly it names the type, as the RFC says: of
// `text/*;q=0.1, text/html` the second is about text/html. What is malformed in the list is passed over.
[[nodiscard]] std::optional<std::size_t> choose_media_type(std::string_view accept,
                                                           std::span<const std::string_view> offered);

// Whether the client takes gzip; without a field it was not asked, and gets none.
[[nodiscard]] bool accepts_gzip(std::string_view accept_encoding);

// Whether a body is worth compressing, too: text, and large enough that the head does not outweigh what is saved.
// The answer then needs `Vary: Accept-Encoding`, whatever comes out here.
inline constexpr std::size_t gzip_bytes_min = 1024;
[[nodiscard]] bool should_gzip(std::string_view accept_encoding, std::string_view content_type, std::size_t body_bytes);

}  // namespace linnet::http
