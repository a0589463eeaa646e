// A whole AMQP session against a hostile peer: whatever it sends, in whatever pieces, the session answers in
// well-formed frames, lets go of everything at its end, and never takes more input than it was given.
//
// The first byte's lowest bit chooses between bytes as they are (before and after a valid handshake: second
// bit) and a script of frames whose framing is right, so that the fuzzer reaches what lies behind it.

#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"
#include "tests/fuzz/hostile_peer.hpp"

#include <array>
#include <cstdint>
#include <span>
#include <vector>

namespace {

using namespace linnet;
using session::test::world;
using test::bytes;
using test::script;

template <class... Methods>
constexpr auto ids_of(amqp::method_list<Methods...>) {
    return std::array<amqp::method_id, sizeof...(Methods)>{Methods::id...};
}
constexpr auto method_ids = ids_of(amqp::all_methods{});

class amqp_peer final : public test::hostile_peer {
public:
    explicit amqp_peer(world& w) : hostile_peer(w) {
        talk_ = std::make_unique<session::amqp_session>(*this, *w.shard, w.logins, w.settings);
    }
    ~amqp_peer() override { hang_up(); }

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

private:
    void check_said() override {
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
        forget_said(used);
    }

    bool framed_ = false;
};

bytes frame(amqp::frame_type type, std::uint16_t channel, std::span<const std::uint8_t> payload) {
    bytes out(amqp::frame_overhead_bytes + payload.size());
    auto* at = amqp::put_frame_header(out.data(), type, channel, payload.size());
    amqp::put_frame_end(wire::put_bytes(at, payload.data(), payload.size()));
    return out;
}

void play_frames(world& w, amqp_peer& p, script& s) {
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    script s({data, size});
    const auto mode = s.byte();
    world w(test::small_options());
    w.settings.message_bytes_max = 1 << 20;
    w.shard->begin_turn();
    {
        amqp_peer p(w);
        if ((mode & 1U) == 0) {
            if ((mode & 2U) != 0) {
                p.log_in();
            }
            test::play_raw(p, s);
            w.clock.advance(ns_per_s);
        } else {
            play_frames(w, p, s);
        }
        // A second peer finds the broker in order.
        amqp_peer other(w);
        other.log_in();
        other.turn();
        other.drain();
    }
    w.end_turn();
    return 0;
}
