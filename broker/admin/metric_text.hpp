#pragma once

#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace linnet::admin {

using metric_labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

enum class metric_kind : std::uint8_t { counter, gauge, histogram, untyped };

// Writes Prometheus' text exposition format, version 0.0.4. The text is ours, for some dashboards compare labels byte
// by byte: a bucket is "100.0" and "1e+06" there, whatever a library would print.
//
//     metric_text m(out);
//     m.family("rabbitmq_queues", metric_kind::gauge, "Queues that there are.").sample({}, 3);
class metric_text {
public:
    explicit metric_text(std::string& out) noexcept : out_(out) {}
    metric_text(const metric_text&) = delete;
    metric_text& operator=(const metric_text&) = delete;

    // What follows belongs to it.
    metric_text& family(std::string_view name, metric_kind kind, std::string_view help);
    metric_text& sample(metric_labels labels, std::uint64_t value);
    metric_text& sample(metric_labels labels, double value);
    // Of a histogram: `counts` has one more than there are bounds, each of what lies between; they are added up here.
    void histogram(metric_labels labels, std::span<const std::string_view> bounds,
                   std::span<const std::uint64_t> counts, double sum);

private:
    void head(std::string_view suffix, metric_labels labels, std::string_view bound);

    std::string& out_;
    std::string name_;
};

}  // namespace linnet::admin
