#include "broker/app/login_throttle.hpp"

#include <arpa/inet.h>

#include <algorithm>
#include <array>

namespace linnet::app {

bool login_throttle::must_wait(const std::string& key, mono_ns now) const {
    const auto it = entries_.find(key);
    return it != entries_.end() && now < it->second.wait_until;
}

void login_throttle::failed(const std::string& key, mono_ns now) {
    if (entries_.size() >= options_.entries_max && !entries_.contains(key)) {
        make_room(now);
    }
    auto& e = entries_[key];
    if (e.failures > 0 && now - e.last_failure > options_.forget_after) {
        e.failures = 0;
    }
    e.failures = std::min(e.failures + 1, options_.failures_free + 63);
    e.last_failure = now;
    e.wait_until = now + delay_after(e.failures);
}

mono_ns login_throttle::delay_after(std::uint32_t failures) const noexcept {
    if (failures < options_.failures_free) {
        return 0;
    }
    auto delay = options_.first_delay;
    for (auto n = options_.failures_free; n < failures && delay < options_.delay_max; ++n) {
        delay *= 2;
    }
    return std::min(delay, options_.delay_max);
}

void login_throttle::make_room(mono_ns now) {
    std::erase_if(entries_, [&](const auto& e) { return now - e.second.last_failure > options_.forget_after; });
    if (entries_.size() < options_.entries_max) {
        return;
    }
    const auto oldest = std::min_element(entries_.begin(), entries_.end(), [](const auto& a, const auto& b) {
        return a.second.last_failure < b.second.last_failure;
    });
    entries_.erase(oldest);
}

std::string throttle_key(const std::string& peer_address) {
    auto bytes = std::array<unsigned char, sizeof(in6_addr)>{};
    if (inet_pton(AF_INET6, peer_address.c_str(), bytes.data()) != 1) {
        return peer_address;
    }
    constexpr auto mapped = std::array<unsigned char, 12>{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (std::equal(mapped.begin(), mapped.end(), bytes.begin())) {
        auto text = std::array<char, INET_ADDRSTRLEN>{};
        return inet_ntop(AF_INET, bytes.data() + mapped.size(), text.data(), text.size());
    }
    std::fill(bytes.begin() + 8, bytes.end(), static_cast<unsigned char>(0));
    auto text = std::array<char, INET6_ADDRSTRLEN>{};
    return std::string{inet_ntop(AF_INET6, bytes.data(), text.data(), text.size())} + "/64";
}

}  // namespace linnet::app
