#include "broker/session/http_words.hpp"

#include <charconv>

namespace linnet::session {
namespace {

constexpr std::uint64_t lease_s = 30;
constexpr std::uint64_t lease_s_max = 12 * 60 * 60;

http::status status_of(core::error_kind kind) {
    switch (kind) {
        case core::error_kind::not_found: return http::status::not_found;
        case core::error_kind::access_refused: return http::status::forbidden;
        case core::error_kind::precondition_failed:
        case core::error_kind::command_invalid: return http::status::bad_request;
        case core::error_kind::resource_locked:
        case core::error_kind::not_allowed: return http::status::conflict;
        case core::error_kind::quota_exceeded:
        case core::error_kind::resource_error: return http::status::too_many_requests;
        case core::error_kind::not_implemented: return http::status::not_implemented;
        case core::error_kind::internal: return http::status::internal_error;
    }
    return http::status::internal_error;
}

}  // namespace

http_answer bad_request(std::string_view why) {
    return problem_answer({.code = http::status::bad_request, .detail = why});
}

http_answer forbidden(std::string_view why) { return problem_answer({.code = http::status::forbidden, .detail = why}); }

http_answer no_such_lease() {
    return problem_answer(
        {.code = http::status::gone, .detail = "there is no such lease: it ran out, or was settled, or is not yours"});
}

http_answer refusal_of(const core::error& e) { return problem_answer({.code = status_of(e.kind), .detail = e.text}); }

std::optional<std::uint64_t> number_asked(const http_request& r, std::string_view name, std::uint64_t otherwise,
                                          std::uint64_t most) {
    const auto text = r.query(name);
    if (!text) {
        return otherwise;
    }
    std::uint64_t n = 0;
    const auto end = text->data() + text->size();
    const auto done = std::from_chars(text->data(), end, n);
    return done.ec == std::errc{} && done.ptr == end && n <= most ? std::optional(n) : std::nullopt;
}

std::optional<mono_ns> lease_asked(const http_request& r) {
    const auto s = number_asked(r, "lease", lease_s, lease_s_max);
    return s ? std::optional(static_cast<mono_ns>(*s) * ns_per_s) : std::nullopt;
}

}  // namespace linnet::session
