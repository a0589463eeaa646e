#include "broker/session/mqtt_outbound.hpp"

#include <algorithm>
#include <bit>
#include <tuple>
#include <utility>

namespace linnet::session {

// Called when there is no free place: there are twice as many afterwards.
void mqtt_outbound::enlarge() {
    const std::size_t before = places_;
    const auto now = std::min(std::max(first_places, 2 * before), places_max);
    const auto heads = std::bit_ceil(now);
    auto flights = std::make_unique<mqtt_flight[]>(now);
    std::move(flights_.get(), flights_.get() + before, flights.get());
    flights_ = std::move(flights);
    next_ = std::make_unique_for_overwrite<place[]>(now);  // what was in it follows from the flights
    heads_ = std::make_unique_for_overwrite<place[]>(heads);
    std::fill_n(heads_.get(), heads, none);
    places_ = static_cast<std::uint16_t>(now);
    heads_mask_ = static_cast<std::uint16_t>(heads - 1);
    for (std::size_t p = 0; p < before; ++p) {
        link(static_cast<place>(p));
    }
    for (auto p = now; p-- > before;) {
        next_[p] = std::exchange(free_, static_cast<place>(p));
    }
}

void mqtt_outbound::give_up_places() noexcept {
    flights_.reset();
    next_.reset();
    heads_.reset();
    free_ = none;
    places_ = heads_mask_ = size_ = 0;
}

mqtt_flight mqtt_outbound::take(mqtt_flight& f) noexcept {
    const auto p = static_cast<place>(&f - flights_.get());
    auto* leads_here = &head_of(f.id);
    while (*leads_here != p) {
        leads_here = &next_[*leads_here];
    }
    *leads_here = std::exchange(next_[p], free_);
    free_ = p;
    auto taken = std::exchange(f, mqtt_flight{});
    if (--size_ == 0 && places_ > keep_max) {
        give_up_places();
    }
    return taken;
}

std::vector<mqtt_flight> mqtt_outbound::take_all() {
    std::vector<mqtt_flight> all;
    all.reserve(size_);
    for (auto& f : std::span(flights_.get(), places_)) {
        if (f.id != 0) {
            all.push_back(std::move(f));
        }
    }
    give_up_places();
    std::sort(all.begin(), all.end(), [](const mqtt_flight& a, const mqtt_flight& b) {
        const auto order = [](const core::delivery& d) {
            return std::tuple(d.queue.shard, d.queue.slot, d.queue.generation, d.consumer.value, d.pos);
        };
        return order(a.d) < order(b.d);
    });
    return all;
}

}  // namespace linnet::session
