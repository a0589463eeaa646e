// One AMQP 0-9-1 conversation, step by step: every step answers false once something went wrong, and `failure`
// says what.
//
// Threads:  one.
// Owns:     the connection.
// Bounds:   every step ends at the deadline.
#pragma once

#include "clients/cli/stream.hpp"
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"

#include <fmt/format.h>

#include <string>
#include <vector>

namespace linnet::cli {

struct amqp_failure {
    enum class kind : std::uint8_t { unreachable, refused } why = kind::unreachable;
    std::string text;
};

class amqp_conversation {
public:
    amqp_conversation(const server_uri& uri, deadline until) : uri_{uri}, stream_{until} {}

    // Up to the server's greeting, which `visit` sees.
    template <class Visit>
    bool greet(Visit&& visit) {
        return check(stream_.connect(uri_)) && check(stream_.write(amqp::protocol_header)) &&
               expect<amqp::connection_start>(visit);
    }
    // From the greeting on; `visit` sees what the server tunes.
    template <class Visit>
    bool login(Visit&& visit) {
        auto tune = amqp::connection_tune_ok{};
        const auto tuned = [&](const amqp::connection_tune& t) {
            tune.channel_max = t.channel_max;
            tune.frame_max = frame_max_ = t.frame_max;
            visit(t);  // our own heartbeat: none, we do not stay that long
        };
        auto open = amqp::connection_open{};
        open.virtual_host = uri_.vhost;
        return send_start_ok() && expect<amqp::connection_tune>(tuned) && send(0, tune) && send(0, open) &&
               expect<amqp::connection_open_ok>();
    }
    // Closes, and waits until the broker has: then everything said before is done, and what was delivered and not
    // settled is in its queue again.
    bool leave();

    template <class Method>
    bool send(std::uint16_t channel, const Method& method) {
        auto bytes = std::vector<std::uint8_t>{};
        amqp::append_method(bytes, channel, method);
        return write(bytes);
    }
    bool write(std::span<const std::uint8_t> bytes) { return check(stream_.write(bytes)); }

    // The next method must be this one. connection.close and channel.close tell why not; blocked and unblocked may
    // come at any time.
    template <class Expected, class Visit>
    bool expect(Visit&& visit) {
        for (;;) {
            auto frame = amqp::frame{};
            if (!next_frame(frame)) {
                return false;
            }
            const auto id = amqp::decode_method_id(frame.payload);
            if (frame.type != amqp::frame_type::method ||
                (id && (*id == amqp::connection_blocked::id || *id == amqp::connection_unblocked::id))) {
                continue;
            }
            return is<Expected>(frame, visit);
        }
    }
    template <class Expected>
    bool expect() {
        return expect<Expected>([](const Expected&) {});
    }

    // The next frame, whatever it is; its payload is valid until the next call.
    bool next_frame(amqp::frame& found);
    // Whether the next frame is there already.
    [[nodiscard]] bool has_frame() const;
    bool refuse(std::string text) {
        failure = {amqp_failure::kind::unreachable, std::move(text)};
        return false;
    }

    void wait_until(deadline until) noexcept { stream_.wait_until(until); }
    [[nodiscard]] std::uint32_t frame_max() const noexcept { return frame_max_; }
    [[nodiscard]] std::string tls_version() const { return stream_.tls_version(); }

    amqp_failure failure;

private:
    bool check(std::string error) {
        if (!error.empty()) {
            failure.text = std::move(error);
        }
        return failure.text.empty();
    }
    template <class Expected, class Visit>
    bool is(const amqp::frame& frame, Visit&& visit) {
        bool came = false;
        const auto fault = amqp::visit_method(frame.payload, [&]<class Method>(const Method& method) {
            if constexpr (std::is_same_v<Method, Expected>) {
                visit(method);
                came = true;
            } else if constexpr (std::is_same_v<Method, amqp::connection_close> ||
                                 std::is_same_v<Method, amqp::channel_close>) {
                failure = {amqp_failure::kind::refused, fmt::format("{} {}", method.code, method.text)};
            } else {
                failure.text = fmt::format("expected {}, got {}", Expected::name, Method::name);
            }
        });
        return fault ? refuse(std::string{amqp::describe(*fault)}) : came;
    }
    bool send_start_ok();
    bool read_more();

    const server_uri uri_;
    stream stream_;
    std::uint32_t frame_max_ = 0;
    std::vector<std::uint8_t> input_;
    std::size_t taken_ = 0;
};

}  // namespace linnet::cli
