// What every link does alike: one socket, read and written in batches, with producers that keep their pace and
// consumers that keep theirs. A protocol says what bytes mean (scan) and, if it must, how messages are numbered
// (put_batch).
//
// Threads:  one at a time (see link).
// Owns:     the socket, the output buffer, the tail of what is not all there yet.
// Bounds:   output: one batch of publishes and the answers to one read.
// Fails:    error() says why; the worker stops then.
#pragma once

#include "bench/load/driver.hpp"
#include "bench/load/options.hpp"
#include "bench/load/producer_pace.hpp"
#include "bench/load/ready_messages.hpp"

#include <deque>
#include <vector>

namespace linnet::load {

class socket_link : public link {
public:
    // Publishes are gathered up to this size before they are written.
    static constexpr std::size_t batch_bytes = 128 * 1024;

    socket_link(const options& o, worker_context at) noexcept : options_{o}, at_{at} {}
    ~socket_link() override;

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

protected:
    struct producer {
        ready_messages messages;
        producer_pace pace;
        schedule_stagger stagger;
    };
    struct subscription {
        bool competing;
        unsigned consumer;  // index into received_
        stream_watch watch{};
    };

    // Both answer the index of what they have added.
    std::size_t add_producer(ready_messages messages, schedule_stagger stagger, std::uint32_t confirm_window);
    unsigned add_subscription(const subscription_plan& which);

    // Answers how many of the bytes are dealt with; stops where a packet is not all there, where the consumer's
    // rate says so (consumer_may_read) and after fail().
    virtual std::size_t scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) = 0;
    // Writes `count` messages, for which there is room, and answers where they end.
    virtual std::uint8_t* put_batch(producer& p, std::uint8_t* to, std::uint64_t count, std::int64_t now_ns);
    // The last words on the connection.
    virtual void append_goodbye(std::vector<std::uint8_t>& out) const = 0;

    [[nodiscard]] bool consumer_may_read(std::int64_t now_ns) const noexcept {
        return !consuming_.open_loop() || consuming_.due(now_ns) > received_here_;
    }
    void received(subscription& s, const std::uint8_t* payload, std::size_t size, std::int64_t now_ns) {
        at_.metering.received(s.watch, payload, size, now_ns);
        count_received(s);
    }
    void received(subscription& s, const std::optional<stamp>& stamped, std::int64_t now_ns) {
        at_.metering.received(s.watch, stamped, now_ns);
        count_received(s);
    }
    // Room at the end of the output, for the caller to fill.
    std::uint8_t* take_room(std::size_t bytes) {
        std::uint8_t* const to = room(bytes);
        out_end_ += bytes;
        return to;
    }
    void fail(std::string why);

    // Constant after set-up.
    const options& options_;
    worker_context at_;

    std::deque<producer> producers_;
    std::deque<subscription> subscriptions_;
    bool blocked_ = false;  // the broker has asked for no more messages

private:
    void count_received(const subscription& s) noexcept {
        ++received_[s.consumer];
        ++received_here_;
    }
    bool read_and_scan();
    std::int64_t publish();
    void publish_from(producer& p, std::int64_t now_ns);
    [[nodiscard]] std::uint64_t in_flight_room() const noexcept;
    void flush();
    void count_deliveries(std::uint64_t before) noexcept;
    std::uint8_t* room(std::size_t bytes);

    int fd_ = -1;
    // State of the socket, as the edges have told it.
    bool readable_ = true;
    bool writable_ = true;

    std::vector<std::uint8_t> out_;
    std::size_t out_begin_ = 0;
    std::size_t out_end_ = 0;
    std::vector<std::uint8_t> tail_;

    std::vector<std::uint64_t> received_;  // by each consumer, for -D
    unsigned consumer_ = 0;                // the last one added
    std::uint64_t received_here_ = 0;
    schedule consuming_;  // -R
    std::string error_;
};

// The schedule of one producer of the plan.
[[nodiscard]] inline schedule_stagger stagger_of(const options& o, const plan& p, unsigned producer) noexcept {
    const double rate = o.rate.is == rate_option::unit::per_second ? o.rate.value : 0;
    return {rate, producer, static_cast<unsigned>(p.producers.size())};
}

}  // namespace linnet::load
