#pragma once

#include "broker/admin/services.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

namespace linnet::admin {

// Where somebody who looks at all of a shard's queues or sessions has come to; 0: at the beginning.
using cursor = std::uint32_t;

// Goes from shard to shard and looks around, a piece a turn, so that traffic goes on between; then it is back home.
// Whoever is under way is alone: what it gathers needs no lock, because only one shard has it at a time.
//
// Threads: start() at home; `look` on the shards in turn, `back` at home again.
// Owns:    itself, by what is posted. What it gathers is dropped without a word when the shards end before it is back.
struct tour {
    // Some of that shard; true: that was all of it. The cursor is the look's own, 0 on each shard at first.
    std::function<bool(core::shard& here, cursor& at)> look;
    std::function<void()> back;

    static void start(services& s, core::shard_id home, std::vector<core::shard_id> where, tour t);
    [[nodiscard]] static std::vector<core::shard_id> everywhere(const services& s);
};

// Runs `f` at the control, or on every shard in turn, then `back` at home.
void at_control(services& s, core::shard_id home, std::function<void(core::shard&)> f, std::function<void()> back);
void on_every_shard(services& s, core::shard_id home, std::function<void(core::shard&)> f, std::function<void()> back);

}  // namespace linnet::admin
