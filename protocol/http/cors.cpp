#include "protocol/http/cors.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

bool is_allowed(const cors_policy& policy, const request& r) {
    const auto origin = r.fields.find("Origin");
    return origin && r.fields.count("Origin") == 1 && policy.allows(*origin);
}

void add_origin(response_writer& to, const cors_policy& policy, const request& r) {
    if (!policy.any_origin && !policy.origins.empty())
        to.field("Vary", "Origin");
    if (!is_allowed(policy, r))
        return;
    to.field("Access-Control-Allow-Origin", policy.any_origin ? "*" : r.fields.get("Origin"));
    if (policy.credentials && !policy.any_origin)
        to.field("Access-Control-Allow-Credentials", "true");
}

}  // namespace

bool cors_policy::allows(std::string_view origin) const noexcept {
    return any_origin || std::find(origins.begin(), origins.end(), origin) != origins.end();
}

bool is_preflight(const request& r) noexcept {
    return r.method == method::options && r.fields.has("Origin") && r.fields.has("Access-Control-Request-Method");
}

void add_cors(response_writer& to, const cors_policy& policy, const request& r) {
    add_origin(to, policy, r);
    if (!policy.response_fields.empty() && is_allowed(policy, r))
        to.field("Access-Control-Expose-Headers", policy.response_fields);
}

void append_preflight(std::string& out, const cors_policy& policy, const request& r, std::string_view date) {
    response_writer to{out, reply_to::request(r), status::no_content, date};
    add_origin(to, policy, r);
    if (is_allowed(policy, r)) {
        to.field("Access-Control-Allow-Methods", policy.methods);
        to.field("Access-Control-Allow-Headers", policy.request_fields);
        to.field("Access-Control-Max-Age", policy.preflight_seconds);
    }
    to.no_body();
}

}  // namespace linnet::http
