#include "bench/load/condition.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

namespace linnet::load {
namespace {

std::string_view trimmed(std::string_view text) {
    while (text.starts_with(' '))
        text.remove_prefix(1);
    while (text.ends_with(' '))
        text.remove_suffix(1);
    return text;
}

outcome<double> number_with_unit(std::string_view text) {
    constexpr std::array<std::pair<std::string_view, double>, 5> units{
        {{"", 1.0}, {"ns", 1.0}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
    double value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    const std::string_view unit = trimmed({end, static_cast<std::size_t>(text.data() + text.size() - end)});
    for (const auto& [name, factor] : units) {
        if (error == std::errc{} && unit == name)
            return value * factor;
    }
    return failure("'{}' is not a number with an optional unit (ns, us, ms, s)", text);
}

outcome<double> time_metric(const histogram& h, std::string_view name) {
    if (name == "min")
        return static_cast<double>(h.min());
    if (name == "avg")
        return h.mean();
    if (name == "max")
        return static_cast<double>(h.max());
    if (!name.starts_with('p'))
        return failure("unknown metric '{}'", name);
    double percent = 0;
    const auto [end, error] = std::from_chars(name.data() + 1, name.data() + name.size(), percent);
    if (error != std::errc{} || end != name.data() + name.size() || percent > 100) {
        return failure("unknown metric '{}'", name);
    }
    return static_cast<double>(h.percentile(percent));
}

outcome<condition> parse_condition(std::string_view text) {
    const std::size_t at = text.find_first_of("<>");
    if (at == text.npos || at == 0)
        return failure("'{}' is not a condition like p99>5ms", text);
    const bool or_equal = text.substr(at + 1).starts_with('=');
    const bool upper = text[at] == '>';
    condition c;
    c.metric = trimmed(text.substr(0, at));
    using enum condition::comparison;
    c.how = upper ? (or_equal ? at_least : above) : (or_equal ? at_most : below);
    const auto bar = number_with_unit(trimmed(text.substr(at + (or_equal ? 2 : 1))));
    if (!bar)
        return failure("'{}': {}", text, bar.error());
    c.bar = *bar;
    if (const auto known = metric_of(report{}, c.metric); !known)
        return tl::unexpected{known.error()};
    return c;
}

}  // namespace

outcome<double> metric_of(const report& r, std::string_view name) {
    const std::array<std::pair<std::string_view, double>, 11> plain{{
        {"sent", r.sent_per_s()},
        {"received", r.received_per_s()},
        {"confirmed", r.confirmed_per_s()},
        {"cpu", r.cost ? r.cost->cpu_s_per_million : 0},
        {"rss", r.cost ? static_cast<double>(r.cost->rss_bytes) : 0},
        {"missing", static_cast<double>(r.faults.missing)},
        {"duplicates", static_cast<double>(r.faults.duplicates)},
        {"out-of-order", static_cast<double>(r.faults.out_of_order)},
        {"lost", static_cast<double>(r.never_arrived)},
        {"nacked", static_cast<double>(r.total.nacked)},
        {"returned", static_cast<double>(r.total.returned)},
    }};
    for (const auto& [known, value] : plain) {
        if (name == known)
            return value;
    }
    constexpr std::string_view confirm = "confirm.";
    if (name.starts_with(confirm))
        return time_metric(r.times.confirm, name.substr(confirm.size()));
    return time_metric(r.times.latency, name);
}

bool condition::holds(const report& r) const {
    const double value = metric_of(r, metric).value_or(0);
    switch (how) {
        case comparison::above: return value > bar;
        case comparison::below: return value < bar;
        case comparison::at_least: return value >= bar;
        case comparison::at_most: return value <= bar;
    }
    return false;
}

outcome<std::vector<condition>> parse_conditions(std::string_view text) {
    std::vector<condition> all;
    while (!text.empty()) {
        const std::size_t comma = std::min(text.find(','), text.size());
        auto one = parse_condition(trimmed(text.substr(0, comma)));
        if (!one)
            return tl::unexpected{one.error()};
        all.push_back(std::move(*one));
        text.remove_prefix(std::min(comma + 1, text.size()));
    }
    return all;
}

}  // namespace linnet::load
