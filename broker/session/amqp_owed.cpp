#include "broker/session/amqp_owed.hpp"

#include <algorithm>
#include <utility>

namespace linnet::session {

bool amqp_owed::keep(core::reply&& r) {
    if (line_.empty() || line_.front().what.index() != 0 || line_.front().cookie != r.cookie) {
        return false;
    }
    line_.front().what = std::move(r);
    return true;
}

std::optional<amqp_owed::entry> amqp_owed::take() {
    if (line_.empty() || line_.front().what.index() == 0) {
        return std::nullopt;
    }
    auto e = std::move(line_.front());
    line_.pop_front();
    return e;
}

bool amqp_owed::holds_input() const noexcept {
    if (line_.empty()) {
        return false;
    }
    const auto& last = line_.back().what;
    const auto* r = std::get_if<core::reply>(&last);
    return full() || std::holds_alternative<refusal>(last) || (r != nullptr && !r->result);
}

bool amqp_owed::any_of(std::uint16_t channel) const noexcept {
    return std::ranges::any_of(line_, [channel](const entry& e) { return e.then.channel == channel; });
}

}  // namespace linnet::session
