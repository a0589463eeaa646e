// The query of a request's target: name=value pairs between ampersands, decoded when they are asked for.
//
// Owns:     nothing; it views a target, which has checked the escapes.
#pragma once

#include "protocol/http/percent.hpp"

#include <optional>
#include <vector>

namespace linnet::http {

class query_view {
public:
    struct pair {
        std::string name;
        std::string value;
    };

    query_view() = default;
    // `text`: what stands behind the question mark; is_percent_encoded() holds.
    explicit query_view(std::string_view text) noexcept : text_{text} {}

    [[nodiscard]] std::string_view text() const noexcept { return text_; }

    // The first of that name, which is compared decoded. A name without = has the empty value.
    [[nodiscard]] std::optional<std::string> find(std::string_view name, plus meaning = plus::is_space) const;
    // All of them, in their order. Their number is bounded by the target's size.
    [[nodiscard]] std::vector<pair> pairs(plus meaning = plus::is_space) const;

private:
    std::string_view text_;
};

}  // namespace linnet::http
