#include "broker/admin/metric_text.hpp"

#include <gtest/gtest.h>

#include <array>
#include <string>
#include <string_view>

namespace linnet::admin {
namespace {

TEST(MetricText, WritesFamiliesAndSamples) {
    std::string out;
    metric_text m(out);
    m.family("a_total", metric_kind::counter, "What it is").sample({}, std::uint64_t{3});
    m.sample({{"k", "a\"b\\c\nd"}, {"l", "x"}}, 0.25);
    EXPECT_EQ(out, "# TYPE a_total counter\n# HELP a_total What it is\na_total 3\n"
                   "a_total{k=\"a\\\"b\\\\c\\nd\",l=\"x\"} 0.25\n");
}

TEST(MetricText, AddsUpAHistogramsBuckets) {
    std::string out;
    metric_text m(out);
    constexpr std::array<std::string_view, 2> bounds{"100.0", "1e+06"};
    constexpr std::array<std::uint64_t, 3> counts{2, 0, 5};
    m.family("s", metric_kind::histogram, "h").histogram({{"p", "x"}}, bounds, counts, 12.5);
    EXPECT_EQ(out.substr(out.find("s_bucket")),
              "s_bucket{p=\"x\",le=\"100.0\"} 2\ns_bucket{p=\"x\",le=\"1e+06\"} 2\n"
              "s_bucket{p=\"x\",le=\"+Inf\"} 7\ns_count{p=\"x\"} 7\ns_sum{p=\"x\"} 12.5\n");
}

}  // namespace
}  // namespace linnet::admin
