#include "clients/cli/event_stream.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {
namespace {

// In pieces of that size: "id|name|data" of each event.
[[nodiscard]] std::string read(std::string_view text, std::size_t piece) {
    event_reader reader;
    std::vector<server_event> events;
    for (; !text.empty(); text.remove_prefix(std::min(piece, text.size()))) {
        reader.add(text.substr(0, piece), events);
    }
    std::string all;
    for (const auto& e : events) {
        all += fmt::format("[{}|{}|{}]", e.id, e.name, e.data);
    }
    return all;
}

TEST(EventReader, ReadsEventsHoweverTheyAreCut) {
    constexpr std::string_view text = "retry: 2000\n\n:\n\nid: 1\nevent: text/plain\ndata: a\ndata:  b\n\n"
                                      "data: c\r\n\r\ndata:d\rdata\r\rid\ndata: \n\nevent: alone\n\ndata: never ended";
    for (std::size_t piece = 1; piece <= text.size(); ++piece) {
        EXPECT_EQ(read(text, piece), "[1|text/plain|a\n b][1||c][1||d\n][||]") << piece;
    }
}

TEST(EventReader, OpensWhatIsEnclosed) {
    EXPECT_EQ(read("event: x;base64\ndata: {\"content_type\":\"x\",\"base64\":\"AGEK\"}\n\n", 7),
              std::string("[|x|\0a\n]", 8));
    EXPECT_EQ(read("event: x;base64\ndata: no json\n\n", 7), "[|x;base64|no json]");
    EXPECT_EQ(read("event: x;base64\ndata: {\"base64\":\"!\"}\n\n", 7), "[|x;base64|{\"base64\":\"!\"}]");
}

}  // namespace
}  // namespace linnet::cli
