#pragma once

#include "broker/core/byte_codec.hpp"
#include "broker/core/definitions.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>

// Definitions as records of a log: format version, what happened, what names the thing, the rest.

namespace linnet::core {

// The kinds of record in the topology's log. Stored: numbers are never given another meaning.
enum class topology_record : std::uint8_t {
    vhost = 1,
    user = 2,
    permission = 3,
    topic_permission = 4,
    policy = 5,
    parameter = 6,
    exchange = 7,
    queue = 8,
    binding = 9,
    note = 10,
    vhost_limits = 11,
    rewrite_begins = 32,  // everything that is follows, and nothing of what came before counts ...
    rewrite_ends = 33,    // ... once this is there, too
};

[[nodiscard]] topology_record kind_of(const definition& d) noexcept;

// What tells it from others of its kind, within one log: bytes, the vhost's name first where there is one.
[[nodiscard]] std::string key_of(const definition& d);
// The keys of everything in that vhost begin so, whatever its kind.
[[nodiscard]] std::string vhost_key_prefix(topology_record kind, std::string_view vhost);

enum class topology_change : std::uint8_t { removed = 0, defined = 1 };

void encode(byte_writer& out, topology_change change, const definition& d);

struct changed_definition {
    topology_change change;
    definition what;  // removed: what names it alone
};
// Nothing when the bytes are no such record, or one of a newer format.
[[nodiscard]] std::optional<changed_definition> decode_definition(std::uint8_t kind,
                                                                  std::span<const std::uint8_t> payload);

}  // namespace linnet::core
