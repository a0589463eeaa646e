#pragma once

#include <utility>

namespace linnet::net {

class connection;

// A counted reference to a connection. The count lies in the connection itself and is a plain integer: of
// std::shared_ptr it would be 36 bytes more a connection, and an atomic operation each time one waits.
//
// Threads: the connection's reactor's.
class connection_ptr {
public:
    connection_ptr() = default;
    explicit connection_ptr(connection* c) noexcept : connection_(c) { retain(); }
    connection_ptr(const connection_ptr& other) noexcept : connection_(other.connection_) { retain(); }
    connection_ptr(connection_ptr&& other) noexcept : connection_(std::exchange(other.connection_, nullptr)) {}
    connection_ptr& operator=(connection_ptr other) noexcept {
        std::swap(connection_, other.connection_);
        return *this;
    }
    ~connection_ptr() { release(); }

    [[nodiscard]] connection* get() const noexcept { return connection_; }
    connection* operator->() const noexcept { return connection_; }
    connection& operator*() const noexcept { return *connection_; }

private:
    void retain() noexcept;
    // Destroys it with the last one.
    void release() noexcept;

    connection* connection_ = nullptr;
};

}  // namespace linnet::net
