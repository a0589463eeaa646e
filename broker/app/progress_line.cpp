#include "broker/app/progress_line.hpp"

#include <fmt/format.h>

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <string_view>

namespace linnet::app {

namespace {

constexpr std::string_view clear_line = "\r\033[K";

std::string_view name_of(store::backup_phase p) {
    switch (p) {
        case store::backup_phase::waiting: return "waiting for the broker";
        case store::backup_phase::copying: return "copying";
        case store::backup_phase::checking: return "checking";
    }
    return {};
}

double share(const store::backup_progress& p) {
    return p.total == 0 ? 1.0 : std::min(1.0, static_cast<double>(p.done) / static_cast<double>(p.total));
}

std::string time_text(double seconds) {
    const auto s = static_cast<std::uint64_t>(std::ceil(seconds));
    return s < 100 ? fmt::format("{} s", s) : fmt::format("{}:{:02}:{:02}", s / 3600, s / 60 % 60, s % 60);
}

std::size_t columns_of_terminal() {
    constexpr std::size_t usual = 80;
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : usual;
}

}  // namespace

std::string size_text(std::uint64_t bytes) {
    constexpr std::array<std::string_view, 5> units{"bytes", "KiB", "MiB", "GiB", "TiB"};
    auto value = static_cast<double>(bytes);
    std::size_t unit = 0;
    for (; value >= 1024 && unit + 1 < units.size(); ++unit) {
        value /= 1024;
    }
    return fmt::format("{:.{}f} {}", value, unit == 0 ? 0 : 1, units[unit]);
}

std::string progress_text(const store::backup_progress& p, double seconds) {
    if (p.phase == store::backup_phase::waiting) {
        return std::string(name_of(p.phase));
    }
    std::string text = fmt::format("{}  {:3.0f} %  {} of {}", name_of(p.phase), std::floor(share(p) * 100),
                                   size_text(p.done), size_text(p.total));
    // What the first moments show is no rate yet.
    if (seconds >= 0.5 && p.done != 0) {
        const double rate = static_cast<double>(p.done) / seconds;
        text += fmt::format("  {}/s  {} left", size_text(static_cast<std::uint64_t>(rate)),
                            time_text(static_cast<double>(p.total - std::min(p.done, p.total)) / rate));
    }
    return text;
}

std::string progress_bar(const store::backup_progress& p, double seconds, std::size_t columns) {
    constexpr std::size_t shortest = 10;
    constexpr std::size_t longest = 40;
    constexpr std::size_t frame = 4;  // "[", "]  "
    std::string text = progress_text(p, seconds);
    if (p.phase == store::backup_phase::waiting || text.size() + frame + shortest > columns) {
        return text.substr(0, columns);
    }
    const std::size_t cells = std::min(longest, columns - text.size() - frame);
    const auto full = static_cast<std::size_t>(share(p) * static_cast<double>(cells));
    return fmt::format("[{}{}]  {}", std::string(full, '#'), std::string(cells - full, '.'), text);
}

progress_line::showing progress_line::fitting() {
    const char* const terminal = std::getenv("TERM");
    const bool dumb = terminal == nullptr || std::string_view(terminal) == "dumb";
    return ::isatty(STDERR_FILENO) != 0 && !dumb ? showing::bar : showing::lines;
}

bool progress_line::due(const store::backup_progress& p) {
    using namespace std::chrono_literals;
    const auto now = clock::now();
    if (p.phase != phase_) {
        phase_ = p.phase;
        began_ = now;
        shown_ = now;
        return how_ == showing::bar;
    }
    if (now - shown_ < (how_ == showing::bar ? 100ms : 5000ms)) {
        return false;
    }
    shown_ = now;
    return true;
}

void progress_line::show(const store::backup_progress& p) {
    if (how_ == showing::nothing || !due(p)) {
        return;
    }
    const double seconds = std::chrono::duration<double>(clock::now() - began_).count();
    if (how_ == showing::lines) {
        fmt::print(stderr, "{}\n", progress_text(p, seconds));
        return;
    }
    // The last column stays free: some terminals wrap there.
    fmt::print(stderr, "{}{}", clear_line, progress_bar(p, seconds, columns_of_terminal() - 1));
    std::fflush(stderr);
    drawn_ = true;
}

void progress_line::end() {
    if (drawn_) {
        fmt::print(stderr, "{}", clear_line);
        drawn_ = false;
    }
}

}  // namespace linnet::app
