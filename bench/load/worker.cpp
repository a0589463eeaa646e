#include "bench/load/worker.hpp"

#include <algorithm>
#include <array>
#include <csignal>
#include <pthread.h>
#include <sched.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <unistd.h>

namespace linnet::load {
namespace {

constexpr std::size_t read_buffer_bytes = 512 * 1024;
// How long the main thread may have to wait for an answer from a sleeping worker.
constexpr std::int64_t sleep_max_ns = 5'000'000;
// Deliveries to another worker wake nobody here; a producer that waits for them looks by itself.
constexpr std::int64_t delivered_check_ns = 100'000;
constexpr std::int64_t finished_check_ns = 1'000'000;

}  // namespace

worker::worker(const options& o, run_state& state, unsigned index)
    : options_{o},
      state_{state},
      index_{index},
      meter_{stamp_clock{o.use_millis}},
      read_buffer_(read_buffer_bytes),
      epoll_{::epoll_create1(EPOLL_CLOEXEC)} {}

worker::~worker() {
    state_.stopping.store(true, std::memory_order_relaxed);
    join();
    ::close(epoll_);
}

void worker::start(std::int64_t start_ns) {
    thread_ = std::thread{[this, start_ns] { run(start_ns); }};
    started_ = ::pthread_getcpuclockid(thread_.native_handle(), &cpu_clock_) == 0;
}

void worker::join() {
    if (thread_.joinable())
        thread_.join();
    started_ = false;
}

void worker::pin_thread() noexcept {
    if (options_.pin.empty())
        return;
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET(options_.pin[index_ % options_.pin.size()], &set);
    ::sched_setaffinity(0, sizeof set, &set);
}

void worker::register_links() {
    wake_ns_.assign(links_.size(), 0);
    for (std::size_t i = 0; i < links_.size(); ++i) {
        epoll_event event{};
        event.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET;
        event.data.u64 = i;
        ::epoll_ctl(epoll_, EPOLL_CTL_ADD, links_[i]->fd(), &event);
    }
}

void worker::run(std::int64_t start_ns) {
    pin_thread();
    // The default slack of 50 us would show in every scheduled send.
    ::prctl(PR_SET_TIMERSLACK, 1UL, 0UL, 0UL, 0UL);
    register_links();
    for (auto& each : links_)
        each->begin(start_ns);
    const stamp_clock& clock = meter_.clock;
    std::int64_t now = clock.now_ns();
    while (!state_.stopping.load(std::memory_order_relaxed) && !failed()) {
        wait(now);
        const std::int64_t woken = clock.now_ns();
        const bool busy = turn_links(woken);
        meter_.publish_totals();
        if (options_.in_flight != 0)
            wake_held_back();
        look_whether_finished(woken);
        if (sample_wanted_.load(std::memory_order_acquire))
            serve_sample();
        if (!busy && options_.busy_poll) {
            const std::int64_t idle = idle_ns_.load(std::memory_order_relaxed) + woken - now;
            idle_ns_.store(idle, std::memory_order_relaxed);
        }
        now = busy ? clock.now_ns() : woken;
    }
    for (auto& each : links_)
        each->close();
    if (sample_wanted_.load(std::memory_order_acquire))
        serve_sample();
}

void worker::wait(std::int64_t now_ns) {
    std::int64_t next = now_ns + sleep_max_ns;
    for (std::int64_t wake : wake_ns_) {
        next = std::min(next, wake == when_delivered && options_.threads > 1 ? now_ns + delivered_check_ns : wake);
    }
    const std::int64_t sleep = options_.busy_poll ? 0 : std::max<std::int64_t>(next - now_ns, 0);
    const timespec timeout{sleep / 1'000'000'000, sleep % 1'000'000'000};
    std::array<epoll_event, 256> events;
    const int n = ::epoll_pwait2(epoll_, events.data(), events.size(), &timeout, nullptr);
    for (int i = 0; i < n; ++i) {
        const auto which = static_cast<std::size_t>(events[static_cast<std::size_t>(i)].data.u64);
        links_[which]->on_events(events[static_cast<std::size_t>(i)].events);
        wake_ns_[which] = 0;
    }
}

bool worker::turn_links(std::int64_t now_ns) {
    bool any = false;
    for (std::size_t i = 0; i < links_.size(); ++i) {
        if (wake_ns_[i] > now_ns)
            continue;
        any = true;
        wake_ns_[i] = links_[i]->turn();
        if (!links_[i]->error().empty()) {
            error_ = links_[i]->error();
            failed_.store(true, std::memory_order_release);
            return true;
        }
    }
    return any;
}

void worker::wake_held_back() {
    const std::uint64_t delivered = state_.delivered.load(std::memory_order_relaxed);
    if (delivered == delivered_before_)
        return;
    delivered_before_ = delivered;
    std::replace(wake_ns_.begin(), wake_ns_.end(), when_delivered, std::int64_t{0});
}

void worker::look_whether_finished(std::int64_t now_ns) {
    if ((options_.producer_messages | options_.consumer_messages) == 0 || now_ns < next_finished_check_ns_)
        return;
    next_finished_check_ns_ = now_ns + finished_check_ns;
    finished_.store(std::all_of(links_.begin(), links_.end(), [](const auto& each) { return each->finished(); }),
                    std::memory_order_relaxed);
}

void worker::serve_sample() {
    const std::lock_guard hold{sample_lock_};
    sample_ = meter_.take_histograms();
    sample_wanted_.store(false, std::memory_order_relaxed);
    sample_ready_.notify_one();
}

std::unique_ptr<histograms> worker::sample() {
    std::unique_lock hold{sample_lock_};
    sample_.reset();
    sample_wanted_.store(true, std::memory_order_release);
    // A worker that has failed is gone; its last words are in rest().
    while (sample_ == nullptr && !failed())
        sample_ready_.wait_for(hold, std::chrono::milliseconds{100});
    return sample_ != nullptr ? std::move(sample_) : std::make_unique<histograms>();
}

double worker::busy_seconds() const noexcept {
    timespec t{};
    if (!started_ || ::clock_gettime(cpu_clock_, &t) != 0)
        return 0;
    const double idle = static_cast<double>(idle_ns_.load(std::memory_order_relaxed)) / 1e9;
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_nsec) / 1e9 - idle;
}

sequence_faults worker::faults() const noexcept {
    sequence_faults sum;
    for (const auto& each : links_)
        sum += each->faults();
    return sum;
}

answer_counts worker::answers() const {
    answer_counts sum;
    for (const auto& each : links_) {
        for (const auto& [status, count] : each->answers())
            sum[status] += count;
    }
    return sum;
}

}  // namespace linnet::load
