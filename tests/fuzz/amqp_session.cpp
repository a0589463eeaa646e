// A whole AMQP session against a hostile peer: whatever it sends, in whatever pieces, the session answers in
// well-formed frames, lets go of everything at its end, and never takes more input than it was given.
//
// The first byte's lowest bit chooses between bytes as they are (before and after a valid handshake: second
// bit) and a script of frames whose framing is right, so that the fuzzer reaches what lies behind it.

#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"
#include "tests/session/world.hpp"

#include "broker/base/log.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace {

using namespace linnet;
using session::test::world;
using bytes = std::vector<std::uint8_t>;

template <class... Methods>
constexpr auto ids_of(amqp::method_list<Methods...>) {
    return std::array<amqp::method_id, sizeof...(Methods)>{Methods::id...};
}
constexpr auto method_ids = ids_of(amqp::all_methods{});

class hostile_peer final : public session::host {
public:
    explicit hostile_peer(world& w) : world_(w), out_(w.blocks) {
        info_.loopback = true;
        talk_ = std::make_unique<session::amqp_session>(*this, *w.shard, w.logins, w.settings);
    }
    ~hostile_peer() override {
        talk_->on_peer_closed();
        talk_.reset();
    }

    void log_in() {
        bytes hello(amqp::protocol_header.begin(), amqp::protocol_header.end());
        amqp::append_method(hello, 0,
                            amqp::connection_start_ok{.client_properties = {},
                                                      .mechanism = "PLAIN",
                                                      .response = {{"\0guest\0guest", 12}},
                                                      .locale = "en_US"});
        amqp::append_method(hello, 0, amqp::connection_tune_ok{2047, 4096, 5});
        amqp::append_method(hello, 0, amqp::connection_open{.virtual_host = "/"});
        amqp::append_method(hello, 1, amqp::channel_open{});
        amqp::append_method(hello, 1, amqp::queue_declare{.queue = "q"});
        send(hello);
        framed_ = true;
    }
    void send(std::span<const std::uint8_t> in) {
        input_.insert(input_.end(), in.begin(), in.end());
        take();
    }
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
    void turn() {
        world_.end_turn();
        world_.shard->begin_turn();
        take();
    }
    void alarm(bool on) { talk_->on_memory_alarm(on); }
    void drain() {
        const bool was_high = out_.pending() > session::session::output_high_bytes;
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
        if (was_high) {
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
    [[nodiscard]] const session::peer_info& peer() const noexcept override { return info_; }

private:
    void check_said() {
        std::size_t used = 0;
        while (framed_) {
            const auto f = amqp::decode_frame(std::span(said_).subspan(used), 0);
            LINNET_ASSERT(!f.is_malformed(), "the session said something malformed");
            if (!f) {
                break;
            }
            if (f->type == amqp::frame_type::method) {
                const auto why = amqp::visit_method(f->payload, [](const auto&) {});
                LINNET_ASSERT(!why, "the session said a method that does not decode");
            }
            used += f->size();
        }
        said_.erase(said_.begin(), said_.begin() + static_cast<std::ptrdiff_t>(used));
    }

    world& world_;
    session::output out_;
    session::peer_info info_{};
    std::unique_ptr<session::amqp_session> talk_;
    bytes input_;
    bytes said_;
    bool paused_ = false;
    bool over_ = false;
    bool framed_ = false;
};

class script {
public:
    explicit script(std::span<const std::uint8_t> data) : data_(data) {}
    [[nodiscard]] bool empty() const { return data_.empty(); }
    std::uint8_t byte() {
        if (data_.empty()) {
            return 0;
        }
        const auto b = data_.front();
        data_ = data_.subspan(1);
        return b;
    }
    std::span<const std::uint8_t> take(std::size_t n) {
        n = std::min(n, data_.size());
        const auto taken = data_.first(n);
        data_ = data_.subspan(n);
        return taken;
    }

private:
    std::span<const std::uint8_t> data_;
};

bytes frame(amqp::frame_type type, std::uint16_t channel, std::span<const std::uint8_t> payload) {
    bytes out(amqp::frame_overhead_bytes + payload.size());
    auto* at = amqp::put_frame_header(out.data(), type, channel, payload.size());
    amqp::put_frame_end(wire::put_bytes(at, payload.data(), payload.size()));
    return out;
}

void play_raw(world& w, hostile_peer& p, script s) {
    while (!s.empty()) {
        p.send(s.take(std::size_t{s.byte()} * 4 + 1));
        p.turn();
        p.drain();
    }
    w.clock.advance(ns_per_s);
}

void play_frames(world& w, hostile_peer& p, script s) {
    p.log_in();
    while (!s.empty()) {
        const auto what = s.byte();
        const auto channel = static_cast<std::uint16_t>(what >> 6);
        switch (what & 15U) {
            case 0: p.turn(); break;
            case 1: p.drain(); break;
            case 2:
                w.clock.advance(std::int64_t{s.byte()} * ns_per_s / 4);
                p.turn();
                break;
            case 3: p.alarm((what & 32U) != 0); break;
            case 4: p.send(frame(amqp::frame_type::body, channel, s.take(s.byte()))); break;
            case 5: p.send(frame(amqp::frame_type::header, channel, s.take(s.byte()))); break;
            case 6: p.send(frame(amqp::frame_type::heartbeat, channel, s.take(what & 16U))); break;
            case 7: p.send(s.take(s.byte())); break;
            default: {
                bytes payload(sizeof(amqp::method_id));
                wire::store(payload.data(), method_ids[s.byte() % method_ids.size()]);
                const auto arguments = s.take(s.byte());
                payload.insert(payload.end(), arguments.begin(), arguments.end());
                p.send(frame(amqp::frame_type::method, channel, payload));
                break;
            }
        }
    }
    p.turn();
    p.drain();
}

// What the peer does wrong would fill the log.
[[maybe_unused]] const bool quiet = [] {
    log::options o;
    o.threshold = log::level::off;
    return log::configure(o).empty();
}();

core::broker_options small_options() {
    auto o = world::options();
    o.ring_capacity = 16;
    return o;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    script s({data, size});
    const auto mode = s.byte();
    world w(small_options());
    w.settings.message_bytes_max = 1 << 20;
    w.shard->begin_turn();
    {
        hostile_peer p(w);
        if ((mode & 1U) == 0) {
            if ((mode & 2U) != 0) {
                p.log_in();
            }
            play_raw(w, p, s);
        } else {
            play_frames(w, p, s);
        }
        // A second peer finds the broker in order.
        hostile_peer other(w);
        other.log_in();
        other.turn();
        other.drain();
    }
    w.end_turn();
    return 0;
}
