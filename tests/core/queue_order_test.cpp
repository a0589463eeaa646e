// The order of a vhost's queues against a sorted set, and that the editor keeps it whatever happens to queues.

#include "broker/core/queue_order.hpp"

#include "tests/core/random_seed.hpp"
#include "tests/core/topology_fixture.hpp"

#include <fmt/format.h>

#include <map>
#include <random>
#include <set>

namespace linnet::core {
namespace {

using names = std::vector<std::string>;

names all_up(const queue_order& order, std::size_t from = 0) {
    names seen;
    order.up_from(from, [&](const queue_entry& q) {
        seen.push_back(q.spec.name);
        return true;
    });
    return seen;
}
names all_down(const queue_order& order, std::size_t from) {
    names seen;
    order.down_from(from, [&](const queue_entry& q) {
        seen.push_back(q.spec.name);
        return true;
    });
    return seen;
}

node_ref<queue_record> record_of(const std::string& name) {
    auto made = make_node<queue_record>();
    made.own().entry.spec.name = name;
    return made;
}

void expect_same(const std::set<std::string>& model, const queue_order& order, std::mt19937_64& chance) {
    ASSERT_EQ(order.size(), model.size());
    const names sorted(model.begin(), model.end());
    ASSERT_EQ(all_up(order), sorted);
    const auto rank = model.empty() ? 0 : chance() % (model.size() + 1);
    const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(rank);
    ASSERT_EQ(all_up(order, rank), names(middle, sorted.end())) << rank;
    ASSERT_EQ(all_down(order, rank), names(std::reverse_iterator(middle), sorted.rend())) << rank;
    ASSERT_EQ(all_up(order, sorted.size() + 1), names{});
    const auto some = fmt::format("q{}", chance() % 100'000);
    ASSERT_EQ(order.count_before(some),
              static_cast<std::size_t>(std::distance(model.begin(), model.lower_bound(some))));
    ASSERT_EQ(order.holds(some), model.contains(some));
}

TEST(QueueOrder, IsASortedSetWhileItGrowsAndShrinks) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 chance(seed);
    queue_order order;
    std::set<std::string> model;
    std::map<std::string, node_ref<queue_record>> records;
    // Up to some blocks, down to nothing, and up again.
    for (const std::size_t size :
         {std::size_t{0}, 5 * queue_order::block_max, std::size_t{0}, queue_order::block_max}) {
        for (int step = 0; model.size() != size; ++step) {
            const bool grows = (model.size() < size) == (chance() % 8 != 0);
            const auto name = fmt::format("q{}", chance() % 100'000);
            if (grows && model.insert(name).second) {
                order.insert(*(records[name] = record_of(name)));
            } else if (!grows && !model.empty()) {
                auto at = model.lower_bound(name);
                at = at == model.end() ? model.begin() : at;
                order.erase(*at);
                records.erase(*at);
                model.erase(at);
            }
            if (step % 97 == 0) {
                expect_same(model, order, chance);
            }
        }
        expect_same(model, order, chance);
    }
}

TEST(QueueOrder, TakesNamesInOrderAndStopsWhenTold) {
    queue_order order;
    std::vector<node_ref<queue_record>> records;
    for (int i = 0; i < 2000; ++i) {
        records.push_back(record_of(fmt::format("{:05}", i)));
        order.insert(*records.back());
    }
    names few;
    order.up_from(1500, [&](const queue_entry& q) {
        few.push_back(q.spec.name);
        return few.size() < 2;
    });
    order.down_from(1500, [&](const queue_entry& q) {
        few.push_back(q.spec.name);
        return few.size() < 4;
    });
    EXPECT_EQ(few, (names{"01500", "01501", "01499", "01498"}));
}

class QueuesInOrder : public topology_fixture {
protected:
    // As the tables have them.
    [[nodiscard]] static std::map<std::string, std::map<std::string, queue_handle>> tables(const topology_editor& e) {
        std::map<std::string, std::map<std::string, queue_handle>> all;
        e.root().vhosts.for_each([&](const vhost_node& v) {
            v.queues.for_each([&](const queue_node& q) { all[v.name][q.info->entry.spec.name] = q.handle; });
        });
        return all;
    }
    // Each with the very entry that the tables have.
    static void expect_in_order(const topology_editor& e) {
        const auto expected = tables(e);
        ASSERT_EQ(e.queues_in_order().size(), expected.size());
        for (const auto& of : expected) {
            const auto& order = e.queues_in_order().find(of.first)->second;
            ASSERT_EQ(order.size(), of.second.size());
            auto next = of.second.begin();
            order.up_from(0, [&](const queue_entry& q) {
                EXPECT_EQ(q.spec.name, next->first);
                EXPECT_EQ(&q, topology_view::find_queue(*e.view().find_vhost(of.first), next->first));
                return ++next != of.second.end();
            });
        }
    }
};

TEST_F(QueuesInOrder, FollowWhateverHappensToQueues) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 chance(seed);
    exchange("x", "direct");
    std::vector<const topology_root*> versions;
    for (int i = 0; i < 4000; ++i) {
        const auto name = fmt::format("q{}", chance() % 900);
        switch (chance() % 8) {
            case 0:
            case 1: static_cast<void>(editor.remove_queue(vhost, name)); break;
            case 2:
                if (topology_view::find_queue(node(), name) != nullptr) {
                    bind("x", name, "key");
                }
                break;
            case 3: {
                const vhost_id before = vhost;
                vhost = editor.add_vhost(fmt::format("v{}", chance() % 3));
                queue(name);
                vhost = before;
                break;
            }
            default: queue(name);
        }
        if (i % 400 == 0) {
            policy p;
            p.name = "limit";
            p.pattern = fmt::format("^q{}", chance() % 10);
            p.definition = {{"max-length", integer(i)}};
            ASSERT_TRUE(editor.set_policy(vhost, p));
            expect_in_order(editor);
            const auto fork = editor.fork();
            static_cast<void>(fork->remove_queue(vhost, name));
            static_cast<void>(fork->remove_vhost("v0"));
            expect_in_order(*fork);
            expect_in_order(editor);
            versions.push_back(editor.commit());
        }
    }
    ASSERT_TRUE(editor.remove_vhost("/"));
    expect_in_order(editor);
    std::ranges::for_each(versions, release_topology);
}

// No published version holds what a policy has replaced before the first commit: it goes at once.
TEST_F(QueuesInOrder, ForgetWhatNoVersionHoldsBeforeItGoes) {
    const auto name = [](int i) { return fmt::format("a queue whose name lies in memory of its own {:04}", i); };
    for (int i = 0; i < 600; ++i) {
        queue(name(i));
    }
    for (const std::int64_t most : {1, 2, 3}) {
        policy p;
        p.name = "limit";
        p.pattern = "^a queue";
        p.definition = {{"max-length", integer(most)}};
        const auto told = editor.set_policy(vhost, p);
        ASSERT_TRUE(told);
        EXPECT_EQ(told->size(), 600U);
        expect_in_order(editor);
    }
    ASSERT_TRUE(editor.remove_policy(vhost, "limit"));
    expect_in_order(editor);
    for (int i = 0; i < 600; ++i) {
        static_cast<void>(editor.remove_queue(vhost, name(i)));
    }
    EXPECT_TRUE(editor.queues_in_order().empty());
}

}  // namespace
}  // namespace linnet::core
