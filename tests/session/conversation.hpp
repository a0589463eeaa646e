// A scripted AMQP peer on a real shard, without sockets: what it sends goes into a session in turns of the
// shard, what the session says comes back as one line a frame.
//
//     1 basic.consume-ok tag
//     1 basic.deliver tag 1 0 "" q
//     1 header 5 0000
//     1 body hello
#pragma once

#include "protocol/amqp/properties_builder.hpp"
#include "protocol/amqp/table_builder.hpp"
#include "tests/session/world.hpp"

#include <gtest/gtest.h>

#include <array>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session::test {

using bytes = std::vector<std::uint8_t>;

// ---- Rendering ---------------------------------------------------------------------------------

namespace detail {

inline std::string shown(std::string_view text) {
    if (text.empty()) {
        return "\"\"";
    }
    std::string out;
    for (const char c : text) {
        const auto u = static_cast<unsigned char>(c);
        out += u >= 32 && u < 127 ? std::string(1, c) : fmt::format("\\x{:02x}", u);
    }
    return out;
}
inline std::string shown(bool b) { return b ? "1" : "0"; }
template <std::unsigned_integral Int>
std::string shown(Int n) {
    return std::to_string(n);
}
inline std::string shown(const amqp::long_string& s) { return shown(s.text); }
inline std::string shown(const amqp::table_view& t) { return fmt::format("table[{}]", t.contents().size()); }

template <class Method>
std::string render(const Method& m) {
    std::string line(Method::name);
    std::apply([&](auto... member) { ((line += " " + shown(m.*member)), ...); }, Method::fields);
    return line;
}

inline std::string render(const amqp::frame& f) {
    switch (f.type) {
        case amqp::frame_type::method: {
            std::string line;
            const auto why = amqp::visit_method(f.payload, [&](const auto& m) { line = render(m); });
            return why ? "undecodable: " + std::string(amqp::describe(*why)) : line;
        }
        case amqp::frame_type::header: {
            const auto h = amqp::decode_content_header(f.payload);
            if (!h) {
                return "undecodable header";
            }
            return fmt::format("header {} {:02x}", h->body_size, fmt::join(h->properties, ""));
        }
        case amqp::frame_type::body: {
            const auto text = shown(wire::as_text(f.payload));
            return text.size() > 80 ? fmt::format("body of {}", f.payload.size()) : "body " + text;
        }
        case amqp::frame_type::heartbeat: return "heartbeat";
    }
    return "";
}

}  // namespace detail

// Complete frames at the front of `in`, a line each, and how many bytes they take.
inline std::pair<std::string, std::size_t> render_frames(std::span<const std::uint8_t> in) {
    std::string lines;
    std::size_t used = 0;
    for (;;) {
        const auto f = amqp::decode_frame(in.subspan(used), 0);
        if (!f) {
            EXPECT_FALSE(f.is_malformed()) << "the session said something malformed";
            return {lines, used};
        }
        lines += (lines.empty() ? "" : "\n") + std::to_string(f->channel) + " " + detail::render(*f);
        used += f->size();
    }
}

// ---- What a client sends -----------------------------------------------------------------------

template <amqp::method Method>
bytes method_frame(std::uint16_t channel, const Method& m) {
    bytes out;
    amqp::append_method(out, channel, m);
    return out;
}

inline bytes operator+(bytes a, const bytes& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
}

struct publish_options {
    bool mandatory = false;
    bool immediate = false;
    std::string block{"\0\0", 2};
    std::uint32_t frame_max = 131072;
};

inline bytes publish_frames(std::uint16_t channel, std::string_view exchange, std::string_view key,
                            std::string_view body, const publish_options& o = {}) {
    bytes out;
    amqp::append_content(
        out, channel,
        amqp::basic_publish{
            .exchange = exchange, .routing_key = key, .mandatory = o.mandatory, .immediate = o.immediate},
        wire::as_bytes(o.block), wire::as_bytes(body), o.frame_max);
    return out;
}

inline bytes protocol_header() { return {amqp::protocol_header.begin(), amqp::protocol_header.end()}; }

inline bytes start_ok(std::string_view mechanism = "PLAIN", std::string_view response = {"\0guest\0guest", 12}) {
    amqp::table_builder properties;
    properties.begin_table("capabilities");
    properties.put("authentication_failure_close", true).put("consumer_cancel_notify", true);
    properties.put("connection.blocked", true);
    properties.end();
    properties.put("connection_name", std::string_view{"a test"});
    return method_frame(0, amqp::connection_start_ok{.client_properties = properties.view(),
                                                     .mechanism = mechanism,
                                                     .response = {response},
                                                     .locale = "en_US"});
}

// A socket's stand-in. Output is taken away after every turn unless `stuck`.
class scripted_peer final : public host {
public:
    explicit scripted_peer(world& w) : scripted_peer(w, *w.shard) {}
    scripted_peer(world& w, core::shard& home) : world_(w), home_(home), out_(w.blocks) {
        info_.peer_address = "127.0.0.1";
        info_.loopback = true;
        home.begin_turn();
        talk = std::make_unique<amqp_session>(*this, home, w.logins, w.settings);
        w.end_turn(&home);
    }
    // Also logs in, opens "/" and a channel.
    scripted_peer(world& w, std::uint16_t channel) : scripted_peer(w, *w.shard, channel) {}
    scripted_peer(world& w, core::shard& home, std::uint16_t channel) : scripted_peer(w, home) {
        open();
        send(channel, amqp::channel_open{});
        EXPECT_EQ(said(), fmt::format("{} channel.open-ok \"\"", channel));
    }
    ~scripted_peer() override {
        home_.begin_turn();
        if (talk != nullptr) {
            talk->on_peer_closed();
            talk.reset();
        }
        world_.end_turn(&home_);
    }

    void open(std::string_view user = "guest", amqp::connection_tune_ok tune = {2047, 131072, 0}) {
        const auto response = std::string(1, '\0') + std::string(user) + std::string(1, '\0') + std::string(user);
        send(protocol_header() + start_ok("PLAIN", response));
        send(method_frame(0, tune) + method_frame(0, amqp::connection_open{.virtual_host = "/"}));
        const auto lines = said();
        EXPECT_TRUE(lines.ends_with("0 connection.open-ok \"\"")) << lines;
    }

    void send(const bytes& in) {
        input_.insert(input_.end(), in.begin(), in.end());
        run();
    }
    template <amqp::method Method>
    void send(std::uint16_t channel, const Method& m) {
        send(method_frame(channel, m));
    }
    void publish(std::uint16_t channel, std::string_view exchange, std::string_view key, std::string_view body,
                 const publish_options& o = {}) {
        send(publish_frames(channel, exchange, key, body, o));
    }
    // A turn in which what has been sent is handled.
    void run() {
        home_.begin_turn();
        feed();
        world_.end_turn(&home_);
        while (std::exchange(resumed_, false)) {
            home_.begin_turn();
            feed();
            world_.end_turn(&home_);
        }
    }

    // What has been said since the last call.
    [[nodiscard]] std::string said() {
        drain();
        const auto [lines, used] = render_frames(received_);
        received_.erase(received_.begin(), received_.begin() + static_cast<std::ptrdiff_t>(used));
        EXPECT_TRUE(received_.empty() || closed) << "part of a frame is left over";
        return lines;
    }
    [[nodiscard]] bytes said_raw() {
        drain();
        return std::exchange(received_, {});
    }
    void drain() {
        static_cast<void>(out_.passes_high());
        std::array<iovec, 64> vectors;
        while (!out_.empty()) {
            const auto n = out_.gather(vectors);
            std::size_t taken = 0;
            for (const auto& v : std::span(vectors).first(n)) {
                const auto* from = static_cast<const std::uint8_t*>(v.iov_base);
                received_.insert(received_.end(), from, from + v.iov_len);
                taken += v.iov_len;
            }
            out_.consume(taken);
        }
        if (out_.has_drained() && talk != nullptr) {
            home_.begin_turn();
            talk->on_output_drained();
            world_.end_turn(&home_);
            run();
        }
    }

    // host
    [[nodiscard]] output& out() noexcept override { return out_; }
    void flush_soon() noexcept override {}
    void close_after_flush() noexcept override { closed = true; }
    void abort() noexcept override { aborted = true; }
    void pause_reading() noexcept override { paused = true; }
    void resume_reading() noexcept override {
        paused = false;
        resumed_ = true;
    }
    [[nodiscard]] linnet::session::peer_info peer() const override { return info_; }

    [[nodiscard]] peer_info& info() noexcept { return info_; }
    [[nodiscard]] std::size_t unread() const noexcept { return input_.size(); }

    bool closed = false;
    bool aborted = false;
    bool paused = false;
    std::unique_ptr<amqp_session> talk;

private:
    void feed() {
        while (!paused && !closed && !input_.empty()) {
            const auto used = talk->on_bytes(input_);
            input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(used));
            if (used == 0) {
                return;
            }
        }
    }

    world& world_;
    core::shard& home_;
    output out_;
    peer_info info_{};
    bytes input_;
    bytes received_;
    bool resumed_ = false;
};

}  // namespace linnet::session::test
