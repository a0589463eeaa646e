// One AMQP connection under load: the path that every message takes through the generator.
//
// Deliveries are scanned, not decoded: the usual one (deliver, header and a whole body frame, all in the buffer)
// is passed with four loads and a handful of additions. Whatever else comes takes the frame-by-frame road,
// through the codec. The broker is trusted to send well-formed frames; lengths are checked against
// the buffer all the same, so a broken broker is reported and not followed off a cliff.
//
// Threads:  one at a time (see link).
// Owns:     the socket, the output buffer, the tail of a frame that is not all there yet.
// Bounds:   output: one batch of publishes and the acknowledgements of one read.
// Fails:    error() says why; the worker stops then.
#pragma once

#include "bench/load/amqp_publisher.hpp"
#include "bench/load/driver.hpp"
#include "bench/load/options.hpp"
#include "bench/load/producer_pace.hpp"
#include "protocol/amqp/frame.hpp"

#include <deque>
#include <vector>

namespace linnet::load {

class amqp_link final : public link {
public:
    // Publishes are gathered up to this size before they are written.
    static constexpr std::size_t batch_bytes = 128 * 1024;

    amqp_link(const options& o, worker_context at) noexcept : options_{o}, at_{at} {}
    ~amqp_link() override;

    // Set-up, before the first turn.
    void add_producer(std::uint16_t channel, amqp_publisher messages, schedule_stagger stagger);
    // Consumer tags are the numbers that this answers, in decimal.
    unsigned add_subscription(std::uint16_t channel, const subscription_plan& which);
    // `unread`: what the broker said after the last reply of the set-up.
    void take_over(int fd, std::vector<std::uint8_t> unread);

    [[nodiscard]] int fd() const noexcept override { return fd_; }
    void begin(std::int64_t start_ns) override;
    void on_events(std::uint32_t events) noexcept override;
    std::int64_t turn() override;
    [[nodiscard]] const std::string& error() const noexcept override { return error_; }
    [[nodiscard]] bool finished() const noexcept override;
    [[nodiscard]] sequence_faults faults() const noexcept override;
    void close() noexcept override;

private:
    struct producer {
        std::uint16_t channel;
        amqp_publisher messages;
        producer_pace pace;
        schedule_stagger stagger;
    };
    struct subscription {
        bool competing;
        unsigned consumer;  // index into received_
        stream_watch watch{};
    };
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

    bool read_and_scan();
    // Answers how many of the bytes are dealt with.
    std::size_t scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns);
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
    [[nodiscard]] bool consumer_may_read(std::int64_t now_ns) const noexcept;

    std::int64_t publish();
    void publish_from(producer& p, std::int64_t now_ns);
    [[nodiscard]] std::uint64_t in_flight_room() const noexcept;
    void flush();
    void count_deliveries(std::uint64_t before) noexcept;
    void fail(std::string why);
    channel_state& channel_at(std::uint16_t number);
    std::uint8_t* room(std::size_t bytes);

    // Constant after set-up.
    int fd_ = -1;
    const options& options_;
    worker_context at_;

    // State of the socket, as the edges have told it.
    bool readable_ = true;
    bool writable_ = true;
    bool blocked_ = false;  // connection.blocked

    std::vector<std::uint8_t> out_;
    std::size_t out_begin_ = 0;
    std::size_t out_end_ = 0;
    std::vector<std::uint8_t> tail_;

    std::deque<producer> producers_;
    std::deque<subscription> subscriptions_;
    std::vector<channel_state> channels_;
    std::vector<std::uint64_t> received_;  // by each consumer, for -D
    unsigned consumer_ = 0;                // the last one added
    std::uint64_t received_here_ = 0;
    schedule consuming_;  // -R
    std::string error_;
};

}  // namespace linnet::load
