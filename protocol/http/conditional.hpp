// Entity tags and the conditions on them (RFC 9110, sections 8.8.3 and 13.1).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::http {

// A strong tag of a number: an offset, a version.
[[nodiscard]] std::string make_etag(std::uint64_t version);

// Whether the field names the tag, a W/ before either aside, or is `*`. For If-None-Match: true means 304 on GET and
// HEAD, 412 on anything else. `etag` is empty when nothing is there, which no field names.
[[nodiscard]] bool names_etag_weakly(std::string_view field, std::string_view etag) noexcept;

// As above, but weak tags are never the same. For If-Match: false means 412.
[[nodiscard]] bool names_etag_strongly(std::string_view field, std::string_view etag) noexcept;

}  // namespace linnet::http
