// A file shown piece by piece is the file, whatever is asked for in whatever order, with reading ahead or without, and
// while reads fail.

#include "broker/store/segment_window.hpp"
#include "broker/store/simulated_disk.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

namespace linnet::test {
namespace {

using store::segment_window;
using ahead = segment_window::ahead;

constexpr std::uint64_t file_bytes = 256 * 1024;
constexpr std::uint32_t window_bytes = 16 * 1024;
constexpr std::uint32_t view_bytes = 6000;

std::vector<std::uint8_t> noise(std::uint32_t seed) {
    std::mt19937 random(seed);
    std::vector<std::uint8_t> bytes(file_bytes);
    std::ranges::generate(bytes, [&] { return static_cast<std::uint8_t>(random()); });
    return bytes;
}

class SegmentWindow : public testing::TestWithParam<ahead> {
protected:
    SegmentWindow() : medium({{"a", a}, {"b", b}}, {.prompt = true}), disk(medium.attach()) {
        one = *disk->open("a");
        two = *disk->open("b");
    }
    // Shows at least that much, or all there is, and nothing else than the file.
    static void expect(segment_window& w, const std::vector<std::uint8_t>& file, std::uint64_t offset,
                       std::uint64_t bytes) {
        const auto shown = w.from(offset, bytes);
        const auto wanted = std::min(bytes, file_bytes - offset);
        ASSERT_GE(shown.size(), wanted) << offset;
        ASSERT_LE(shown.size(), file_bytes - offset);
        ASSERT_TRUE(std::equal(shown.begin(), shown.end(), file.begin() + static_cast<std::ptrdiff_t>(offset)))
            << offset << ", " << bytes;
    }

    const std::vector<std::uint8_t> a = noise(1);
    const std::vector<std::uint8_t> b = noise(2);
    store::simulated_disk medium;
    std::unique_ptr<store::disk> disk;
    store::file_id one = 0;
    store::file_id two = 0;
};

TEST_P(SegmentWindow, FromFrontToBack) {
    segment_window w(*disk, file_bytes, view_bytes, GetParam(), window_bytes);
    for (const auto& [file, content] : {std::pair{one, &a}, {two, &b}}) {
        w.enter(file);
        for (std::uint64_t at = 0; at < file_bytes; at += 1000 + at % 4000) {
            expect(w, *content, at, view_bytes);
        }
    }
    EXPECT_FALSE(w.error());
}

TEST_P(SegmentWindow, WhateverIsAskedFor) {
    const auto seed = std::random_device{}();
    SCOPED_TRACE(testing::Message() << "seed " << seed);
    std::mt19937 random(seed);
    segment_window w(*disk, file_bytes, view_bytes, GetParam(), window_bytes);
    w.enter(one);
    bool first = true;
    std::uint64_t at = 0;
    for (int i = 0; i < 20'000; ++i) {
        switch (random() % 40) {
            case 0: at = random() % file_bytes; break;
            case 1: at -= std::min<std::uint64_t>(at, random() % 20'000); break;
            case 2:
                first = random() % 2 == 0;
                w.enter(first ? one : two);
                at = random() % 2 == 0 ? 0 : at;
                break;
            default: at += random() % 3000; break;
        }
        at = at < file_bytes ? at : 0;
        expect(w, first ? a : b, at, random() % view_bytes);
        if (HasFatalFailure()) {
            return;
        }
    }
}

// A piece that was to come ahead and did not is read again; one that cannot be read at all shows as zeros, block by
// block, and is told.
TEST_P(SegmentWindow, WhileReadsFail) {
    const auto reads = [&] {
        const auto before = medium.operations();
        segment_window w(*disk, file_bytes, view_bytes, GetParam(), window_bytes);
        w.enter(one);
        for (std::uint64_t at = 0; at < file_bytes; at += 2000) {
            expect(w, a, at, view_bytes);
        }
        return medium.operations() - before;
    }();
    EXPECT_GE(reads, file_bytes / window_bytes);
    for (std::uint64_t nth = 1; nth <= reads; ++nth) {
        medium.fail_at(nth, EIO);
        segment_window w(*disk, file_bytes, view_bytes, GetParam(), window_bytes);
        w.enter(one);
        for (std::uint64_t at = 0; at < file_bytes; at += 2000) {
            expect(w, a, at, view_bytes);
        }
        EXPECT_FALSE(w.error()) << "it could be read the second time";
    }
    medium.fail_from(reads / 2, EIO);
    segment_window w(*disk, file_bytes, view_bytes, GetParam(), window_bytes);
    w.enter(one);
    bool zeros = false;
    for (std::uint64_t at = 0; at < file_bytes; at += 2000) {
        const auto shown = w.from(at, 1)[0];
        zeros = zeros || shown != a[at];
        EXPECT_TRUE(shown == a[at] || (zeros && shown == 0));
    }
    EXPECT_TRUE(zeros);
    ASSERT_TRUE(w.error());
    EXPECT_EQ(w.error()->code, EIO);
}

INSTANTIATE_TEST_SUITE_P(Ahead, SegmentWindow, testing::Values(ahead::no, ahead::yes));

}  // namespace
}  // namespace linnet::test
