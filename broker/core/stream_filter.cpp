#include "broker/core/stream_filter.hpp"

#include "broker/core/exchange_arguments.hpp"
#include "broker/core/header_match.hpp"
#include "broker/core/rabbit_text.hpp"
#include "broker/core/topology.hpp"

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

[[nodiscard]] error unacceptable(std::string_view argument, std::string_view resource, const value& v) {
    return make_error(error_kind::precondition_failed, "invalid arg '{}' for {}: {{unacceptable_type,{}}}", argument,
                      resource, rabbit_type_name(v.type));
}

// A text, or an array of nothing but texts.
[[nodiscard]] outcome<std::vector<std::string>> texts_of(const value& v, std::string_view resource) {
    if (const std::string* one = v.as_string()) {
        return std::vector{*one};
    }
    const auto* all = std::get_if<value_array>(&v.data);
    if (all == nullptr || !std::ranges::all_of(*all, [](const value& e) { return e.as_string() != nullptr; })) {
        return fail(unacceptable("x-stream-filter", resource, v));
    }
    std::vector<std::string> texts;
    std::ranges::transform(*all, std::back_inserter(texts), [](const value& e) { return *e.as_string(); });
    return texts;
}

}  // namespace

outcome<std::unique_ptr<stream_filter>> stream_filter::parse(const value_table& arguments, std::string_view resource) {
    auto f = std::make_unique<stream_filter>();
    if (const value* v = find(arguments, "x-stream-filter")) {
        auto texts = texts_of(*v, resource);
        if (!texts) {
            return fail(texts.error());
        }
        f->by_value_ = true;
        f->values_ = std::move(*texts);
    }
    if (const value* v = find(arguments, "x-stream-match-unfiltered")) {
        if (v->as_bool() == nullptr) {
            return fail(unacceptable("x-stream-match-unfiltered", resource, *v));
        }
        f->unfiltered_ = *v->as_bool();
    }
    if (const value* v = find(arguments, "x-stream-filter-headers")) {
        const auto* table = std::get_if<value_table>(&v->data);
        if (table == nullptr) {
            return fail(unacceptable("x-stream-filter-headers", resource, *v));
        }
        const auto terms = check_binding(exchange_type::headers, {}, *table);
        if (!terms) {
            return fail(terms.error());
        }
        f->by_headers_ = true;
        f->how_ = terms->match;
        f->headers_ = *table;
    }
    if (!f->by_value_ && !f->by_headers_) {
        f.reset();
    }
    return f;
}

bool stream_filter::wants_value(const value_table& headers) const {
    const value* v = find(headers, "x-stream-filter-value");
    const std::string* text = v == nullptr ? nullptr : v->as_string();
    return text == nullptr ? unfiltered_ : std::ranges::find(values_, *text) != values_.end();
}

bool stream_filter::wants(const value_table& headers) const {
    return (!by_value_ || wants_value(headers)) && (!by_headers_ || headers_match(headers_, how_, headers));
}

}  // namespace linnet::core
