#pragma once

#include "broker/base/clock.hpp"
#include "broker/core/queue_settings.hpp"

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

// What has happened so far, in numbers that never fall while what they count lives.
//
// Everything here is a plain integer of one thread: whoever wants a sum asks each shard for its part. What passes per
// message is counted in as few places as tell it; the rest is derived from what is kept anyway (a queue's positions, a
// channel's delivery tags).

namespace linnet::core {

// In the words of RabbitMQ's message_stats. Not everything means something everywhere: a queue returns nothing.
struct message_counts {
    std::uint64_t publish = 0;
    std::uint64_t confirm = 0;
    std::uint64_t return_unroutable = 0;
    std::uint64_t drop_unroutable = 0;
    std::uint64_t deliver = 0;         // to consumers that acknowledge
    std::uint64_t deliver_no_ack = 0;  // ... and to those that do not
    std::uint64_t get = 0;
    std::uint64_t get_no_ack = 0;
    std::uint64_t get_empty = 0;
    std::uint64_t redeliver = 0;
    std::uint64_t ack = 0;

    [[nodiscard]] std::uint64_t deliver_get() const noexcept { return deliver + deliver_no_ack + get + get_no_ack; }
    message_counts& operator+=(const message_counts& o) noexcept {
        publish += o.publish;
        confirm += o.confirm;
        return_unroutable += o.return_unroutable;
        drop_unroutable += o.drop_unroutable;
        deliver += o.deliver;
        deliver_no_ack += o.deliver_no_ack;
        get += o.get;
        get_no_ack += o.get_no_ack;
        get_empty += o.get_empty;
        redeliver += o.redeliver;
        ack += o.ack;
        return *this;
    }
    bool operator==(const message_counts&) const = default;
};

// What an exchange was given, and to how many queues it led.
struct exchange_counts {
    std::uint64_t in = 0;
    std::uint64_t out = 0;
    bool operator==(const exchange_counts&) const = default;
};

// What a connection's socket has carried.
struct octet_counts {
    std::uint64_t received = 0;
    std::uint64_t reads = 0;
    std::uint64_t sent = 0;
    std::uint64_t writes = 0;
    octet_counts& operator+=(const octet_counts& o) noexcept {
        received += o.received;
        reads += o.reads;
        sent += o.sent;
        writes += o.writes;
        return *this;
    }
    octet_counts& operator-=(const octet_counts& o) noexcept {
        received -= o.received;
        reads -= o.reads;
        sent -= o.sent;
        writes -= o.writes;
        return *this;
    }
    bool operator==(const octet_counts&) const = default;
};

// Whose clients: what figures are told apart by. MQTT's versions have names of their own, as everybody's dashboards do.
enum class spoken : std::uint8_t { amqp091, mqtt310, mqtt311, mqtt50, http };
inline constexpr std::size_t spoken_protocols = 5;
inline constexpr std::size_t queue_types = 3;

// What queues of one type gave to clients of one protocol.
struct delivery_counts {
    std::uint64_t consumed = 0;  // to be acknowledged
    std::uint64_t consumed_no_ack = 0;
    std::uint64_t got = 0;
    std::uint64_t got_no_ack = 0;
    std::uint64_t get_empty = 0;
    std::uint64_t redelivered = 0;
    std::uint64_t acknowledged = 0;
    delivery_counts& operator+=(const delivery_counts& o) noexcept {
        consumed += o.consumed;
        consumed_no_ack += o.consumed_no_ack;
        got += o.got;
        got_no_ack += o.got_no_ack;
        get_empty += o.get_empty;
        redelivered += o.redelivered;
        acknowledged += o.acknowledged;
        return *this;
    }
};

// Sizes of bodies, in the steps that RabbitMQ's metrics have.
struct size_histogram {
    static constexpr std::array<std::uint64_t, 8> bounds{100,       1'000,      10'000,     100'000,
                                                         1'000'000, 10'000'000, 50'000'000, 100'000'000};
    std::array<std::uint64_t, bounds.size() + 1> counts{};
    std::uint64_t sum = 0;

    void add(std::uint64_t bytes) noexcept {
        sum += bytes;
        if (bytes <= bounds[0]) [[likely]] {
            ++counts[0];
        } else {
            ++counts[static_cast<std::size_t>(std::ranges::lower_bound(bounds, bytes) - bounds.begin())];
        }
    }
    size_histogram& operator+=(const size_histogram& o) noexcept {
        for (std::size_t i = 0; i < counts.size(); ++i) {
            counts[i] += o.counts[i];
        }
        sum += o.sum;
        return *this;
    }
};

// Everything that clients of one protocol have done on a shard.
struct protocol_counts {
    std::uint64_t received_confirm = 0;  // of sizes.total(), those that want a confirm
    std::uint64_t confirmed = 0;
    std::uint64_t unroutable_dropped = 0;
    std::uint64_t unroutable_returned = 0;
    std::array<delivery_counts, queue_types> delivered{};  // by queue_type
    size_histogram sizes{};                                // of what was received
    octet_counts octets{};                                 // as far as sessions have told
    std::uint64_t connections_opened = 0;
    std::uint64_t connections_closed = 0;
    std::uint64_t channels_opened = 0;
    std::uint64_t channels_closed = 0;

    [[nodiscard]] delivery_counts& of(queue_type t) noexcept { return delivered[static_cast<std::size_t>(t)]; }
    [[nodiscard]] std::uint64_t received() const noexcept {
        std::uint64_t all = 0;
        for (const auto n : sizes.counts) {
            all += n;
        }
        return all;
    }
    [[nodiscard]] message_counts messages() const noexcept;
    protocol_counts& operator+=(const protocol_counts& o) noexcept;
};
using all_protocol_counts = std::array<protocol_counts, spoken_protocols>;

// How the topology has changed, and why queues let go of messages that nobody consumed.
struct broker_counts {
    std::uint64_t queues_declared = 0;  // again, too
    std::uint64_t queues_created = 0;
    std::uint64_t queues_deleted = 0;
    std::array<std::uint64_t, 4> dead_lettered{};  // by death_reason
    broker_counts& operator+=(const broker_counts& o) noexcept {
        queues_declared += o.queues_declared;
        queues_created += o.queues_created;
        queues_deleted += o.queues_deleted;
        for (std::size_t i = 0; i < dead_lettered.size(); ++i) {
            dead_lettered[i] += o.dead_lettered[i];
        }
        return *this;
    }
};

// How long turns of a shard's loop take, while it has something to do: what a message may have to wait for.
struct turn_histogram {
    static constexpr std::array<mono_ns, 6> bounds{100 * ns_per_us, ns_per_ms,       5 * ns_per_ms,
                                                   20 * ns_per_ms,  100 * ns_per_ms, ns_per_s};
    std::array<std::uint64_t, bounds.size() + 1> counts{};
    mono_ns sum = 0;

    void add(mono_ns took) noexcept {
        sum += took;
        std::size_t i = 0;
        while (i < bounds.size() && took > bounds[i]) {
            ++i;
        }
        ++counts[i];
    }
    turn_histogram& operator+=(const turn_histogram& o) noexcept {
        for (std::size_t i = 0; i < counts.size(); ++i) {
            counts[i] += o.counts[i];
        }
        sum += o.sum;
        return *this;
    }
};

// What comes and goes.
struct churn_counts {
    std::uint64_t connections_opened = 0;
    std::uint64_t connections_closed = 0;
    std::uint64_t channels_opened = 0;
    std::uint64_t channels_closed = 0;
    std::uint64_t queues_declared = 0;
    std::uint64_t queues_created = 0;
    std::uint64_t queues_deleted = 0;
    bool operator==(const churn_counts&) const = default;
};

// Makes rates of counts: nothing happens per message, whoever looks brings the counts of the moment along.
//
// Two samples are kept, the older one five to ten seconds old while somebody looks that often: a rate is what has
// come since then. Looking seldom gives the mean since the last look.
template <class Counts>
class rate_window {
public:
    // Before the first look there is nothing to compare with. `idle_since`: when the counts were last seen to move.
    struct seen {
        Counts before{};
        double seconds = 0;
        wall_ns moved = 0;
    };

    [[nodiscard]] seen look(const Counts& now, mono_ns at, wall_ns wall) noexcept {
        if (newer_.at == 0) {
            newer_ = {now, at};
            moved_ = wall;
        }
        if (!(now == last_)) {
            last_ = now;
            moved_ = wall;
        }
        if (at - newer_.at >= step) {
            older_ = newer_;
            newer_ = {now, at};
        }
        const sample& from = older_.at != 0 ? older_ : newer_;
        return {from.counts, static_cast<double>(at - from.at) / static_cast<double>(ns_per_s), moved_};
    }

private:
    static constexpr mono_ns step = 5 * ns_per_s;
    struct sample {
        Counts counts{};
        mono_ns at = 0;  // 0: none
    };
    sample older_;
    sample newer_;
    Counts last_{};
    wall_ns moved_ = 0;
};

// Of one member between two looks.
[[nodiscard]] constexpr double rate_of(std::uint64_t now, std::uint64_t before, double seconds) noexcept {
    return seconds <= 0 || now < before ? 0 : static_cast<double>(now - before) / seconds;
}

}  // namespace linnet::core
