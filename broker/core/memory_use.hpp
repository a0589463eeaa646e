#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace linnet::core {

// What counts towards the memory budget, by who holds it. Each shard tells its own (broker::set_bytes); what is cheaper
// to know by its number than by its bytes is taken at what one costs on average.
enum class memory_use : std::uint8_t {
    messages,
    places,       // of messages: in queues, and of channels' unacknowledged ones
    output,       // what peers have not read yet
    connections,  // sockets, sessions, channels, input that waits
    queues,       // without messages
    indexes,      // of what is stored
    delays,       // likewise, of delayed messages
    clients,      // named ones, connected or not
    retained,     // keys of last values
    replies,      // handles
    logs,         // buffers of theirs: what is to be written, what has been read
    program,  // itself and what nobody else counts: holes between messages (a rule of thumb, and what is seen), small
              // things
};
inline constexpr std::size_t memory_uses = 12;

inline constexpr std::array<std::string_view, memory_uses> memory_use_names{
    "messages", "places",  "output",   "connections", "queues", "indexes",
    "delays",   "clients", "retained", "replies",     "logs",   "program"};

}  // namespace linnet::core
