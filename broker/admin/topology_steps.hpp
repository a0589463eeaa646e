#pragma once

#include "broker/core/topology_walk.hpp"

#include <cstdint>
#include <optional>
#include <string>

// Walks over the topology that take some steps a turn and go on in the next, in whatever version there is by then. What
// is there all the time is shown once; what comes or goes meanwhile may be shown or not.
//
// Threads: one at a time; between turns they may travel. They keep hashes, nothing of a version.

namespace linnet::admin {

// Goes through the vhosts, and lets whoever asks go through what lies in each.
class vhost_steps {
public:
    // `enter()` comes before the first steps in a vhost; `in(vhost)` takes some and says whether those were all. True:
    // that was the last vhost.
    template <class Enter, class In>
    [[nodiscard]] bool go_on(core::topology_view view, Enter&& enter, In&& in) {
        const auto* begun = at_ ? view.find_vhost(name_) : nullptr;
        if (begun != nullptr && at_ == begun->id && !in(*begun)) {
            return false;
        }
        at_.reset();
        view.root()->vhosts.for_each_behind(done_, [&](const core::vhost_node& v) {
            done_ = v.hash;
            at_ = v.id;
            name_ = v.name;
            enter();
            if (in(v)) {
                at_.reset();
            }
            return !at_;
        });
        return !at_;
    }

private:
    std::optional<std::uint64_t> done_;  // up to the one under way, which may have gone since
    std::optional<core::vhost_id> at_;
    std::string name_;
};

class exchange_steps {
public:
    // Some hundred exchanges of a vhost that `sees(vhost)`. True: there are no more.
    template <class Sees, class F>
    [[nodiscard]] bool go_on(core::topology_view view, Sees&& sees, F&& f) {
        std::uint32_t left = a_turn;
        const auto in = [&](const core::vhost_node& v) {
            if (!sees(v)) {
                return true;
            }
            v.exchanges.for_each_behind(done_, [&](const core::exchange_node& x) {
                if (left == 0 && done_ != x.hash) {
                    return false;
                }
                left -= left == 0 ? 0 : 1;
                f(v, x);
                done_ = x.hash;
                return true;
            });
            return left != 0;
        };
        return vhosts_.go_on(
            view, [this] { done_.reset(); }, in);
    }

    static constexpr std::uint32_t a_turn = 512;

private:
    vhost_steps vhosts_;
    std::optional<std::uint64_t> done_;
};

// Every binding by where it leads: destinations know theirs, in a map that a walk can be broken off in. That the
// default exchange leads to every queue is among them.
class binding_steps {
public:
    // Some hundred of a vhost that `sees(vhost)`: f(vhost, binding). True: there are no more.
    template <class Sees, class F>
    [[nodiscard]] bool go_on(core::topology_view view, Sees&& sees, F&& f) {
        std::uint32_t left = a_turn;
        return vhosts_.go_on(
            view, [this] { begin(); }, [&](const core::vhost_node& v) { return !sees(v) || go_on_in(v, left, f); });
    }
    // The same of one vhost.
    template <class F>
    [[nodiscard]] bool go_on_in(const core::vhost_node& v, F&& f) {
        std::uint32_t left = a_turn;
        return go_on_in(v, left, f);
    }

    static constexpr std::uint32_t a_turn = 512;

private:
    template <class F>
    bool go_on_in(const core::vhost_node& v, std::uint32_t& left, F& f) {
        static const core::value_table none;
        if (!queues_done_) {
            if (const auto* q = at_ ? v.queues.find(core::text_hash(*at_), *at_) : nullptr) {
                show(v, q->bindings, left, f);
            }
            v.queues.for_each_behind(done_, [&](const core::queue_node& q) {
                if (left == 0) {
                    return false;
                }
                const std::string& name = q.info->entry.spec.name;
                enter(q.hash, name);
                f(v, core::binding_view{"", name, core::bind_destination::queue, name, none});
                --left;
                show(v, q.bindings, left, f);
                return true;
            });
            if (left == 0) {
                return false;
            }
            begin();
            queues_done_ = true;
        }
        if (const auto* x = at_ ? v.exchanges.find(core::text_hash(*at_), *at_) : nullptr) {
            show(v, x->inbound, left, f);
        }
        v.exchanges.for_each_behind(done_, [&](const core::exchange_node& x) {
            if (left == 0) {
                return false;
            }
            enter(x.hash, x.info->spec.name);
            --left;
            show(v, x.inbound, left, f);
            return true;
        });
        return left != 0;
    }

    void begin() {
        queues_done_ = false;
        done_.reset();
        at_.reset();
    }
    // It counts as done: the walk goes on behind it, and with what is left of it by its name. So it is not begun again
    // when another comes to lie before it meanwhile.
    void enter(std::uint64_t hash, const std::string& name) {
        done_ = hash;
        at_ = name;
        shown_.reset();
    }
    // What is left of the destination under way, as far as the turn goes.
    template <class F>
    void show(const core::vhost_node& v, const core::binding_set& bindings, std::uint32_t& left, F& f) {
        bindings.for_each_behind(shown_, [&](const core::binding_node& b) {
            if (left == 0 && shown_ != b.hash) {
                return false;
            }
            left -= left == 0 ? 0 : 1;
            f(v, core::view_of(b));
            shown_ = b.hash;
            return true;
        });
    }

    vhost_steps vhosts_;
    bool queues_done_ = false;
    std::optional<std::uint64_t> done_;  // of the queues, or exchanges, of the vhost
    // The destination under way, which may have gone since, and how far.
    std::optional<std::string> at_;
    std::optional<std::uint64_t> shown_;
};

}  // namespace linnet::admin
