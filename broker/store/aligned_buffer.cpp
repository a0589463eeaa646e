#include "broker/store/aligned_buffer.hpp"

#include <atomic>
#include <cstdlib>
#include <new>

#include <sys/mman.h>

namespace linnet::store {
namespace {

constexpr std::size_t mapped_from = 64 * 1024;

std::atomic<std::uint64_t> all{0};

void* take(std::size_t bytes) {
    if (bytes < mapped_from)
        return std::aligned_alloc(disk::block, bytes);
    void* const memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return memory == MAP_FAILED ? nullptr : memory;
}

}  // namespace

aligned_buffer::aligned_buffer(std::size_t bytes) : bytes_{(bytes + disk::block - 1) / disk::block * disk::block} {
    memory_ = static_cast<std::uint8_t*>(take(bytes_));
    if (memory_ == nullptr)
        throw std::bad_alloc{};
    all.fetch_add(bytes_, std::memory_order_relaxed);
}

aligned_buffer::~aligned_buffer() {
    if (memory_ == nullptr)
        return;
    all.fetch_sub(bytes_, std::memory_order_relaxed);
    if (bytes_ < mapped_from)
        std::free(memory_);
    else
        ::munmap(memory_, bytes_);
}

std::uint64_t aligned_buffer::all_bytes() noexcept { return all.load(std::memory_order_relaxed); }

}  // namespace linnet::store
