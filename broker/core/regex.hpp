#pragma once

#include "broker/core/error.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace linnet::core {

// A regular expression of rights and policies, in Perl's language as RabbitMQ's are: searched, not anchored.
//
// Most are ".*" or "^$"; those never meet the engine. The engine works under a step limit, so that no
// pattern can hold a shard up; what runs into the limit does not match, which refuses.
//
// Threads: immutable; matches() from any. Working memory is a thread's own.
class regex {
public:
    // Text as the engine gives it when the pattern is not one.
    [[nodiscard]] static result<regex, std::string> compile(std::string_view pattern);

    [[nodiscard]] bool matches(std::string_view text) const;
    [[nodiscard]] const std::string& pattern() const noexcept { return pattern_; }

private:
    enum class kind : std::uint8_t { everything, nothing_but_empty, engine };
    regex(std::string_view pattern, kind k) : pattern_(pattern), kind_(k) {}

    std::string pattern_;
    kind kind_;
    std::shared_ptr<const void> code_;  // shared by copies of a rule set; counted only where rules are edited
};

// Text that as a part of a pattern matches itself alone.
[[nodiscard]] std::string regex_quote(std::string_view text);

}  // namespace linnet::core
