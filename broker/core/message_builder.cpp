#include "broker/core/message_builder.hpp"

#include "broker/core/death_log.hpp"
#include "broker/core/message_pool.hpp"

#include <algorithm>
#include <cstring>

namespace linnet::core {

namespace {

std::uint8_t* put(std::uint8_t* at, const void* from, std::size_t n) noexcept {
    if (n != 0) {
        std::memcpy(at, from, n);
    }
    return at + n;
}

}  // namespace

message_builder::~message_builder() { abandon(); }

void message_builder::abandon() noexcept {
    if (block_ != nullptr) {
        pool_->free(std::exchange(block_, nullptr));
    }
}

void message_builder::begin(message_pool& pool, std::string_view exchange, std::string_view key,
                            std::span<const std::uint8_t> properties, std::uint64_t body_bytes,
                            const message_traits& traits) {
    abandon();
    pool_ = &pool;
    announced_ = body_bytes;
    arrived_ = 0;
    const std::size_t head = exchange.size() + key.size() + properties.size();
    block_ = pool.allocate(head + std::min<std::uint64_t>(body_bytes, eager_bytes));
    block_->exchange_bytes_ = static_cast<std::uint8_t>(exchange.size());
    block_->key_bytes_ = static_cast<std::uint16_t>(key.size());
    block_->properties_bytes_ = static_cast<std::uint32_t>(properties.size());
    block_->traits_ = traits;
    auto* at = put(block_->payload(), exchange.data(), exchange.size());
    at = put(at, key.data(), key.size());
    put(at, properties.data(), properties.size());
}

void message_builder::append(std::span<const std::uint8_t> part) {
    const std::size_t head = std::size_t{block_->exchange_bytes_} + block_->key_bytes_ + block_->properties_bytes_;
    const std::size_t used = head + arrived_;
    const std::size_t room = block_->block_bytes_ - sizeof(message);
    if (used + part.size() > room) {
        // Doubling what has arrived, up to what was announced: a liar pays for what it sends.
        const std::size_t body = std::min<std::uint64_t>(announced_, std::max(2 * arrived_, arrived_ + part.size()));
        block_ = pool_->grow(block_, used, head + body);
    }
    put(block_->payload() + used, part.data(), part.size());
    arrived_ += part.size();
}

message_ptr message_builder::finish() noexcept {
    LINNET_DEBUG_ASSERT(missing() == 0, "{} bytes of the body are missing", missing());
    block_->body_bytes_ = static_cast<std::uint32_t>(announced_);
    return message_ptr::adopt(std::exchange(block_, nullptr));
}

message_ptr message_builder::finish(std::unique_ptr<death_log> deaths) noexcept {
    block_->deaths_ = deaths.release();
    return finish();
}

message_ptr make_message(message_pool& pool, std::string_view exchange, std::string_view key,
                         std::span<const std::uint8_t> properties, std::span<const std::uint8_t> body,
                         const message_traits& traits) {
    message_builder b;
    b.write_whole(pool, exchange, key, properties, body, traits);
    return b.finish();
}

void message_builder::write_whole(message_pool& pool, std::string_view exchange, std::string_view key,
                                  std::span<const std::uint8_t> properties, std::span<const std::uint8_t> body,
                                  const message_traits& traits) {
    abandon();
    pool_ = &pool;
    announced_ = arrived_ = body.size();
    block_ = pool.allocate(exchange.size() + key.size() + properties.size() + body.size());
    block_->exchange_bytes_ = static_cast<std::uint8_t>(exchange.size());
    block_->key_bytes_ = static_cast<std::uint16_t>(key.size());
    block_->properties_bytes_ = static_cast<std::uint32_t>(properties.size());
    block_->traits_ = traits;
    auto* at = put(block_->payload(), exchange.data(), exchange.size());
    at = put(at, key.data(), key.size());
    at = put(at, properties.data(), properties.size());
    put(at, body.data(), body.size());
}

}  // namespace linnet::core
