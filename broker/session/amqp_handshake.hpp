#pragma once

#include "broker/base/result.hpp"
#include "broker/session/amqp_settings.hpp"
#include "broker/session/session.hpp"
#include "protocol/amqp/connection_methods.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::session {

// The pure parts of getting acquainted: what we present, what the client's answers mean.

// The contents of server-properties.
[[nodiscard]] std::string server_properties(const amqp_settings& s);
// Separated by blanks, as connection.start wants them.
[[nodiscard]] std::string mechanisms_for(const amqp_settings& s, const peer_info& peer);

enum class sasl_mechanism : std::uint8_t { plain, amqplain, external };
[[nodiscard]] std::string_view name_of(sasl_mechanism m) noexcept;
// Nothing when the name is unknown or not offered to this peer; `known` tells which.
struct mechanism_choice {
    std::optional<sasl_mechanism> mechanism;
    bool known = false;
};
[[nodiscard]] mechanism_choice choose_mechanism(const amqp_settings& s, const peer_info& peer, std::string_view name);

struct login {
    std::string user;
    std::string password;
};
// RFC 4616: user and password, each behind a zero byte. An authorization identity before them is refused,
// as RabbitMQ refuses it: nobody acts for somebody else here.
[[nodiscard]] std::optional<login> read_plain(std::string_view response);
// A field table without its length, LOGIN and PASSWORD in it.
[[nodiscard]] std::optional<login> read_amqplain(std::string_view response);

// What a client can do that we have to know of.
struct client_abilities {
    bool authentication_failure_close = false;
    bool consumer_cancel_notify = false;
    bool connection_blocked = false;
};
[[nodiscard]] client_abilities read_abilities(amqp::table_view client_properties);

struct tuning {
    std::uint32_t frame_max = 0;  // 0: none
    std::uint16_t channel_max = 0;
    std::uint16_t heartbeat_s = 0;
};
// Or why not: 0 (no limit) is more than we allow.
[[nodiscard]] result<tuning, std::string> negotiate(const amqp_settings& s, const amqp::connection_tune_ok& wish);

}  // namespace linnet::session
