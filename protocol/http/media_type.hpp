// A Content-Type taken apart (RFC 9110, section 8.3): type, subtype and parameters.
//
// Owns:     nothing; it views the field's value.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace linnet::http {

struct media_type {
    std::string_view type;     // `text` of `text/plain; charset=utf-8`
    std::string_view subtype;  // `plain`
    std::string_view parameters;

    [[nodiscard]] static std::optional<media_type> parse(std::string_view value);

    // Case does not matter.
    [[nodiscard]] bool is(std::string_view wanted_type, std::string_view wanted_subtype) const noexcept;
    // `application/problem+json` has the suffix `json`, as has `application/json` itself.
    [[nodiscard]] bool has_syntax(std::string_view syntax) const noexcept;
    [[nodiscard]] std::optional<std::string> parameter(std::string_view name) const;
};

// Whether bodies of this type are text that people read, and so worth compressing and fit to be sent as an event's
// data. A value that is malformed or missing is none.
[[nodiscard]] bool is_text_type(std::string_view content_type);

}  // namespace linnet::http
