// What the WebSocket codec holds and when: nothing for plain messages, a deflater once, an inflater only while it must.
// A program of its own: it replaces operator new. zlib's blocks live and die with an object of ours, which is counted.
#include "protocol/ws/message_reader.hpp"
#include "protocol/ws/message_writer.hpp"
#include "tests/support/counted_new.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace linnet::ws {
namespace {

using test::allocations;
using test::releases;

using bytes = std::vector<std::uint8_t>;

std::size_t live() { return allocations.load() - releases.load(); }

// Reads all of it in pieces; the number of events.
std::size_t read_all(message_reader& reader, std::span<std::uint8_t> stream, std::size_t piece) {
    std::size_t events = 0;
    while (!stream.empty()) {
        std::span<std::uint8_t> input = stream.first(std::min(piece, stream.size()));
        stream = stream.subspan(input.size());
        for (auto told = reader.next(input); !told.needs_more(); told = reader.next(input)) {
            if (!told)
                std::abort();
            ++events;
        }
    }
    return events;
}

TEST(WsMemory, PlainMessagesAndControlFramesTakeNone) {
    bytes stream;
    const message_writer writer;
    const auto ping = control_frame::ping(wire::as_bytes("a ping in two pieces"), mask_key{7});
    append(stream, writer.message(message_type::text, wire::as_bytes("sixteen bytes .."), mask_key{5}));
    stream.insert(stream.end(), ping.view().begin(), ping.view().end());
    append(stream, writer.message(message_type::binary, bytes(70'000, 'x'), mask_key{9}));
    bytes out(1024);
    message_reader reader{{}};

    const std::size_t before = allocations.load();
    EXPECT_EQ(read_all(reader, stream, stream.size()), 3U);
    std::size_t written = 0;
    for (int i = 0; i < 1000; ++i) {
        const auto message = writer.message(message_type::binary, wire::bytes_view{stream}.first(100));
        written += static_cast<std::size_t>(message.put(out.data()) - out.data());
        written += control_frame::close(fault::frame_too_large).view().size();
    }
    EXPECT_EQ(allocations.load(), before);
    EXPECT_GT(written, 0U);
}

TEST(WsMemory, PiecesOfFramesTakeNoneEither) {
    bytes stream;
    const message_writer writer;
    for (int i = 0; i < 10; ++i) {
        const auto ping = control_frame::ping(wire::as_bytes("a ping in pieces"), mask_key{7});
        stream.insert(stream.end(), ping.view().begin(), ping.view().end());
        append(stream, writer.message(message_type::binary, wire::as_bytes("some"), mask_key{5}));
    }
    message_reader reader{{}};
    const std::size_t before = allocations.load();
    EXPECT_EQ(read_all(reader, stream, 1), 10U + 10U * 4);
    EXPECT_EQ(allocations.load(), before);
}

TEST(WsMemory, AnInflaterLivesAsLongAsItMust) {
    deflater compressor{{}};
    const message_writer writer{compressor, 0};
    bytes stream;
    append(stream, writer.message(message_type::binary, bytes(1000, 'x'), mask_key{}));
    ASSERT_TRUE((stream[0] & 0x40) != 0);
    bytes space(4096);
    for (const bool keeps : {false, true}) {
        const std::size_t before = live();
        message_reader reader{{.deflate = true, .peer_keeps_context = keeps}, space};
        EXPECT_EQ(live(), before) << "none before the first compressed message";
        bytes copy = stream;
        const std::size_t with_copy = live();
        EXPECT_EQ(read_all(reader, std::span{copy}.first(copy.size() - 1), copy.size()), 1U);
        EXPECT_GT(live(), with_copy) << "one within a message";
        EXPECT_EQ(read_all(reader, std::span{copy}.last(1), 1), 1U);
        EXPECT_EQ(live() > with_copy, keeps) << "between messages only with a context";
        const auto bye = control_frame::close(close_code::normal, {}, mask_key{});
        bytes farewell(bye.view().begin(), bye.view().end());
        const std::size_t with_farewell = live();
        EXPECT_EQ(read_all(reader, farewell, farewell.size()), 1U);
        EXPECT_EQ(live() < with_farewell, keeps) << "none behind a close";
    }
}

TEST(WsMemory, TheCountersWork) {
    const std::size_t before = allocations.load();
    const std::size_t held = live();
    ::operator delete(::operator new(1));  // by name, since a new expression may be optimised away
    EXPECT_GT(allocations.load(), before);
    EXPECT_EQ(live(), held);
}

}  // namespace
}  // namespace linnet::ws
