#include "broker/core/text_hash.hpp"

#include <random>

namespace linnet::core {

std::uint64_t random_seed() {
    std::random_device device;
    return (std::uint64_t{device()} << 32) | device();
}

}  // namespace linnet::core
