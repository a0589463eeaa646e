#pragma once

#include "broker/core/message.hpp"

#include <cstddef>
#include <string_view>

// Why a consumer will not have a message, in its own words: for who reads the dead letter.

namespace linnet::core {
class message_pool;
}

namespace linnet::session {

inline constexpr std::string_view reject_reason_header = "x-reject-reason";
inline constexpr std::size_t reject_reason_bytes_max = 1024;

// One line of text: UTF-8 without control characters, so that every protocol can say it.
[[nodiscard]] bool is_reject_reason(std::string_view text) noexcept;

// The same message with the reason as a header, as its own protocol has them, in place of an earlier reason. A delivery
// that is settled with it is dead-lettered with it. Precondition: is_reject_reason(reason).
[[nodiscard]] core::message_ptr with_reject_reason(core::message_pool& pool, const core::message& m,
                                                   std::string_view reason);

}  // namespace linnet::session
