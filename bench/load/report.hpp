// What a run found out; everything that is printed or written is made from this.
#pragma once

#include "bench/load/driver.hpp"
#include "bench/load/histogram.hpp"
#include "bench/load/meter.hpp"
#include "bench/load/options.hpp"
#include "bench/load/process_usage.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace linnet::load {

// One line of the live report.
struct interval {
    double at_seconds = 0;  // end of the interval, since the start
    double seconds = 0;
    bool warmup = false;
    counts in;
    std::shared_ptr<const histograms> times;

    [[nodiscard]] double sent_per_s() const noexcept { return static_cast<double>(in.sent) / seconds; }
    [[nodiscard]] double received_per_s() const noexcept { return static_cast<double>(in.received) / seconds; }
    [[nodiscard]] double confirmed_per_s() const noexcept { return static_cast<double>(in.confirmed) / seconds; }
};

struct broker_cost {
    double cpu_seconds = 0;        // in the measured time
    double cpu_s_per_million = 0;  // delivered messages; published ones where nobody consumes
    std::uint64_t rss_bytes = 0;   // at the end
    std::uint64_t rss_before_bytes = 0;
    std::uint64_t rss_idle_bytes = 0;  // before the first connection of the load
    std::uint64_t context_switches = 0;
};

struct report {
    std::string broker;        // what it calls itself
    double peak_per_s = 0;     // of the first run, for --rate P%
    double offered_per_s = 0;  // open loop: what the schedules ask for, by all producers
    std::vector<interval> intervals;
    // The measured time, without warm-up and drain.
    double seconds = 0;
    counts measured;
    // The whole run, with them.
    counts total;
    std::uint64_t never_arrived = 0;  // sent and not delivered within --drain; 0 without consumers
    sequence_faults faults;
    answer_counts answers;  // the whole run's
    histograms times;
    std::optional<broker_cost> cost;
    double generator_cpu_seconds = 0;
    double generator_utilisation = 0;  // of the busiest worker thread, 1 is all of it

    [[nodiscard]] double sent_per_s() const noexcept { return rate(measured.sent); }
    [[nodiscard]] double received_per_s() const noexcept { return rate(measured.received); }
    [[nodiscard]] double confirmed_per_s() const noexcept { return rate(measured.confirmed); }
    // Of the generator, for each message sent or received.
    [[nodiscard]] double generator_ns_per_message() const noexcept {
        const auto messages = static_cast<double>(measured.sent + measured.received);
        return messages > 0 ? generator_cpu_seconds * 1e9 / messages : 0;
    }
    [[nodiscard]] bool generator_is_bottleneck() const noexcept { return generator_utilisation > 0.9; }

private:
    [[nodiscard]] double rate(std::uint64_t count) const noexcept {
        return seconds > 0 ? static_cast<double>(count) / seconds : 0;
    }
};

// For conn and churn.
struct connection_report {
    std::string broker;
    std::uint64_t opened = 0;
    double seconds = 0;
    histogram open_times;
    std::uint64_t rss_before_bytes = 0;
    std::uint64_t rss_after_bytes = 0;
    std::uint64_t rss_held_bytes = 0;
    double broker_cpu_seconds = 0;
};

}  // namespace linnet::load
