#include "bench/load/report_files.hpp"

#include "bench/load/format.hpp"
#include "bench/load/report_text.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace {

using namespace linnet::load;

report small_run() {
    report r;
    r.broker = "Some <broker> \"1.0\"";
    r.seconds = 1;
    r.measured.sent = r.measured.received = 1'000'000;
    auto times = std::make_shared<histograms>();
    for (std::uint64_t v = 1; v <= 1000; ++v)
        times->latency.record(v * 1000);
    r.times.add(*times);
    interval each;
    each.at_seconds = each.seconds = 1;
    each.in = r.measured;
    each.times = times;
    r.intervals.push_back(each);
    return r;
}

TEST(Format, ReadsWell) {
    EXPECT_EQ(grouped(1234567), "1,234,567");
    EXPECT_EQ(grouped(-1234), "-1,234");
    EXPECT_EQ(grouped(999), "999");
    EXPECT_EQ(human_ns(870), "870 ns");
    EXPECT_EQ(human_ns(12'345), "12.3 us");
    EXPECT_EQ(human_ns(4'560'000), "4.56 ms");
    EXPECT_EQ(human_ns(1'200'000'000), "1.20 s");
    EXPECT_EQ(json_text("a\"b\\c\n"), "\"a\\\"b\\\\c\\u000a\"");
}

TEST(ReportFiles, CsvHasAColumnForEachName) {
    const std::string csv = csv_report(small_run());
    const auto commas = [](std::string_view line) { return std::count(line.begin(), line.end(), ','); };
    const std::string_view text{csv};
    const std::size_t end = text.find('\n');
    const std::string_view header = text.substr(0, end);
    const std::string_view row = text.substr(end + 1);
    EXPECT_EQ(commas(header), commas(row));
    const auto us = [](double percent) {
        return static_cast<double>(small_run().times.latency.percentile(percent)) / 1e3;
    };
    EXPECT_TRUE(row.starts_with(fmt::format("1.000,0,1000000,0,1000000,1.0,{:.1f},{:.1f},{:.1f},{:.1f},1000.0,0.0,",
                                            us(50), us(75), us(95), us(99))))
        << row;
}

TEST(ReportFiles, HgrmEndsWithEverythingCounted) {
    const std::string text = hgrm_report(small_run().times.latency);
    EXPECT_NE(text.find("1000.000 1.000000000000       1000\n"), std::string::npos) << text;
    EXPECT_NE(text.find("#[Mean    =      500.500"), std::string::npos) << text;
    EXPECT_NE(text.find("Total count    =         1000]"), std::string::npos) << text;
}

TEST(ReportFiles, JsonAndSvgEscapeWhatTheBrokerCallsItself) {
    const options o;
    EXPECT_NE(json_report(o, small_run()).find(R"("Some <broker> \"1.0\"")"), std::string::npos);
    const std::string svg = svg_report(o, small_run());
    EXPECT_NE(svg.find("Some &lt;broker&gt; &quot;1.0&quot;"), std::string::npos);
    EXPECT_EQ(svg.find("nan"), std::string::npos);
}

TEST(ReportFiles, JsonHoldsTheRawHistogram) {
    const std::string json = json_report(options{}, small_run());
    EXPECT_NE(json.find(R"("count": 1000)"), std::string::npos);
    EXPECT_NE(json.find("\"counts\": [[1000, 1], [2000, 1]"), std::string::npos) << json.substr(0, 2000);
    EXPECT_EQ(std::count(json.begin(), json.end(), '{'), std::count(json.begin(), json.end(), '}'));
}

TEST(ReportText, WarnsWhenTheGeneratorIsTheBottleneck) {
    report r = small_run();
    EXPECT_EQ(summary(options{}, r).find("WARNING"), std::string::npos);
    r.generator_utilisation = 0.97;
    EXPECT_NE(summary(options{}, r).find("WARNING"), std::string::npos);
}

}  // namespace
