#include "broker/core/message_pool.hpp"

#include "broker/core/death_log.hpp"

#include <bit>
#include <cstring>
#include <new>

namespace linnet::core {

namespace {

thread_local message_pool* pool_of_this_thread = nullptr;

}  // namespace

void message_pool::enter(message_pool* current) noexcept { pool_of_this_thread = current; }
message_pool* message_pool::current() noexcept { return pool_of_this_thread; }

void message_pool::note_beside(std::int64_t bytes) noexcept {
    if (pool_of_this_thread != nullptr) {
        pool_of_this_thread->beside_.add(bytes);
    }
}

std::uint8_t message_pool::class_of(std::size_t bytes) noexcept {
    if (bytes <= small_max) {
        return static_cast<std::uint8_t>((bytes + small_step - 1) / small_step - 1);
    }
    if (bytes > class_max) {
        return unpooled;
    }
    // Four classes a doubling above 1 KiB: at most 25 % are wasted.
    const auto doubling = static_cast<unsigned>(std::bit_width(bytes - 1)) - 11U;  // 1025..2048 -> 0
    const std::size_t base = small_max << doubling;
    const std::size_t quarter = (bytes - base + base / 4 - 1) / (base / 4) - 1;
    return static_cast<std::uint8_t>(small_max / small_step + doubling * 4 + quarter);
}

std::size_t message_pool::bytes_of(std::uint8_t size_class) noexcept {
    constexpr std::size_t small_classes = small_max / small_step;
    if (size_class < small_classes) {
        return (size_class + std::size_t{1}) * small_step;
    }
    const std::size_t above = size_class - small_classes;
    const std::size_t base = small_max << (above / 4);
    return base + (above % 4 + 1) * (base / 4);
}

message_pool::~message_pool() {
    for (auto& list : free_) {
        while (list.first != nullptr) {
            auto* m = std::exchange(list.first, list.first->next_free_);
            ::operator delete(m);
        }
    }
    for (auto*& chain : going_home_) {
        while (chain != nullptr) {
            auto* m = std::exchange(chain, chain->next_free_);
            ::operator delete(m);
        }
    }
}

message* message_pool::allocate(std::size_t payload_bytes) {
    owner_.check();
    const std::size_t wanted = sizeof(message) + payload_bytes;
    const auto size_class = class_of(wanted);
    message* block = nullptr;
    std::size_t bytes = wanted;
    if (size_class != unpooled) [[likely]] {
        bytes = bytes_of(size_class);
        auto& list = free_[size_class];
        if (list.first != nullptr) [[likely]] {
            block = list.first;
            list.first = block->next_free_;
            list.bytes -= bytes;
        }
    }
    if (block == nullptr) {
        block = static_cast<message*>(::operator new(bytes));
    }
    auto* m = new (block) message();
    m->size_class_ = size_class;
    m->home_ = home_;
    m->block_bytes_ = static_cast<std::uint32_t>(bytes);
    held_.add(static_cast<std::int64_t>(bytes));
    return m;
}

message* message_pool::grow(message* m, std::size_t payload_used, std::size_t payload_bytes) {
    auto* larger = allocate(payload_bytes);
    larger->exchange_bytes_ = m->exchange_bytes_;
    larger->key_bytes_ = m->key_bytes_;
    larger->properties_bytes_ = m->properties_bytes_;
    larger->body_bytes_ = m->body_bytes_;
    larger->traits_ = m->traits_;
    std::memcpy(larger->payload(), m->payload(), payload_used);
    recycle(m);
    return larger;
}

void message_pool::recycle(message* m) noexcept {
    held_.sub(m->block_bytes_);
    if (m->size_class_ != unpooled) {
        auto& list = free_[m->size_class_];
        if (list.bytes + m->block_bytes_ <= kept_bytes_max) [[likely]] {
            m->next_free_ = list.first;
            list.first = m;
            list.bytes += m->block_bytes_;
            return;
        }
    }
    ::operator delete(m);
}

void message_pool::free(message* m) noexcept {
    owner_.check();
    if (m->deaths_ != nullptr) [[unlikely]] {
        delete std::exchange(m->deaths_, nullptr);
    }
    if (m->home_ == home_) [[likely]] {
        recycle(m);
        return;
    }
    auto*& chain = going_home_[m->home_.value];
    m->next_free_ = chain;
    chain = m;
}

message* message_pool::take_chain(shard_id home) noexcept { return std::exchange(going_home_[home.value], nullptr); }

void message_pool::accept_chain(message* first) noexcept {
    owner_.check();
    while (first != nullptr) {
        recycle(std::exchange(first, first->next_free_));
    }
}

namespace detail {

void free_message(message* m) noexcept {
    // Outside any shard (a test's end, the daemon's last moments) the home account is gone already.
    if (auto* pool = message_pool::current(); pool != nullptr) [[likely]] {
        pool->free(m);
        return;
    }
    message_pool orphanage{shard_id{static_cast<std::uint16_t>(shards_max - 1)}};
    orphanage.free(m);
}

}  // namespace detail

}  // namespace linnet::core
