// The slow part of a conversation: connect, log in, declare; one request, one reply, on a blocking socket.
//
// Frames that are no reply to the request (deliveries that begin before the set-up is over) are kept, in
// order, for whoever takes the socket over.
//
// Threads:  one at a time.
// Owns:     the socket until release().
// Bounds:   as blocking_socket.
// Fails:    with the broker's own words, or the system's.
#pragma once

#include "bench/load/blocking_socket.hpp"
#include "bench/load/broker_uri.hpp"
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet::load {

class amqp_dialogue {
public:
    [[nodiscard]] static outcome<amqp_dialogue> connect(const broker_uri& uri);

    // Sends a request and waits for a `Reply` on the same channel. What the reply views is valid until the
    // next call.
    template <class Reply, amqp::method Request>
    [[nodiscard]] outcome<Reply> call(std::uint16_t channel, const Request& request) {
        send(channel, request);
        return expect<Reply>(channel);
    }

    // Queued; leaves with the next call() or flush().
    template <amqp::method Request>
    void send(std::uint16_t channel, const Request& request) {
        amqp::append_method(socket_.out(), channel, request);
    }
    [[nodiscard]] outcome<void> flush() { return socket_.flush(); }
    [[nodiscard]] bool should_flush() const noexcept { return socket_.should_flush(); }

    [[nodiscard]] outcome<void> open_channel(std::uint16_t channel);
    void close() noexcept;

    // Gives the socket away, with the bytes that were read but not answered.
    [[nodiscard]] int release(std::vector<std::uint8_t>& unread);

    [[nodiscard]] std::uint32_t frame_max() const noexcept { return frame_max_; }
    [[nodiscard]] const std::string& product() const noexcept { return product_; }

private:
    explicit amqp_dialogue(blocking_socket socket) noexcept : socket_{std::move(socket)} {}

    template <class Reply>
    [[nodiscard]] outcome<Reply> expect(std::uint16_t channel) {
        auto arguments = wait_for(channel, Reply::id, Reply::name);
        if (!arguments)
            return tl::unexpected{arguments.error()};
        const amqp::decoded<Reply> reply = amqp::decode<Reply>(*arguments);
        if (!reply)
            return failure("the broker sent a bad {}", Reply::name);
        return *reply;
    }

    [[nodiscard]] outcome<void> log_in(const broker_uri& uri);
    [[nodiscard]] outcome<wire::bytes_view> wait_for(std::uint16_t channel, amqp::method_id id, std::string_view name);
    [[nodiscard]] outcome<amqp::frame> next_frame();

    blocking_socket socket_;
    std::uint32_t frame_max_ = 0;
    std::string product_;
    std::vector<std::uint8_t> kept_;
};

}  // namespace linnet::load
