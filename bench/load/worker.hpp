// One generator thread: an epoll loop over the links that are dealt to it.
//
// Links say when they want to be called again; the loop sleeps until then or until a socket moves. Nothing is
// shared between workers but run_state.
//
// Threads:  start() and everything below it: the main thread. The links run on the worker's own.
// Owns:     its thread, its links, its meter.
// Fails:    a link's error ends the run: failed() turns true, error() tells (after join()).
#pragma once

#include "bench/load/driver.hpp"
#include "bench/load/options.hpp"

#include <condition_variable>
#include <mutex>
#include <thread>

namespace linnet::load {

class worker {
public:
    worker(const options& o, run_state& state, unsigned index);
    ~worker();
    worker(const worker&) = delete;
    worker& operator=(const worker&) = delete;

    [[nodiscard]] worker_context context() noexcept { return {meter_, state_, read_buffer_}; }
    void add(std::unique_ptr<link> each) { links_.push_back(std::move(each)); }

    void start(std::int64_t start_ns);
    void join();

    // Asks the worker to hand over its histograms, and waits for them.
    [[nodiscard]] std::unique_ptr<histograms> sample();
    [[nodiscard]] counts totals() const noexcept { return meter_.totals(); }
    [[nodiscard]] bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }
    [[nodiscard]] bool finished() const noexcept { return finished_.load(std::memory_order_relaxed); }
    // CPU time of the thread, less what it spent polling in vain.
    [[nodiscard]] double busy_seconds() const noexcept;

    // After join().
    [[nodiscard]] const std::string& error() const noexcept { return error_; }
    [[nodiscard]] sequence_faults faults() const noexcept;
    [[nodiscard]] answer_counts answers() const;
    [[nodiscard]] std::unique_ptr<histograms> rest() { return meter_.take_histograms(); }

private:
    void run(std::int64_t start_ns);
    void register_links();
    void wait(std::int64_t now_ns);
    bool turn_links(std::int64_t now_ns);
    void wake_held_back();
    void serve_sample();
    void look_whether_finished(std::int64_t now_ns);
    void pin_thread() noexcept;

    // Constant after construction.
    const options& options_;
    run_state& state_;
    const unsigned index_;

    // Worker only, once started.
    meter meter_;
    std::vector<std::uint8_t> read_buffer_;
    std::vector<std::unique_ptr<link>> links_;
    std::vector<std::int64_t> wake_ns_;  // by link
    int epoll_ = -1;
    std::int64_t next_finished_check_ns_ = 0;
    std::uint64_t delivered_before_ = 0;
    std::string error_;

    // Shared.
    std::atomic<bool> failed_{false};
    std::atomic<bool> finished_{false};
    std::atomic<bool> sample_wanted_{false};
    std::atomic<std::int64_t> idle_ns_{0};
    std::mutex sample_lock_;
    std::condition_variable sample_ready_;
    std::unique_ptr<histograms> sample_;

    std::thread thread_;
    clockid_t cpu_clock_{};
    bool started_ = false;
};

}  // namespace linnet::load
