// A fuzz target with a bug, one flipped bit away from its seed: whatever runs fuzz targets must find it.
#include <cstdint>
#include <cstdlib>
#include <string_view>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (std::string_view{reinterpret_cast<const char*>(data), size} == "canary")
        std::abort();
    return 0;
}
