#include "broker/session/http_properties.hpp"

#include "broker/session/amqp_properties.hpp"
#include "broker/session/value_text.hpp"
#include "protocol/http/json_text.hpp"
#include "protocol/wire/bytes.hpp"

#include <fmt/format.h>

#include <array>
#include <charconv>
#include <cmath>
#include <utility>

namespace linnet::session {
namespace {

using core::neutral_properties;

constexpr std::string_view header_prefix = "X-H-";
// Ten years, as AMQP's expiration has it.
constexpr double ttl_max_s = 315'360'000;

struct text_field {
    std::string_view field;
    std::string_view member;  // in JSON
    std::optional<std::string> neutral_properties::*neutral;
};
constexpr std::array<text_field, 7> texts{{
    {"Content-Type", "content_type", &neutral_properties::content_type},
    {"Content-Encoding", "content_encoding", &neutral_properties::content_encoding},
    {"Message-Id", "message_id", &neutral_properties::message_id},
    {"Correlation-Id", "correlation_id", &neutral_properties::correlation_id},
    {"Reply-To", "reply_to", &neutral_properties::reply_to},
    {"Type", "type", &neutral_properties::type},
    {"App-Id", "app_id", &neutral_properties::app_id},
}};

template <class Number>
std::optional<Number> whole_number(std::string_view text) noexcept {
    Number n{};
    const auto end = text.data() + text.size();
    const auto done = std::from_chars(text.data(), end, n);
    return done.ec == std::errc{} && done.ptr == end ? std::optional(n) : std::nullopt;
}

// Browsers say how urgent the answer is in the same field ("u=1, i", RFC 9218): that is none of a message's.
bool is_number(std::string_view text) {
    const auto digits = text.substr(text.starts_with('-') ? 1 : 0);
    return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
}

bool begins(std::string_view text, std::string_view with) {
    return text.size() > with.size() && http::equal_ignoring_case(text.substr(0, with.size()), with);
}

// Fields that travel under their own names.
bool travels(std::string_view name) {
    return http::equal_ignoring_case(name, "traceparent") || http::equal_ignoring_case(name, "tracestate") ||
           begins(name, "ce-");
}

std::optional<mono_ns> ttl_of(std::string_view text) {
    const auto s = whole_number<double>(text);
    if (!s || !(*s >= 0) || *s > ttl_max_s) {
        return std::nullopt;
    }
    return static_cast<mono_ns>(std::ceil(*s * 1000)) * ns_per_ms;
}

// Seconds, rounded up to the millisecond.
std::string ttl_text(mono_ns ttl) {
    const auto ms = (ttl + ns_per_ms - 1) / ns_per_ms;
    return ms % 1000 == 0 ? fmt::format("{}", ms / 1000) : fmt::format("{}.{:03}", ms / 1000, ms % 1000);
}

void append_member(std::string& out, std::string_view name, std::string_view text) {
    fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
    http::append_json_string(out, text);
}

}  // namespace

std::optional<std::string> read_properties(const http::request& r, neutral_properties& said) {
    for (const auto& t : texts) {
        if (const auto given = r.fields.find(t.field)) {
            said.*t.neutral = std::string(*given);
        }
    }
    if (const auto ttl = r.fields.find("TTL")) {
        const auto ns = ttl_of(*ttl);
        if (!ns) {
            return fmt::format("TTL is a number of seconds from 0 to {:.0f}", ttl_max_s);
        }
        said.time_to_live = *ns;
    }
    if (const auto priority = r.fields.find("Priority")) {
        said.priority = whole_number<std::uint8_t>(*priority);
        if (!said.priority && is_number(*priority)) {
            return "Priority is a number from 0 to 255";
        }
    }
    if (const auto timestamp = r.fields.find("Timestamp")) {
        said.timestamp_s = whole_number<std::uint64_t>(*timestamp);
        if (!said.timestamp_s) {
            return "Timestamp is a number of seconds since 1970";
        }
    }
    for (const auto& f : r.fields) {
        if (begins(f.name, header_prefix)) {
            said.headers.emplace_back(std::string(f.name.substr(header_prefix.size())), core::make_string(f.value));
        } else if (travels(f.name)) {
            said.headers.emplace_back(std::string(f.name), core::make_string(f.value));
        }
    }
    return std::nullopt;
}

neutral_properties properties_of(const core::message& m, const core::property_reader* reader) {
    neutral_properties p;
    if (reader != nullptr) {
        p = reader->read(m.properties(), m.traits());
    }
    if (m.deaths() != nullptr) {
        const auto block = properties_with_history(m, 0, &p);
        p = amqp_reader().read(wire::as_bytes(block), m.traits());
    }
    return p;
}

void append_properties(http_answer& to, const neutral_properties& p) {
    for (const auto& t : texts) {
        if (const auto& text = p.*t.neutral) {
            to.fields.emplace_back(t.field, *text);
        }
    }
    if (!p.content_type) {
        to.fields.emplace_back("Content-Type", "application/octet-stream");
    }
    if (p.time_to_live >= 0) {
        to.fields.emplace_back("TTL", ttl_text(p.time_to_live));
    }
    if (p.priority) {
        to.fields.emplace_back("Priority", std::to_string(*p.priority));
    }
    if (p.timestamp_s) {
        to.fields.emplace_back("Timestamp", std::to_string(*p.timestamp_s));
    }
    if (p.user_id) {
        to.fields.emplace_back("User-Id", *p.user_id);
    }
    for (const auto& [name, v] : p.headers) {
        const auto field = travels(name) ? name : std::string(header_prefix) + name;
        to.fields.emplace_back(field, text_of(v));
    }
}

void append_properties_json(std::string& out, const neutral_properties& p) {
    for (const auto& t : texts) {
        if (const auto& text = p.*t.neutral) {
            append_member(out, t.member, *text);
        }
    }
    if (p.time_to_live >= 0) {
        fmt::format_to(std::back_inserter(out), ",\"ttl\":{}", ttl_text(p.time_to_live));
    }
    if (p.priority) {
        fmt::format_to(std::back_inserter(out), ",\"priority\":{}", *p.priority);
    }
    if (p.timestamp_s) {
        fmt::format_to(std::back_inserter(out), ",\"timestamp\":{}", *p.timestamp_s);
    }
    if (p.user_id) {
        append_member(out, "user_id", *p.user_id);
    }
    if (!p.headers.empty()) {
        out += ",\"headers\":";
        append_json(out, core::value{core::value_type::table, p.headers, 0});
    }
}

}  // namespace linnet::session
