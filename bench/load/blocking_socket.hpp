// The slow part of a connection: one request, one reply, on a socket that waits.
//
// What is sent gathers until flush(); what has come gathers until it is taken.
//
// Threads:  one at a time.
// Owns:     the socket until release().
// Bounds:   waits reply_seconds at most for the peer to say or take something.
// Fails:    with the system's words.
#pragma once

#include "bench/load/outcome.hpp"
#include "protocol/wire/bytes.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace linnet::load {

class blocking_socket {
public:
    static constexpr int reply_seconds = 120;

    [[nodiscard]] static outcome<blocking_socket> connect(const std::string& host, const std::string& port);

    blocking_socket(blocking_socket&& other) noexcept;
    blocking_socket& operator=(blocking_socket&& other) noexcept;
    ~blocking_socket();

    // Queued; leaves with the next flush().
    [[nodiscard]] std::vector<std::uint8_t>& out() noexcept { return out_; }
    [[nodiscard]] outcome<void> flush();
    // With flushes in between, so that neither side's buffer grows without end.
    [[nodiscard]] bool should_flush() const noexcept { return out_.size() >= 1U << 16; }

    // What has come and was not taken; valid until the next read_some().
    [[nodiscard]] wire::bytes_view unread() const noexcept { return wire::bytes_view{in_}.subspan(in_at_); }
    void take(std::size_t bytes) noexcept { in_at_ += bytes; }
    [[nodiscard]] outcome<void> read_some();

    [[nodiscard]] bool is_open() const noexcept { return fd_ >= 0; }
    void close() noexcept;
    // Gives the socket away; what was read and not taken is appended to `unread`.
    [[nodiscard]] int release(std::vector<std::uint8_t>& unread);

private:
    explicit blocking_socket(int fd) noexcept : fd_{fd} {}

    int fd_ = -1;
    std::vector<std::uint8_t> out_;
    std::vector<std::uint8_t> in_;
    std::size_t in_at_ = 0;
};

}  // namespace linnet::load
