#pragma once

#include "broker/base/clock.hpp"

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// How the daemon tells others about itself: systemd over $NOTIFY_SOCKET, scripts through the pid file
// and the ports file.

namespace linnet::app {

// sd_notify(3) without libsystemd. Without a socket every call does nothing.
//
// Threads: any; a datagram is one system call.
// Fails:   silently: a supervisor that has gone away is no reason to stop serving.
class notifier {
public:
    // `socket` is the value of $NOTIFY_SOCKET: a path, or "@name" in the abstract namespace.
    explicit notifier(std::string_view socket);
    ~notifier();
    notifier(const notifier&) = delete;
    notifier& operator=(const notifier&) = delete;

    // Takes the variable out of the environment, so that children do not speak for us.
    [[nodiscard]] static std::string take_socket_from_environment();

    void ready(std::string_view status) const;
    void status(std::string_view text) const;
    // Followed by ready() when done. systemd compares the time, so it must be monotonic.
    void reloading(mono_ns now) const;
    void stopping(std::string_view status) const;
    void watchdog() const;
    void extend_timeout(mono_ns by) const;

    [[nodiscard]] bool connected() const noexcept { return fd_ >= 0; }

private:
    void send(std::string_view message) const;

    int fd_ = -1;
};

// How often watchdog() is due: half of $WATCHDOG_USEC, if it is meant for this process. `usec` and `pid` are
// the values of the two variables; empty when not set.
[[nodiscard]] std::optional<mono_ns> watchdog_interval(std::string_view usec, std::string_view pid);

// protocol -> addresses really bound, in the order in which they were opened.
using bound_addresses = std::vector<std::pair<std::string, std::string>>;

// {"amqp":["127.0.0.1:40001"],"amqps":["127.0.0.1:40002"]}
[[nodiscard]] std::string ports_json(const bound_addresses& addresses);

// Writes a file whole or not at all: a reader never sees half of it. Empty on success, else what went wrong.
[[nodiscard]] std::string write_file_atomically(const std::string& path, std::string_view text);

// A file with our process id, removed at the end if it is still ours.
class pid_file {
public:
    pid_file() = default;
    ~pid_file();
    pid_file(const pid_file&) = delete;
    pid_file& operator=(const pid_file&) = delete;

    // Empty on success, else what went wrong.
    [[nodiscard]] std::string write(const std::string& path);
    void remove();

private:
    std::string path_;
};

}  // namespace linnet::app
