#pragma once

#include "broker/base/result.hpp"
#include "broker/core/chunk_swap.hpp"
#include "broker/store/posix_file.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace linnet::store {

// A chunk_swap in a file without a name: it goes with the process, however that ends.
//
// Slots of one size, the free ones reused; a chunk is smaller than a slot. Reads and writes go through the page cache
// and may block for a disk's access: once in a thousand messages.
//
// Threads: one shard's.
// Bounds:  the file is as long as ever was needed at once, and empty again when nothing is in it.
// Fails:   a full disk makes save() refuse. What cannot be read back ends the process: recovery knows it all.
class swap_file final : public core::chunk_swap {
public:
    static constexpr std::uint64_t slot_bytes = 32 * 1024;

    [[nodiscard]] static result<std::unique_ptr<swap_file>, std::string> open(const std::string& folder,
                                                                              std::uint64_t budget_bytes);

    [[nodiscard]] ticket save(std::span<const std::uint8_t> bytes) override;
    void load(ticket t, std::span<std::uint8_t> into) override;
    void forget(ticket t) noexcept override;

    [[nodiscard]] std::uint64_t file_bytes() const noexcept { return slots_ * slot_bytes; }

private:
    swap_file(unique_fd fd, std::uint64_t budget_bytes) noexcept : chunk_swap(budget_bytes), fd_(std::move(fd)) {}

    unique_fd fd_;
    std::uint64_t slots_ = 0;   // the file's
    std::vector<ticket> free_;  // has room for all slots, so that forgetting allocates nothing
};

}  // namespace linnet::store
