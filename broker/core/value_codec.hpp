#pragma once

#include "broker/core/byte_codec.hpp"
#include "broker/core/value.hpp"

// Argument tables as they lie in a log: type, then what belongs to it.

namespace linnet::core {

// How deep tables and arrays may lie in each other. Clients' are bounded below by the frame they come in.
inline constexpr unsigned value_depth_max = 128;

void encode(byte_writer& out, const value_table& table);
// The reader has failed where the bytes are none; what is returned then means nothing.
[[nodiscard]] value_table decode_table(byte_reader& in);

}  // namespace linnet::core
