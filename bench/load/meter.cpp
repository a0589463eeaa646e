#include "bench/load/meter.hpp"

namespace linnet::load {
namespace {

constexpr std::array fields{&counts::sent,   &counts::received, &counts::confirmed,
                            &counts::nacked, &counts::returned, &counts::redelivered};

}  // namespace

counts& counts::operator+=(const counts& other) noexcept {
    for (auto field : fields)
        this->*field += other.*field;
    return *this;
}

counts counts::operator-(const counts& other) const noexcept {
    counts difference;
    for (auto field : fields)
        difference.*field = this->*field - other.*field;
    return difference;
}

void meter::publish_totals() noexcept {
    for (std::size_t i = 0; i < fields.size(); ++i)
        totals_[i].store(now.*fields[i], std::memory_order_relaxed);
}

counts meter::totals() const noexcept {
    counts copy;
    for (std::size_t i = 0; i < fields.size(); ++i)
        copy.*fields[i] = totals_[i].load(std::memory_order_relaxed);
    return copy;
}

}  // namespace linnet::load
