#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace linnet::session {

// The answers that a publisher is owed, in the order of the packets that called for them [MQTT-4.6.0-2]: what is known
// early waits for what came before it.
//
// Threads: one shard's.
// Bounds:  eight bytes a packet from the oldest unanswered one on; the Receive Maximum bounds those.
class mqtt_inbound {
public:
    enum class answer : std::uint8_t { puback, pubrec, pubcomp };
    struct entry {
        std::uint16_t id = 0;
        answer what = answer::puback;
        std::uint8_t reason = 0;
        bool open = true;  // the core has not said yet
    };

    // The number of this one, by which the core's word will find it.
    std::uint64_t add(const entry& e) {
        entries_.push_back(e);
        open_publishes_ += e.what == answer::puback ? 1 : 0;
        return base_ + entries_.size() - 1;
    }
    // Null for one that has been answered.
    [[nodiscard]] entry* find(std::uint64_t sequence) noexcept {
        return sequence - base_ < entries_.size() && sequence >= base_ + head_ ? &entries_[sequence - base_] : nullptr;
    }
    [[nodiscard]] bool empty() const noexcept { return head_ == entries_.size(); }
    // QoS 1 publishes that have not been answered.
    [[nodiscard]] std::size_t open_publishes() const noexcept { return open_publishes_; }

    // Gives what can be said now, in order.
    template <class Say>
    void flush(Say&& say) {
        while (head_ != entries_.size() && !entries_[head_].open) {
            const auto e = entries_[head_++];
            open_publishes_ -= e.what == answer::puback ? 1 : 0;
            say(e);
        }
        if (head_ == entries_.size()) {
            base_ += head_;
            head_ = 0;
            entries_.clear();
            if (entries_.capacity() > keep_max) {
                entries_.shrink_to_fit();
            }
        } else if (head_ > keep_max) {
            entries_.erase(entries_.begin(), entries_.begin() + static_cast<std::ptrdiff_t>(head_));
            base_ += head_;
            head_ = 0;
        }
    }

private:
    static constexpr std::size_t keep_max = 1024;

    std::vector<entry> entries_;  // from head_ on
    std::size_t head_ = 0;
    std::uint64_t base_ = 1;  // the number of entries_[0]
    std::size_t open_publishes_ = 0;
};

// The packet ids of QoS 2 publishes that were taken and not released: seeing one again is seeing the same publish.
//
// Threads: one shard's.
// Bounds:  two bytes an id. Ids come nearly in order, so both ends of a sorted list are where things happen.
class mqtt_taken_ids {
public:
    void assign(std::vector<std::uint16_t> sorted) noexcept { ids_ = std::move(sorted); }
    [[nodiscard]] bool contains(std::uint16_t id) const noexcept {
        return std::binary_search(ids_.begin(), ids_.end(), id);
    }
    void insert(std::uint16_t id) { ids_.insert(std::lower_bound(ids_.begin(), ids_.end(), id), id); }
    bool erase(std::uint16_t id) noexcept {
        const auto at = std::lower_bound(ids_.begin(), ids_.end(), id);
        if (at == ids_.end() || *at != id) {
            return false;
        }
        ids_.erase(at);
        return true;
    }
    [[nodiscard]] std::size_t size() const noexcept { return ids_.size(); }

private:
    std::vector<std::uint16_t> ids_;
};

}  // namespace linnet::session
