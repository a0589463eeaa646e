#pragma once

#include "broker/base/clock.hpp"

#include <array>
#include <cstddef>
#include <cstring>
#include <string_view>
#include <unordered_map>

namespace linnet::app {

// Names and passwords that were right a moment ago, so that a storm of reconnecting clients costs
// microseconds each and not 20 ms. Kept as HMACs under a key that this process made and never writes
// down: a core dump without the key tells nothing.
//
// Threads:  fingerprint() anywhere; the rest by one, or under the owner's lock.
// Bounds:   entries_max; a full cache forgets what has expired, else an arbitrary entry.
class credential_cache {
public:
    using fingerprint = std::array<unsigned char, 32>;
    struct hash {
        // An HMAC is as good as random: any eight bytes of it will do.
        std::size_t operator()(const fingerprint& f) const noexcept {
            auto value = std::size_t{0};
            std::memcpy(&value, f.data(), sizeof(value));
            return value;
        }
    };

    credential_cache(std::size_t entries_max, mono_ns lifetime);
    ~credential_cache();
    credential_cache(const credential_cache&) = delete;
    credential_cache& operator=(const credential_cache&) = delete;

    [[nodiscard]] fingerprint fingerprint_of(std::string_view user, std::string_view password) const;

    [[nodiscard]] bool contains(const fingerprint& f, mono_ns now) const;
    void remember(const fingerprint& f, mono_ns now);
    void clear() noexcept { entries_.clear(); }
    [[nodiscard]] std::size_t size() const noexcept { return entries_.size(); }

private:
    std::size_t entries_max_;
    mono_ns lifetime_;
    std::array<unsigned char, 32> key_;
    std::unordered_map<fingerprint, mono_ns, hash> entries_;  // -> when it expires
};

}  // namespace linnet::app
