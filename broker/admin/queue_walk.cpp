#include "broker/admin/queue_walk.hpp"

#include "broker/core/queue_order.hpp"
#include "broker/core/topology_editor.hpp"

#include <iterator>
#include <utility>

namespace linnet::admin {
namespace {

constexpr std::uint32_t vhosts_a_turn = 500;
constexpr std::uint32_t names_a_turn = 2000;
constexpr std::uint32_t patterns_a_turn = 500;  // regular expressions

// Names to look at for each vhost that is passed, so that one budget serves both.
constexpr std::uint32_t names_a_vhost = names_a_turn / vhosts_a_turn;

using place = core::queue_orders::const_iterator;

place next_of(const core::queue_orders& all, const std::optional<std::string>& last, bool reverse) {
    if (!reverse) {
        return last ? all.upper_bound(*last) : all.begin();
    }
    const auto behind = last ? all.lower_bound(*last) : all.end();
    return behind == all.begin() ? all.end() : std::prev(behind);
}

}  // namespace

struct queue_walk::step {
    const std::string& vhost;
    const core::queue_order& queues;
};

bool queue_walk::go_on(const core::topology_editor& editor, const vhost_filter& shows) {
    const auto& all = editor.queues_in_order();
    auto budget = asked_.pattern ? patterns_a_turn : names_a_turn;
    while (budget > names_a_vhost) {
        budget -= names_a_vhost;
        // In the middle of one, or at the beginning of the next.
        auto at = name_ ? all.find(*vhost_) : all.end();
        if (at == all.end()) {
            name_.reset();
            at = next_of(all, vhost_, asked_.reverse);
        }
        if (at == all.end()) {
            return true;
        }
        vhost_ = at->first;
        const auto* v = editor.view().find_vhost(at->first);
        if (v == nullptr || !shows(*v)) {
            name_.reset();
            continue;
        }
        vhosts_ += name_ ? 0 : 1;
        const step s{at->first, at->second};
        if (asked_.name.empty()) {
            count(s);
        } else if (look_at_names(s, budget)) {
            name_.reset();
        }
    }
    return false;
}

void queue_walk::take(const step& s, const core::queue_entry& q) { rows_.push_back({s.vhost, q.spec.name, q.handle}); }

// The page lies where it lies, whatever the names are.
void queue_walk::count(const step& s) {
    const std::uint64_t here = s.queues.size();
    const std::uint64_t begin = (asked_.page - 1) * asked_.page_size;
    const std::uint64_t skip = begin > total_ ? begin - total_ : 0;
    total_ += here;
    found_ += here;
    if (skip >= here || rows_.size() == asked_.page_size) {
        return;
    }
    const auto add = [&](const core::queue_entry& q) {
        take(s, q);
        return rows_.size() < asked_.page_size;
    };
    asked_.reverse ? s.queues.down_from(here - skip, add) : s.queues.up_from(skip, add);
}

bool queue_walk::look_at_names(const step& s, std::uint32_t& budget) {
    const std::uint64_t begin = (asked_.page - 1) * asked_.page_size;
    const std::string* last = nullptr;
    bool over = true;
    const auto look = [&](const core::queue_entry& q) {
        if (budget == 0) {
            over = false;
            return false;
        }
        --budget;
        last = &q.spec.name;
        ++total_;
        if (asked_.finds(q.spec.name)) {
            if (found_ >= begin && rows_.size() < asked_.page_size) {
                take(s, q);
            }
            ++found_;
        }
        return true;
    };
    if (asked_.reverse) {
        s.queues.down_from(name_ ? s.queues.count_before(*name_) : s.queues.size(), look);
    } else {
        s.queues.up_from(name_ ? s.queues.count_before(*name_) + (s.queues.holds(*name_) ? 1 : 0) : 0, look);
    }
    if (last != nullptr) {
        name_ = *last;
    }
    return over;
}

}  // namespace linnet::admin
