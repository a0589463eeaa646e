#include "bench/load/report_files.hpp"

#include "bench/load/format.hpp"
#include "bench/load/option_table.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <sys/utsname.h>
#include <thread>
#include <utility>

namespace linnet::load {
namespace {

std::string cpu_model() {
    std::ifstream cpus{"/proc/cpuinfo"};
    for (std::string line; std::getline(cpus, line);) {
        if (line.starts_with("model name"))
            return line.substr(std::min(line.find(':') + 2, line.size()));
    }
    return "unknown";
}

std::string machine_json() {
    utsname host{};
    ::uname(&host);
    return fmt::format(R"({{"cpu": {}, "cpus": {}, "kernel": {}}})", json_text(cpu_model()),
                       std::thread::hardware_concurrency(), json_text(host.release));
}

std::string settings_json(const options& o) {
    return fmt::format(
        R"({{"scenario": {}, "producers": {}, "consumers": {}, "size": {}, "rate": {}, "confirm": {}, "prefetch": {}, )"
        R"("autoack": {}, "multi_ack": {}, "persistent": {}, "queues": {}, "exchange_type": {}, "bindings": {}, )"
        R"("keys": {}, "connections": {}, "seconds": {}, "warmup": {}, "threads": {}, "seed": {}}})",
        json_text(std::string{name_of(o.what)}), o.producers, o.consumers, o.size, o.rate.value, o.confirm_window,
        o.prefetch, o.auto_ack, o.multi_ack, o.persistent, o.queue_count(), json_text(o.exchange_type), o.bindings,
        o.keys, o.connections, o.seconds, o.warmup_seconds, o.threads, o.seed);
}

// Times in nanoseconds; "counts" has the upper end of each bucket that is not empty.
std::string histogram_json(const histogram& h, bool with_counts) {
    std::string out = fmt::format(
        R"({{"count": {}, "min": {}, "avg": {:.0f}, "stddev": {:.0f}, "p50": {}, "p75": {}, "p95": {}, )"
        R"("p99": {}, "p99.9": {}, "max": {})",
        h.count(), h.min(), h.mean(), h.stddev(), h.percentile(50), h.percentile(75), h.percentile(95),
        h.percentile(99), h.percentile(99.9), h.max());
    if (with_counts) {
        out += R"(, "counts": [)";
        const char* comma = "";
        h.for_each([&](std::uint64_t highest, std::uint64_t count) {
            out += fmt::format("{}[{}, {}]", std::exchange(comma, ", "), highest, count);
        });
        out += ']';
    }
    return out + '}';
}

std::string interval_json(const interval& each) {
    return fmt::format(
        R"({{"at": {:.3f}, "seconds": {:.3f}, "warmup": {}, "sent_per_s": {:.1f}, "received_per_s": {:.1f}, )"
        R"("confirmed_per_s": {:.1f}, "latency_ns": {}, "confirm_ns": {}}})",
        each.at_seconds, each.seconds, each.warmup, each.sent_per_s(), each.received_per_s(), each.confirmed_per_s(),
        histogram_json(each.times->latency, false), histogram_json(each.times->confirm, false));
}

std::string cost_json(const report& r) {
    if (!r.cost)
        return "null";
    return fmt::format(
        R"({{"cpu_seconds": {:.3f}, "cpu_s_per_million": {:.4f}, "rss_bytes": {}, "rss_before_bytes": {}, )"
        R"("rss_idle_bytes": {}, "context_switches": {}}})",
        r.cost->cpu_seconds, r.cost->cpu_s_per_million, r.cost->rss_bytes, r.cost->rss_before_bytes,
        r.cost->rss_idle_bytes, r.cost->context_switches);
}

std::string answers_json(const answer_counts& answers) {
    std::string out = "{";
    const char* comma = "";
    for (const auto& [status, count] : answers)
        out += fmt::format("{}\"{}\": {}", std::exchange(comma, ", "), status, count);
    return out + '}';
}

// ---- SVG -------------------------------------------------------------------------------------

constexpr double chart_width = 380;
constexpr double chart_height = 240;

// One chart's frame and the mapping from its values to the page.
struct chart {
    double left;
    double x_min, x_max;
    double y_min, y_max;
    bool y_log;

    double x(double value) const { return left + (value - x_min) / (x_max - x_min) * chart_width; }
    double y(double value) const {
        const double share = y_log ? std::log10(value / y_min) / std::log10(y_max / y_min)
                                   : (value - y_min) / (y_max - y_min);
        return 60 + (1 - share) * chart_height;
    }
    std::string frame(const std::string& title) const {
        return fmt::format("<rect x='{0}' y='60' width='{1}' height='{2}' class='frame'/>"
                           "<text x='{0}' y='50' class='title'>{3}</text>\n",
                           left, chart_width, chart_height, xml_text(title));
    }
    std::string x_tick(double value, const std::string& label) const {
        return fmt::format("<path d='M{0:.1f} 60V{1}' class='grid'/><text x='{0:.1f}' y='{2}' text-anchor='middle'>{3}"
                           "</text>\n",
                           x(value), 60 + chart_height, 60 + chart_height + 16, xml_text(label));
    }
    std::string y_tick(double value, const std::string& label) const {
        return fmt::format("<path d='M{0} {1:.1f}h{2}' class='grid'/><text x='{3}' y='{4:.1f}' text-anchor='end'>{5}"
                           "</text>\n",
                           left, y(value), chart_width, left - 6, y(value) + 4, xml_text(label));
    }
};

class polyline {
public:
    void add(double x, double y) { points_ += fmt::format("{:.1f},{:.1f} ", x, y); }
    std::string text(const char* style) const {
        return fmt::format("<polyline points='{}' class='{}'/>\n", points_, style);
    }

private:
    std::string points_;
};

// The x axis is 1 / (1 - share), logarithmic: 90 %, 99 %, 99.9 % are equally far apart.
std::string latency_chart(const histogram& h) {
    if (h.empty())
        return {};
    const double lowest = std::pow(10, std::floor(std::log10(std::max<double>(1, static_cast<double>(h.min())))));
    const double highest = std::pow(10, std::ceil(std::log10(static_cast<double>(h.max()) + 1)));
    const chart c{90, 0, 5, lowest, highest, true};
    std::string out = c.frame("Latency by percentile");
    constexpr std::array labels{"0 %", "90 %", "99 %", "99.9 %", "99.99 %", "100 %"};
    for (std::size_t i = 0; i < labels.size(); ++i)
        out += c.x_tick(static_cast<double>(i), labels[i]);
    for (double y = lowest; y <= highest * 1.01; y *= 10) {
        out += c.y_tick(y, human_ns(static_cast<std::uint64_t>(y)));
    }
    polyline line;
    for (double x = 0; x <= 5; x += 0.05) {
        const double percent = 100 * (1 - std::pow(10, -x));
        line.add(c.x(x), c.y(std::max(lowest, static_cast<double>(h.percentile(x >= 4.999 ? 100 : percent)))));
    }
    return out + line.text("a");
}

std::string rate_chart(const report& r) {
    double most = 1;
    for (const interval& each : r.intervals)
        most = std::max({most, each.sent_per_s(), each.received_per_s()});
    const double step = std::pow(10, std::floor(std::log10(most)));
    const double top = std::ceil(most / step) * step;
    const chart c{560, 0, r.intervals.empty() ? 1 : r.intervals.back().at_seconds, 0, top, false};
    std::string out = c.frame("Messages a second: sent (dashed), received");
    for (double y = 0; y <= top * 1.001; y += top / 4)
        out += c.y_tick(y, grouped(y));
    for (int i = 0; i <= 4; ++i)
        out += c.x_tick(c.x_max * i / 4, fmt::format("{:.1f} s", c.x_max * i / 4));
    polyline sent;
    polyline received;
    for (const interval& each : r.intervals) {
        sent.add(c.x(each.at_seconds), c.y(each.sent_per_s()));
        received.add(c.x(each.at_seconds), c.y(each.received_per_s()));
    }
    return out + sent.text("b") + received.text("a");
}

}  // namespace

std::string json_report(const options& o, const report& r) {
    std::string out = fmt::format(
        "{{\"format\": 1, \"name\": {},\n \"broker\": {},\n \"machine\": {},\n \"settings\": {},\n", json_text(o.name),
        json_text(r.broker), machine_json(), settings_json(o));
    out += fmt::format(
        " \"seconds\": {:.3f}, \"peak_per_s\": {:.1f}, \"offered_per_s\": {:.1f},\n"
        " \"sent_per_s\": {:.1f}, \"received_per_s\": {:.1f}, \"confirmed_per_s\": {:.1f},\n"
        " \"sent\": {}, \"received\": {}, \"confirmed\": {}, \"nacked\": {}, \"returned\": {}, \"redelivered\": {},\n"
        " \"missing\": {}, \"duplicates\": {}, \"out_of_order\": {}, \"never_arrived\": {},\n",
        r.seconds, r.peak_per_s, r.offered_per_s, r.sent_per_s(), r.received_per_s(), r.confirmed_per_s(), r.total.sent,
        r.total.received, r.total.confirmed, r.total.nacked, r.total.returned, r.total.redelivered, r.faults.missing,
        r.faults.duplicates, r.faults.out_of_order, r.never_arrived);
    out += fmt::format(" \"answers\": {},\n", answers_json(r.answers));
    out += fmt::format(" \"broker_cost\": {},\n \"generator\": {{\"cpu_seconds\": {:.3f}, \"ns_per_message\": {:.1f}, "
                       "\"utilisation\": {:.3f}, \"bottleneck\": {}}},\n",
                       cost_json(r), r.generator_cpu_seconds, r.generator_ns_per_message(), r.generator_utilisation,
                       r.generator_is_bottleneck());
    out += fmt::format(" \"latency_ns\": {},\n \"confirm_ns\": {},\n \"intervals\": [\n",
                       histogram_json(r.times.latency, true), histogram_json(r.times.confirm, true));
    const char* comma = "  ";
    for (const interval& each : r.intervals)
        out += std::exchange(comma, ",\n  ") + interval_json(each);
    return out + "\n]}\n";
}

std::string json_report(const options& o, const connection_report& r) {
    return fmt::format(
        "{{\"format\": 1, \"name\": {},\n \"broker\": {},\n \"machine\": {},\n \"settings\": {},\n"
        " \"opened\": {}, \"seconds\": {:.3f}, \"broker_cpu_seconds\": {:.3f},\n"
        " \"rss_before_bytes\": {}, \"rss_after_bytes\": {}, \"rss_held_bytes\": {},\n \"open_ns\": {}}}\n",
        json_text(o.name), json_text(r.broker), machine_json(), settings_json(o), r.opened, r.seconds,
        r.broker_cpu_seconds, r.rss_before_bytes, r.rss_after_bytes, r.rss_held_bytes,
        histogram_json(r.open_times, true));
}

std::string csv_report(const report& r) {
    std::string out = "time (s),warm-up,published (msg/s),confirmed (msg/s),received (msg/s)";
    for (const char* side : {"consumer", "confirm"}) {
        out += fmt::format(
            ",min {0} (us),median {0} (us),75th p. {0} (us),95th p. {0} (us),99th p. {0} (us),max {0} (us)", side);
    }
    out += '\n';
    const auto us = [](std::uint64_t ns) { return static_cast<double>(ns) / 1e3; };
    for (const interval& each : r.intervals) {
        out += fmt::format("{:.3f},{},{:.0f},{:.0f},{:.0f}", each.at_seconds, each.warmup ? 1 : 0, each.sent_per_s(),
                           each.confirmed_per_s(), each.received_per_s());
        for (const histogram* h : {&each.times->latency, &each.times->confirm}) {
            out += fmt::format(",{:.1f},{:.1f},{:.1f},{:.1f},{:.1f},{:.1f}", us(h->min()), us(h->percentile(50)),
                               us(h->percentile(75)), us(h->percentile(95)), us(h->percentile(99)), us(h->max()));
        }
        out += '\n';
    }
    return out;
}

// Five steps for each halving of what is left above, as HdrHistogram's own output has them.
std::string hgrm_report(const histogram& h) {
    std::string out = "       Value     Percentile TotalCount 1/(1-Percentile)\n\n";
    const auto total = static_cast<double>(h.count());
    double next = 0;
    std::uint64_t seen = 0;
    h.for_each([&](std::uint64_t highest, std::uint64_t count) {
        seen += count;
        const double share = static_cast<double>(seen) / total;
        if (share < next)
            return;
        const double us = static_cast<double>(std::min(highest, h.max())) / 1e3;
        if (seen < h.count()) {
            out += fmt::format("{:12.3f} {:14.12f} {:10} {:14.2f}\n", us, share, seen, 1 / (1 - share));
        } else {
            out += fmt::format("{:12.3f} {:14.12f} {:10}\n", us, 1.0, seen);
        }
        if (seen == h.count())
            return;
        while (next <= share) {
            const double halvings = std::floor(std::log2(1 / (1 - next)) + 1e-9) + 1;
            next += 1 / (5 * std::pow(2, halvings));
        }
    });
    out += fmt::format("#[Mean    = {:12.3f}, StdDeviation   = {:12.3f}]\n", h.mean() / 1e3, h.stddev() / 1e3);
    out += fmt::format("#[Max     = {:12.3f}, Total count    = {:12}]\n", static_cast<double>(h.max()) / 1e3,
                       h.count());
    out += fmt::format("#[Buckets = {:12}, SubBuckets     = {:12}]\n", histogram::value_bits - 10,
                       histogram::sub_bucket_count);
    return out;
}

std::string svg_report(const options& o, const report& r) {
    std::string out =
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 970 340' font-family='sans-serif' font-size='11'>\n"
        "<style>.frame{fill:none;stroke:#888}.grid{stroke:#8884;fill:none}text{fill:#555}.title{font-size:13px}"
        ".a{fill:none;stroke:#0a7;stroke-width:2}.b{fill:none;stroke:#06c;stroke-width:1.5;stroke-dasharray:4 3}"
        "</style>\n";
    out += fmt::format("<text x='90' y='22' class='title'>{}: {} received/s, p50 {}, p99 {} ({})</text>\n",
                       xml_text(o.name), grouped(r.received_per_s()), human_ns(r.times.latency.percentile(50)),
                       human_ns(r.times.latency.percentile(99)), xml_text(r.broker));
    return out + latency_chart(r.times.latency) + rate_chart(r) + "</svg>\n";
}

outcome<void> write_report(const std::string& path, const std::string& text) {
    std::FILE* file = path == "-" ? stdout : std::fopen(path.c_str(), "w");
    if (file == nullptr)
        return failure("{}: {}", path, std::strerror(errno));
    const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size() && std::fflush(file) == 0;
    if (file != stdout)
        std::fclose(file);
    if (!written)
        return failure("{}: {}", path, std::strerror(errno));
    return {};
}

}  // namespace linnet::load
