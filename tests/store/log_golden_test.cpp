#include "tests/store/log_support.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

// The format as it was once written down: files of every released version are to open for ever.
//
// LINNET_WRITE_GOLDEN=1 writes the files anew: only for a format that has not been released.

namespace linnet::test {
namespace {

const std::filesystem::path folder = LINNET_GOLDEN_FOLDER;

std::string contents(const std::filesystem::path& p) {
    std::ifstream in{p, std::ios::binary};
    return {std::istreambuf_iterator<char>{in}, {}};
}

store::log_options golden_log() {
    store::log_options o = small_log();
    o.segment_bytes = store::min_segment_bytes;
    return o;
}

const std::string name = store::segment_name(golden_log().log_number, 1);

// One of each: a record, a group, a commit, a batch in the block of the one before, a clean end.
std::vector<kept_record> write_life(simulated_disk& medium) {
    auto o = open(medium, golden_log());
    std::vector<kept_record> all;
    all.push_back(put(*o.log, "hello", 0, 1));
    settle(*o.log, medium);
    all.push_back(put(*o.log, "a group", core::record_flags::more, 2));
    all.push_back(put(*o.log, "of two", 0, 2));
    EXPECT_TRUE(o.log->close());
    return all;
}

// As in FORMAT.md: offset, 16 octets, rows that are all zeros left out.
std::string hex_of(const std::vector<std::uint8_t>& bytes) {
    std::string text;
    for (std::size_t row = 0; row < bytes.size(); row += 16) {
        const auto begin = bytes.begin() + static_cast<std::ptrdiff_t>(row);
        if (std::all_of(begin, begin + 16, [](std::uint8_t b) { return b == 0; }))
            continue;
        text += fmt::format("    {:04x} ", row);
        for (std::size_t i = 0; i < 16; ++i)
            text += fmt::format("{}{:02x}", i == 8 ? "  " : " ", bytes[row + i]);
        text += "\n";
    }
    return text;
}

TEST(LogGolden, WritesTheFormatThatIsWrittenDown) {
    simulated_disk medium{{.prompt = true}};
    write_life(medium);
    const auto image = medium.snapshot();
    const auto& written = image.at(name);
    if (std::getenv("LINNET_WRITE_GOLDEN") != nullptr) {
        std::filesystem::create_directories(folder / "format-1.0");
        std::ofstream out{folder / "format-1.0" / name, std::ios::binary};
        out.write(reinterpret_cast<const char*>(written.data()), static_cast<std::streamsize>(written.size()));
    }
    const std::string kept = contents(folder / "format-1.0" / name);
    EXPECT_TRUE(std::equal(kept.begin(), kept.end(), written.begin(), written.end(), [](char a, std::uint8_t b) {
        return static_cast<std::uint8_t>(a) == b;
    })) << hex_of(written);
    EXPECT_NE(contents(LINNET_FORMAT_PAGE).find(hex_of(written)), std::string::npos)
        << "FORMAT.md shows something else than\n"
        << hex_of(written);
}

TEST(LogGolden, OpensTheFilesOfEveryVersion) {
    std::size_t versions = 0;
    for (const auto& version : std::filesystem::directory_iterator{folder}) {
        SCOPED_TRACE(version.path().filename());
        store::disk_image image;
        const std::string kept = contents(version.path() / name);
        image.emplace(name, std::vector<std::uint8_t>{kept.begin(), kept.end()});
        simulated_disk medium{std::move(image), {.seed = 1, .prompt = true}};
        const auto o = open(medium, golden_log());
        ASSERT_TRUE(o.log) << o.why;
        ASSERT_EQ(o.records.size(), 3U);
        EXPECT_EQ(o.records[0].payload, "hello");
        EXPECT_EQ(o.records[1].payload, "a group");
        EXPECT_EQ(o.records[1].flags, core::record_flags::more);
        EXPECT_EQ(o.records[2].payload, "of two");
        EXPECT_EQ(o.records[2].kind, 2);
        EXPECT_TRUE(o.report.clean);
        EXPECT_EQ(o.log->epoch(), 2U);
        ++versions;
    }
    EXPECT_GE(versions, 1U);
}

}  // namespace
}  // namespace linnet::test
