#include "broker/admin/tour.hpp"

#include <utility>

namespace linnet::admin {
namespace {

struct under_way {
    services& all;
    core::shard_id home;
    std::vector<core::shard_id> left;  // the next one last
    tour what;
    cursor at = 0;
};

void go_on(const std::shared_ptr<under_way>& t) {
    if (t->left.empty()) {
        t->all.post(t->home, [t] { t->what.back(); });
        return;
    }
    t->all.post(t->left.back(), [t] {
        if (t->what.look(*t->all.shards[t->left.back().value], t->at)) {
            t->left.pop_back();
            t->at = 0;
        }
        go_on(t);
    });
}

}  // namespace

void tour::start(services& s, core::shard_id home, std::vector<core::shard_id> where, tour t) {
    go_on(std::make_shared<under_way>(under_way{s, home, {where.rbegin(), where.rend()}, std::move(t)}));
}

std::vector<core::shard_id> tour::everywhere(const services& s) {
    std::vector<core::shard_id> all;
    for (std::size_t i = 0; i < s.shards.size(); ++i) {
        all.push_back(core::shard_id{static_cast<std::uint16_t>(i)});
    }
    return all;
}

namespace {

tour in_one_look(std::function<void(core::shard&)> f, std::function<void()> back) {
    return {[f = std::move(f)](core::shard& here, cursor&) {
                f(here);
                return true;
            },
            std::move(back)};
}

}  // namespace

void at_control(services& s, core::shard_id home, std::function<void(core::shard&)> f, std::function<void()> back) {
    tour::start(s, home, {core::control_shard}, in_one_look(std::move(f), std::move(back)));
}

void on_every_shard(services& s, core::shard_id home, std::function<void(core::shard&)> f, std::function<void()> back) {
    tour::start(s, home, tour::everywhere(s), in_one_look(std::move(f), std::move(back)));
}

}  // namespace linnet::admin
