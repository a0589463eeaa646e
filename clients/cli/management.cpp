#include "clients/cli/management.hpp"

#include "protocol/http/percent.hpp"

namespace linnet::cli {
namespace {

constexpr unsigned created = 201;

// The API answers {"error": ..., "reason": ...}; some servers in between answer something else.
std::string reason_in(const http_reply& reply) {
    const auto body = json_value::parse(reply.body, nullptr, false);
    if (body.is_object() && body.contains("reason")) {
        return body["reason"].is_string() ? body["reason"].get<std::string>() : body["reason"].dump();
    }
    return fmt::format("HTTP status {}", reply.code);
}

tl::unexpected<failure> refusal(const http_reply& reply, std::string_view what, const server_uri& at) {
    switch (reply.code) {
        case 401:
            return fail(exit_code::auth, fmt::format("{}: {}", at.text(), reason_in(reply)),
                        "Give user and password in the URL, or in a context; the user needs the tag that this needs.");
        case 403: return fail(exit_code::auth, fmt::format("{}: {}", what, reason_in(reply)));
        case 404:
            return fail(exit_code::failure, fmt::format("{} is not there", what),
                        "`ls` shows what is; --vhost says in which vhost to look.");
        default: return fail(exit_code::failure, fmt::format("{}: {}", what, reason_in(reply)));
    }
}

}  // namespace

std::string api_path(std::initializer_list<std::string_view> segments) {
    auto path = std::string{"/api"};
    for (const auto segment : segments) {
        path += '/';
        http::append_percent_encoded(path, segment);
    }
    return path;
}

result<http_reply> management::ask(http::method method, const std::string& path, const std::optional<std::string>& body,
                                   std::string_view what, const std::string& reason) {
    auto reply = http_.ask(method, path, body, reason);
    if (reply) {
        date_ = reply->date;
    }
    if (reply && reply->code / 100 != 2) {
        return refusal(*reply, what, at());
    }
    return reply;
}

result<json_value> management::parsed(const http_reply& reply, const std::string& path) const {
    auto value = reply.body.empty() ? json_value{} : json_value::parse(reply.body, nullptr, false);
    if (value.is_discarded()) {
        return fail(exit_code::bad_data, fmt::format("{}{}: the answer is not JSON", at().text(), path),
                    "Is this the port of the management API?");
    }
    return value;
}

result<json_value> management::get(const std::string& path, std::string_view what) {
    return ask(http::method::get, path, {}, what).and_then([&](const auto& reply) { return parsed(reply, path); });
}

result<bool> management::put(const std::string& path, const json_value& body, std::string_view what) {
    return ask(http::method::put, path, body.dump(), what).map([](const auto& reply) { return reply.code == created; });
}

result<json_value> management::post(const std::string& path, const json_value& body, std::string_view what) {
    return ask(http::method::post, path, body.dump(), what).and_then([&](const auto& reply) {
        return parsed(reply, path);
    });
}

result<void> management::remove(const std::string& path, std::string_view what, const std::string& reason) {
    return ask(http::method::delete_, path, {}, what, reason).map([](const auto&) {});
}

}  // namespace linnet::cli
