#pragma once

#include <cstdint>
#include <string_view>

namespace linnet::core {

// Whose pattern it is. All are written as the core keeps them (address.hpp), and mean the same but for one thing:
// MQTT's wildcards, when they lead, never match a key that begins with '$' [MQTT-4.7.2-1].
enum class pattern_syntax : std::uint8_t { amqp, mqtt };

[[nodiscard]] constexpr bool hides_dollar(pattern_syntax syntax, std::string_view pattern) noexcept {
    return syntax == pattern_syntax::mqtt && (pattern.starts_with('*') || pattern.starts_with('#'));
}

}  // namespace linnet::core
