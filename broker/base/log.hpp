#pragma once

#include <fmt/format.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

// The daemon's log: one line an event, to stderr or a file, as text for people or as JSON for collectors.
//
// A logger is a value that carries its context (domain, connection, vhost, peer); building a line costs
// nothing while its level is off. Lines are written by the thread that logs: a lock is taken in the sink,
// so hot paths must not log.
//
// Threads: any. configure() and reopen() from the main thread.
// Fails:   configure() returns the reason when a file cannot be opened, and keeps the old sink.

namespace linnet::log {

enum class level : std::uint8_t { debug, info, warning, error, off };
enum class format : std::uint8_t { text, json };

struct options {
    level threshold = level::info;
    format form = format::text;
    std::string file;       // empty: stderr
    bool journald = false;  // text on stderr: prefix <3>..<7>, no timestamp (see journald_reads_stderr())
};

// Empty on success, else what went wrong.
[[nodiscard]] std::string configure(const options& o);
// Closes and opens the file again, for log rotation. Empty on success.
[[nodiscard]] std::string reopen();

// Whether $JOURNAL_STREAM names this process's stderr, so that systemd adds time and reads the priority.
[[nodiscard]] bool journald_reads_stderr();

[[nodiscard]] bool enabled(level l) noexcept;

// What is known about where a line comes from. Views must live for the call only.
struct context {
    std::string_view domain = "broker";  // connection, queue, amqp, config, ...
    std::string_view conn{};             // "127.0.0.1:53412 -> 127.0.0.1:5672"
    std::string_view vhost{};
    std::string_view user{};
};

// Control characters in `message` are escaped: a peer cannot forge lines.
void write(level l, const context& c, std::string_view message);

template <class... Args>
void debug(const context& c, fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::debug)) {
        write(level::debug, c, fmt::format(f, std::forward<Args>(args)...));
    }
}
template <class... Args>
void info(const context& c, fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::info)) {
        write(level::info, c, fmt::format(f, std::forward<Args>(args)...));
    }
}
template <class... Args>
void warning(const context& c, fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::warning)) {
        write(level::warning, c, fmt::format(f, std::forward<Args>(args)...));
    }
}
template <class... Args>
void error(const context& c, fmt::format_string<Args...> f, Args&&... args) {
    if (enabled(level::error)) {
        write(level::error, c, fmt::format(f, std::forward<Args>(args)...));
    }
}

}  // namespace linnet::log
