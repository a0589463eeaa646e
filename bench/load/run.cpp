#include "bench/load/run.hpp"

#include "bench/load/worker.hpp"

#include <algorithm>
#include <chrono>
#include <deque>
#include <thread>

namespace linnet::load {
namespace {

using steady = std::chrono::steady_clock;

constexpr auto poll = std::chrono::milliseconds{5};
constexpr auto drained_after = std::chrono::milliseconds{500};
constexpr auto surplus_wait = std::chrono::milliseconds{30};

double seconds_between(steady::time_point from, steady::time_point to) {
    return std::chrono::duration<double>(to - from).count();
}

// The state of everything at one moment.
struct mark {
    steady::time_point at;
    counts total;
    std::optional<process_usage> broker;
    std::vector<double> busy_seconds;
};

class running {
public:
    running(const options& o, driver& with) : options_{o}, driver_{with}, plan_{make_plan(o)} {
        state_.copies = std::max(plan_.copies, 1U);
    }

    outcome<report> go(const on_interval& tell) {
        result_.offered_per_s = offered_per_s();
        auto done = driver_.prepare(plan_).and_then([&] {
            if (options_.broker_pid != 0)
                idle_ = read_usage(options_.broker_pid);
            return open_links();
        });
        if (!done)
            return tl::unexpected{done.error()};
        result_.broker = driver_.broker();
        start();
        measure(tell);
        drain();
        stop();
        driver_.clean_up(plan_);
        if (!error_.empty())
            return failure("{}", error_);
        return std::move(result_);
    }

private:
    double offered_per_s() const {
        return options_.rate.is == rate_option::unit::per_second ? options_.rate.value * options_.producers : 0;
    }

    outcome<void> open_links() {
        for (unsigned i = 0; i < options_.threads; ++i)
            workers_.emplace_back(options_, state_, i);
        unsigned next = 0;
        for (const connection_plan& each : plan_.connections) {
            worker& at = workers_[next++ % workers_.size()];
            auto opened = driver_.open(plan_, each, at.context());
            if (!opened)
                return tl::unexpected{opened.error()};
            at.add(std::move(*opened));
        }
        return {};
    }

    void start() {
        const std::int64_t start_ns = stamp_clock{options_.use_millis}.now_ns();
        started_ = steady::now();
        for (worker& each : workers_)
            each.start(start_ns);
        last_ = first_ = take_mark();
    }

    counts totals() const {
        counts sum;
        for (const worker& each : workers_)
            sum += each.totals();
        return sum;
    }

    mark take_mark() const {
        mark m{steady::now(), totals(), {}, {}};
        if (options_.broker_pid != 0)
            m.broker = read_usage(options_.broker_pid);
        for (const worker& each : workers_)
            m.busy_seconds.push_back(each.busy_seconds());
        return m;
    }

    bool failed() const {
        return std::any_of(workers_.begin(), workers_.end(), [](const worker& w) { return w.failed(); });
    }

    bool over() const {
        return failed() || std::all_of(workers_.begin(), workers_.end(), [](const worker& w) { return w.finished(); });
    }

    // False if the run ended before.
    bool sleep_until(steady::time_point when) const {
        while (steady::now() < when) {
            if (over())
                return false;
            std::this_thread::sleep_until(std::min(when, steady::now() + poll));
        }
        return !over();
    }

    std::shared_ptr<histograms> sample() {
        auto sum = std::make_shared<histograms>();
        for (worker& each : workers_)
            sum->add(*each.sample());
        return sum;
    }

    steady::time_point after(double seconds) const {
        return started_ + std::chrono::duration_cast<steady::duration>(std::chrono::duration<double>(seconds));
    }

    void measure(const on_interval& tell) {
        const double warmup_end = options_.warmup_seconds;
        const double end = options_.warmup_seconds + options_.seconds;
        double next = 0;
        bool going = true;
        while (going && next < end - 1e-9) {
            const bool warmup = next < warmup_end - 1e-9;
            next = std::min(next + options_.interval_seconds, warmup ? warmup_end : end);
            going = sleep_until(after(next));
            finish_interval(warmup, tell);
        }
        finish_measured_time();
    }

    void finish_interval(bool warmup, const on_interval& tell) {
        const mark now = take_mark();
        interval each;
        each.at_seconds = seconds_between(started_, now.at);
        each.seconds = std::max(seconds_between(last_.at, now.at), 1e-9);
        each.warmup = warmup;
        each.in = now.total - last_.total;
        each.times = sample();
        last_ = now;
        if (warmup) {
            first_ = now;
        } else {
            result_.times.add(*each.times);
        }
        if (tell)
            tell(each);
        result_.intervals.push_back(std::move(each));
    }

    void finish_measured_time() {
        result_.seconds = seconds_between(first_.at, last_.at);
        result_.measured = last_.total - first_.total;
        for (std::size_t i = 0; i < workers_.size(); ++i) {
            const double busy = std::max(last_.busy_seconds[i] - first_.busy_seconds[i], 0.0);
            result_.generator_cpu_seconds += busy;
            result_.generator_utilisation = std::max(result_.generator_utilisation,
                                                     result_.seconds > 0 ? busy / result_.seconds : 0);
        }
        if (!first_.broker || !last_.broker)
            return;
        broker_cost cost;
        cost.cpu_seconds = last_.broker->cpu_seconds - first_.broker->cpu_seconds;
        const counts& c = result_.measured;
        const auto messages = static_cast<double>(options_.consumers != 0 ? c.received : c.sent);
        cost.cpu_s_per_million = messages > 0 ? cost.cpu_seconds * 1e6 / messages : 0;
        cost.rss_bytes = last_.broker->rss_bytes;
        cost.rss_before_bytes = first_.broker->rss_bytes;
        cost.rss_idle_bytes = idle_ ? idle_->rss_bytes : 0;
        cost.context_switches = last_.broker->context_switches - first_.broker->context_switches;
        result_.cost = cost;
    }

    std::uint64_t expected_deliveries() const { return totals().sent * plan_.copies; }

    // Waits until everything has arrived, or nothing has for a while.
    void drain() {
        state_.publishing.store(false, std::memory_order_relaxed);
        const auto deadline = steady::now() + std::chrono::duration<double>(options_.drain_seconds);
        auto quiet_since = steady::now();
        counts before = totals();
        while (steady::now() < deadline && steady::now() - quiet_since < drained_after && !failed()) {
            std::this_thread::sleep_for(poll);
            const counts now = totals();
            if (now.received != before.received || now.confirmed != before.confirmed)
                quiet_since = steady::now();
            before = now;
            const bool confirmed = options_.confirm_window == 0 || now.confirmed + now.nacked >= now.sent;
            const bool received = options_.consumers == 0 || now.received >= now.sent * plan_.copies;
            // A little longer: what comes beyond the expected number is a finding, too.
            if (confirmed && received && steady::now() - quiet_since > surplus_wait)
                break;
        }
    }

    void stop() {
        state_.stopping.store(true, std::memory_order_relaxed);
        for (worker& each : workers_) {
            each.join();
            result_.times.add(*each.rest());
            result_.faults += each.faults();
            for (const auto& [status, count] : each.answers())
                result_.answers[status] += count;
            if (!each.error().empty())
                error_ = each.error();
        }
        result_.total = totals();
        const std::uint64_t expected = options_.consumers != 0 ? expected_deliveries() : 0;
        result_.never_arrived = expected - std::min(expected, result_.total.received);
    }

    const options& options_;
    driver& driver_;
    const plan plan_;
    run_state state_;
    std::deque<worker> workers_;
    steady::time_point started_;
    std::optional<process_usage> idle_;
    mark first_;  // of the measured time
    mark last_;
    report result_;
    std::string error_;
};

}  // namespace

outcome<report> run_load(const options& o, driver& with, const on_interval& tell) { return running{o, with}.go(tell); }

}  // namespace linnet::load
