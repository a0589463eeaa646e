#include "broker/app/openssl_memory.hpp"

#include "broker/base/out_of_memory.hpp"

#include <openssl/crypto.h>

#include <cstdlib>

namespace linnet::app {

namespace {

void* take(std::size_t bytes, const char* /*file*/, int /*line*/) {
    void* const memory = std::malloc(bytes);
    if (memory == nullptr && bytes != 0) {
        end_out_of_memory();
    }
    return memory;
}

void* resize(void* memory, std::size_t bytes, const char* /*file*/, int /*line*/) {
    if (bytes == 0) {
        std::free(memory);
        return nullptr;
    }
    void* const moved = std::realloc(memory, bytes);
    if (moved == nullptr) {
        end_out_of_memory();
    }
    return moved;
}

void give(void* memory, const char* /*file*/, int /*line*/) { std::free(memory); }

}  // namespace

void end_when_openssl_is_out_of_memory() noexcept {
    // Too late where something preloaded has used it before: then it has memory of its own, as it always had.
    static_cast<void>(CRYPTO_set_mem_functions(take, resize, give));
}

}  // namespace linnet::app
