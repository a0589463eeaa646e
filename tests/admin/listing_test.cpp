#include "broker/admin/listing.hpp"

#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>
#include <vector>

namespace linnet::admin {
namespace {

struct thing {
    std::string vhost;
    std::string name;
    std::uint64_t messages;
};

std::vector<std::string> names_of(page_request asked, const std::vector<thing>& things) {
    row_list rows(std::move(asked));
    for (const auto& t : things) {
        rows.add(t.vhost, t.name, {}, [&](json_writer& w) {
            w.object().member("name", t.name).key("m").object().member("n", t.messages).end().end();
        });
    }
    std::vector<std::string> names;
    while (rows.size() != 0) {
        const auto r = rows.take();
        names.push_back(r.vhost + "/" + r.name);
    }
    return names;
}

page_request sorted_by(std::string path, bool reverse) {
    page_request p;
    p.sort = std::move(path);
    p.reverse = reverse;
    return p;
}

using names = std::vector<std::string>;
const std::vector<thing> all{{"b", "x", 10}, {"a", "y", 9}, {"a", "x", 9}, {"b", "a", 100}};

TEST(RowList, SortsByVhostAndNameUnlessToldOtherwise) {
    EXPECT_EQ(names_of({}, all), (names{"a/x", "a/y", "b/a", "b/x"}));
    EXPECT_EQ(names_of(sorted_by("", true), all), (names{"b/x", "b/a", "a/y", "a/x"}));
}

TEST(RowList, SortsNumbersAsNumbersAndEqualsByName) {
    EXPECT_EQ(names_of(sorted_by("m.n", false), all), (names{"a/x", "a/y", "b/x", "b/a"}));
    EXPECT_EQ(names_of(sorted_by("m.n", true), all), (names{"b/a", "b/x", "a/x", "a/y"}));
    EXPECT_EQ(names_of(sorted_by("name", false), all), (names{"b/a", "a/x", "b/x", "a/y"}));
    EXPECT_EQ(names_of(sorted_by("no.such", false), all), (names{"a/x", "a/y", "b/a", "b/x"}));
}

TEST(RowList, FindsByPartOfTheNameAndCountsAll) {
    page_request asked;
    asked.name = "ORD";
    row_list rows(asked);
    for (const auto* name : {"orders", "disorder", "other"}) {
        rows.add("/", name, {}, {});
    }
    EXPECT_EQ(rows.total(), 3U);
    EXPECT_EQ(rows.found(), 2U);
    EXPECT_EQ(rows.take().name, "disorder");
}

TEST(RowList, KeepsOfAnEarlyPageWhatIsUpToIt) {
    std::vector<thing> many;
    std::uint64_t state = 1;
    for (int i = 0; i < 3000; ++i) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        many.push_back({(state >> 40U) % 3 == 0 ? "a" : "b", "queue " + std::to_string(state >> 50U), state >> 60U});
    }
    for (const auto* path : {"", "name", "m.n", "no.such"}) {
        for (const bool reverse : {false, true}) {
            auto asked = sorted_by(path, reverse);
            const auto whole = names_of(asked, many);
            ASSERT_EQ(whole.size(), many.size());
            asked.paged = true;
            for (const std::uint64_t size : {1U, 7U, 100U, 500U}) {
                asked.page_size = size;
                for (asked.page = 1; asked.page < 4; ++asked.page) {
                    const auto upto = static_cast<std::ptrdiff_t>(asked.page * size);
                    const auto kept = names_of(asked, many);
                    EXPECT_LT(kept.size(), std::size_t{2} * asked.page * size + 1);
                    EXPECT_TRUE(std::equal(whole.begin(), whole.begin() + upto, kept.begin()))
                        << path << ' ' << reverse << ' ' << size << ' ' << asked.page;
                }
            }
        }
    }
}

TEST(RowList, SkipsToAnyRowPieceByPiece) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 chance(seed);
    for (const std::size_t count : {0U, 1U, 900U, 5000U, 12'000U}) {
        // Few different ones, so that many are equal; some quite.
        std::vector<thing> many;
        for (std::size_t i = 0; i < count; ++i) {
            many.push_back({"v", "q" + std::to_string(chance() % (count + 1)), chance() % 5});
        }
        for (const bool reverse : {false, true}) {
            const auto whole = names_of(sorted_by("m.n", reverse), many);
            for (const std::uint64_t size : {1U, 100U, 500U}) {
                auto asked = sorted_by("m.n", reverse);
                asked.paged = true;
                asked.page_size = size;
                const auto skipped = count == 0 ? 0 : chance() % count / size * size;
                asked.page = skipped / size + 1;
                row_list rows(asked);
                for (const auto& t : many) {
                    rows.add_numbered(t.vhost, t.name, {}, static_cast<double>(t.messages));
                }
                auto left = skipped;
                while (!rows.skip_some(left)) {}
                EXPECT_EQ(left, 0U);
                EXPECT_EQ(rows.found(), count);
                for (auto at = skipped; at < std::min<std::uint64_t>(skipped + size, count); ++at) {
                    const auto r = rows.take();
                    ASSERT_EQ(r.vhost + "/" + r.name, whole[at]) << at << " of " << count;
                }
            }
        }
    }
}

}  // namespace
}  // namespace linnet::admin
