#include "broker/net/admission.hpp"

namespace linnet::net {

bool admission::enter(std::string_view address) {
    const std::lock_guard lock(mutex_);
    const bool full = limits_.connections != 0 && count() >= limits_.connections;
    auto& here = by_address_[std::string(address)];
    if (full || (limits_.connections_per_address != 0 && here >= limits_.connections_per_address)) {
        if (here == 0) {
            by_address_.erase(std::string(address));
        }
        refused_.fetch_add(1, std::memory_order_relaxed);
        return false;
    }
    ++here;
    count_.fetch_add(1, std::memory_order_relaxed);
    return true;
}

void admission::leave(std::string_view address) noexcept {
    const std::lock_guard lock(mutex_);
    const auto at = by_address_.find(std::string(address));
    if (at != by_address_.end() && --at->second == 0) {
        by_address_.erase(at);
    }
    count_.fetch_sub(1, std::memory_order_relaxed);
}

void admission::set_limits(const limits& l) noexcept {
    const std::lock_guard lock(mutex_);
    limits_ = l;
}

}  // namespace linnet::net
