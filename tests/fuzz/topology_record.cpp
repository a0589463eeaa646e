// Feeds bytes of any kind to the decoder of the topology's log: the first byte is the record's kind. Whatever
// decodes must encode to the same bytes again, and name the same thing.
#include "broker/core/topology_record.hpp"

#include <algorithm>
#include <cstdlib>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace linnet::core;
    if (size == 0) {
        return 0;
    }
    const std::span<const std::uint8_t> payload(data + 1, size - 1);
    const auto read = decode_definition(data[0], payload);
    if (!read) {
        return 0;
    }
    byte_writer out;
    encode(out, read->change, read->what);
    const auto again = decode_definition(data[0], out.bytes());
    if (!std::ranges::equal(out.bytes(), payload) || !again || key_of(again->what) != key_of(read->what)) {
        std::abort();
    }
    return 0;
}
