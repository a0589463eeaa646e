// What a worker counts while it publishes and consumes; protocol-neutral, and called for every message.
//
// Threads:  the worker's own, but for `totals`, which anyone may read at any time.
#pragma once

#include "bench/load/histogram.hpp"
#include "bench/load/sequence_check.hpp"
#include "bench/load/stamp.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <ctime>
#include <memory>
#include <unordered_map>
#include <utility>
#include <vector>

namespace linnet::load {

// The clock that payloads carry. Monotonic unless two machines must agree on it (--use-millis).
class stamp_clock {
public:
    explicit stamp_clock(bool wall_millis = false) noexcept : wall_millis_{wall_millis} {}

    [[nodiscard]] std::int64_t now_ns() const noexcept {
        timespec t{};
        ::clock_gettime(wall_millis_ ? CLOCK_REALTIME : CLOCK_MONOTONIC, &t);
        return std::int64_t{t.tv_sec} * 1'000'000'000 + t.tv_nsec;
    }
    [[nodiscard]] std::int64_t to_wire(std::int64_t ns) const noexcept { return wall_millis_ ? ns / 1'000'000 : ns; }
    [[nodiscard]] std::int64_t from_wire(std::int64_t time) const noexcept {
        return wall_millis_ ? time * 1'000'000 : time;
    }

private:
    bool wall_millis_;
};

struct counts {
    std::uint64_t sent = 0;
    std::uint64_t received = 0;
    std::uint64_t confirmed = 0;
    std::uint64_t nacked = 0;
    std::uint64_t returned = 0;
    std::uint64_t redelivered = 0;

    counts& operator+=(const counts& other) noexcept;
    [[nodiscard]] counts operator-(const counts& other) const noexcept;
};

struct histograms {
    histogram latency;  // intended send time to receipt
    histogram confirm;  // intended send time to confirm

    void add(const histograms& other) noexcept {
        latency.add(other.latency);
        confirm.add(other.confirm);
    }
};

// The sequences that one consumer sees, by stream.
class stream_watch {
public:
    void saw(std::uint32_t stream, std::uint32_t sequence) {
        if (last_ == nullptr || stream != last_stream_) [[unlikely]] {
            last_ = &checks_[stream];
            last_stream_ = stream;
        }
        last_->saw(sequence);
    }
    [[nodiscard]] sequence_faults faults(bool competing) const noexcept {
        sequence_faults sum;
        for (const auto& [stream, check] : checks_)
            sum += check.faults();
        // What one of several consumers misses, another one has.
        if (competing)
            sum.missing = 0;
        return sum;
    }

private:
    std::unordered_map<std::uint32_t, sequence_check> checks_;
    sequence_check* last_ = nullptr;  // nodes stay where they are
    std::uint32_t last_stream_ = 0;
};

class meter {
public:
    explicit meter(stamp_clock time) : clock{time}, current_{std::make_unique<histograms>()} {}

    // A message arrived; `head` holds its first min(size, stamp_bytes) bytes.
    void received(stream_watch& watch, const std::uint8_t* head, std::size_t size, std::int64_t now_ns) {
        ++now.received;
        if (size >= stamp_time_bytes)
            saw(watch, read_stamp(head, size), now_ns);
    }
    // Likewise, where the stamp has been read already, if there is one.
    void received(stream_watch& watch, const std::optional<stamp>& s, std::int64_t now_ns) {
        ++now.received;
        if (s)
            saw(watch, *s, now_ns);
    }

    void confirmed(std::int64_t intended_ns, std::int64_t now_ns) noexcept {
        ++now.confirmed;
        current_->confirm.record(positive(now_ns - intended_ns));
    }

    // Makes the counts visible to the reporter.
    void publish_totals() noexcept;
    [[nodiscard]] counts totals() const noexcept;

    // Hands over what was recorded since the last call.
    [[nodiscard]] std::unique_ptr<histograms> take_histograms() {
        flush_run();
        return std::exchange(current_, std::make_unique<histograms>());
    }

    const stamp_clock clock;
    counts now;

private:
    void saw(stream_watch& watch, const stamp& s, std::int64_t now_ns) {
        watch.saw(s.stream, s.sequence);
        // Messages that left together come back together: one histogram update for each run of alike stamps.
        if (s.time_ns != run_time_ || now_ns != run_now_) {
            flush_run();
            run_time_ = s.time_ns;
            run_now_ = now_ns;
        }
        ++run_length_;
    }

    static std::uint64_t positive(std::int64_t ns) noexcept { return ns > 0 ? static_cast<std::uint64_t>(ns) : 0; }

    void flush_run() noexcept {
        if (run_length_ == 0)
            return;
        current_->latency.record(positive(run_now_ - clock.from_wire(run_time_)), run_length_);
        run_length_ = 0;
    }

    std::unique_ptr<histograms> current_;
    std::int64_t run_time_ = 0;
    std::int64_t run_now_ = 0;
    std::uint64_t run_length_ = 0;
    // Shared: written by the worker, read by the reporter. Relaxed: each is a statistic by itself.
    alignas(64) std::array<std::atomic<std::uint64_t>, 6> totals_{};
};

}  // namespace linnet::load
