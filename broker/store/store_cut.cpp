#include "broker/store/store_cut.hpp"

#include <utility>

namespace linnet::store {

void store_cut::enter(log_id who) {
    const std::lock_guard lock(mutex_);
    logs_.insert(who);
}

void store_cut::leave(log_id who) {
    const std::lock_guard lock(mutex_);
    logs_.erase(who);
    awaited_.erase(who);
}

void store_cut::note(log_id who, std::uint64_t which, log_cut what) {
    const std::lock_guard lock(mutex_);
    if (which == wanted() && awaited_.erase(who) != 0) {
        noted_.push_back(std::move(what));
    }
}

void store_cut::begin() {
    const std::lock_guard lock(mutex_);
    awaited_ = logs_;
    noted_.clear();
    wanted_.store(++latest_, std::memory_order_release);
}

std::optional<std::vector<log_cut>> store_cut::finished() const {
    const std::lock_guard lock(mutex_);
    if (wanted() == 0 || !awaited_.empty()) {
        return std::nullopt;
    }
    return noted_;
}

void store_cut::lift() {
    const std::lock_guard lock(mutex_);
    wanted_.store(0, std::memory_order_release);
    awaited_.clear();
    noted_.clear();
}

}  // namespace linnet::store
