#include "broker/core/queue_order.hpp"

#include "broker/base/assert.hpp"

#include <iterator>

namespace linnet::core {
namespace {

const std::string& name_of(const queue_record* q) noexcept { return q->entry.spec.name; }

}  // namespace

queue_order::place queue_order::seek(std::string_view name) const noexcept {
    const auto behind = std::ranges::upper_bound(blocks_, name, {},
                                                 [](const block& b) -> std::string_view { return name_of(b[0]); });
    const auto b = behind == blocks_.begin() ? std::size_t{0} : static_cast<std::size_t>(behind - blocks_.begin()) - 1;
    if (blocks_.empty()) {
        return {0, 0};
    }
    const auto at = std::ranges::lower_bound(blocks_[b], name, {},
                                             [](const queue_record* q) -> std::string_view { return name_of(q); });
    return {b, static_cast<std::size_t>(at - blocks_[b].begin())};
}

bool queue_order::is_at(place at, std::string_view name) const noexcept {
    return at.block < blocks_.size() && at.index < blocks_[at.block].size() &&
           name_of(blocks_[at.block][at.index]) == name;
}

bool queue_order::holds(std::string_view name) const noexcept { return is_at(seek(name), name); }

std::size_t queue_order::count_before(std::string_view name) const noexcept {
    const auto at = seek(name);
    std::size_t n = at.index;
    for (std::size_t b = 0; b < at.block; ++b) {
        n += blocks_[b].size();
    }
    return n;
}

void queue_order::insert(const queue_record& q) {
    ++size_;
    if (blocks_.empty()) {
        blocks_.push_back({&q});
        return;
    }
    auto at = seek(name_of(&q));
    LINNET_DEBUG_ASSERT(!is_at(at, name_of(&q)), "queue '{}' is in order already", name_of(&q));
    if (blocks_[at.block].size() == block_max) {
        split(at.block);
        at = seek(name_of(&q));
    }
    auto& to = blocks_[at.block];
    to.insert(to.begin() + static_cast<std::ptrdiff_t>(at.index), &q);
}

void queue_order::replace(const queue_record& q) noexcept {
    const auto at = seek(name_of(&q));
    LINNET_ASSERT(is_at(at, name_of(&q)), "queue '{}' is not in order", name_of(&q));
    blocks_[at.block][at.index] = &q;
}

void queue_order::erase(std::string_view name) {
    const auto at = seek(name);
    LINNET_ASSERT(is_at(at, name), "queue '{}' is not in order", name);
    auto& from = blocks_[at.block];
    from.erase(from.begin() + static_cast<std::ptrdiff_t>(at.index));
    --size_;
    if (from.size() < block_max / 4) {
        merge(at.block);
    }
}

// In halves.
void queue_order::split(std::size_t b) {
    const auto half = static_cast<std::ptrdiff_t>(blocks_[b].size() / 2);
    block upper(blocks_[b].begin() + half, blocks_[b].end());
    blocks_[b].resize(static_cast<std::size_t>(half));
    blocks_.insert(blocks_.begin() + static_cast<std::ptrdiff_t>(b) + 1, std::move(upper));
}

// A small block goes into the one before or behind it, if it fits there well.
void queue_order::merge(std::size_t b) {
    const auto fits = [&](std::size_t other) {
        return other < blocks_.size() && blocks_[b].size() + blocks_[other].size() <= block_max / 2;
    };
    const auto at = [&](std::size_t i) { return blocks_.begin() + static_cast<std::ptrdiff_t>(i); };
    if (b != 0 && fits(b - 1)) {
        --b;
    } else if (!fits(b + 1)) {
        if (blocks_[b].empty()) {
            blocks_.erase(at(b));
        }
        return;
    }
    blocks_[b].insert(blocks_[b].end(), blocks_[b + 1].begin(), blocks_[b + 1].end());
    blocks_.erase(at(b + 1));
}

}  // namespace linnet::core
