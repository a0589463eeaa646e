#pragma once

#include "broker/base/assert.hpp"
#include "broker/base/clock.hpp"
#include "broker/core/ids.hpp"

#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>
#include <utility>

namespace linnet::core {

class message_pool;
struct death_log;

// Whose property block a message carries. The core never reads one itself: see property_reader.
enum class protocol_tag : std::uint8_t { none, amqp091, mqtt, nats, stomp, http };
inline constexpr std::size_t protocol_tags = 6;

// What the publisher said of a message, in the core's words.
struct message_traits {
    bool persistent = false;
    std::uint8_t priority = 0;
    protocol_tag properties_of = protocol_tag::none;
    bool repeated = false;  // the broker's word: after a crash, consumers may have seen this one before
    // Beside being routed it becomes the last value of its key (retained.hpp); shard::publish() is to be called then
    // even where no queue is bound.
    bool retain = false;
    // Its publisher names where answers go, and may publish there itself (reply_handle.hpp): those who speak another
    // protocol may be lent a way to answer.
    bool answerable = false;
    // It is to reach the consumers of a queue once, whatever crashes (MQTT's QoS 2): a queue shows it only when it is
    // durable there, since its position must not become another message's.
    bool once = false;
    // Its publisher gave it an id, by which people may ask what has become of it (flight_recorder.hpp).
    bool identified = false;
    mono_ns time_to_live = -1;  // -1: does not expire by itself
};

// A published message: immutable once published, allocated once, counted by reference.
//
// One block holds everything: header, exchange name, routing key, the publisher's property block (its own
// bytes), body. The routing key is the address's levels joined by '.', a '.' inside a level written
// "%2E" (decision 0006): for AMQP that is the key as sent, so nothing is converted on its way.
//
// The count is biased: while `shared_` is false the message lives on one shard and counting is plain
// loads and stores; before a message crosses to another shard its owner calls mark_shared(), and from
// then on counting is read-modify-write. A sole owner (count 1) frees without any of that.
//
// Threads: one shard until mark_shared(); afterwards any, through its own message_ptr.
// Owns:    its block, which goes home to the pool that made it (through the ring, from another shard).
class message {
public:
    message(const message&) = delete;
    message& operator=(const message&) = delete;

    [[nodiscard]] std::string_view exchange() const noexcept { return {chars(), exchange_bytes_}; }
    [[nodiscard]] std::string_view routing_key() const noexcept { return {chars() + exchange_bytes_, key_bytes_}; }
    [[nodiscard]] std::span<const std::uint8_t> properties() const noexcept {
        return {payload() + exchange_bytes_ + key_bytes_, properties_bytes_};
    }
    [[nodiscard]] std::span<const std::uint8_t> body() const noexcept {
        return {payload() + exchange_bytes_ + key_bytes_ + properties_bytes_, body_bytes_};
    }
    [[nodiscard]] std::uint32_t body_bytes() const noexcept { return body_bytes_; }
    [[nodiscard]] bool persistent() const noexcept { return traits_.persistent; }
    [[nodiscard]] std::uint8_t priority() const noexcept { return traits_.priority; }
    [[nodiscard]] protocol_tag properties_of() const noexcept { return traits_.properties_of; }
    // How long it may live from the moment it reaches a queue; -1: for ever.
    [[nodiscard]] mono_ns time_to_live() const noexcept { return traits_.time_to_live; }
    [[nodiscard]] const message_traits& traits() const noexcept { return traits_; }
    // Where and why it died before, newest first; null for a message that never was dead-lettered.
    [[nodiscard]] const death_log* deaths() const noexcept { return deaths_; }
    // What it costs the memory budget.
    [[nodiscard]] std::size_t footprint() const noexcept { return block_bytes_; }

    // Written once: whoever holds it by then only reads.
    void mark_shared() noexcept {
        if (!shared_) {
            shared_ = true;
        }
    }

private:
    friend class message_ptr;
    friend class message_pool;
    friend class message_builder;
    message() = default;

    [[nodiscard]] const std::uint8_t* payload() const noexcept {
        return reinterpret_cast<const std::uint8_t*>(this + 1);
    }
    [[nodiscard]] std::uint8_t* payload() noexcept { return reinterpret_cast<std::uint8_t*>(this + 1); }
    [[nodiscard]] const char* chars() const noexcept { return reinterpret_cast<const char*>(this + 1); }

    void retain(std::uint32_t count) noexcept {
        if (shared_) {
            refs_.fetch_add(count, std::memory_order_relaxed);
        } else {
            refs_.store(refs_.load(std::memory_order_relaxed) + count, std::memory_order_relaxed);
        }
    }
    // True when that was the last reference.
    [[nodiscard]] bool drop() noexcept {
        // Acquire: who frees must see what the other holders did. A sole holder needs no RMW.
        auto now = refs_.load(std::memory_order_acquire);
        if (now == 1) {
            return true;
        }
        if (shared_) {
            return refs_.fetch_sub(1, std::memory_order_acq_rel) == 1;
        }
        refs_.store(now - 1, std::memory_order_relaxed);
        return false;
    }

    std::atomic<std::uint32_t> refs_{1};
    bool shared_ = false;
    std::uint8_t size_class_ = 0;
    std::uint8_t exchange_bytes_ = 0;
    std::uint16_t key_bytes_ = 0;
    shard_id home_{};
    std::uint32_t properties_bytes_ = 0;
    std::uint32_t body_bytes_ = 0;
    std::uint32_t block_bytes_ = 0;
    message_traits traits_{};
    union {
        death_log* deaths_ = nullptr;  // owned, while it lives
        message* next_free_;           // then: free lists and chains on their way home
    };
};

// A counted reference. Copies are explicit (share()), because a copy costs.
class message_ptr {
public:
    constexpr message_ptr() noexcept = default;
    message_ptr(message_ptr&& other) noexcept : message_(std::exchange(other.message_, nullptr)) {}
    message_ptr& operator=(message_ptr&& other) noexcept {
        if (this != &other) {
            reset();
            message_ = std::exchange(other.message_, nullptr);
        }
        return *this;
    }
    message_ptr(const message_ptr&) = delete;
    message_ptr& operator=(const message_ptr&) = delete;
    ~message_ptr() { reset(); }

    // Takes over one reference that the caller already counted (a command's, a pre-counted fan-out's).
    [[nodiscard]] static message_ptr adopt(message* m) noexcept { return message_ptr(m); }
    // Gives the reference up without dropping it.
    [[nodiscard]] message* detach() noexcept { return std::exchange(message_, nullptr); }

    [[nodiscard]] message_ptr share() const noexcept {
        message_->retain(1);
        return message_ptr(message_);
    }
    // Adds `count` references at once, to be adopt()ed one by one: a fan-out counts once.
    void retain(std::uint32_t count) const noexcept { message_->retain(count); }

    [[nodiscard]] const message& operator*() const noexcept { return *message_; }
    [[nodiscard]] const message* operator->() const noexcept { return message_; }
    [[nodiscard]] message* get() const noexcept { return message_; }
    [[nodiscard]] explicit operator bool() const noexcept { return message_ != nullptr; }

    inline void reset() noexcept;

private:
    explicit message_ptr(message* m) noexcept : message_(m) {}
    message* message_ = nullptr;
};

namespace detail {
void free_message(message* m) noexcept;  // message_pool.cpp: to the pool of the shard that runs now
}

inline void message_ptr::reset() noexcept {
    if (message_ != nullptr) {
        auto* m = std::exchange(message_, nullptr);
        if (m->drop()) {
            detail::free_message(m);
        }
    }
}

}  // namespace linnet::core
