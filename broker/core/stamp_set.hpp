#pragma once

#include "broker/core/text_hash.hpp"

#include <cstddef>
#include <cstdint>
#include <vector>

namespace linnet::core {

// A set of numbers that is emptied in no time: every entry carries the stamp of its round.
//
// Threads: one. Bounds: grows to the largest round and stays there; then allocates nothing.
class stamp_set {
public:
    void clear() noexcept {
        count_ = 0;
        if (++round_ == 0) {  // stamps of 2^32 rounds ago would count again
            places_.assign(places_.size(), {});
            round_ = 1;
        }
    }
    // False when it was in already.
    bool insert(std::uint64_t key) {
        if (2 * (count_ + 1) > places_.size()) {
            grow();
        }
        return put(key);
    }

private:
    struct place {
        std::uint64_t key = 0;
        std::uint32_t round = 0;
    };

    bool put(std::uint64_t key) noexcept {
        const std::size_t mask = places_.size() - 1;
        for (std::size_t i = detail::mix(key ^ detail::odd_a, detail::odd_b) & mask;; i = (i + 1) & mask) {
            if (places_[i].round != round_) {
                places_[i] = {key, round_};
                ++count_;
                return true;
            }
            if (places_[i].key == key) {
                return false;
            }
        }
    }
    void grow() {
        std::vector<place> old(places_.empty() ? 32 : 2 * places_.size());
        old.swap(places_);
        count_ = 0;
        for (const place& p : old) {
            if (p.round == round_) {
                put(p.key);
            }
        }
    }

    std::vector<place> places_;
    std::size_t count_ = 0;
    std::uint32_t round_ = 1;
};

}  // namespace linnet::core
