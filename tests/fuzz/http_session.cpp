// A whole HTTP connection with messaging behind it, against a hostile peer: whatever it sends, in whatever pieces, what
// it is answered is HTTP, nothing is taken that was not given, and everything is let go of at the end.
//
// Each piece of input begins with a byte: what to do (turn, drain, time, send raw, or a request whose framing is right,
// so that the fuzzer reaches what lies behind it), then what it needs.

#include "broker/session/http_session.hpp"
#include "broker/session/http_messaging.hpp"
#include "tests/fuzz/hostile_peer.hpp"

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace {

using namespace linnet;
using session::test::world;
using test::script;

std::string as_string(std::span<const std::uint8_t> bytes) { return {bytes.begin(), bytes.end()}; }

class http_peer final : public test::hostile_peer {
public:
    http_peer(world& w, session::http_messaging::peers& all) : hostile_peer(w) {
        messaging_ = std::make_unique<session::http_messaging>(
            *w.shard, session::http_messaging_settings{}, all,
            [this](core::shard_id, std::function<void()> f) { posted_.push_back(std::move(f)); });
        all.push_back(messaging_.get());
        settings_.handlers = {{.prefix = "/v1/", .handler = messaging_.get()}};
        settings_.logins = &w.logins;
        settings_.origins = {"https://shop.example"};
        talk_ = std::make_unique<session::http_session>(*this, *w.shard, settings_);
        const auto v = core::topology_view::id_of(*w.shard->topology().find_vhost("/"));
        messaging_->ask(v, core::declare_queue{.name = "q", .arguments = {}}, [](core::reply&&) {});
        turn();
    }
    ~http_peer() override {
        hang_up();
        messaging_->stop();
        world_.end_turn();
        world_.shard->begin_turn();
    }

private:
    void on_turn() override {
        for (const auto& f : std::exchange(posted_, {})) {
            f();
        }
    }
    void check_said() override {
        LINNET_ASSERT(said_.empty() || begun_ || as_string(said_).starts_with("HTTP/1.1 "), "that is no HTTP: {}",
                      as_string(said_).substr(0, 20));
        begun_ = begun_ || !said_.empty();
        said_.clear();
    }

    std::unique_ptr<session::http_messaging> messaging_;
    session::http_settings settings_;
    std::vector<std::function<void()>> posted_;
    bool begun_ = false;
};

std::string request(script& s) {
    constexpr std::array<std::string_view, 8> methods{"GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "X"};
    constexpr std::array<std::string_view, 10> paths{
        "q/q",     "q/q?max=3&lease=1", "q/q/events", "t/a/b", "x/amq.topic/a.b", "events?topic=%23",
        "leases/", "rpc/amq.default/q", "replies/",   "q"};
    constexpr std::array<std::string_view, 8> fields{"",
                                                     "Content-Type: application/x-ndjson\r\n",
                                                     "Idempotency-Key: k\r\n",
                                                     "Accept: text/event-stream\r\n",
                                                     "Prefer: wait=1, respond-async\r\n",
                                                     "TTL: 0.5\r\nX-H-a: b\r\n",
                                                     "Origin: https://evil.example\r\n",
                                                     "Accept-Encoding: gzip\r\nConnection: close\r\n"};
    const auto a = s.byte();
    const auto b = s.byte();
    auto text = std::string(methods[a & 7U]) + " /v1/%2F/" + std::string(paths[b % paths.size()]);
    for (const char c : as_string(s.take((a >> 3U) & 15U))) {
        text += c > ' ' && c < 0x7f ? c : '-';
    }
    const auto body = as_string(s.take(s.byte()));
    return text + " HTTP/1.1\r\nHost: a\r\nAuthorization: Basic Z3Vlc3Q6Z3Vlc3Q=\r\n" + std::string(fields[b >> 5U]) +
           "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

void play(world& w, http_peer& p, script s) {
    while (!s.empty()) {
        const auto what = s.byte();
        switch (what & 7U) {
            case 0: p.turn(); break;
            case 1: p.drain(); break;
            case 2:
                w.clock.advance(std::int64_t{s.byte()} * ns_per_s / 8);
                p.turn();
                break;
            case 3:
            case 4: p.send(s.take(s.byte())); break;
            default: {
                const auto asked = request(s);
                p.send(wire::as_bytes(asked));
                break;
            }
        }
    }
    p.turn();
    p.drain();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    world w;
    w.shard->begin_turn();
    session::http_messaging::peers all;
    {
        http_peer p(w, all);
        play(w, p, script({data, size}));
    }
    while (w.shard->end_turn()) {}
    return 0;
}
