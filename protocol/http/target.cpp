#include "protocol/http/target.hpp"

#include "protocol/http/syntax.hpp"

#include <algorithm>

namespace linnet::http {
namespace {

// Every visible character but the fragment's mark. RFC 3986 would have some more of them escaped, but browsers send
// `|`, `^`, `{` and their like as they are.
bool is_target_text(std::string_view text) {
    return std::all_of(text.begin(), text.end(), [](char c) { return c > ' ' && c < 0x7F && c != '#'; });
}

std::string_view without_scheme(std::string_view text) {
    for (const std::string_view scheme : {"http://", "https://"}) {
        if (starts_ignoring_case(text, scheme))
            return text.substr(scheme.size());
    }
    return {};
}

bool is_host_char(char c) {
    constexpr std::string_view marks = "-._~!$&'()*+,;=%";
    const char lower = to_lower(c);
    return (lower >= 'a' && lower <= 'z') || (c >= '0' && c <= '9') || marks.find(c) != std::string_view::npos;
}

}  // namespace

bool is_authority(std::string_view text) noexcept {
    std::string_view host = text;
    std::string_view port;
    if (!text.empty() && text.front() == '[') {
        const std::size_t end = text.find(']');
        if (end == std::string_view::npos || end < 3)
            return false;
        const std::string_view address = text.substr(1, end - 1);
        port = text.substr(end + 1);
        if (!std::all_of(address.begin(), address.end(), [](char c) { return is_host_char(c) || c == ':'; }))
            return false;
    } else {
        host = text.substr(0, text.find(':'));
        port = text.substr(host.size());
        if (host.empty() || !std::all_of(host.begin(), host.end(), is_host_char))
            return false;
    }
    if (port.empty())
        return true;
    const auto is_digit = [](char c) { return c >= '0' && c <= '9'; };
    return port.front() == ':' && port.size() <= 6 && std::all_of(port.begin() + 1, port.end(), is_digit);
}

void target::clear() noexcept {
    text_ = path_ = authority_ = {};
    query_ = {};
    segments_.clear();
    decoded_.clear();
}

std::optional<fault> target::parse(std::string_view text) {
    clear();
    text_ = text;
    if (!is_target_text(text))
        return fault::target_malformed;
    if (text == "*")
        return std::nullopt;
    if (!text.empty() && text.front() == '/')
        return split_origin(text);
    const std::string_view rest = without_scheme(text);
    authority_ = rest.substr(0, rest.find_first_of("/?"));
    if (!is_authority(authority_))
        return fault::target_malformed;
    return split_origin(rest.substr(authority_.size()));
}

std::optional<fault> target::split_origin(std::string_view rest) {
    path_ = rest.substr(0, rest.find('?'));
    if (!is_percent_encoded(rest))
        return fault::escape_malformed;
    if (path_.size() < rest.size())
        query_ = query_view{rest.substr(path_.size() + 1)};
    if (path_.empty())
        path_ = "/";                 // of a whole URI that ends with its authority
    decoded_.reserve(path_.size());  // no segment moves while the next ones are appended
    std::string_view left = path_.substr(1);
    for (;;) {
        const std::string_view segment = left.substr(0, left.find('/'));
        if (const auto why = add_segment(segment))
            return why;
        if (segment.size() == left.size())
            return std::nullopt;
        left.remove_prefix(segment.size() + 1);
    }
}

std::optional<fault> target::add_segment(std::string_view segment) {
    if (segment.find('%') != std::string_view::npos) {
        const std::size_t begin = decoded_.size();
        append_percent_decoded(decoded_, segment, plus::is_plus);
        segment = std::string_view{decoded_}.substr(begin);
    }
    if (segment == "." || segment == "..")
        return fault::target_climbs;
    segments_.push_back(segment);
    return std::nullopt;
}

}  // namespace linnet::http
