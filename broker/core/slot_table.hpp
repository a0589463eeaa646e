#pragma once

#include "broker/core/ids.hpp"

#include <cstdint>
#include <utility>
#include <vector>

namespace linnet::core {

// Objects by handle: slot and generation. A slot is used again, with a new generation, so that an old
// handle finds nothing.
//
// Threads: one shard's.
// Bounds:  as many slots as were ever in use at once.
template <class T>
class slot_table {
public:
    struct place {
        std::uint32_t slot;
        std::uint32_t generation;
    };

    [[nodiscard]] place add(T value) {
        std::uint32_t slot;
        if (free_.empty()) {
            slot = static_cast<std::uint32_t>(slots_.size());
            slots_.emplace_back();
        } else {
            slot = free_.back();
            free_.pop_back();
        }
        auto& e = slots_[slot];
        e.value = std::move(value);
        e.used = true;
        return {slot, e.generation};
    }
    // The value moves out; the handle is stale from now on.
    T remove(std::uint32_t slot) {
        auto& e = slots_[slot];
        e.used = false;
        if (++e.generation == 0) {
            e.generation = 1;
        }
        free_.push_back(slot);
        return std::exchange(e.value, T{});
    }
    [[nodiscard]] T* find(std::uint32_t slot, std::uint32_t generation) noexcept {
        if (slot >= slots_.size()) [[unlikely]] {
            return nullptr;
        }
        auto& e = slots_[slot];
        return e.used && e.generation == generation ? &e.value : nullptr;
    }
    // For slots that the caller knows to be its own.
    [[nodiscard]] T* find_slot(std::uint32_t slot) noexcept {
        return slot < slots_.size() && slots_[slot].used ? &slots_[slot].value : nullptr;
    }
    [[nodiscard]] std::uint32_t generation_of(std::uint32_t slot) const noexcept { return slots_[slot].generation; }
    // Calls f(slot, generation, value) for all that are in use.
    template <class F>
    void for_each(F&& f) {
        for (std::uint32_t slot = 0; slot < slots_.size(); ++slot) {
            if (slots_[slot].used) {
                f(slot, slots_[slot].generation, slots_[slot].value);
            }
        }
    }
    // How many slots there are, in use or not.
    [[nodiscard]] std::size_t slots() const noexcept { return slots_.size(); }
    [[nodiscard]] std::size_t size() const noexcept { return slots_.size() - free_.size(); }

private:
    struct entry {
        T value{};
        std::uint32_t generation = 1;
        bool used = false;
    };
    std::vector<entry> slots_;
    std::vector<std::uint32_t> free_;
};

}  // namespace linnet::core
