#include "broker/core/topology_walk.hpp"
#include "tests/core/random_seed.hpp"
#include "tests/core/topology_fixture.hpp"

#include <map>
#include <random>
#include <set>

namespace linnet::core {
namespace {

// What a version said about everything, when it was new.
using answers = std::map<std::string, std::vector<std::string>>;

class Versions : public topology_fixture {
protected:
    ~Versions() override {
        for (const auto* root : published) {
            release_topology(root);
        }
    }
    const topology_root* publish() {
        published.push_back(editor.commit());
        return published.back();
    }
    [[nodiscard]] static answers ask(const topology_root* root, vhost_id v, std::span<const std::string> exchanges,
                                     std::span<const std::string> keys) {
        answers out;
        const topology_view view(root);
        const vhost_node& vhost = *view.find_vhost(v);
        const auto scratch = make_route_scratch();
        std::map<std::pair<std::uint32_t, std::uint32_t>, std::string> names;
        for_each_queue(vhost, [&](const queue_entry& q) { names[{q.handle.slot, q.handle.generation}] = q.spec.name; });
        for (const auto& x : exchanges) {
            const exchange_node* node = topology_view::find_exchange(vhost, x);
            for (const auto& key : keys) {
                auto& reached = out[x + "|" + key];
                if (node == nullptr) {
                    reached = {"<none>"};
                    continue;
                }
                route_input in;
                in.routing_key = key;
                topology_view::route(vhost, *node, in, *scratch);
                for (const auto h : topology_view::targets_of(*scratch)) {
                    reached.push_back(names.at({h.slot, h.generation}));
                }
                std::ranges::sort(reached);
            }
        }
        return out;
    }

    std::vector<const topology_root*> published;
};

TEST_F(Versions, OldOnesKeepTheirAnswersThroughRandomEdits) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const std::vector<std::string> exchanges{"amq.direct", "amq.fanout", "amq.topic", "amq.headers",
                                             "x0",         "x1",         "x2",        "x3"};
    const std::vector<std::string> keys{"a", "a.b", "a.b.c", "b", ""};
    const std::vector<std::string> patterns{"a", "a.*", "#", "a.#", "*.b", "#.c", "a.b", "b", ""};
    const std::vector<std::string> types{"direct", "fanout", "topic", "fanout"};
    const auto any = [&](const auto& list) { return list[random() % list.size()]; };
    const auto queue_name = [&] { return "q" + std::to_string(random() % 12); };

    std::vector<std::pair<const topology_root*, answers>> kept;
    std::uint64_t versions = 0;
    for (int step = 0; step < 3'000; ++step) {
        const auto kind = random() % 4 == 0 ? bind_destination::exchange : bind_destination::queue;
        const std::string destination = kind == bind_destination::queue ? queue_name() : any(exchanges);
        switch (random() % 8) {
            case 0: queue(queue_name()); break;
            case 1: editor.remove_queue(vhost, queue_name()); break;
            case 2: {
                const auto i = random() % 4;
                declare_exchange x;
                x.name = "x" + std::to_string(i);
                x.type = types[i];
                x.auto_delete = i == 3;
                ASSERT_TRUE(editor.declare_exchange(vhost, x).has_value());
                break;
            }
            case 3:
                ASSERT_TRUE(editor.delete_exchange(vhost, {"x" + std::to_string(random() % 4), false}).has_value());
                break;
            case 4:
            case 5:
                ASSERT_TRUE(
                    editor.unbind(vhost, {any(exchanges), destination, kind, any(patterns), {}, {}}, me).has_value());
                break;
            default: static_cast<void>(try_bind(any(exchanges), destination, any(patterns), {}, kind));
        }
        if (step % 50 == 0) {
            const auto* root = publish();
            EXPECT_EQ(topology_view(root).version(), ++versions);
            kept.emplace_back(root, ask(root, vhost, exchanges, keys));
        }
        if (step % 400 == 399) {  // some versions go in between, not the oldest first
            const auto i = random() % kept.size();
            std::erase(published, kept[i].first);
            release_topology(kept[i].first);
            kept.erase(kept.begin() + static_cast<std::ptrdiff_t>(i));
        }
    }
    for (const auto& [root, said] : kept) {
        EXPECT_EQ(ask(root, vhost, exchanges, keys), said);
    }
}

// The bindings that the exchanges know are those that their destinations know, and each is counted.
void expect_consistent(const vhost_node& v) {
    std::multiset<const binding_node*> by_source;
    std::multiset<const binding_node*> by_destination;
    for_each_exchange(v, [&](const exchange_spec& spec, const exchange_node& x) {
        std::uint64_t n = 0;
        for_each_binding(x, [&](const binding_node& b) {
            by_source.insert(&b);
            EXPECT_EQ(b.source(), spec.name);
            ++n;
        });
        EXPECT_EQ(n, x.outbound_count) << spec.name;
        x.inbound.for_each([&](const binding_node& b) { by_destination.insert(&b); });
    });
    v.queues.for_each([&](const queue_node& q) {
        q.bindings.for_each([&](const binding_node& b) {
            EXPECT_EQ(b.queue, q.handle);
            by_destination.insert(&b);
        });
    });
    EXPECT_EQ(by_source, by_destination);
}

TEST_F(Versions, BothIndexesOfBindingsAgreeAfterRandomEdits) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const auto name = [&](const char* prefix) { return prefix + std::to_string(random() % 6); };
    for (int i = 0; i < 6; ++i) {
        declare_exchange x;
        x.name = "x" + std::to_string(i);
        x.type = std::array{"direct", "topic", "fanout", "headers", "x-random", "topic"}[static_cast<std::size_t>(i)];
        x.auto_delete = i == 5;
        ASSERT_TRUE(editor.declare_exchange(vhost, x).has_value());
    }
    for (int step = 0; step < 2'000; ++step) {
        const auto kind = random() % 3 == 0 ? bind_destination::exchange : bind_destination::queue;
        const auto destination = name(kind == bind_destination::queue ? "q" : "x");
        switch (random() % 6) {
            case 0: queue(name("q")); break;
            case 1: editor.remove_queue(vhost, name("q")); break;
            case 2:
                ASSERT_TRUE(editor.unbind(vhost, {name("x"), destination, kind, name("a."), {}, {}}, me).has_value());
                break;
            default: static_cast<void>(try_bind(name("x"), destination, name("a."), {}, kind));
        }
        if (step % 100 == 0) {
            expect_consistent(node());
            publish();
        }
    }
    expect_consistent(node());
}

TEST(TopologyMemory, IsAllGivenBackWithTheLastVersion) {
    const auto before = census_of_this_thread().live();
    std::vector<const topology_root*> versions;
    {
        topology_editor editor;
        const vhost_id v = editor.add_vhost("/");
        for (int i = 0; i < 200; ++i) {
            const std::string name = "q" + std::to_string(i);
            queue_spec spec;
            spec.name = name;
            spec.vhost = v;
            editor.add_queue(spec, {static_cast<std::uint32_t>(i), 1, {}});
            ASSERT_TRUE(editor.bind(v, {"amq.topic", name, {}, "a." + name + ".#", {}, {}}, {}).has_value());
            ASSERT_TRUE(editor.bind(v, {"amq.direct", name, {}, name, {}, {}}, {}).has_value());
            if (i % 10 == 0) {
                versions.push_back(editor.commit());
            }
            if (i % 3 == 0) {
                editor.remove_queue(v, name);
            }
        }
    }
    EXPECT_GT(census_of_this_thread().live(), before) << "versions outlive their editor";
    while (!versions.empty()) {  // from the middle outwards: order must not matter
        const auto at = versions.begin() + static_cast<std::ptrdiff_t>(versions.size() / 2);
        release_topology(*at);
        versions.erase(at);
    }
    EXPECT_EQ(census_of_this_thread().live(), before);
}

TEST(TopologyCost, OfOneBindingDoesNotGrowWithTheTable) {
    topology_editor editor;
    const vhost_id v = editor.add_vhost("/");
    std::vector<const topology_root*> versions;
    const auto cost_at = [&](std::uint32_t size, std::uint32_t from) {
        for (std::uint32_t i = from; i < size; ++i) {
            const std::string name = "q" + std::to_string(i);
            queue_spec spec;
            spec.name = name;
            spec.vhost = v;
            editor.add_queue(spec, {i, 1, {}});
            EXPECT_TRUE(editor.bind(v, {"amq.topic", name, {}, "site." + name + ".temperature", {}, {}}, {}));
        }
        versions.push_back(editor.commit());
        const auto before = census_of_this_thread().made;
        EXPECT_TRUE(editor.bind(v, {"amq.topic", "q7", {}, "site.new" + std::to_string(size) + ".#", {}, {}}, {}));
        return census_of_this_thread().made - before;
    };
    const auto small = cost_at(1'000, 0);
    const auto large = cost_at(100'000, 1'000);
    // Root, vhost, exchange, queue, topic nodes, binding, and a handful of map nodes on each way down.
    EXPECT_LE(small, 30U);
    EXPECT_LE(large, small + 6);
    RecordProperty("nodes_made_by_one_bind_at_100000", std::to_string(large));
    for (const auto* root : versions) {
        release_topology(root);
    }
}

TEST_F(Versions, ListingsShowWhatIsThere) {
    queue("q");
    exchange("x", "topic");
    bind("x", "q", "a.#", {{"why", make_string("test")}});
    bind_exchange("amq.topic", "x", "b");
    const auto* root = publish();
    std::set<std::string> vhosts;
    for_each_vhost(*root, [&](const vhost_node& v) { vhosts.insert(v.name); });
    EXPECT_EQ(vhosts, std::set<std::string>{"/"});
    int exchanges = 0;
    for_each_exchange(node(), [&](const exchange_spec&, const exchange_node&) { ++exchanges; });
    EXPECT_EQ(exchanges, 8);
    const auto* x = topology_view::find_exchange(node(), "x");
    int seen = 0;
    for_each_binding_from(*x, [&](const binding_view& b) {
        EXPECT_EQ(b.source, "x");
        EXPECT_EQ(b.destination, "q");
        EXPECT_EQ(b.routing_key, "a.#");
        EXPECT_EQ(b.arguments.size(), 1U);
        ++seen;
    });
    for_each_binding_to(*x, [&](const binding_view& b) {
        EXPECT_EQ(b.source, "amq.topic");
        EXPECT_EQ(b.kind, bind_destination::exchange);
        ++seen;
    });
    for_each_binding_of_queue(node(), "q", [&](const binding_view& b) {
        EXPECT_EQ(b.source, "x");
        ++seen;
    });
    EXPECT_EQ(seen, 3);
}

}  // namespace
}  // namespace linnet::core
