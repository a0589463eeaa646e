// The slow part of a conversation: connect, log in, declare; one request, one reply, on a blocking socket.
//
// Frames that are no reply to the request (deliveries that begin before the set-up is over) are kept, in
// order, for whoever takes the socket over.
//
// Threads:  one at a time.
// Owns:     the socket until release().
// Bounds:   each reply is waited for reply_seconds at most.
// Fails:    with the broker's own words, or the system's.
#pragma once

#include "bench/load/amqp_uri.hpp"
#include "bench/load/outcome.hpp"
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet::load {

class amqp_dialogue {
public:
    static constexpr int reply_seconds = 120;

    [[nodiscard]] static outcome<amqp_dialogue> connect(const amqp_uri& uri);

    amqp_dialogue(amqp_dialogue&& other) noexcept;
    amqp_dialogue& operator=(amqp_dialogue&& other) noexcept;
    ~amqp_dialogue();

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
        amqp::append_method(out_, channel, request);
    }
    [[nodiscard]] outcome<void> flush();
    // With flushes in between, so that neither side's buffer grows without end.
    [[nodiscard]] bool should_flush() const noexcept { return out_.size() >= 1U << 16; }

    [[nodiscard]] outcome<void> open_channel(std::uint16_t channel);
    void close() noexcept;

    // Gives the socket away, with the bytes that were read but not answered.
    [[nodiscard]] int release(std::vector<std::uint8_t>& unread);

    [[nodiscard]] std::uint32_t frame_max() const noexcept { return frame_max_; }
    [[nodiscard]] const std::string& product() const noexcept { return product_; }

private:
    explicit amqp_dialogue(int fd) noexcept : fd_{fd} {}

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

    [[nodiscard]] outcome<void> log_in(const amqp_uri& uri);
    [[nodiscard]] outcome<wire::bytes_view> wait_for(std::uint16_t channel, amqp::method_id id, std::string_view name);
    [[nodiscard]] outcome<amqp::frame> next_frame();
    [[nodiscard]] outcome<void> read_some();

    int fd_ = -1;
    std::uint32_t frame_max_ = 0;
    std::string product_;
    std::vector<std::uint8_t> out_;
    std::vector<std::uint8_t> in_;
    std::size_t in_at_ = 0;
    std::vector<std::uint8_t> kept_;
};

}  // namespace linnet::load
