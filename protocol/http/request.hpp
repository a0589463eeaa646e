// A request's head, as a session reads it.
#pragma once

#include "protocol/http/field.hpp"
#include "protocol/http/method.hpp"
#include "protocol/http/target.hpp"

namespace linnet::http {

// Owns:     what its parts own. Every view is of the parser's copy of the head.
struct request {
    http::method method = http::method::other;
    std::string_view method_name;
    http::target target;
    unsigned minor_version = 1;
    field_list fields;
    // The authority that the target or else the Host field names; empty only in HTTP/1.0.
    std::string_view host;
    std::optional<std::uint64_t> content_length;
    bool chunked = false;
    bool keep_alive = true;
    bool expects_continue = false;
    // What the client would rather speak ("websocket"), when Connection and Upgrade both say so; else empty.
    std::string_view upgrade;

    void clear() noexcept;

    [[nodiscard]] bool has_body() const noexcept { return chunked || content_length.value_or(0) > 0; }
};

inline void request::clear() noexcept {
    method = http::method::other;
    method_name = host = upgrade = {};
    target.clear();
    minor_version = 1;
    fields.clear();
    content_length.reset();
    chunked = expects_continue = false;
    keep_alive = true;
}

}  // namespace linnet::http
