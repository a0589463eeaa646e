// Walks over the topology in turns, while others change it.

#include "broker/admin/topology_steps.hpp"
#include "broker/core/topology_editor.hpp"

#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>

namespace linnet::admin {
namespace {

class TopologySteps : public testing::Test {
protected:
    static constexpr int many = 3000;

    TopologySteps() {
        vhost = editor.add_vhost("/");
        exchange("from");
        exchange("to");
        for (int i = 0; i < many; ++i) {
            bind("to", "key" + std::to_string(i));
        }
    }
    void exchange(const std::string& name) {
        core::declare_exchange x;
        x.name = name;
        x.type = "direct";
        EXPECT_TRUE(editor.declare_exchange(vhost, x));
    }
    void bind(const std::string& to, const std::string& key) {
        core::bind b;
        b.source = "from";
        b.destination = to;
        b.kind = core::bind_destination::exchange;
        b.routing_key = key;
        EXPECT_TRUE(editor.bind(vhost, b, {}));
    }
    // The next version, as long as the step lasts.
    template <class Step>
    bool in_a_version(Step&& step) {
        const auto* root = editor.commit();
        const bool over = step(core::topology_view(root));
        core::release_topology(root);
        return over;
    }

    core::topology_editor editor;
    core::vhost_id vhost;
};

TEST_F(TopologySteps, ShowEachBindingOnceWhateverComesToLieBeforeIt) {
    std::map<std::string, int> shown;
    binding_steps steps;
    int turns = 0;
    while (!in_a_version([&](core::topology_view view) {
        return steps.go_on(
            view, [](const core::vhost_node&) { return true; },
            [&](const core::vhost_node& v, const core::binding_view& b) {
                ++shown[std::string(v.name) + ' ' + std::string(b.destination) + ' ' + std::string(b.routing_key)];
            });
    })) {
        // Among so many some lie before the one under way, whatever the hashes.
        for (int i = 0; i < 50; ++i) {
            exchange("new" + std::to_string(turns) + '.' + std::to_string(i));
        }
        static_cast<void>(editor.add_vhost("vhost" + std::to_string(turns)));
        ASSERT_LT(++turns, 1000);
    }
    EXPECT_GT(turns, many / static_cast<int>(binding_steps::a_turn) - 1);
    for (int i = 0; i < many; ++i) {
        EXPECT_EQ(shown["/ to key" + std::to_string(i)], 1) << i;
    }
}

TEST_F(TopologySteps, LeaveWhatHasGoneAndGoOn) {
    std::set<std::string> shown;
    binding_steps steps;
    bool gone = false;
    exchange("last");
    bind("last", "k");
    while (!in_a_version([&](core::topology_view view) {
        return steps.go_on(
            view, [](const core::vhost_node&) { return true; },
            [&](const core::vhost_node&, const core::binding_view& b) { shown.emplace(b.routing_key); });
    })) {
        if (!gone && shown.size() > 1) {
            EXPECT_TRUE(editor.delete_exchange(vhost, {.name = "to"}));
            gone = true;
        }
    }
    EXPECT_TRUE(gone);
    EXPECT_LE(shown.size(), std::size_t{2} * binding_steps::a_turn);
    EXPECT_TRUE(shown.contains("k"));
}

}  // namespace
}  // namespace linnet::admin
