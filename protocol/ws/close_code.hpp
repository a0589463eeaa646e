// Why a WebSocket is closed (RFC 6455, 7.4, and IANA's registry).
#pragma once

#include <cstdint>

namespace linnet::ws {

// Peers may send codes without a name here: 3000 to 3999 are registered, 4000 to 4999 private.
enum class close_code : std::uint16_t {
    normal = 1000,
    going_away = 1001,
    protocol_error = 1002,
    unsupported_data = 1003,
    no_status = 1005,  // stands for an empty close frame; never on the wire
    abnormal = 1006,   // stands for a connection cut without one; never on the wire
    invalid_payload = 1007,
    policy_violation = 1008,
    message_too_big = 1009,
    extension_required = 1010,
    internal_error = 1011,
    service_restart = 1012,
    try_again_later = 1013,
    bad_gateway = 1014,
};

// Whether a close frame may carry it.
[[nodiscard]] constexpr bool may_be_sent(close_code code) noexcept {
    const auto number = static_cast<std::uint16_t>(code);
    if (number < 3000)
        return (number >= 1000 && number <= 1003) || (number >= 1007 && number <= 1014);
    return number <= 4999;
}

}  // namespace linnet::ws
