// Pages of queues by their order, against the same pages of a list that is sorted.

#include "broker/admin/queue_walk.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_walk.hpp"
#include "tests/core/random_seed.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace linnet::admin {
namespace {

using names = std::vector<std::string>;

struct page_of {
    names rows;
    std::uint64_t total = 0;
    std::uint64_t found = 0;

    bool operator==(const page_of&) const = default;
};
std::ostream& operator<<(std::ostream& to, const page_of& p) {
    return to << p.found << " of " << p.total << ": " << testing::PrintToString(p.rows);
}

class QueueWalk : public testing::Test {
protected:
    void declare(std::string_view vhost, std::string name) {
        const auto v = editor.add_vhost(vhost);
        core::declare_queue q;
        q.name = std::move(name);
        auto checked = editor.check_declare_queue(v, q, {});
        ASSERT_TRUE(checked) << checked.error().text;
        if (auto* spec = std::get_if<core::queue_spec>(&*checked)) {
            editor.add_queue(std::move(*spec), {next_slot++, 1, {}});
        }
    }
    void remove(std::string_view vhost, std::string_view name) {
        static_cast<void>(editor.remove_queue(editor.add_vhost(vhost), name));
    }
    [[nodiscard]] static bool shows(const core::vhost_node& v) { return v.name != "hidden"; }

    // `between` runs between two pieces.
    [[nodiscard]] page_of walked(
        const page_request& asked, const std::function<void()>& between = [] {}) {
        queue_walk walk(asked);
        for (pieces = 1; !walk.go_on(editor, shows); ++pieces) {
            between();
        }
        page_of p{{}, walk.total(), walk.found()};
        for (const auto& r : walk.rows()) {
            p.rows.push_back(r.vhost + "/" + r.name);
            const auto* q = editor.find_queue(std::get<core::queue_handle>(r.place));
            EXPECT_TRUE(q == nullptr || q->spec.name == r.name);
        }
        return p;
    }
    [[nodiscard]] page_of listed(const page_request& asked) const {
        row_list list(asked);
        core::for_each_vhost(editor.root(), [&](const core::vhost_node& v) {
            if (shows(v)) {
                core::for_each_queue(v,
                                     [&](const core::queue_entry& q) { list.add(v.name, q.spec.name, q.handle, {}); });
            }
        });
        page_of p{{}, list.total(), list.found()};
        for (auto skip = (asked.page - 1) * asked.page_size; skip != 0 && list.size() != 0; --skip) {
            static_cast<void>(list.take());
        }
        while (p.rows.size() < asked.page_size && list.size() != 0) {
            const auto r = list.take();
            p.rows.push_back(r.vhost + "/" + r.name);
        }
        return p;
    }

    core::topology_editor editor;
    std::uint32_t next_slot = 1;
    int pieces = 0;
};

TEST_F(QueueWalk, FindsThePagesThatASortedListHas) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 chance(seed);
    const std::vector<std::string> vhosts{"/", "a", "hidden", "b", "~"};
    for (int round = 0; round < 60; ++round) {
        for (int i = 0; i < 100; ++i) {
            const auto& vhost = vhosts[chance() % vhosts.size()];
            const auto name = fmt::format("Queue {}", chance() % 2000);
            chance() % 3 == 0 ? remove(vhost, name) : declare(vhost, name);
        }
        if (round == 40) {
            ASSERT_TRUE(editor.remove_vhost("a"));
        }
        page_request asked;
        asked.paged = true;
        asked.page_size = 1 + chance() % page_request::page_size_max;
        asked.page = 1 + chance() % 12;
        asked.reverse = chance() % 2 == 0;
        asked.name = chance() % 2 == 0 ? "" : fmt::format("qUEUE {}", chance() % 10);
        ASSERT_EQ(walked(asked), listed(asked))
            << asked.page << " x " << asked.page_size << ' ' << asked.name << ' ' << asked.reverse;
    }
}

TEST_F(QueueWalk, ShowsNothingTwiceWhateverComesAndGoesBetweenItsPieces) {
    constexpr std::size_t stay = 20'000;
    for (std::size_t i = 0; i < stay; ++i) {
        declare(i % 2 == 0 ? "a" : "b", fmt::format("q{:05}", i));
    }
    for (const bool reverse : {false, true}) {
        page_request asked;
        asked.paged = true;
        asked.name = "q0001";
        asked.reverse = reverse;
        const auto expected = listed(asked).rows;
        ASSERT_EQ(expected.size(), 10U);
        int n = 0;
        const auto p = walked(asked, [&] {
            // Before, behind and at any place where it may have stopped.
            for (std::size_t i = 0; i < stay; i += 500) {
                declare("a", fmt::format("q{:05}+{}", i, n));
                remove("b", fmt::format("q{:05}+{}", i, n - 1));
                declare("b", fmt::format("q{:05}+{}", i, n));
            }
            ++n;
        });
        EXPECT_GT(pieces, 3);
        EXPECT_EQ(p.rows, expected);
        EXPECT_GE(p.total, stay);
    }
}

TEST_F(QueueWalk, GoesOnWhereTheVhostItWasInHasGone) {
    for (std::size_t i = 0; i < 10'000; ++i) {
        declare(i < 9'000 ? "b" : "c", fmt::format("q{:05}", i));
    }
    page_request asked;
    asked.paged = true;
    asked.name = "99";
    asked.page_size = page_request::page_size_max;
    const auto p = walked(asked, [&] { static_cast<void>(editor.remove_vhost("b")); });
    EXPECT_EQ(p.rows.back(), "c/q09999");
    EXPECT_LT(p.total, 9'000U);
}

TEST_F(QueueWalk, TellsHowManyVhostsItMet) {
    declare("a", "x");
    declare("b", "x");
    declare("hidden", "x");
    page_request asked;
    asked.paged = true;
    queue_walk walk(asked);
    ASSERT_TRUE(walk.go_on(editor, shows));
    EXPECT_EQ(walk.vhosts(), 2U);
}

}  // namespace
}  // namespace linnet::admin
