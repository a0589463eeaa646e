#pragma once

#include "broker/core/message.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

namespace linnet::core {

// Puts a message together as its parts arrive: head first, then the body in any number of pieces.
//
// A body of up to `eager_bytes` gets its block at once; a larger one grows with what has really arrived,
// so that a peer which only announces a body costs nothing.
//
// Threads: one shard's.
// Owns:    the unfinished block; abandoning the builder gives it back.
class message_builder {
public:
    static constexpr std::uint32_t eager_bytes = 64 * 1024;

    message_builder() noexcept = default;
    message_builder(const message_builder&) = delete;
    message_builder& operator=(const message_builder&) = delete;
    ~message_builder();

    // Precondition: exchange <= 255 bytes, key <= 65535 bytes.
    void begin(message_pool& pool, std::string_view exchange, std::string_view key,
               std::span<const std::uint8_t> properties, std::uint64_t body_bytes, const message_traits& traits);
    void append(std::span<const std::uint8_t> body_part);  // never beyond the announced size: the caller's duty
    [[nodiscard]] std::uint64_t missing() const noexcept { return announced_ - arrived_; }
    [[nodiscard]] bool active() const noexcept { return block_ != nullptr; }
    // Precondition: missing() == 0.
    [[nodiscard]] message_ptr finish() noexcept;
    // The same for a message that died before.
    [[nodiscard]] message_ptr finish(std::unique_ptr<death_log> deaths) noexcept;
    // begin() and append() in one, for a body that is at hand.
    void write_whole(message_pool& pool, std::string_view exchange, std::string_view key,
                     std::span<const std::uint8_t> properties, std::span<const std::uint8_t> body,
                     const message_traits& traits);
    void abandon() noexcept;

private:
    message_pool* pool_ = nullptr;
    message* block_ = nullptr;
    std::uint64_t announced_ = 0;
    std::uint64_t arrived_ = 0;
};

// The one-piece case, the hot one: a message whose whole body is at hand.
[[nodiscard]] message_ptr make_message(message_pool& pool, std::string_view exchange, std::string_view key,
                                       std::span<const std::uint8_t> properties, std::span<const std::uint8_t> body,
                                       const message_traits& traits);

}  // namespace linnet::core
