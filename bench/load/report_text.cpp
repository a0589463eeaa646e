#include "bench/load/report_text.hpp"

#include "bench/load/format.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

namespace linnet::load {
namespace {

double us(std::uint64_t ns) { return static_cast<double>(ns) / 1e3; }

std::string short_percentiles(const histogram& h) {
    return fmt::format("{:.0f}/{:.0f}/{:.0f}/{:.0f}/{:.0f} us", us(h.percentile(50)), us(h.percentile(75)),
                       us(h.percentile(95)), us(h.percentile(99)), us(h.max()));
}

std::string percentile_line(const char* name, const histogram& h) {
    return fmt::format("  {:<9} min {}, avg {}, p50 {}, p75 {}, p95 {}, p99 {}, p99.9 {}, max {}, stddev {}\n", name,
                       human_ns(h.min()), human_ns(static_cast<std::uint64_t>(h.mean())), human_ns(h.percentile(50)),
                       human_ns(h.percentile(75)), human_ns(h.percentile(95)), human_ns(h.percentile(99)),
                       human_ns(h.percentile(99.9)), human_ns(h.max()),
                       human_ns(static_cast<std::uint64_t>(h.stddev())));
}

struct spread {
    double min = 0;
    double mean = 0;
    double max = 0;
};

// Over the whole intervals of the measured time; the last one may be a stump.
spread spread_of(const report& r, double (interval::*rate)() const noexcept) {
    spread s;
    double count = 0;
    for (const interval& each : r.intervals) {
        if (each.warmup)
            continue;
        const double value = (each.*rate)();
        s.min = count == 0 ? value : std::min(s.min, value);
        s.max = std::max(s.max, value);
        s.mean += value;
        ++count;
    }
    s.mean = count == 0 ? 0 : s.mean / count;
    return s;
}

std::string rate_line(const char* name, double all, const spread& s, std::uint64_t count) {
    return fmt::format("  {:<9} {:>12}/s   intervals: min {}, max {};  {} messages\n", name, grouped(all),
                       grouped(s.min), grouped(s.max), grouped(static_cast<double>(count)));
}

std::string broker_lines(const report& r) {
    if (!r.cost)
        return {};
    const broker_cost& c = *r.cost;
    return fmt::format(
        "  broker    {:.3f} CPU s a million messages ({:.2f} CPU s in {:.2f} s, {:.0f} %), RSS {} (was {}, idle "
        "{}), {} context switches\n",
        c.cpu_s_per_million, c.cpu_seconds, r.seconds, 100 * c.cpu_seconds / std::max(r.seconds, 1e-9),
        human_bytes(c.rss_bytes), human_bytes(c.rss_before_bytes), human_bytes(c.rss_idle_bytes),
        grouped(static_cast<double>(c.context_switches)));
}

std::string trouble_lines(const report& r) {
    std::string out;
    const counts& t = r.total;
    if (r.faults.any() || r.never_arrived != 0) {
        out += fmt::format("  ORDER     {} missing, {} duplicates, {} out of order, {} never arrived\n",
                           r.faults.missing, r.faults.duplicates, r.faults.out_of_order, r.never_arrived);
    }
    if ((t.nacked | t.returned | t.redelivered) != 0) {
        out += fmt::format("  refused   {} nacked, {} returned, {} redelivered\n", t.nacked, t.returned, t.redelivered);
    }
    if (!r.answers.empty()) {
        const char* comma = "  answers  ";
        for (const auto& [status, count] : r.answers)
            out += fmt::format("{} {}: {}", std::exchange(comma, ","), status, grouped(static_cast<double>(count)));
        out += '\n';
    }
    if (r.generator_is_bottleneck()) {
        out += fmt::format(
            "  WARNING   the generator is the bottleneck: its thread was {:.0f} % busy; the broker can do "
            "more than this shows\n",
            100 * r.generator_utilisation);
    }
    return out;
}

}  // namespace

std::string interval_line(const options& o, const interval& each) {
    std::string out = fmt::format("{}time {:.1f} s", each.warmup ? "warm-up, " : "", each.at_seconds);
    if (o.producers != 0)
        out += fmt::format(", sent {}/s", grouped(each.sent_per_s()));
    if (o.consumers != 0)
        out += fmt::format(", received {}/s", grouped(each.received_per_s()));
    if (o.confirm_window != 0)
        out += fmt::format(", confirmed {}/s", grouped(each.confirmed_per_s()));
    if (!each.times->latency.empty()) {
        out += fmt::format(", p50/p75/p95/p99/max consumer {}", short_percentiles(each.times->latency));
    }
    if (!each.times->confirm.empty())
        out += fmt::format(", confirm {}", short_percentiles(each.times->confirm));
    return out + '\n';
}

std::string summary(const options& o, const report& r) {
    std::string out = fmt::format("\n{} against {}: {} B, {} producers, {} consumers, {:.1f} s\n",
                                  o.name.empty() ? "run" : o.name, r.broker, o.size, o.producers, o.consumers,
                                  r.seconds);
    if (r.peak_per_s > 0)
        out += fmt::format("  peak      {:>12}/s   measured first, closed loop\n", grouped(r.peak_per_s));
    if (r.offered_per_s > 0)
        out += fmt::format("  offered   {:>12}/s\n", grouped(r.offered_per_s));
    if (o.producers != 0) {
        out += rate_line("sent", r.sent_per_s(), spread_of(r, &interval::sent_per_s), r.measured.sent);
    }
    if (o.consumers != 0) {
        out += rate_line("received", r.received_per_s(), spread_of(r, &interval::received_per_s), r.measured.received);
    }
    if (o.confirm_window != 0) {
        out += rate_line("confirmed", r.confirmed_per_s(), spread_of(r, &interval::confirmed_per_s),
                         r.measured.confirmed);
    }
    if (!r.times.latency.empty())
        out += percentile_line("latency", r.times.latency);
    if (!r.times.confirm.empty())
        out += percentile_line("confirm", r.times.confirm);
    out += broker_lines(r);
    out += fmt::format("  generator {:.0f} ns a message sent or received, busiest thread {:.0f} %\n",
                       r.generator_ns_per_message(), 100 * r.generator_utilisation);
    return out + trouble_lines(r);
}

std::string summary(const options& o, const connection_report& r) {
    const auto opened = static_cast<double>(r.opened);
    std::string out = fmt::format("\n{} against {}: {} opened in {:.2f} s, {}/s\n", o.name, r.broker, grouped(opened),
                                  r.seconds, grouped(r.seconds > 0 ? opened / r.seconds : 0));
    out += percentile_line("open", r.open_times);
    if (o.broker_pid == 0)
        return out;
    const auto growth = [&](std::uint64_t rss) {
        return opened > 0 ? (static_cast<double>(rss) - static_cast<double>(r.rss_before_bytes)) / opened / 1e3 : 0;
    };
    out += fmt::format("  broker    {:.3f} CPU ms each, RSS {} -> {}",
                       r.broker_cpu_seconds * 1e3 / std::max(opened, 1.0), human_bytes(r.rss_before_bytes),
                       human_bytes(r.rss_after_bytes));
    if (o.what == scenario::conn) {
        out += fmt::format(": {:.2f} KB a connection; after {:.0f} s idle {}: {:.2f} KB a connection",
                           growth(r.rss_after_bytes), o.seconds, human_bytes(r.rss_held_bytes),
                           growth(r.rss_held_bytes));
    }
    return out + '\n';
}

}  // namespace linnet::load
