#include "protocol/ws/origin.hpp"

#include "protocol/ws/header_list.hpp"

#include <algorithm>

namespace linnet::ws {
namespace {

// scheme "://" host [ ":" port ], cut at its joints; an empty scheme if it is none of that.
struct origin_parts {
    std::string_view scheme;
    std::string_view host;
    std::string_view port;
};

// Not within the brackets of an IPv6 address.
std::size_t port_colon(std::string_view authority) noexcept {
    const std::size_t colon = authority.rfind(':');
    const std::size_t bracket = authority.rfind(']');
    const bool inside = colon != std::string_view::npos && bracket != std::string_view::npos && colon < bracket;
    return inside ? std::string_view::npos : colon;
}

std::string_view port_of_scheme(std::string_view scheme) noexcept {
    if (equal_ignoring_case(scheme, "https"))
        return "443";
    return equal_ignoring_case(scheme, "http") ? "80" : "";
}

origin_parts split_authority(std::string_view scheme, std::string_view authority) noexcept {
    const std::size_t colon = port_colon(authority);
    if (colon == std::string_view::npos)
        return {scheme, authority, port_of_scheme(scheme)};
    return {scheme, authority.substr(0, colon), authority.substr(colon + 1)};
}

origin_parts split_origin(std::string_view origin) noexcept {
    const std::size_t mark = origin.find("://");
    if (mark == std::string_view::npos || mark == 0)
        return {};
    return split_authority(origin.substr(0, mark), origin.substr(mark + 3));
}

bool host_matches(std::string_view host, std::string_view pattern) noexcept {
    if (!pattern.starts_with("*."))
        return equal_ignoring_case(host, pattern);
    const std::string_view parent = pattern.substr(1);  // ".example.com": not example.com itself
    return host.size() > parent.size() && equal_ignoring_case(host.substr(host.size() - parent.size()), parent);
}

bool matches(std::string_view origin, std::string_view entry) noexcept {
    if (entry == "*")
        return true;
    const origin_parts have = split_origin(origin);
    const origin_parts want = split_origin(entry);
    if (have.scheme.empty() || want.scheme.empty())
        return origin == entry;  // "null"
    return equal_ignoring_case(have.scheme, want.scheme) && have.port == want.port &&
           host_matches(have.host, want.host);
}

bool same_host(std::string_view origin, std::string_view host) noexcept {
    const origin_parts page = split_origin(origin);
    if (page.scheme.empty() || host.empty())
        return false;
    const origin_parts here = split_authority(page.scheme, host);
    return equal_ignoring_case(page.host, here.host) && page.port == here.port;
}

}  // namespace

bool may_connect(std::optional<std::string_view> origin, std::string_view host, const origin_policy& policy) noexcept {
    if (!origin)
        return policy.without == missing_origin::allowed;
    if (policy.same_host_allowed && same_host(*origin, host))
        return true;
    return std::any_of(policy.allowed.begin(), policy.allowed.end(),
                       [&](std::string_view entry) { return matches(*origin, entry); });
}

}  // namespace linnet::ws
