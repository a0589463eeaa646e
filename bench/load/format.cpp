#include "bench/load/format.hpp"

#include <fmt/format.h>

namespace linnet::load {

std::string grouped(double number) {
    std::string digits = fmt::format("{:.0f}", number);
    const std::size_t first = digits.starts_with('-') ? 1 : 0;
    for (std::size_t at = digits.size(); at > first + 3; at -= 3)
        digits.insert(at - 3, 1, ',');
    return digits;
}

std::string human_ns(std::uint64_t ns) {
    const auto value = static_cast<double>(ns);
    if (ns < 1'000)
        return fmt::format("{} ns", ns);
    if (ns < 1'000'000)
        return fmt::format("{:.1f} us", value / 1e3);
    if (ns < 1'000'000'000)
        return fmt::format("{:.2f} ms", value / 1e6);
    return fmt::format("{:.2f} s", value / 1e9);
}

std::string human_bytes(std::uint64_t bytes) {
    const auto value = static_cast<double>(bytes);
    if (bytes < 1'000'000)
        return fmt::format("{:.1f} KB", value / 1e3);
    if (bytes < 1'000'000'000)
        return fmt::format("{:.1f} MB", value / 1e6);
    return fmt::format("{:.2f} GB", value / 1e9);
}

std::string json_text(const std::string& text) {
    std::string out{'"'};
    for (const char c : text) {
        if (c == '"' || c == '\\') {
            out += '\\';
            out += c;
        } else if (static_cast<unsigned char>(c) < 0x20) {
            out += fmt::format("\\u{:04x}", static_cast<unsigned>(c));
        } else {
            out += c;
        }
    }
    out += '"';
    return out;
}

std::string xml_text(const std::string& text) {
    std::string out;
    for (const char c : text) {
        switch (c) {
            case '&': out += "&amp;"; break;
            case '<': out += "&lt;"; break;
            case '>': out += "&gt;"; break;
            case '"': out += "&quot;"; break;
            default: out += c;
        }
    }
    return out;
}

}  // namespace linnet::load
