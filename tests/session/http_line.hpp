// An HTTP connection without a socket.
#pragma once

#include "broker/session/http_session.hpp"
#include "tests/session/world.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::session::test {

// A connection as net::connection makes it, whose socket takes everything, so much at a time, or nothing while it is
// stuck.
class line final : public host {
public:
    explicit line(world& w, const http_settings& s) : line(w, s, *w.shard) {}
    line(world& w, const http_settings& s, core::shard& at) : out_(w.blocks), talk(*this, at, s) {}

    [[nodiscard]] output& out() noexcept override { return out_; }
    void flush_soon() noexcept override { dirty_ = true; }
    void close_after_flush() noexcept override { closing = true; }
    void abort() noexcept override { closing = aborted = true; }
    void pause_reading() noexcept override { paused_ = true; }
    void resume_reading() noexcept override {
        paused_ = false;
        hungry_ = true;
    }
    [[nodiscard]] peer_info peer() const override { return peer_; }

    // One read of the socket; what it makes the session say.
    std::string read(std::string_view bytes) {
        held_.insert(held_.end(), bytes.begin(), bytes.end());
        feed();
        return written();
    }
    std::string written() {
        std::string text;
        auto room = takes;
        do {
            if (std::exchange(hungry_, false) && (!held_.empty() || talk.holds_input())) {
                feed();
            }
            dirty_ = false;
            talk.before_flush();
            static_cast<void>(out_.passes_high());
            std::array<iovec, 8> parts;
            while (!stuck && room != 0 && !out_.empty()) {
                const auto n = out_.gather(parts);
                std::size_t sum = 0;
                for (std::size_t i = 0; i < n; ++i) {
                    const auto bytes = std::min(parts[i].iov_len, room - sum);
                    text.append(static_cast<const char*>(parts[i].iov_base), bytes);
                    sum += bytes;
                }
                out_.consume(sum);
                room -= sum;
            }
            if (out_.has_drained()) {
                talk.on_output_drained();
            }
        } while (dirty_ || hungry_);
        return text;
    }

    bool closing = false;
    bool aborted = false;
    bool stuck = false;
    std::size_t takes = SIZE_MAX;

    [[nodiscard]] std::size_t pending() const noexcept { return out_.pending(); }
    [[nodiscard]] bool reads() const noexcept { return !paused_; }

private:
    void feed() {
        if (closing || paused_) {
            return;
        }
        const auto taken = talk.on_input(held_);
        ASSERT_LE(taken, held_.size());
        held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(taken));
    }

    output out_;
    peer_info peer_;
    std::vector<std::uint8_t> held_;
    bool dirty_ = false;
    bool hungry_ = false;
    bool paused_ = false;

public:
    http_session talk;
};

}  // namespace linnet::session::test
