#include "bench/load/amqp_link.hpp"

#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/methods.hpp"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>
#include <utility>

namespace linnet::load {
namespace {

constexpr std::size_t ack_frame_bytes = 21;

// Tags are ours: small decimal numbers.
unsigned tag_number(const std::uint8_t* digits, std::size_t size) noexcept {
    unsigned number = 0;
    for (std::size_t i = 0; i < size; ++i)
        number = number * 10 + (digits[i] - '0');
    return number;
}

}  // namespace

amqp_link::~amqp_link() {
    if (fd_ >= 0)
        ::close(fd_);
}

void amqp_link::add_producer(std::uint16_t channel, amqp_publisher messages, schedule_stagger stagger) {
    channel_at(channel).producer = static_cast<int>(producers_.size());
    producers_.push_back({channel, std::move(messages),
                          producer_pace{{}, options_.producer_messages, options_.confirm_window}, stagger});
}

unsigned amqp_link::add_subscription(std::uint16_t channel, const subscription_plan& which) {
    channel_at(channel);
    // The subscriptions of one consumer stand together.
    if (received_.empty() || consumer_ != which.consumer)
        received_.push_back(0);
    consumer_ = which.consumer;
    subscriptions_.push_back({which.competing, static_cast<unsigned>(received_.size() - 1)});
    return static_cast<unsigned>(subscriptions_.size() - 1);
}

void amqp_link::take_over(int fd, std::vector<std::uint8_t> unread) {
    fd_ = fd;
    tail_ = std::move(unread);
}

amqp_link::channel_state& amqp_link::channel_at(std::uint16_t number) {
    if (number >= channels_.size())
        channels_.resize(number + 1U);
    return channels_[number];
}

void amqp_link::on_events(std::uint32_t events) noexcept {
    if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) != 0)
        readable_ = true;
    if ((events & (EPOLLOUT | EPOLLHUP | EPOLLERR)) != 0)
        writable_ = true;
}

void amqp_link::begin(std::int64_t start_ns) {
    const std::int64_t quantum = std::int64_t{options_.quantum_us} * 1000;
    for (producer& p : producers_)
        p.pace.start(p.stagger.from(start_ns, quantum));
    if (options_.consumer_rate > 0 && !received_.empty()) {
        const auto consumers = static_cast<double>(received_.size());
        consuming_ = schedule{start_ns, options_.consumer_rate * consumers, quantum};
    }
}

std::int64_t amqp_link::turn() {
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

void amqp_link::count_deliveries(std::uint64_t before) noexcept {
    if (received_here_ != before) {
        at_.state.delivered.fetch_add(received_here_ - before, std::memory_order_relaxed);
    }
}

// ---- Consuming -------------------------------------------------------------------------------

bool amqp_link::consumer_may_read(std::int64_t now_ns) const noexcept {
    return !consuming_.open_loop() || consuming_.due(now_ns) > received_here_;
}

// Answers whether there is probably more to read.
bool amqp_link::read_and_scan() {
    if (!consumer_may_read(at_.metering.clock.now_ns()))
        return false;
    std::vector<std::uint8_t>& buffer = at_.read_buffer;
    // The tail of the last read goes in front; its frame is at most frame_max, the buffer several times that.
    const std::size_t kept = tail_.size();
    if (kept + amqp_link::batch_bytes > buffer.size())
        buffer.resize(kept + 2 * amqp_link::batch_bytes);
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

std::size_t amqp_link::scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) {
    const std::uint8_t* at = begin;
    while (error_.empty() && static_cast<std::size_t>(end - at) >= amqp::frame_overhead_bytes) {
        if (!consumer_may_read(now_ns))
            break;
        const std::size_t total = wire::load<std::uint32_t>(at + 3) + amqp::frame_overhead_bytes;
        if (total > static_cast<std::size_t>(end - at))
            break;
        if (at[0] == static_cast<std::uint8_t>(amqp::frame_type::method) && total > 12 &&
            wire::load<std::uint32_t>(at + 7) == amqp::basic_deliver::id) [[likely]] {
            at += scan_delivery(at, total, end, now_ns);
            continue;
        }
        const amqp::decoded<amqp::frame> frame = amqp::decode_frame({at, static_cast<std::size_t>(end - at)}, 0);
        if (!frame) {
            fail("the broker sent what is no frame");
            break;
        }
        on_frame(*frame, now_ns);
        at += total;
    }
    return static_cast<std::size_t>(at - begin);
}

// `at`: a whole deliver frame. Takes the header and the body, too, if they are here.
std::size_t amqp_link::scan_delivery(const std::uint8_t* at, std::size_t method_bytes, const std::uint8_t* end,
                                     std::int64_t now_ns) {
    const std::uint8_t* tag = at + 12;
    const std::size_t tag_size = at[11];
    const auto channel = wire::load<std::uint16_t>(at + 1);
    if (tag_size + 9 + 12 > method_bytes || channel >= channels_.size()) {
        fail("the broker sent a bad delivery");
        return method_bytes;
    }
    const unsigned which = tag_number(tag, tag_size);
    const auto delivery_tag = wire::load<std::uint64_t>(tag + tag_size);
    at_.metering.now.redelivered += tag[tag_size + 8] & 1U;
    if (which >= subscriptions_.size()) {
        fail("the broker delivered to an unknown consumer tag");
        return method_bytes;
    }

    const std::uint8_t* header = at + method_bytes;
    constexpr std::size_t header_min = amqp::frame_overhead_bytes + amqp::content_header_fixed_bytes + 2;
    if (static_cast<std::size_t>(end - header) >= header_min) [[likely]] {
        const std::size_t header_bytes = wire::load<std::uint32_t>(header + 3) + amqp::frame_overhead_bytes;
        const auto body_size = wire::load<std::uint64_t>(header + 11);
        const std::uint8_t* body = header + header_bytes;
        const auto left = static_cast<std::size_t>(end - header);
        if (body_size != 0 && header_bytes + body_size + amqp::frame_overhead_bytes <= left &&
            wire::load<std::uint32_t>(body + 3) == body_size) [[likely]] {
            delivered(channel, which, delivery_tag, body + amqp::frame_header_bytes, body_size, now_ns);
            return method_bytes + header_bytes + body_size + amqp::frame_overhead_bytes;
        }
    }
    channel_state& c = channels_[channel];
    c.expecting = channel_state::content::delivery;
    c.body_known = false;
    c.subscription = which;
    c.delivery_tag = delivery_tag;
    return method_bytes;
}

void amqp_link::on_frame(const amqp::frame& f, std::int64_t now_ns) {
    switch (f.type) {
        case amqp::frame_type::method: on_method(f, now_ns); return;
        case amqp::frame_type::header: on_content_header(channel_at(f.channel), f, now_ns); return;
        case amqp::frame_type::body: on_body(channel_at(f.channel), f, now_ns); return;
        case amqp::frame_type::heartbeat: return;
    }
}

void amqp_link::on_method(const amqp::frame& f, std::int64_t now_ns) {
    const auto id = amqp::decode_method_id(f.payload);
    if (!id)
        return fail("the broker sent a method without an id");
    const wire::bytes_view arguments = f.payload.subspan(sizeof(amqp::method_id));
    if (*id == amqp::basic_ack::id) {
        const auto m = amqp::decode<amqp::basic_ack>(arguments);
        if (m)
            on_settled(f.channel, m->delivery_tag, m->multiple, true, now_ns);
    } else if (*id == amqp::basic_nack::id) {
        const auto m = amqp::decode<amqp::basic_nack>(arguments);
        if (m)
            on_settled(f.channel, m->delivery_tag, m->multiple, false, now_ns);
    } else if (*id == amqp::basic_return::id) {
        ++at_.metering.now.returned;
        channel_state& c = channel_at(f.channel);
        c.expecting = channel_state::content::other;
        c.body_known = false;
    } else if (*id == amqp::connection_blocked::id) {
        blocked_ = true;
    } else if (*id == amqp::connection_unblocked::id) {
        blocked_ = false;
    } else if (*id == amqp::basic_cancel::id) {
        fail("the broker cancelled a consumer");
    } else if (*id == amqp::channel_flow::id) {
        const auto m = amqp::decode<amqp::channel_flow>(arguments);
        if (m)
            blocked_ = !m->active;
    } else if (*id == amqp::connection_close::id) {
        const auto m = amqp::decode<amqp::connection_close>(arguments);
        fail(m ? fmt::format("connection closed by the broker: {} {}", m->code, m->text) : "connection closed");
    } else if (*id == amqp::channel_close::id) {
        const auto m = amqp::decode<amqp::channel_close>(arguments);
        fail(m ? fmt::format("channel closed by the broker: {} {}", m->code, m->text) : "channel closed");
    }
}

void amqp_link::on_settled(std::uint16_t channel, std::uint64_t tag, bool multiple, bool positive,
                           std::int64_t now_ns) {
    const int which = channel_at(channel).producer;
    if (which < 0)
        return;
    producers_[static_cast<std::size_t>(which)].pace.settle(tag, multiple, [&](std::int64_t intended_ns) {
        if (positive) {
            at_.metering.confirmed(intended_ns, now_ns);
        } else {
            ++at_.metering.now.nacked;
        }
    });
}

void amqp_link::on_content_header(channel_state& c, const amqp::frame& f, std::int64_t now_ns) {
    const auto header = amqp::decode_content_header(f.payload);
    if (!header || c.expecting == channel_state::content::none)
        return fail("content header out of order");
    c.body_known = true;
    c.body_size = c.body_left = header->body_size;
    c.head_size = 0;
    if (c.body_left == 0)
        content_complete(c, f.channel, now_ns);
}

void amqp_link::on_body(channel_state& c, const amqp::frame& f, std::int64_t now_ns) {
    if (!c.body_known || f.payload.size() > c.body_left)
        return fail("body frame out of order");
    const std::size_t missing = std::min<std::size_t>(stamp_bytes - c.head_size, f.payload.size());
    std::memcpy(c.head + c.head_size, f.payload.data(), missing);
    c.head_size += static_cast<unsigned>(missing);
    c.body_left -= f.payload.size();
    if (c.body_left == 0)
        content_complete(c, f.channel, now_ns);
}

void amqp_link::content_complete(channel_state& c, std::uint16_t channel, std::int64_t now_ns) {
    const bool is_delivery = c.expecting == channel_state::content::delivery;
    c.expecting = channel_state::content::none;
    c.body_known = false;
    if (is_delivery)
        delivered(channel, c.subscription, c.delivery_tag, c.head, c.body_size, now_ns);
}

void amqp_link::delivered(std::uint16_t channel, unsigned which, std::uint64_t tag, const std::uint8_t* payload,
                          std::size_t size, std::int64_t now_ns) {
    subscription& s = subscriptions_[which];
    at_.metering.received(s.watch, payload, size, now_ns);
    ++received_[s.consumer];
    ++received_here_;
    if (options_.auto_ack)
        return;
    channel_state& c = channels_[channel];
    c.last_tag = tag;
    if (++c.unacknowledged >= options_.multi_ack)
        acknowledge(channel, c);
}

void amqp_link::acknowledge(std::uint16_t channel, channel_state& c) {
    std::uint8_t* to = room(ack_frame_bytes);
    amqp::put_method_frame(to, channel, amqp::basic_ack{c.last_tag, c.unacknowledged > 1});
    out_end_ += ack_frame_bytes;
    c.unacknowledged = 0;
}

// ---- Publishing ------------------------------------------------------------------------------

std::int64_t amqp_link::publish() {
    if (blocked_ || !at_.state.publishing.load(std::memory_order_relaxed))
        return never;
    std::int64_t due = never;
    for (producer& p : producers_) {
        publish_from(p, at_.metering.clock.now_ns());
        due = std::min(due, p.pace.next_due_ns());
    }
    return options_.in_flight != 0 && in_flight_room() == 0 ? when_delivered : due;
}

void amqp_link::publish_from(producer& p, std::int64_t now_ns) {
    if (out_end_ >= batch_bytes)
        return;
    const std::size_t fits = (batch_bytes - out_end_) / p.messages.message_bytes_max() + 1;
    std::uint64_t count = std::min<std::uint64_t>(p.pace.allowance(now_ns), fits);
    if (options_.in_flight != 0)
        count = std::min(count, in_flight_room());
    if (count == 0)
        return;
    std::uint8_t* const begin = room(count * p.messages.message_bytes_max());
    std::uint8_t* to = begin;
    const stamp_clock& clock = at_.metering.clock;
    for (std::uint64_t i = 0; i < count; ++i) {
        to = p.messages.put_next(to, clock.to_wire(p.pace.next(now_ns)));
    }
    out_end_ += static_cast<std::size_t>(to - begin);
    at_.metering.now.sent += count;
    if (options_.in_flight != 0)
        at_.state.expected.fetch_add(count * at_.state.copies, std::memory_order_relaxed);
}

std::uint64_t amqp_link::in_flight_room() const noexcept {
    const std::uint64_t expected = at_.state.expected.load(std::memory_order_relaxed);
    const std::uint64_t delivered = at_.state.delivered.load(std::memory_order_relaxed);
    const std::uint64_t open = (expected > delivered ? expected - delivered : 0) / at_.state.copies;
    return options_.in_flight > open ? options_.in_flight - open : 0;
}

std::uint8_t* amqp_link::room(std::size_t bytes) {
    if (out_end_ + bytes > out_.size())
        out_.resize(std::max(2 * out_.size(), out_end_ + bytes));
    return out_.data() + out_end_;
}

void amqp_link::flush() {
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

// ---- The rest --------------------------------------------------------------------------------

void amqp_link::fail(std::string why) {
    if (error_.empty())
        error_ = std::move(why);
}

bool amqp_link::finished() const noexcept {
    const std::uint64_t wanted = options_.consumer_messages;
    const bool received = std::all_of(received_.begin(), received_.end(), [&](std::uint64_t n) { return n >= wanted; });
    if (options_.producer_messages == 0)
        return received;
    return received &&
           std::all_of(producers_.begin(), producers_.end(), [](const producer& p) { return p.pace.finished(); });
}

sequence_faults amqp_link::faults() const noexcept {
    sequence_faults sum;
    for (const subscription& s : subscriptions_)
        sum += s.watch.faults(s.competing);
    return sum;
}

void amqp_link::close() noexcept {
    if (fd_ < 0)
        return;
    // No wait for close-ok: the socket closes behind it, and brokers know clients that do so.
    std::vector<std::uint8_t> bye;
    amqp::append_method(bye, 0, amqp::connection_close{200, "bye", 0, 0});
    (void)::send(fd_, bye.data(), bye.size(), MSG_DONTWAIT | MSG_NOSIGNAL);
    ::close(std::exchange(fd_, -1));
}

}  // namespace linnet::load
