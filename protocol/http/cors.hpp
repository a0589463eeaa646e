// Which pages of other origins may call (the Fetch standard's CORS protocol): an allow list in, fields out.
//
// Owns:     the policy its texts; what is asked and answered views the request and the policy.
#pragma once

#include "protocol/http/response_writer.hpp"

#include <vector>

namespace linnet::http {

// `credentials`: pages may send what the browser keeps for us. It does not go together with any_origin, since
// then every page in the world could act as its visitor: origins must be listed for it.
struct cors_policy {
    std::vector<std::string> origins{};  // "https://shop.example", compared as the browser sends it, byte by byte
    bool any_origin = false;
    bool credentials = false;
    std::string methods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";
    std::string request_fields = "Authorization, Content-Type";
    std::string response_fields{};  // that the page may read
    std::uint32_t preflight_seconds = 600;

    [[nodiscard]] bool allows(std::string_view origin) const noexcept;
};

// A browser's question before the real request. It carries no credentials, so it is answered before any login.
[[nodiscard]] bool is_preflight(const request& r) noexcept;

// The fields that every response to a page needs; none when its origin is not allowed or there is no Origin at all.
// With a list of origins the answer depends on who asks, and says so to caches in either case.
void add_cors(response_writer& to, const cors_policy& policy, const request& r);

// The whole answer to a preflight: 204, with permission or without.
void append_preflight(std::string& out, const cors_policy& policy, const request& r, std::string_view date);

}  // namespace linnet::http
