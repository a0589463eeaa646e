#pragma once

#include "broker/store/disk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <memory>
#include <new>
#include <span>
#include <vector>

namespace linnet::store {

// Memory as a disk wants it.
class block_buffer {
public:
    explicit block_buffer(std::size_t blocks, std::uint8_t fill = 0)
        : size_(blocks * disk::block),
          at_(static_cast<std::uint8_t*>(::operator new (size_, std::align_val_t{disk::block}))) {
        std::fill_n(at_, size_, fill);
    }
    block_buffer(const block_buffer&) = delete;
    block_buffer& operator=(const block_buffer&) = delete;
    ~block_buffer() { ::operator delete (at_, std::align_val_t{disk::block}); }

    [[nodiscard]] std::span<std::uint8_t> bytes() { return {at_, size_}; }
    [[nodiscard]] std::span<const std::uint8_t> bytes() const { return {at_, size_}; }
    [[nodiscard]] bool all(std::uint8_t value) const {
        return std::ranges::all_of(bytes(), [=](std::uint8_t b) { return b == value; });
    }

private:
    std::size_t size_;
    std::uint8_t* at_;
};

// Everything that poll() has to say now.
inline std::vector<completion> polled(disk& d) {
    std::vector<completion> all;
    completion some[3];
    for (std::size_t n = d.poll(some); n > 0; n = d.poll(some)) {
        all.insert(all.end(), some, some + n);
    }
    return all;
}

// Waits until that many are done.
inline std::vector<completion> finished(disk& d, std::size_t count) {
    std::vector<completion> all = polled(d);
    while (all.size() < count) {
        d.wait();
        const auto more = polled(d);
        EXPECT_FALSE(more.empty()) << "wait() returned for nothing";
        all.insert(all.end(), more.begin(), more.end());
    }
    return all;
}

// The value, or a failed test.
template <class T>
T must(disk_result<T> r) {
    if (!r) {
        ADD_FAILURE() << to_text(r.error());
        std::abort();
    }
    if constexpr (!std::is_void_v<T>) {
        return *std::move(r);
    }
}

}  // namespace linnet::store
