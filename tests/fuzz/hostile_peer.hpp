#pragma once

#include "broker/base/assert.hpp"
#include "broker/base/log.hpp"
#include "broker/session/session.hpp"
#include "tests/session/world.hpp"

#include <algorithm>
#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

namespace linnet::test {

using bytes = std::vector<std::uint8_t>;

// What a fuzzer's input says, piece by piece; zeros behind its end.
class script {
public:
    explicit script(std::span<const std::uint8_t> data) : data_(data) {}
    [[nodiscard]] bool empty() const { return data_.empty(); }
    std::uint8_t byte() { return data_.empty() ? std::uint8_t{0} : take(1)[0]; }
    std::span<const std::uint8_t> take(std::size_t n) {
        const auto taken = data_.first(std::min(n, data_.size()));
        data_ = data_.subspan(taken.size());
        return taken;
    }

private:
    std::span<const std::uint8_t> data_;
};

// The connection of a session that is sent whatever the fuzzer likes. A protocol's own makes `talk_`, ends it with
// hang_up(), and says what the session may say.
class hostile_peer : public session::host {
public:
    void send(std::span<const std::uint8_t> in) {
        input_.insert(input_.end(), in.begin(), in.end());
        take();
    }
    void turn() {
        world_.end_turn();
        world_.shard->begin_turn();
        on_turn();
        take();
    }
    void alarm(bool on) { talk_->on_alarms({on, false}); }
    void drain() {
        if (!over_) {
            talk_->before_flush();
        }
        static_cast<void>(out_.passes_high());
        std::array<iovec, 16> vectors;
        while (!out_.empty()) {
            std::size_t n = 0;
            for (const auto& v : std::span(vectors).first(out_.gather(vectors))) {
                const auto* from = static_cast<const std::uint8_t*>(v.iov_base);
                said_.insert(said_.end(), from, from + v.iov_len);
                n += v.iov_len;
            }
            out_.consume(n);
        }
        if (out_.has_drained() && !over_) {
            talk_->on_output_drained();
        }
        check_said();
    }

    [[nodiscard]] session::output& out() noexcept override { return out_; }
    void flush_soon() noexcept override {}
    void close_after_flush() noexcept override { over_ = true; }
    void abort() noexcept override { over_ = true; }
    void pause_reading() noexcept override { paused_ = true; }
    void resume_reading() noexcept override { paused_ = false; }
    [[nodiscard]] session::peer_info peer() const override { return info_; }

protected:
    explicit hostile_peer(session::test::world& w) : world_(w), out_(w.blocks) { info_.loopback = true; }

    void hang_up() {
        talk_->on_peer_closed();
        talk_.reset();
    }
    // What is whole of `said_` is well-formed, and goes.
    virtual void check_said() = 0;
    virtual void on_turn() {}
    void forget_said(std::size_t n) { said_.erase(said_.begin(), said_.begin() + static_cast<std::ptrdiff_t>(n)); }

    session::test::world& world_;
    std::unique_ptr<session::session> talk_;
    bytes said_;

private:
    void take() {
        while (!paused_ && !over_ && !input_.empty()) {
            const auto used = talk_->on_bytes(input_);
            LINNET_ASSERT(used <= input_.size(), "took {} of {}", used, input_.size());
            input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used));
            if (used == 0) {
                return;
            }
        }
    }

    session::output out_;
    session::peer_info info_{};
    bytes input_;
    bool paused_ = false;
    bool over_ = false;
};

// What the peer does wrong would fill the log.
[[maybe_unused]] inline const bool quiet = [] {
    log::options o;
    o.threshold = log::level::off;
    return log::configure(o).empty();
}();

// Small rings, so that they are full soon.
inline core::broker_options small_options() {
    auto o = session::test::world::options();
    o.ring_capacity = 16;
    return o;
}

inline void play_raw(hostile_peer& p, script& s) {
    while (!s.empty()) {
        p.send(s.take(std::size_t{s.byte()} * 4 + 1));
        p.turn();
        p.drain();
    }
}

}  // namespace linnet::test
