#include "broker/base/log.hpp"

#include "broker/base/clock.hpp"

#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <ctime>
#include <mutex>

namespace linnet::log {
namespace {

// ---- Text that cannot forge a line -----------------------------------------------------------------

// The length of the valid UTF-8 sequence at the front that shows as itself: not a control character
// (C0, DEL, C1), not a line or paragraph separator, not a change of writing direction. 0 if it is none.
std::size_t printable_prefix(std::string_view text) noexcept {
    const auto at = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
    const auto continues = [&](std::size_t i) { return (at(i) & 0xC0U) == 0x80U; };
    const auto first = at(0);
    if (first < 0x80) {
        return first >= 0x20 && first != 0x7F ? 1 : 0;
    }
    if (first >= 0xC2 && first <= 0xDF && continues(1)) {
        return first == 0xC2 && at(1) < 0xA0 ? 0 : 2;
    }
    if ((first & 0xF0U) == 0xE0U && continues(1) && continues(2)) {
        const auto code = (first & 0x0FU) << 12 | (at(1) & 0x3FU) << 6 | (at(2) & 0x3FU);
        const bool surrogate = code >= 0xD800 && code <= 0xDFFF;
        const bool separator = code == 0x2028 || code == 0x2029;
        const bool direction = (code >= 0x202A && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069);
        return code < 0x800 || surrogate || separator || direction ? 0 : 3;
    }
    if (first >= 0xF0 && first <= 0xF4 && continues(1) && continues(2) && continues(3)) {
        const auto code = (first & 0x07U) << 18 | (at(1) & 0x3FU) << 12 | (at(2) & 0x3FU) << 6 | (at(3) & 0x3FU);
        return code >= 0x10000 && code <= 0x10FFFF ? 4 : 0;
    }
    return 0;
}

// `escape` writes one byte that must not stand there as it is; `quote` marks are escaped with a backslash.
template <class Escape>
void append_escaped(std::string& out, std::string_view text, std::string_view quoted, Escape&& escape) {
    while (!text.empty()) {
        const auto length = printable_prefix(text);
        if (length == 0) {
            escape(out, static_cast<unsigned char>(text.front()));
        } else {
            if (quoted.find(text.front()) != std::string_view::npos) {
                out += '\\';
            }
            out += text.substr(0, length);
        }
        text.remove_prefix(length == 0 ? 1 : length);
    }
}

void append_text(std::string& out, std::string_view text) {
    append_escaped(out, text, "", [](std::string& o, unsigned char byte) {
        switch (byte) {
            case '\n': o += "\\n"; break;
            case '\r': o += "\\r"; break;
            case '\t': o += "\\t"; break;
            default: fmt::format_to(std::back_inserter(o), "\\x{:02x}", byte);
        }
    });
}

void append_json(std::string& out, std::string_view text) {
    out += '"';
    append_escaped(out, text, "\"\\", [](std::string& o, unsigned char byte) {
        if (byte < 0x80) {
            fmt::format_to(std::back_inserter(o), "\\u{:04x}", byte);
        } else {
            fmt::format_to(std::back_inserter(o), "\\\\x{:02x}", byte);  // no character: shown as in text
        }
    });
    out += '"';
}

// ---- Lines -----------------------------------------------------------------------------------------

constexpr std::string_view level_name(level l) noexcept {
    switch (l) {
        case level::debug: return "debug";
        case level::info: return "info";
        case level::warning: return "warning";
        case level::error: return "error";
        case level::off: return "off";
    }
    return "";
}

// sd-daemon(3): <3> error, <4> warning, <6> info, <7> debug.
constexpr char journald_priority(level l) noexcept {
    switch (l) {
        case level::debug: return '7';
        case level::info: return '6';
        case level::warning: return '4';
        case level::error:
        case level::off: return '3';
    }
    return '3';
}

// 2026-11-22T13:05:01.123456Z
void append_time(std::string& out, wall_ns now) {
    auto parts = std::tm{};
    const auto seconds = static_cast<std::time_t>(now / ns_per_s);
    gmtime_r(&seconds, &parts);
    fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:06}Z", parts.tm_year + 1900,
                   parts.tm_mon + 1, parts.tm_mday, parts.tm_hour, parts.tm_min, parts.tm_sec,
                   now % ns_per_s / ns_per_us);
}

void append_text_field(std::string& out, std::string_view name, std::string_view value) {
    if (!value.empty()) {
        out += ' ';
        out += name;
        out += '=';
        append_text(out, value);
    }
}

void append_json_field(std::string& out, std::string_view name, std::string_view value) {
    if (!value.empty()) {
        out += ",\"";
        out += name;
        out += "\":";
        append_json(out, value);
    }
}

// 2026-11-22T13:05:01.123456Z warning connection: message (conn=... vhost=... user=...)
std::string text_line(level l, const context& c, std::string_view message, bool journald) {
    auto out = std::string{};
    if (journald) {
        out += {'<', journald_priority(l), '>'};
    } else {
        append_time(out, system_clock_source{}.wall_now());
        out += ' ';
    }
    out += level_name(l);
    out += ' ';
    append_text(out, c.domain);
    out += ": ";
    append_text(out, message);
    append_text_field(out, "conn", c.conn);
    append_text_field(out, "vhost", c.vhost);
    append_text_field(out, "user", c.user);
    return out;
}

std::string json_line(level l, const context& c, std::string_view message) {
    auto out = std::string{"{\"time\":\""};
    append_time(out, system_clock_source{}.wall_now());
    out += "\",\"level\":\"";
    out += level_name(l);
    out += "\",\"msg\":";
    append_json(out, message);
    append_json_field(out, "domain", c.domain);
    fmt::format_to(std::back_inserter(out), ",\"pid\":{}", getpid());
    append_json_field(out, "conn", c.conn);
    append_json_field(out, "vhost", c.vhost);
    append_json_field(out, "user", c.user);
    out += '}';
    return out;
}

// ---- The process's one log ---------------------------------------------------------------------------

// spdlog's part: opening, writing whole lines, one lock. The lines are made above, since its patterns
// cannot escape.
struct sink_state {
    std::mutex mutex;  // guards what follows; innermost: nothing else is locked under it
    options current;
    spdlog::sink_ptr sink;
};

sink_state& state() {
    static sink_state the_state;
    return the_state;
}

std::atomic<level> threshold{level::info};

spdlog::sink_ptr open_sink(const options& o) {
    auto sink = spdlog::sink_ptr{};
    if (o.file.empty()) {
        sink = std::make_shared<spdlog::sinks::stderr_sink_st>();
    } else {
        sink = std::make_shared<spdlog::sinks::basic_file_sink_st>(o.file);
    }
    sink->set_formatter(std::make_unique<spdlog::pattern_formatter>("%v"));
    return sink;
}

// Opens before it closes: when that fails, the old sink goes on.
std::string replace_sink(const options& o) {
    try {
        auto sink = open_sink(o);
        auto& s = state();
        const auto lock = std::lock_guard{s.mutex};
        s.sink = std::move(sink);
        s.current = o;
    } catch (const spdlog::spdlog_ex& e) {
        return e.what();
    }
    threshold.store(o.threshold, std::memory_order_relaxed);
    return {};
}

}  // namespace

std::string configure(const options& o) { return replace_sink(o); }

std::string reopen() {
    auto current = options{};
    {
        auto& s = state();
        const auto lock = std::lock_guard{s.mutex};
        current = s.current;
    }
    return replace_sink(current);
}

bool journald_reads_stderr() {
    const char* stream = std::getenv("JOURNAL_STREAM");
    if (stream == nullptr) {
        return false;
    }
    // "device:inode": the variable is inherited by children whose stderr goes elsewhere.
    struct stat status {};
    return fstat(STDERR_FILENO, &status) == 0 && fmt::format("{}:{}", status.st_dev, status.st_ino) == stream;
}

// Relaxed suffices: the level alone is read, and a line more or less during a change harms nobody.
bool enabled(level l) noexcept { return l >= threshold.load(std::memory_order_relaxed) && l != level::off; }

void write(level l, const context& c, std::string_view message) {
    if (!enabled(l)) {
        return;
    }
    auto& s = state();
    const auto lock = std::lock_guard{s.mutex};
    if (!s.sink) {
        s.sink = open_sink(s.current);
    }
    const bool journald = s.current.journald && s.current.file.empty();
    const auto line = s.current.form == format::json ? json_line(l, c, message) : text_line(l, c, message, journald);
    try {
        s.sink->log(spdlog::details::log_msg{"", spdlog::level::info, line});
        s.sink->flush();
    } catch (const spdlog::spdlog_ex&) {
        // A full disk must not stop the broker; there is nowhere to say so.
    }
}

}  // namespace linnet::log
