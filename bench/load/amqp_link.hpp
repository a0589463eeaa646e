// One AMQP connection under load: the path that every message takes through the generator.
//
// Deliveries are scanned, not decoded: the usual one (deliver, header and a whole body frame, all in the buffer)
// is passed with four loads and a handful of additions. Whatever else comes takes the frame-by-frame road,
// through the codec. The broker is trusted to send well-formed frames; lengths are checked against
// the buffer all the same, so a broken broker is reported and not followed off a cliff.
//
// Threads, owns, bounds, fails: as socket_link.
#pragma once

#include "bench/load/socket_link.hpp"
#include "protocol/amqp/frame.hpp"

#include <vector>

namespace linnet::load {

class amqp_link final : public socket_link {
public:
    using socket_link::socket_link;

    // Set-up, before the first turn.
    void add_producer(std::uint16_t channel, ready_messages messages, schedule_stagger stagger);
    // Consumer tags are the numbers that this answers, in decimal.
    unsigned add_subscription(std::uint16_t channel, const subscription_plan& which);

private:
    // What a channel is in the middle of.
    struct channel_state {
        enum class content : std::uint8_t { none, delivery, other };

        int producer = -1;
        content expecting = content::none;
        bool body_known = false;
        unsigned subscription = 0;
        std::uint64_t delivery_tag = 0;
        std::uint64_t body_left = 0;
        std::uint64_t body_size = 0;
        std::uint8_t head[stamp_bytes] = {};
        unsigned head_size = 0;
        std::uint64_t last_tag = 0;
        unsigned unacknowledged = 0;
    };

    std::size_t scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) override;
    void append_goodbye(std::vector<std::uint8_t>& out) const override;

    std::size_t scan_delivery(const std::uint8_t* at, std::size_t method_bytes, const std::uint8_t* end,
                              std::int64_t now_ns);
    void on_frame(const amqp::frame& f, std::int64_t now_ns);
    void on_method(const amqp::frame& f, std::int64_t now_ns);
    void on_settled(std::uint16_t channel, std::uint64_t tag, bool multiple, bool positive, std::int64_t now_ns);
    void on_content_header(channel_state& c, const amqp::frame& f, std::int64_t now_ns);
    void on_body(channel_state& c, const amqp::frame& f, std::int64_t now_ns);
    void content_complete(channel_state& c, std::uint16_t channel, std::int64_t now_ns);
    void delivered(std::uint16_t channel, unsigned which, std::uint64_t tag, const std::uint8_t* payload,
                   std::size_t size, std::int64_t now_ns);
    void acknowledge(std::uint16_t channel, channel_state& c);
    channel_state& channel_at(std::uint16_t number);

    std::vector<channel_state> channels_;
};

}  // namespace linnet::load
