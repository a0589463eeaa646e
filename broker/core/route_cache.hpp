#pragma once

#include "broker/core/counts.hpp"
#include "broker/core/topology.hpp"

#include <boost/unordered/unordered_flat_map.hpp>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// The routes that this shard looked up lately, good for one version of the topology.
//
// Threads: one shard's.
// Bounds:  `entries_max`; when it is full it starts anew, which costs less than keeping an order. When it
//          finds little (more keys in use than entries), it steps aside for a while: a look-up in the
//          topology costs less than filling entries that nobody comes back to.
class route_cache {
public:
    static constexpr std::size_t entries_max = 16 * 1024;

    struct entry {
        const exchange_node* exchange = nullptr;
        std::vector<queue_handle> where;
        exchange_counts* counts = nullptr;  // of that exchange, on this shard
    };

    // False while the cache steps aside: neither find() nor add().
    [[nodiscard]] bool in_use() noexcept {
        if (aside_ == 0) [[likely]] {
            return true;
        }
        --aside_;
        return false;
    }
    // Changes whenever entries may have moved or gone: what was found before must be looked up again.
    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }

    [[nodiscard]] const entry* find(std::uint64_t version, vhost_id vhost, std::string_view exchange,
                                    std::string_view key) {
        if (version != version_) {
            clear();
            version_ = version;
            return nullptr;
        }
        make_name(vhost, exchange, key);
        const auto at = routes_.find(name_);
        judge(at != routes_.end());
        return at == routes_.end() ? nullptr : &at->second;
    }
    const entry& add(vhost_id vhost, std::string_view exchange, std::string_view key, const exchange_node* x,
                     targets where, exchange_counts& counts) {
        if (routes_.size() >= entries_max) {
            clear();
        }
        make_name(vhost, exchange, key);
        auto& e = routes_[name_];
        e.exchange = x;
        e.where.assign(where.begin(), where.end());
        e.counts = &counts;
        return e;
    }

    // What the entries refer to has gone.
    void forget() { clear(); }

private:
    void clear() {
        routes_.clear();
        ++epoch_;
    }
    void judge(bool found) noexcept {
        found_ += found ? 1 : 0;
        if (++asked_ == judged_over) {
            aside_ = found_ < judged_over / 4 ? aside_for : 0;
            asked_ = found_ = 0;
        }
    }
    // Unambiguous: the vhost's number and the exchange's length stand in front.
    void make_name(vhost_id vhost, std::string_view exchange, std::string_view key) {
        name_.clear();
        for (unsigned shift = 0; shift < 32; shift += 8) {
            name_.push_back(static_cast<char>((vhost.value >> shift) & 0xff));
        }
        name_.push_back(static_cast<char>(exchange.size()));
        name_.append(exchange).append(key);
    }

    boost::unordered_flat_map<std::string, entry> routes_;
    std::string name_;  // reused: a look-up allocates nothing
    static constexpr std::uint32_t judged_over = 64 * 1024;
    static constexpr std::uint32_t aside_for = 1024 * 1024;
    std::uint32_t asked_ = 0;
    std::uint32_t found_ = 0;
    std::uint32_t aside_ = 0;
    std::uint64_t version_ = 0;
    std::uint64_t epoch_ = 1;
};

}  // namespace linnet::core
