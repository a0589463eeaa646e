// What `top`, `doctor` and the progress bar draw.
#include "clients/cli/doctor.hpp"
#include "clients/cli/man_page.hpp"
#include "clients/cli/progress.hpp"
#include "clients/cli/top.hpp"

#include <gtest/gtest.h>

namespace linnet::cli {
namespace {

using verdict = finding::verdict;

TEST(Progress, ShowsRateAndWhatIsLeft) {
    EXPECT_EQ(progress::line("moved", 12'000, 24'000, 1.5),
              "moved  [##########----------]  12,000 of 24,000  50 %  8,000/s  2 s left");
    EXPECT_EQ(progress::line("moved", 0, 10, 0), "moved  [--------------------]  0 of 10  0 %  0/s  0 s left");
    EXPECT_EQ(progress::line("moved", 12, 10, 1), "moved  [####################]  12 of 10  100 %  12/s  0 s left");
    EXPECT_EQ(progress::line("published", 1'234'567, 0, 1), "published  1,234,567  1,234,567/s");
}

TEST(Top, DrawsOnePicture) {
    const auto overview = json_value::parse(R"({"product_name": "Linnet", "product_version": "0.1.0",
        "cluster_name": "c", "object_totals": {"connections": 1, "channels": 2, "consumers": 3, "queues": 2,
        "exchanges": 7}, "queue_totals": {"messages": 12}, "message_stats": {"publish_details": {"rate": 10.0}}})");
    const auto nodes = json_value::parse(R"([{"name": "n", "mem_used": 1000000, "mem_limit": 2000000, "mem_alarm": true,
        "disk_free": 5000000, "fd_used": 5, "fd_total": 100}])");
    const auto queues = json_value::parse(R"({"items": [
        {"name": "a", "vhost": "/", "messages": 2, "messages_ready": 2, "messages_unacknowledged": 0, "consumers": 1},
        {"name": "b", "vhost": "/", "messages": 10, "messages_ready": 7, "messages_unacknowledged": 3, "consumers": 0}
    ]})");
    EXPECT_EQ(top_picture(overview, nodes, queues, {"messages", "messages"}, 24),
              "Linnet 0.1.0  c\n"
              "node n  memory 1.0 MB of 2.0 MB ALARM  disk free 5.0 MB  descriptors 5 of 100\n"
              "connections 1  channels 2  consumers 3  queues 2  exchanges 7\n"
              "messages 12  ready 0  unacked 0  in 10/s  out 0/s  acked 0/s\n"
              "\n"
              "messages  ready  unacked  in/s  out/s  consumers  vhost  name\n"
              "      10      7        3                       0  /      b\n"
              "       2      2        0                       1  /      a\n"
              "sorted by messages; q quits, s sorts by the next column, space pauses\n");
    // No more lines than the terminal has.
    EXPECT_EQ(top_picture(overview, nodes, queues, {"messages", "messages"}, 8).find("\n       2"), std::string::npos);
}

verdict worst(const std::vector<finding>& all) {
    auto found = verdict::good;
    for (const auto& each : all) {
        found = std::max(found, each.is);
        EXPECT_EQ(each.next.empty(), each.is == verdict::good) << each.check;
    }
    return found;
}

TEST(Doctor, JudgesNodes) {
    const auto node = json_value{{"name", "n"},      {"running", true},    {"mem_used", 10},
                                 {"mem_limit", 100}, {"mem_alarm", false}, {"disk_free_alarm", false},
                                 {"fd_used", 10},    {"fd_total", 100'000}};
    EXPECT_EQ(worst(findings_of_nodes(json_value::array({node}))), verdict::good);
    for (const auto& [name, value, expected] :
         std::vector<std::tuple<std::string, json_value, verdict>>{{"running", false, verdict::bad},
                                                                   {"mem_alarm", true, verdict::bad},
                                                                   {"disk_free_alarm", true, verdict::bad},
                                                                   {"mem_used", 90, verdict::warning},
                                                                   {"fd_used", 90'000, verdict::warning},
                                                                   {"fd_total", 1'024, verdict::warning}}) {
        auto sick = node;
        sick[name] = value;
        EXPECT_EQ(worst(findings_of_nodes(json_value::array({sick}))), expected) << name;
    }
}

TEST(Doctor, FindsQueuesThatNobodyReads) {
    const auto queue = [](const char* name, int consumers, int ready, int unacked) {
        return json_value{
            {"name", name}, {"consumers", consumers}, {"messages_ready", ready}, {"messages_unacknowledged", unacked}};
    };
    EXPECT_EQ(worst(findings_of_queues({queue("a", 1, 5, 5), queue("b", 0, 0, 0)})), verdict::good);
    EXPECT_EQ(worst(findings_of_queues(json_value::array({queue("a", 0, 5, 0)}))), verdict::warning);
    EXPECT_EQ(worst(findings_of_queues(json_value::array({queue("a", 1, 0, 20'000)}))), verdict::warning);
}

TEST(Doctor, ComparesClocks) {
    EXPECT_EQ(finding_of_clock("Sun, 06 Nov 1994 08:49:37 GMT", 784'111'777).is, verdict::good);
    EXPECT_EQ(finding_of_clock("Sun, 06 Nov 1994 08:49:37 GMT", 784'111'800).is, verdict::warning);
    EXPECT_EQ(finding_of_clock("", 0).is, verdict::good);
}

TEST(ManPage, IsTroff) {
    const auto root = command_description{
        "linnet",
        "The tool",
        {},
        {},
        {{"queue",
          "Queues",
          {},
          {},
          {{"ls", ".Show -them", {{{"-o", "--output"}, {"json"}, true, "The form", "FORM"}}, {}, {}, {"name"}}},
          {}}},
        {}};
    const auto page = man_page(root, "linnet 1");
    EXPECT_NE(page.find(".TH LINNET 1"), std::string::npos);
    EXPECT_NE(page.find(".SS \"linnet queue ls \\fIname\\fR\"\n\\&.Show \\-them.\n"), std::string::npos) << page;
    EXPECT_NE(page.find("\\fB\\-o, \\-\\-output\\fR \\fIFORM\\fR\nThe form: json\n"), std::string::npos) << page;
}

}  // namespace
}  // namespace linnet::cli
