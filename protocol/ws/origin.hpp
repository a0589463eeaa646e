// Which web pages may open a WebSocket here.
//
// Browsers let any page connect anywhere, with the user's cookies and from within the user's network, and only say
// in Origin where the page came from: whom to refuse is for the server (RFC 6455, 10.2). Who is no browser can say
// anything, so this protects users, not the broker.
#pragma once

#include <optional>
#include <span>
#include <string_view>

namespace linnet::ws {

enum class missing_origin : std::uint8_t { allowed, refused };

// Entries: `https://example.com`, with `:port` where it is not the scheme's own; `https://*.example.com` for every
// name below; `null` for pages without an origin (local files, sandboxes); `*` for all.
struct origin_policy {
    std::span<const std::string_view> allowed{};
    // Pages that came from the very host and port that they connect to.
    bool same_host_allowed = true;
    missing_origin without = missing_origin::allowed;
};

// `origin` is the header's value, if there was one; `host` the request's Host.
[[nodiscard]] bool may_connect(std::optional<std::string_view> origin, std::string_view host,
                               const origin_policy& policy) noexcept;

}  // namespace linnet::ws
