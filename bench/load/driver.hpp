// What a protocol must offer to be driven by this generator.
//
// A driver sets the scene (queues, exchanges), then opens links. A link is one connection with its producers
// and consumers; a worker calls turn() whenever the socket or the clock gives it something to do. The loop over
// messages is inside the link, so a call through this interface is paid once a batch.
//
// The neutral parts that every link uses: producer_pace (how many now, with which intended time), meter
// (counts, latencies, sequences) and confirm_window.
//
// Threads:  driver: the main thread. link: opened by the main thread, then its worker's alone.
// Fails:    set-up answers with a sentence; a link that breaks while running says so in error().
#pragma once

#include "bench/load/meter.hpp"
#include "bench/load/outcome.hpp"
#include "bench/load/plan.hpp"

#include <atomic>
#include <limits>
#include <map>
#include <memory>
#include <string>

namespace linnet::load {

inline constexpr std::int64_t never = std::numeric_limits<std::int64_t>::max();
// When any consumer of the run has received something: for producers that --in-flight holds back.
inline constexpr std::int64_t when_delivered = never - 1;

// What the main thread tells all workers, and what workers tell one another.
struct run_state {
    // Constant after construction.
    unsigned copies = 1;  // as in the plan
    // Shared: written by the main thread.
    std::atomic<bool> publishing{true};
    std::atomic<bool> stopping{false};
    // Shared: deliveries expected and made; kept only for --in-flight.
    alignas(64) std::atomic<std::uint64_t> expected{0};
    alignas(64) std::atomic<std::uint64_t> delivered{0};
};

// How many answers of each status there were, of protocols that answer with one.
using answer_counts = std::map<unsigned, std::uint64_t>;

class link {
public:
    link() = default;
    link(const link&) = delete;
    link& operator=(const link&) = delete;
    virtual ~link() = default;

    [[nodiscard]] virtual int fd() const noexcept = 0;
    // Fixes the instant that all schedules count from. Once, before the first turn.
    virtual void begin(std::int64_t start_ns) = 0;
    // Epoll's event bits, edge-triggered.
    virtual void on_events(std::uint32_t events) noexcept = 0;
    // Reads, consumes, publishes and writes at most one batch. Answers when to be called next if the socket
    // says nothing before: 0 for at once, `when_delivered` or `never`.
    virtual std::int64_t turn() = 0;
    // Empty while all is well.
    [[nodiscard]] virtual const std::string& error() const noexcept = 0;
    // Whichever of -C and -D is set: all producers have sent (and had confirmed) theirs, all consumers got theirs.
    [[nodiscard]] virtual bool finished() const noexcept = 0;
    [[nodiscard]] virtual sequence_faults faults() const noexcept = 0;
    [[nodiscard]] virtual answer_counts answers() const { return {}; }
    // Says goodbye; the link is not used after that.
    virtual void close() noexcept = 0;
};

// What one worker shares among its links.
struct worker_context {
    meter& metering;
    run_state& state;
    std::vector<std::uint8_t>& read_buffer;
};

class driver {
public:
    driver() = default;
    driver(const driver&) = delete;
    driver& operator=(const driver&) = delete;
    virtual ~driver() = default;

    [[nodiscard]] virtual outcome<void> prepare(const plan& p) = 0;
    [[nodiscard]] virtual outcome<std::unique_ptr<link>> open(const plan& p, const connection_plan& which,
                                                              worker_context at) = 0;
    virtual void clean_up(const plan& p) noexcept = 0;
    // What the broker calls itself; known after prepare().
    [[nodiscard]] virtual const std::string& broker() const noexcept = 0;
};

}  // namespace linnet::load
