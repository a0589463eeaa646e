#include "broker/session/http_batch.hpp"

#include "protocol/http/base64.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <array>
#include <cmath>
#include <utility>

namespace linnet::session {
namespace {

using core::neutral_properties;
using json = nlohmann::json;

// A line's object, and that of its headers. Anything deeper is not ours.
constexpr int depth_max = 2;
constexpr double ttl_max_s = 315'360'000;

constexpr std::array<std::pair<std::string_view, std::optional<std::string> neutral_properties::*>, 7> texts{{
    {"content_type", &neutral_properties::content_type},
    {"content_encoding", &neutral_properties::content_encoding},
    {"message_id", &neutral_properties::message_id},
    {"correlation_id", &neutral_properties::correlation_id},
    {"reply_to", &neutral_properties::reply_to},
    {"type", &neutral_properties::type},
    {"app_id", &neutral_properties::app_id},
}};

std::optional<core::value> value_of(const json& j) {
    if (j.is_string()) {
        return core::make_string(j.get_ref<const std::string&>());
    }
    if (j.is_boolean()) {
        return core::make_bool(j.get<bool>());
    }
    if (j.is_number_integer()) {
        return core::make_int64(j.get<std::int64_t>());
    }
    if (j.is_number_float()) {
        return core::value{core::value_type::float64, j.get<double>(), 0};
    }
    return std::nullopt;
}

std::optional<std::string> read_headers(const json& j, core::value_table& into) {
    if (!j.is_object()) {
        return "headers is an object";
    }
    for (const auto& [name, v] : j.items()) {
        auto value = value_of(v);
        if (!value) {
            return "a header is a text, a number or a truth value";
        }
        into.emplace_back(name, std::move(*value));
    }
    return std::nullopt;
}

// Nothing: it is no member that means a number.
std::optional<std::string> read_number(std::string_view name, const json& v, neutral_properties& said) {
    if (name == "ttl") {
        if (!v.is_number() || !(v.get<double>() >= 0) || v.get<double>() > ttl_max_s) {
            return "ttl is a number of seconds";
        }
        said.time_to_live = static_cast<mono_ns>(std::ceil(v.get<double>() * 1000)) * ns_per_ms;
        return std::nullopt;
    }
    if (name == "priority" && v.is_number_unsigned() && v.get<std::uint64_t>() <= UINT8_MAX) {
        said.priority = v.get<std::uint8_t>();
        return std::nullopt;
    }
    if (name == "timestamp" && v.is_number_unsigned()) {
        said.timestamp_s = v.get<std::uint64_t>();
        return std::nullopt;
    }
    return fmt::format("'{}' is not known, or is of another kind", name);
}

std::optional<std::string> read_member(const std::string& name, const json& v, batch_item& into) {
    if (name == "headers") {
        return read_headers(v, into.said.headers);
    }
    if (!v.is_string()) {
        return read_number(name, v, into.said);
    }
    const auto& text = v.get_ref<const std::string&>();
    if (name == "body") {
        into.body = text;
    } else if (name == "key") {
        into.key = text;
    } else if (name == "base64") {
        auto bytes = http::base64_decoded(text);
        if (!bytes) {
            return "base64 is malformed";
        }
        into.body = std::move(*bytes);
    } else {
        for (const auto& [known, member] : texts) {
            if (name == known) {
                into.said.*member = text;
                return std::nullopt;
            }
        }
        return fmt::format("'{}' is not known, or is of another kind", name);
    }
    return std::nullopt;
}

std::optional<std::string> read_line(std::string_view line, batch_item& into) {
    bool deep = false;
    const auto shallow = [&](int depth, json::parse_event_t, json&) {
        deep = deep || depth > depth_max;
        return !deep;
    };
    const auto j = json::parse(line, shallow, false);
    if (deep || !j.is_object()) {
        return deep ? "nested too deeply" : "no JSON object";
    }
    for (const auto& [name, v] : j.items()) {
        if (auto complaint = read_member(name, v, into)) {
            return complaint;
        }
    }
    return std::nullopt;
}

}  // namespace

result<std::vector<batch_item>, std::string> read_batch(std::string_view text) {
    std::vector<batch_item> all;
    for (std::size_t number = 1; !text.empty(); ++number) {
        const auto end = std::min(text.find('\n'), text.size());
        const auto line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.find_first_not_of(" \t\r") == std::string_view::npos) {
            continue;
        }
        if (all.size() == batch_lines_max) {
            return fail(fmt::format("more than {} messages", batch_lines_max));
        }
        if (auto complaint = read_line(line, all.emplace_back())) {
            return fail(fmt::format("line {}: {}", number, *complaint));
        }
    }
    return all;
}

}  // namespace linnet::session
