#pragma once

#include "broker/store/backup.hpp"

#include <chrono>
#include <cstddef>
#include <string>

namespace linnet::app {

// How far something long has come, for people: "copying  45 %  1.2 of 2.7 GiB  312.0 MiB/s  5 s left".
[[nodiscard]] std::string progress_text(const store::backup_progress& p, double seconds);
// The same with a bar before it that fills so many columns; no bar where it would be too short.
[[nodiscard]] std::string progress_bar(const store::backup_progress& p, double seconds, std::size_t columns);
// "1.2 GiB".
[[nodiscard]] std::string size_text(std::uint64_t bytes);

// Shows it on stderr: a bar that is drawn anew on a terminal, else a line every few seconds.
class progress_line {
public:
    enum class showing : std::uint8_t { nothing, lines, bar };
    explicit progress_line(showing how) : how_(how) {}
    // What suits this process's stderr.
    [[nodiscard]] static showing fitting();

    void show(const store::backup_progress& p);
    // The bar goes.
    void end();

private:
    using clock = std::chrono::steady_clock;
    [[nodiscard]] bool due(const store::backup_progress& p);

    const showing how_;
    store::backup_phase phase_ = store::backup_phase::waiting;
    clock::time_point began_ = clock::now();  // the phase
    clock::time_point shown_ = clock::now();
    bool drawn_ = false;
};

}  // namespace linnet::app
