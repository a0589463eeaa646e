// The methods that Linnet knows by name; case matters (RFC 9110, section 9.1).
#pragma once

#include <cstdint>
#include <string_view>

namespace linnet::http {

enum class method : std::uint8_t { get, head, post, put, delete_, patch, options, other };

[[nodiscard]] constexpr std::string_view name_of(method m) noexcept {
    switch (m) {
        case method::get: return "GET";
        case method::head: return "HEAD";
        case method::post: return "POST";
        case method::put: return "PUT";
        case method::delete_: return "DELETE";
        case method::patch: return "PATCH";
        case method::options: return "OPTIONS";
        case method::other: return "";
    }
    return "";
}

[[nodiscard]] constexpr method method_of(std::string_view name) noexcept {
    for (const method m :
         {method::get, method::head, method::post, method::put, method::delete_, method::patch, method::options}) {
        if (name == name_of(m))
            return m;
    }
    return method::other;
}

}  // namespace linnet::http
