#include "protocol/http/negotiate.hpp"

#include "protocol/http/media_type.hpp"
#include "protocol/http/syntax.hpp"

namespace linnet::http {
namespace {

// qvalue = 0[.ddd] or 1[.000], in thousandths.
std::optional<unsigned> parse_weight(std::string_view text) {
    if (text.empty() || text.size() > 5 || (text[0] != '0' && text[0] != '1') || (text.size() > 1 && text[1] != '.'))
        return std::nullopt;
    unsigned thousandths = static_cast<unsigned>(text[0] - '0') * 1000;
    unsigned unit = 100;
    for (const char c : text.substr(text.size() > 1 ? 2 : 1)) {
        if (c < '0' || c > '9')
            return std::nullopt;
        thousandths += static_cast<unsigned>(c - '0') * unit;
        unit /= 10;
    }
    return thousandths <= 1000 ? std::optional{thousandths} : std::nullopt;
}

struct preference {
    std::string_view range;  // without its parameters
    unsigned weight = 1000;
};

std::optional<preference> parse_preference(std::string_view item) {
    std::string_view rest = item;
    const auto range = take_item(rest, ';');
    if (!range)
        return std::nullopt;
    preference found{*range};
    while (const auto parameter = take_item(rest, ';')) {
        if (!starts_ignoring_case(*parameter, "q="))
            continue;
        const auto weight = parse_weight(parameter->substr(2));
        if (!weight)
            return std::nullopt;
        found.weight = *weight;
    }
    return found;
}

// 0: does not name it; 1: */*; 2: type/*; 3: type/subtype.
unsigned exactness(std::string_view range, const media_type& offered) {
    if (range == "*/*")
        return 1;
    const auto wanted = media_type::parse(range);
    if (!wanted || !equal_ignoring_case(wanted->type, offered.type))
        return 0;
    if (wanted->subtype == "*")
        return 2;
    return equal_ignoring_case(wanted->subtype, offered.subtype) ? 3 : 0;
}

unsigned media_weight(std::string_view accept, std::string_view offered) {
    const auto type = media_type::parse(offered);
    if (!type)
        return 0;
    unsigned most_exact = 0;
    unsigned weight = 0;
    while (const auto item = take_item(accept)) {
        const auto wish = parse_preference(*item);
        if (!wish)
            continue;
        const unsigned exact = exactness(wish->range, *type);
        if (exact > most_exact) {
            most_exact = exact;
            weight = wish->weight;
        }
    }
    return weight;
}

}  // namespace

std::optional<std::size_t> choose_media_type(std::string_view accept, std::span<const std::string_view> offered) {
    std::optional<std::size_t> best;
    unsigned best_weight = 0;
    for (std::size_t i = 0; i < offered.size(); ++i) {
        const unsigned weight = trimmed(accept).empty() ? 1 : media_weight(accept, offered[i]);
        if (weight > best_weight) {
            best = i;
            best_weight = weight;
        }
    }
    return best;
}

bool accepts_gzip(std::string_view accept_encoding) {
    std::optional<unsigned> any;
    while (const auto item = take_item(accept_encoding)) {
        const auto wish = parse_preference(*item);
        if (!wish)
            continue;
        if (equal_ignoring_case(wish->range, "gzip") || equal_ignoring_case(wish->range, "x-gzip"))
            return wish->weight > 0;
        if (wish->range == "*")
            any = wish->weight;
    }
    return any.value_or(0) > 0;
}

bool should_gzip(std::string_view accept_encoding, std::string_view content_type, std::size_t body_bytes) {
    return body_bytes >= gzip_bytes_min && accepts_gzip(accept_encoding) && is_text_type(content_type);
}

}  // namespace linnet::http
