#include "bench/load/socket_link.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace linnet::load {

socket_link::~socket_link() {
    if (fd_ >= 0)
        ::close(fd_);
}

std::size_t socket_link::add_producer(ready_messages messages, schedule_stagger stagger, std::uint32_t window) {
    producers_.push_back({std::move(messages), producer_pace{{}, options_.producer_messages, window}, stagger});
    return producers_.size() - 1;
}

unsigned socket_link::add_subscription(const subscription_plan& which) {
    // The subscriptions of one consumer stand together.
    if (received_.empty() || consumer_ != which.consumer)
        received_.push_back(0);
    consumer_ = which.consumer;
    subscriptions_.push_back({which.competing, static_cast<unsigned>(received_.size() - 1)});
    return static_cast<unsigned>(subscriptions_.size() - 1);
}

void socket_link::take_over(int fd, std::vector<std::uint8_t> unread) {
    fd_ = fd;
    tail_ = std::move(unread);
}

void socket_link::on_events(std::uint32_t events) noexcept {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0)
        readable_ = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
        writable_ = true;
}

void socket_link::begin(std::int64_t start_ns) {
    const std::int64_t quantum = std::int64_t{options_.quantum_us} * 1000;
    for (producer& p : producers_)
        p.pace.start(p.stagger.from(start_ns, quantum));
    if (options_.consumer_rate > 0 && !received_.empty()) {
        const auto consumers = static_cast<double>(received_.size());
        consuming_ = schedule{start_ns, options_.consumer_rate * consumers, quantum};
    }
}

std::int64_t socket_link::turn() {
    const std::uint64_t before = received_here_;
    const bool more_to_read = readable_ && read_and_scan();
    if (options_.in_flight != 0)
        count_deliveries(before);
    std::int64_t due = error_.empty() && !producers_.empty() ? publish() : never;
    flush();
    if (!error_.empty())
        return never;
    // While the socket takes nothing, the edge that says otherwise is what to wait for.
    if (out_end_ != 0)
        due = never;
    if (consuming_.open_loop() && (readable_ || !tail_.empty())) {
        due = std::min(due, consuming_.intended_ns(received_here_));
    }
    return more_to_read ? 0 : due;
}

void socket_link::count_deliveries(std::uint64_t before) noexcept {
    if (received_here_ != before) {
        at_.state.delivered.fetch_add(received_here_ - before, std::memory_order_relaxed);
    }
}

// Answers whether there is probably more to read.
bool socket_link::read_and_scan() {
    if (!consumer_may_read(at_.metering.clock.now_ns()))
        return false;
    std::vector<std::uint8_t>& buffer = at_.read_buffer;
    // The tail of the last read goes in front; its frame is at most frame_max, the buffer several times that.
    const std::size_t kept = tail_.size();
    if (kept + socket_link::batch_bytes > buffer.size())
        buffer.resize(kept + 2 * socket_link::batch_bytes);
    std::copy(tail_.begin(), tail_.end(), buffer.begin());
    const ssize_t n = ::recv(fd_, buffer.data() + kept, buffer.size() - kept, MSG_DONTWAIT);
    const bool drained = n < 0 || static_cast<std::size_t>(n) < buffer.size() - kept;
    if (n == 0)
        fail("the broker closed the connection");
    if (n < 0 && errno != EAGAIN)
        fail(std::strerror(errno));
    // A short read means that the socket is empty: the next byte makes a new edge.
    if (drained)
        readable_ = false;
    const std::size_t size = kept + static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    if (size == 0)
        return false;
    const std::size_t done = scan(buffer.data(), buffer.data() + size, at_.metering.clock.now_ns());
    tail_.assign(buffer.data() + done, buffer.data() + size);
    // A consumer that its rate has stopped leaves whole frames in the tail and must come back for them.
    if (!tail_.empty() && !consumer_may_read(at_.metering.clock.now_ns()))
        readable_ = true;
    return !drained && error_.empty();
}

std::int64_t socket_link::publish() {
    if (blocked_ || !at_.state.publishing.load(std::memory_order_relaxed))
        return never;
    std::int64_t due = never;
    for (producer& p : producers_) {
        publish_from(p, at_.metering.clock.now_ns());
        due = std::min(due, p.pace.next_due_ns());
    }
    return options_.in_flight != 0 && in_flight_room() == 0 ? when_delivered : due;
}

void socket_link::publish_from(producer& p, std::int64_t now_ns) {
    if (out_end_ >= batch_bytes)
        return;
    const std::size_t fits = (batch_bytes - out_end_) / p.messages.message_bytes_max() + 1;
    std::uint64_t count = std::min<std::uint64_t>(p.pace.allowance(now_ns), fits);
    // What may be under way is for all producers alike, not for the first who asks.
    if (options_.in_flight != 0)
        count = std::min({count, in_flight_room(), std::max<std::uint64_t>(options_.in_flight / p.stagger.count, 1)});
    if (count == 0)
        return;
    std::uint8_t* const begin = room(count * p.messages.message_bytes_max());
    out_end_ += static_cast<std::size_t>(put_batch(p, begin, count, now_ns) - begin);
    at_.metering.now.sent += count;
    if (options_.in_flight != 0)
        at_.state.expected.fetch_add(count * at_.state.copies, std::memory_order_relaxed);
}

std::uint8_t* socket_link::put_batch(producer& p, std::uint8_t* to, std::uint64_t count, std::int64_t now_ns) {
    const stamp_clock& clock = at_.metering.clock;
    for (std::uint64_t i = 0; i < count; ++i)
        to = p.messages.put_next(to, clock.to_wire(p.pace.next(now_ns))).end;
    return to;
}

std::uint64_t socket_link::in_flight_room() const noexcept {
    const std::uint64_t expected = at_.state.expected.load(std::memory_order_relaxed);
    const std::uint64_t delivered = at_.state.delivered.load(std::memory_order_relaxed);
    const std::uint64_t open = (expected > delivered ? expected - delivered : 0) / at_.state.copies;
    return options_.in_flight > open ? options_.in_flight - open : 0;
}

std::uint8_t* socket_link::room(std::size_t bytes) {
    if (out_end_ + bytes > out_.size())
        out_.resize(std::max(2 * out_.size(), out_end_ + bytes));
    return out_.data() + out_end_;
}

void socket_link::flush() {
    while (writable_ && out_begin_ < out_end_ && error_.empty()) {
        const ssize_t n = ::send(fd_, out_.data() + out_begin_, out_end_ - out_begin_, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            out_begin_ += static_cast<std::size_t>(n);
        } else if (errno == EAGAIN) {
            writable_ = false;
        } else {
            // What the broker had to say before it closed is worth more than EPIPE.
            readable_ = true;
            read_and_scan();
            if (error_.empty())
                fail(std::strerror(errno));
        }
    }
    if (out_begin_ == out_end_) {
        out_begin_ = out_end_ = 0;
    } else if (out_begin_ > batch_bytes / 2) {
        std::memmove(out_.data(), out_.data() + out_begin_, out_end_ - out_begin_);
        out_end_ -= out_begin_;
        out_begin_ = 0;
    }
}

void socket_link::fail(std::string why) {
    if (error_.empty())
        error_ = std::move(why);
}

bool socket_link::finished() const noexcept {
    const std::uint64_t wanted = options_.consumer_messages;
    const bool received = std::all_of(received_.begin(), received_.end(), [&](std::uint64_t n) { return n >= wanted; });
    if (options_.producer_messages == 0)
        return received;
    return received &&
           std::all_of(producers_.begin(), producers_.end(), [](const producer& p) { return p.pace.finished(); });
}

sequence_faults socket_link::faults() const noexcept {
    sequence_faults sum;
    for (const subscription& s : subscriptions_)
        sum += s.watch.faults(s.competing);
    return sum;
}

void socket_link::close() noexcept {
    if (fd_ < 0)
        return;
    // No wait for an answer: the socket closes behind it, and brokers know clients that do so.
    std::vector<std::uint8_t> bye;
    append_goodbye(bye);
    (void)::send(fd_, bye.data(), bye.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::close(std::exchange(fd_, -1));
}

}  // namespace linnet::load
