// What json_input.cpp feeds, as far as it is read by our own builders: the library's values allocate in their
// destructors, and nobody survives that. What needs them (definitions) the daemon's own test reads.
#include "broker/app/placed_json.hpp"
#include "broker/app/token_key.hpp"

#include <cstdint>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace linnet::app;
    if (size == 0) {
        return 0;
    }
    const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
    static_cast<void>(from_base64url(text));
    static_cast<void>(parse_json(text, "input"));
    static_cast<void>(read_key_set(text));
    return 0;
}
