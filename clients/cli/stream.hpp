#pragma once

#include "clients/cli/server_uri.hpp"

#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>

struct ssl_st;
struct ssl_ctx_st;

namespace linnet::cli {

using deadline = std::chrono::steady_clock::time_point;

// A TCP connection, over TLS or not, on which every operation ends at the deadline.
//
// Threads:  one.
// Fails:    functions return what went wrong, empty if nothing did; the stream is of no use afterwards.
class stream {
public:
    // What a step says whose deadline has passed.
    static constexpr const char* timed_out = "timed out";

    explicit stream(deadline until) : until_{until} {}
    ~stream();
    stream(const stream&) = delete;
    stream& operator=(const stream&) = delete;

    void wait_until(deadline until) noexcept { until_ = until; }

    // Tries every address of the host, then the TLS handshake if the URI says so.
    [[nodiscard]] std::string connect(const server_uri& uri);
    [[nodiscard]] std::string write(std::span<const std::uint8_t> bytes);
    // At least one byte; `size` 0 at the end of the stream.
    [[nodiscard]] std::string read(std::span<std::uint8_t> into, std::size_t& size);

    // Days until the peer's certificate ends; nothing without TLS.
    [[nodiscard]] std::optional<int> certificate_days() const;
    // "TLSv1.3", or empty.
    [[nodiscard]] std::string tls_version() const;

private:
    [[nodiscard]] std::string connect_tcp(const server_uri& uri);
    [[nodiscard]] std::string start_tls(const server_uri& uri);
    [[nodiscard]] std::string wait(short events) const;
    // After an OpenSSL call that did not succeed: waits for what it wants, or says what is wrong.
    [[nodiscard]] std::string wait_for_tls(int result);

    deadline until_;
    int fd_ = -1;
    std::unique_ptr<ssl_ctx_st, void (*)(ssl_ctx_st*)> context_{nullptr, nullptr};
    std::unique_ptr<ssl_st, void (*)(ssl_st*)> tls_{nullptr, nullptr};
};

}  // namespace linnet::cli
