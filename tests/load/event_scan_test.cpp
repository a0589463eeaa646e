#include "bench/load/event_scan.hpp"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace {

using namespace linnet::load;

using found = std::vector<std::pair<std::string, std::string>>;  // name and data

found scan(std::vector<std::string_view> pieces) {
    event_scan events;
    found all;
    for (const std::string_view each : pieces)
        events.feed(each, [&](const scanned_event& e) { all.emplace_back(e.name, e.data); });
    return all;
}

TEST(EventScan, FindsNamesAndData) {
    EXPECT_EQ(scan({"retry: 2000\n\nid: 1:4\nevent: text/plain\ndata: hello\n\ndata:x\n\n"}),
              (found{{"text/plain", "hello"}, {"", "x"}}));
}

TEST(EventScan, KeepsTheFirstLineOfData) {
    EXPECT_EQ(scan({"data: one\ndata: two\n\n"}), (found{{"", "one"}}));
    EXPECT_EQ(scan({"data\ndata: two\n\n"}), (found{{"", ""}}));
    EXPECT_EQ(scan({"data:  one\n\n"}), (found{{"", " one"}}));
}

TEST(EventScan, StepsOverWhatIsNoEvent) {
    EXPECT_EQ(scan({":\n\n: still there\n\nevent: nothing\n\ndatum: 1\n\nid: 3\n\n"}), found{});
    // A name without data is dropped with its event.
    EXPECT_EQ(scan({"event: lost\n\ndata: x\n\n"}), (found{{"", "x"}}));
    EXPECT_EQ(scan({"data: not over\n"}), found{});
}

TEST(EventScan, TakesBothLineEnds) {
    EXPECT_EQ(scan({"event: a\r\ndata: b\r\n\r\ndata: c\n\r\n"}), (found{{"a", "b"}, {"", "c"}}));
}

TEST(EventScan, KeepsTheBeginningOfWhatIsLong) {
    const std::string body(5000, 'y');
    const std::string event = "data: " + body + "\n\n";
    EXPECT_EQ(scan({event, "data: next\n\n"}), (found{{"", body.substr(0, event_scan::kept_bytes)}, {"", "next"}}));
}

TEST(EventScan, DoesNotCareWhereItIsCut) {
    const std::string text = ":\n\nid: 7\r\nevent: note;base64\r\ndata: {\"base64\":\"aGVsbG8=\"}\r\n\r\ndata: b\n\n";
    const found whole = scan({text});
    ASSERT_EQ(whole.size(), 2U);
    for (std::size_t i = 0; i <= text.size(); ++i) {
        for (std::size_t j = i; j <= text.size(); ++j) {
            const std::string_view all{text};
            ASSERT_EQ(scan({all.substr(0, i), all.substr(i, j - i), all.substr(j)}), whole) << i << ' ' << j;
        }
    }
}

}  // namespace
