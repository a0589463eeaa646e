#pragma once

#include "broker/core/counts.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/looks.hpp"

#include <cstddef>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>

namespace linnet::core {

// What each exchange was given on one shard, by vhost and name: routes remember the address of their exchange's counts,
// so that a publish looks nothing up.
//
// Threads: one shard's.
// Bounds:  twice as many entries as there are exchanges with traffic, and `slack`: those of exchanges that are gone are
//          dropped when it grows beyond. Addresses stay good until then; epoch() tells.
class exchange_tally {
public:
    using alive = std::function<bool(vhost_id vhost, std::string_view exchange)>;

    [[nodiscard]] exchange_counts& of(vhost_id v, std::string_view exchange, const alive& is_there) {
        make_name(v, exchange);
        if (const auto at = counts_.find(name_); at != counts_.end()) {
            return at->second.counts;
        }
        if (counts_.size() >= limit_) {
            std::erase_if(counts_, [&](const auto& e) { return !is_there(e.second.vhost, name_of(e.first)); });
            limit_ = counts_.size() * 2 + slack;
            ++epoch_;
            make_name(v, exchange);
        }
        return counts_.try_emplace(name_, entry{v, {}, {}}).first->second.counts;
    }
    // With rates, from the first look on.
    [[nodiscard]] exchange_look look(vhost_id v, std::string_view exchange, mono_ns now, wall_ns wall) {
        make_name(v, exchange);
        const auto at = counts_.find(name_);
        if (at == counts_.end()) {
            return {};
        }
        auto& e = at->second;
        const auto seen = e.window.look(e.counts, now, wall);
        return {e.counts, rate_of(e.counts.in, seen.before.in, seen.seconds),
                rate_of(e.counts.out, seen.before.out, seen.seconds)};
    }
    // Changes whenever addresses may have gone.
    [[nodiscard]] std::uint64_t epoch() const noexcept { return epoch_; }

private:
    struct entry {
        vhost_id vhost{};
        exchange_counts counts{};
        rate_window<exchange_counts> window{};
    };
    static constexpr std::size_t slack = 1024;

    void make_name(vhost_id v, std::string_view exchange) {
        name_.assign(reinterpret_cast<const char*>(&v.value), sizeof(v.value));
        name_.append(exchange);
    }
    [[nodiscard]] static std::string_view name_of(const std::string& key) noexcept {
        return std::string_view(key).substr(sizeof(vhost_id::value));
    }

    std::unordered_map<std::string, entry> counts_;
    std::string name_;  // reused: a look-up allocates nothing
    std::size_t limit_ = slack;
    std::uint64_t epoch_ = 0;
};

}  // namespace linnet::core
