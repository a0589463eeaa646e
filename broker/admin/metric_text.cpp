#include "broker/admin/metric_text.hpp"

#include <fmt/format.h>

#include <iterator>

namespace linnet::admin {
namespace {

std::string_view name_of(metric_kind k) {
    switch (k) {
        case metric_kind::counter: return "counter";
        case metric_kind::gauge: return "gauge";
        case metric_kind::histogram: return "histogram";
        case metric_kind::untyped: return "untyped";
    }
    return "";
}

void append_label(std::string& out, std::string_view value) {
    for (const char c : value) {
        switch (c) {
            case '\\': out += "\\\\"; break;
            case '"': out += "\\\""; break;
            case '\n': out += "\\n"; break;
            default: out += c;
        }
    }
}

}  // namespace

metric_text& metric_text::family(std::string_view name, metric_kind kind, std::string_view help) {
    name_ = name;
    fmt::format_to(std::back_inserter(out_), "# TYPE {} {}\n# HELP {} {}\n", name, name_of(kind), name, help);
    return *this;
}

void metric_text::head(std::string_view suffix, metric_labels labels, std::string_view bound) {
    out_.append(name_).append(suffix);
    char between = '{';
    const auto add = [&](std::string_view key, std::string_view value) {
        out_ += std::exchange(between, ',');
        out_.append(key).append("=\"");
        append_label(out_, value);
        out_ += '"';
    };
    for (const auto& [key, value] : labels) {
        add(key, value);
    }
    if (!bound.empty()) {
        add("le", bound);
    }
    out_ += between == '{' ? " " : "} ";
}

metric_text& metric_text::sample(metric_labels labels, std::uint64_t value) {
    head({}, labels, {});
    fmt::format_to(std::back_inserter(out_), "{}\n", value);
    return *this;
}

metric_text& metric_text::sample(metric_labels labels, double value) {
    head({}, labels, {});
    fmt::format_to(std::back_inserter(out_), "{}\n", value);
    return *this;
}

void metric_text::histogram(metric_labels labels, std::span<const std::string_view> bounds,
                            std::span<const std::uint64_t> counts, double sum) {
    std::uint64_t so_far = 0;
    for (std::size_t i = 0; i < counts.size(); ++i) {
        so_far += counts[i];
        head("_bucket", labels, i < bounds.size() ? bounds[i] : "+Inf");
        fmt::format_to(std::back_inserter(out_), "{}\n", so_far);
    }
    head("_count", labels, {});
    fmt::format_to(std::back_inserter(out_), "{}\n", so_far);
    head("_sum", labels, {});
    fmt::format_to(std::back_inserter(out_), "{}\n", sum);
}

}  // namespace linnet::admin
