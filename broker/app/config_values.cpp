#include "broker/app/config_values.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <array>
#include <charconv>
#include <limits>
#include <span>

namespace linnet::app {
namespace {

struct unit {
    std::string_view name;
    std::int64_t factor;
};

// Longest names first where one is the beginning of another.
constexpr auto duration_units = std::array{unit{"ms", 1}, unit{"s", 1000}, unit{"m", 60'000}, unit{"h", 3'600'000},
                                           unit{"d", 86'400'000}};
constexpr auto size_units = std::array{unit{"KiB", 1LL << 10},
                                       unit{"MiB", 1LL << 20},
                                       unit{"GiB", 1LL << 30},
                                       unit{"TiB", 1LL << 40},
                                       unit{"kB", 1000},
                                       unit{"KB", 1000},
                                       unit{"MB", 1'000'000},
                                       unit{"GB", 1'000'000'000},
                                       unit{"TB", 1'000'000'000'000},
                                       unit{"B", 1}};

// Takes digits off the front; nothing when there are none or too many.
std::optional<std::int64_t> take_number(std::string_view& text) {
    auto number = std::int64_t{0};
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (error != std::errc{} || number < 0 || text.front() == '-') {
        return std::nullopt;
    }
    text = {rest, static_cast<std::size_t>(end - rest)};
    return number;
}

std::optional<std::int64_t> take_unit(std::string_view& text, std::span<const unit> units) {
    for (const auto& u : units) {
        if (text.starts_with(u.name)) {
            text.remove_prefix(u.name.size());
            return u.factor;
        }
    }
    return std::nullopt;
}

std::optional<std::int64_t> multiply(std::int64_t number, std::int64_t factor) {
    if (number > std::numeric_limits<std::int64_t>::max() / factor) {
        return std::nullopt;
    }
    return number * factor;
}

std::string format_with(std::int64_t value, std::span<const unit> units, std::string_view smallest) {
    auto best = unit{smallest, 1};
    for (const auto& u : units) {
        if (value != 0 && value % u.factor == 0 && u.factor > best.factor) {
            best = u;
        }
    }
    return fmt::format("{}{}", value / best.factor, best.name);
}

bool is_numeric(int family, const std::string& host) {
    auto storage = std::array<unsigned char, sizeof(in6_addr)>{};
    return inet_pton(family, host.c_str(), storage.data()) == 1;
}

}  // namespace

std::optional<std::int64_t> parse_integer(std::string_view text) {
    auto number = std::int64_t{0};
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, number);
    if (text.empty() || error != std::errc{} || rest != end) {
        return std::nullopt;
    }
    return number;
}

std::optional<std::int64_t> parse_duration_ms(std::string_view text) {
    if (text == "0") {
        return 0;
    }
    auto total = std::int64_t{0};
    do {
        const auto number = text.empty() ? std::nullopt : take_number(text);
        const auto factor = number ? take_unit(text, duration_units) : std::nullopt;
        const auto part = factor ? multiply(*number, *factor) : std::nullopt;
        if (!part || *part > std::numeric_limits<std::int64_t>::max() - total) {
            return std::nullopt;
        }
        total += *part;
    } while (!text.empty());
    return total;
}

std::optional<std::int64_t> parse_size_bytes(std::string_view text) {
    const auto number = text.empty() ? std::nullopt : take_number(text);
    if (!number) {
        return std::nullopt;
    }
    if (text.empty()) {
        return number;
    }
    const auto factor = take_unit(text, size_units);
    return factor && text.empty() ? multiply(*number, *factor) : std::nullopt;
}

std::optional<std::uint32_t> parse_percentage(std::string_view text) {
    const auto number = text.empty() ? std::nullopt : take_number(text);
    if (!number || *number > 100 || text != "%") {
        return std::nullopt;
    }
    return static_cast<std::uint32_t>(*number);
}

std::optional<bind_address> parse_bind_address(std::string_view text) {
    const auto colon = text.rfind(':');
    if (colon == std::string_view::npos) {
        return std::nullopt;
    }
    auto host = std::string{text.substr(0, colon)};
    const auto port = parse_integer(text.substr(colon + 1));
    if (!port || *port < 0 || *port > 65535) {
        return std::nullopt;
    }
    const bool bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
    if (bracketed) {
        host = host.substr(1, host.size() - 2);
    }
    if (!is_numeric(bracketed ? AF_INET6 : AF_INET, host)) {
        return std::nullopt;
    }
    return bind_address{std::move(host), static_cast<std::uint16_t>(*port)};
}

std::string format_duration(std::int64_t ms) { return format_with(ms, duration_units, "ms"); }

std::string format_size(std::int64_t bytes) {
    // Powers of two only: "10MB" is accepted, but what we print is unambiguous.
    return format_with(bytes, std::span{size_units}.first(4), "B");
}

std::string format_bind_address(const bind_address& address) {
    const bool v6 = address.host.find(':') != std::string::npos;
    return fmt::format("{}{}{}:{}", v6 ? "[" : "", address.host, v6 ? "]" : "", address.port);
}

}  // namespace linnet::app
