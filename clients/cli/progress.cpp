#include "clients/cli/progress.hpp"

#include "clients/cli/target.hpp"

#include <cstdio>
#include <unistd.h>

namespace linnet::cli {
namespace {

constexpr std::uint64_t bar_cells = 20;

std::string grouped(std::uint64_t number) {
    auto text = std::to_string(number);
    for (auto at = static_cast<std::ptrdiff_t>(text.size()) - 3; at > 0; at -= 3) {
        text.insert(static_cast<std::size_t>(at), ",");
    }
    return text;
}

}  // namespace

progress::progress(std::string verb, std::uint64_t total, bool quiet)
    : verb_{std::move(verb)}, total_{total}, drawing_{!quiet && is_lively(STDERR_FILENO)} {}

progress::~progress() {
    if (drawn_) {
        std::fputs("\r\x1b[K", stderr);
    }
}

void progress::show(std::uint64_t done) {
    const auto now = clock::now();
    if (!drawing_ || now - last_ < std::chrono::milliseconds{100}) {
        return;
    }
    last_ = now;
    drawn_ = true;
    const auto seconds = std::chrono::duration<double>(now - began_).count();
    fmt::print(stderr, "\r\x1b[K{}", line(verb_, done, total_, seconds));
    std::fflush(stderr);
}

std::string progress::line(const std::string& verb, std::uint64_t done, std::uint64_t total, double seconds) {
    const auto rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
    if (total == 0) {
        return fmt::format("{}  {}  {}/s", verb, grouped(done), grouped(static_cast<std::uint64_t>(rate)));
    }
    const auto full = std::min(done * bar_cells / total, bar_cells);
    const auto left = rate > 0 && total > done ? static_cast<double>(total - done) / rate : 0;
    return fmt::format("{}  [{}{}]  {} of {}  {} %  {}/s  {:.0f} s left", verb, std::string(full, '#'),
                       std::string(bar_cells - full, '-'), grouped(done), grouped(total),
                       std::min<std::uint64_t>(done * 100 / total, 100), grouped(static_cast<std::uint64_t>(rate)),
                       left);
}

}  // namespace linnet::cli
