// A decoder that leaks when its second allocation fails: whatever lets allocations fail must find it.
#include <cstddef>
#include <cstdint>
#include <string>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    auto* const first = new std::string(100, 'x');
    const std::string second(reinterpret_cast<const char*>(data), size);
    first->append(second, 0, 50);
    first->append(std::string(100 + size, 'y'));
    delete first;
    return 0;
}
