// Errors in the form of RFC 9457: `application/problem+json`.
#pragma once

#include "protocol/http/response_writer.hpp"

namespace linnet::http {

inline constexpr std::string_view problem_content_type = "application/problem+json";

struct problem {
    status code = status::internal_error;
    std::string_view type{};    // a URI that names the kind; without it `about:blank`, and the title is the status's
    std::string_view title{};   // without it the status's
    std::string_view detail{};  // about this one; may hold what the peer has sent
    std::string_view instance{};
};

[[nodiscard]] std::string problem_json(const problem& p);

// The whole response: no-store, since what failed once may not fail again. `more`: WWW-Authenticate, Allow,
// Retry-After and the like.
void append_problem(std::string& out, reply_to to, const problem& p, std::string_view date,
                    std::span<const field> more = {});

// What the parser has refused; the connection closes behind it.
void append_problem(std::string& out, const request& r, fault why, std::string_view date);

}  // namespace linnet::http
