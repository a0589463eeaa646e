// An AMQP message's properties as the management API writes them, and back.
#pragma once

#include "clients/cli/management.hpp"
#include "protocol/amqp/content.hpp"

namespace linnet::cli {

// {"content_type": ..., "headers": {...}}; an empty object for none, or for a block that is malformed.
[[nodiscard]] json_value properties_json(wire::bytes_view block);
// {"payload": ..., "payload_encoding": "string" or "base64"}, into the object.
void add_payload(json_value& to, std::string_view body);
// The encoded block of such properties. Numbers become 64 bits; unknown names are refused.
[[nodiscard]] result<std::string> properties_block(const json_value& properties);

}  // namespace linnet::cli
