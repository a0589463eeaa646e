#include "protocol/http/conditional.hpp"

#include "protocol/http/syntax.hpp"

namespace linnet::http {
namespace {

constexpr std::string_view weak_mark = "W/";

std::string_view opaque(std::string_view etag) {
    return etag.substr(0, 2) == weak_mark ? etag.substr(weak_mark.size()) : etag;
}

template <class Same>
bool names(std::string_view field, std::string_view etag, Same same) {
    if (etag.empty())
        return false;
    while (const auto item = take_item(field)) {
        if (*item == "*" || same(*item))
            return true;
    }
    return false;
}

}  // namespace

std::string make_etag(std::uint64_t version) { return '"' + std::to_string(version) + '"'; }

bool names_etag_weakly(std::string_view field, std::string_view etag) noexcept {
    return names(field, etag, [&](std::string_view item) { return opaque(item) == opaque(etag); });
}

bool names_etag_strongly(std::string_view field, std::string_view etag) noexcept {
    return names(field, etag, [&](std::string_view item) { return item == etag && item.substr(0, 2) != weak_mark; });
}

}  // namespace linnet::http
