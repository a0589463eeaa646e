#include "tests/core/random_seed.hpp"
#include "tests/store/log_support.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>

// A log of a MiB that was closed, and then damaged: flipped bits, files cut short, exchanged, put back from earlier.

namespace linnet::test {
namespace {

struct sound_log {
    store::disk_image image;
    store::disk_image earlier;  // the same files, when half was written
    std::vector<kept_record> records;
};

sound_log make_sound_log() {
    sound_log made;
    simulated_disk medium{{.seed = 5, .prompt = true}};
    auto o = open(medium);
    for (std::size_t i = 0; o.log->end() < 17 * small_log().segment_bytes; ++i) {
        made.records.push_back(put(*o.log, text(i, i % 40 == 7 ? 20'000 : 1 + i * 31 % 900),
                                   i % 5 == 1 ? core::record_flags::more : std::uint8_t{0}));
        if (i % 4 == 0) {
            o.log->flush();
            o.log->poll();
        }
        if (o.log->end() < 8 * small_log().segment_bytes + 30'000)
            made.earlier = medium.snapshot();
    }
    made.records.push_back(put(*o.log, "the last"));
    EXPECT_TRUE(o.log->close());
    made.image = medium.snapshot();
    return made;
}

const sound_log& sound() {
    static const sound_log made = make_sound_log();
    return made;
}

std::vector<std::string> segments(const store::disk_image& image) {
    std::vector<std::string> names;
    for (const auto& [name, content] : image)
        if (name.starts_with("log-"))
            names.push_back(name);
    return names;
}

reopened open_image(const store::disk_image& image, bool salvage) {
    simulated_disk medium{image, {.seed = 1, .prompt = true}};
    store::log_options o = small_log();
    o.salvage = salvage;
    reopened r = open(medium, o);
    EXPECT_TRUE(r.log == nullptr || r.log->close());
    return r;
}

// How many of `all` are not among `found`; -1: something is that was never written, or in another order.
int missing(const std::vector<kept_record>& found, const std::vector<kept_record>& all) {
    std::size_t at = 0;
    for (const kept_record& r : found) {
        while (at < all.size() && !(all[at] == r))
            ++at;
        if (at++ == all.size())
            return -1;
    }
    return static_cast<int>(all.size() - found.size());
}

std::size_t flips() {
    const char* given = std::getenv("LINNET_LOG_FLIPS");
    return given == nullptr ? 10'000 : std::strtoull(given, nullptr, 10);
}

// One bit, and what it did to the log. Opened with salvage, and again without: salvage mends.
void flip_one(store::disk_image& image, std::vector<std::uint8_t>& content, std::size_t bit, std::size_t& refused) {
    content[bit / 8] = static_cast<std::uint8_t>(content[bit / 8] ^ 1U << bit % 8);
    const reopened strict = open_image(image, false);
    if (strict.log) {
        ASSERT_EQ(missing(strict.records, sound().records), 0);
    } else {
        ++refused;
        ASSERT_NE(strict.why.find("log-3-"), std::string::npos) << strict.why;
        simulated_disk medium{image, {.seed = 1, .prompt = true}};
        store::log_options o = small_log();
        o.salvage = true;
        {
            reopened saved = open(medium, o);
            ASSERT_TRUE(saved.log) << saved.why;
            const int lost = missing(saved.records, sound().records);
            ASSERT_GE(lost, 0);
            ASSERT_LE(lost, 1);
            ASSERT_EQ(saved.report.skipped.size(), 1U);
            ASSERT_EQ(saved.report.skipped.front().segment.rfind("log-3-", 0), 0U);
            ASSERT_TRUE(saved.log->close());
        }
        const reopened mended = open(medium);
        ASSERT_TRUE(mended.log) << mended.why;
        ASSERT_LE(missing(mended.records, sound().records), 1);
    }
    content[bit / 8] = static_cast<std::uint8_t>(content[bit / 8] ^ 1U << bit % 8);
}

TEST(LogDamage, OneBitCostsOneRecordAtMost) {
    const std::uint64_t seed = fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random{seed};
    store::disk_image image = sound().image;
    const auto names = segments(image);
    ASSERT_GE(names.size(), 16U);
    ASSERT_EQ(missing(open_image(image, false).records, sound().records), 0);
    std::size_t refused = 0;
    for (std::size_t i = 0; i < flips(); ++i) {
        auto& content = image.find(names[random() % names.size()])->second;
        const std::size_t bit = random() % (content.size() * 8);
        SCOPED_TRACE("bit " + std::to_string(bit));
        flip_one(image, content, bit, refused);
        if (testing::Test::HasFatalFailure())
            return;
    }
    // Most of the bytes are records: were the check blind, none would be refused.
    EXPECT_GT(refused, flips() / 2);
}

// Nothing was written behind the last batch, so that no commit says of it that it is durable.
store::disk_image burst(bool rests, core::log_position& last) {
    simulated_disk medium;
    auto o = open(medium);
    for (std::size_t i = 0; i < 20; ++i)
        last = put(*o.log, text(i, 1000)).at;
    settle(*o.log, medium);
    if (rests) {
        o.log->tick(0);
        settle(*o.log, medium);
        const auto end = o.log->end();
        o.log->tick(0);
        EXPECT_EQ(o.log->end(), end) << "it goes on writing while nothing happens";
    }
    return medium.crash(1);
}

TEST(LogDamage, AfterAMomentsRestNothingOfABurstPassesForTorn) {
    for (const bool rests : {false, true}) {
        core::log_position last = 0;
        auto image = burst(rests, last);
        auto& content = image.find(segments(image).front())->second;
        content[last % small_log().segment_bytes + 500] ^= 1;
        const reopened r = open_image(image, false);
        EXPECT_EQ(r.log == nullptr, rests) << r.why;
        EXPECT_LT(r.records.size(), 20U);
    }
}

TEST(LogDamage, RefusesSegmentsThatAreCutShort) {
    std::mt19937_64 random{7};
    for (const std::string& name : segments(sound().image)) {
        store::disk_image image = sound().image;
        auto& content = image.find(name)->second;
        content.resize(random() % (content.size() / store::disk::block) * store::disk::block);
        const reopened r = open_image(image, false);
        ASSERT_FALSE(r.log) << name;
        EXPECT_NE(r.why.find(name), std::string::npos) << r.why;
    }
}

TEST(LogDamage, RefusesAGap) {
    const auto names = segments(sound().image);
    for (std::size_t i = 1; i + 1 < names.size(); ++i) {
        store::disk_image image = sound().image;
        image.erase(names[i]);
        const reopened r = open_image(image, false);
        ASSERT_FALSE(r.log) << names[i];
        EXPECT_NE(r.why.find(names[i] + " is missing"), std::string::npos) << r.why;
    }
}

TEST(LogDamage, RefusesExchangedSegments) {
    const auto names = segments(sound().image);
    for (std::size_t i = 0; i + 1 < names.size(); ++i) {
        store::disk_image image = sound().image;
        std::swap(image[names[i]], image[names[i + 1]]);
        EXPECT_FALSE(open_image(image, false).log) << names[i];
        EXPECT_FALSE(open_image(image, true).log) << names[i];
    }
}

TEST(LogDamage, RefusesASegmentFromEarlier) {
    std::size_t differing = 0;
    for (const std::string& name : segments(sound().earlier)) {
        store::disk_image image = sound().image;
        if (image[name] == sound().earlier.at(name))
            continue;
        ++differing;
        image[name] = sound().earlier.at(name);
        const reopened r = open_image(image, false);
        EXPECT_FALSE(r.log) << name;
        const reopened saved = open_image(image, true);
        ASSERT_TRUE(saved.log) << saved.why;
        EXPECT_GT(missing(saved.records, sound().records), 0);
        EXPECT_FALSE(saved.report.skipped.empty());
    }
    EXPECT_GE(differing, 1U);
}

TEST(LogDamage, RefusesWhatIsNotItsOwn) {
    const auto names = segments(sound().image);
    const auto refusal = [](store::log_options o) {
        simulated_disk medium{sound().image, {}};
        return open(medium, o).why;
    };
    store::log_options other = small_log();
    other.store_id ^= 1;
    EXPECT_NE(refusal(other).find("belongs to the store"), std::string::npos) << refusal(other);

    store::disk_image image = sound().image;
    store::segment_header h = *store::decode_segment_header(image[names[0]]);
    h.major = 2;
    std::vector<std::uint8_t> block(store::segment_header_bytes);
    store::encode_segment_header(h, block);
    std::ranges::copy(block, image[names[0]].begin());
    const reopened newer = open_image(image, true);
    EXPECT_FALSE(newer.log);
    EXPECT_NE(newer.why.find("format 2.0"), std::string::npos) << newer.why;

    image = sound().image;
    std::ranges::fill(image[names[0]], std::uint8_t{0});
    EXPECT_NE(open_image(image, false).why.find("not a segment"), std::string::npos);
}

TEST(LogDamage, AnotherSizeOfSegmentsIsTakenFromTheFiles) {
    simulated_disk medium{sound().image, {.seed = 1, .prompt = true}};
    store::log_options o = small_log();
    o.segment_bytes *= 4;
    const reopened r = open(medium, o);
    ASSERT_TRUE(r.log) << r.why;
    EXPECT_EQ(missing(r.records, sound().records), 0);
    EXPECT_EQ(r.log->capabilities().segment_bytes, small_log().segment_bytes);
}

}  // namespace
}  // namespace linnet::test
