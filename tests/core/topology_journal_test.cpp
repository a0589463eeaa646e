#include "broker/core/topology_journal.hpp"

#include "broker/core/topology_editor.hpp"
#include "broker/store/memory_log.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <set>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

constexpr session_handle me{1, 1, {}};

using picture = std::map<std::string, definition>;  // by key

// What is to survive, of the editor and of the journal itself.
[[nodiscard]] picture durable_part(const topology_editor& editor, const topology_journal& j) {
    picture all;
    describe(editor, [&](const definition& d) {
        const auto* x = std::get_if<exchange_definition>(&d);
        const auto* q = std::get_if<queue_definition>(&d);
        const auto* b = std::get_if<binding_definition>(&d);
        if ((x == nullptr || x->durable) && (q == nullptr || q->durable) && (b == nullptr || b->durable)) {
            all.emplace(key_of(d), d);
        }
    });
    for (const auto& [name, u] : j.users()) {
        all.emplace(key_of(u), u);
    }
    for (const auto& [key, p] : j.parameters()) {
        all.emplace(key, p);
    }
    return all;
}

// A broker's topology over a log in memory, and its next life.
class life {
public:
    explicit life(store::memory_log& log) : journal(&log, read(log)) {
        std::uint32_t slot = 0;
        problems = journal.restore(editor, [&](const queue_spec& q) {
            restored_uids.insert(q.uid);
            return queue_handle{slot++, 1, {}};
        });
        next_slot = slot;
    }
    ~life() { editor.listen(nullptr); }

    [[nodiscard]] static topology_replay read(store::memory_log& log) {
        topology_replay found;
        log.scan(log.begin(), [&](const log_record& r) {
            EXPECT_TRUE(found.add(r));
            return true;
        });
        return found;
    }
    void settle() {
        static_cast<void>(journal.seal());
        journal.flush(editor);
        static_cast<void>(journal.poll());
    }
    [[nodiscard]] vhost_id vhost(std::string_view name) {
        const auto* v = editor.view().find_vhost(name);
        return v == nullptr ? vhost_id{} : topology_view::id_of(*v);
    }
    bool queue(vhost_id v, const std::string& name, bool durable, bool auto_delete = false, bool exclusive = false) {
        declare_queue q;
        q.name = name;
        q.durable = durable;
        q.auto_delete = auto_delete;
        q.exclusive = exclusive;
        q.arguments = {{"x-max-length", make_int64(10)}};
        auto checked = editor.check_declare_queue(v, q, me);
        auto* spec = checked ? std::get_if<queue_spec>(&*checked) : nullptr;
        if (spec == nullptr) {
            return false;
        }
        spec->uid = journal.next_uid();
        editor.add_queue(std::move(*spec), {next_slot++, 1, {}});
        return true;
    }
    bool exchange(vhost_id v, const std::string& name, const std::string& type, bool durable, bool auto_delete) {
        declare_exchange x;
        x.name = name;
        x.type = type;
        x.durable = durable;
        x.auto_delete = auto_delete;
        return editor.declare_exchange(v, x).has_value();
    }

    topology_journal journal;
    topology_editor editor;
    std::vector<std::string> problems;
    std::set<owner_uid> restored_uids;
    std::uint32_t next_slot = 0;
};

// Delayed messages are stored under it: whoever else got it would get them, too.
TEST(TopologyJournal, AVhostKeepsItsNumberAndLeavesItToNobody) {
    store::memory_log log;
    vhost_id z;
    vhost_id last;
    {
        life first(log);
        static_cast<void>(first.editor.add_vhost("gone"));
        z = first.editor.add_vhost("z");
        last = first.editor.add_vhost("last");
        EXPECT_TRUE(first.editor.remove_vhost("gone"));
        EXPECT_TRUE(first.editor.remove_vhost("last"));
        static_cast<void>(first.editor.add_vhost("a"));
        EXPECT_TRUE(first.editor.remove_vhost("a"));
        first.settle();
    }
    life second(log);
    EXPECT_EQ(second.vhost("z"), z);
    EXPECT_GT(second.editor.add_vhost("another").value, last.value + 1);
}

TEST(TopologyJournal, BringsBackWhatIsDurableAndNothingElse) {
    store::memory_log log;
    picture before;
    {
        life first(log);
        EXPECT_TRUE(first.journal.empty());
        const auto v = first.editor.add_vhost("/");
        first.journal.set(user_definition{"ada", "hash", {"administrator"}, false});
        ASSERT_TRUE(first.editor.set_permissions("ada", v, {".*", "^a", ""}).has_value());
        ASSERT_TRUE(first.editor.set_topic_permissions("ada", v, "amq.topic", {"^{username}", ".*"}).has_value());
        ASSERT_TRUE(first.editor.set_policy(v, {"p", "^q", policy_scope::queues, 1, {{"max-length", make_int64(3)}}}));
        EXPECT_TRUE(first.exchange(v, "stays", "topic", true, false));
        EXPECT_TRUE(first.exchange(v, "goes", "topic", false, false));
        EXPECT_TRUE(first.queue(v, "q.stays", true));
        EXPECT_TRUE(first.queue(v, "q.goes", false));
        EXPECT_TRUE(first.queue(v, "q.mine", true, false, true));
        for (const auto* source : {"stays", "goes", "amq.topic"}) {
            for (const auto* queue : {"q.stays", "q.goes", "q.mine"}) {
                ASSERT_TRUE(first.editor.bind(v, {source, queue, bind_destination::queue, "k", {}}, me).has_value());
            }
        }
        ASSERT_TRUE(
            first.editor.bind(v, {"stays", "q.stays", bind_destination::queue, "*.a", {}, pattern_syntax::mqtt}, me)
                .has_value());
        ASSERT_TRUE(first.editor.bind(v, {"stays", "amq.fanout", bind_destination::exchange, "", {}}, me).has_value());
        before = durable_part(first.editor, first.journal);
        first.settle();
    }
    life second(log);
    EXPECT_EQ(second.problems, std::vector<std::string>{});
    EXPECT_EQ(durable_part(second.editor, second.journal), before);
    EXPECT_FALSE(second.journal.empty());
    const auto v = second.vhost("/");
    EXPECT_EQ(second.editor.view().find_queue(*second.editor.view().find_vhost(v), "q.mine"), nullptr);
    EXPECT_EQ(second.editor.view().find_queue(*second.editor.view().find_vhost(v), "q.stays")->spec.policy, "p");
    EXPECT_TRUE(second.editor.view().rules_of("ada", v)->topic_allowed(right::write, "amq.topic", "ada.x"));
    EXPECT_FALSE(second.editor.view().rules_of("ada", v)->topic_allowed(right::write, "amq.topic", "eve.x"));
}

TEST(TopologyJournal, WhatWasNeverDurableIsNotWritten) {
    store::memory_log log;
    life only(log);
    const auto v = only.editor.add_vhost("/");
    EXPECT_TRUE(only.journal.seal());
    const auto end = log.end();
    EXPECT_TRUE(only.queue(v, "mine", true, false, true));
    EXPECT_TRUE(only.exchange(v, "x", "fanout", false, true));
    ASSERT_TRUE(only.editor.bind(v, {"amq.fanout", "mine", bind_destination::queue, "", {}}, me).has_value());
    ASSERT_TRUE(only.editor.bind(v, {"x", "mine", bind_destination::queue, "", {}}, me).has_value());
    static_cast<void>(only.editor.remove_queue(v, "mine"));
    EXPECT_FALSE(only.journal.seal());
    EXPECT_EQ(log.end(), end);
}

// A durable auto-delete exchange lives while anything is bound to it, be it transient.
TEST(TopologyJournal, ARestartDoesNotCountTransientBindings) {
    store::memory_log log;
    {
        life first(log);
        const auto v = first.editor.add_vhost("/");
        EXPECT_TRUE(first.exchange(v, "x", "fanout", true, true));
        EXPECT_TRUE(first.queue(v, "durable", true));
        EXPECT_TRUE(first.queue(v, "transient", false));
        for (const auto* queue : {"durable", "transient"}) {
            ASSERT_TRUE(first.editor.bind(v, {"x", queue, bind_destination::queue, "", {}}, me).has_value());
        }
        static_cast<void>(first.editor.remove_queue(v, "durable"));
        first.settle();
    }
    {
        life second(log);
        const auto* v = second.editor.view().find_vhost("/");
        EXPECT_NE(topology_view::find_exchange(*v, "x"), nullptr);
        EXPECT_TRUE(second.queue(topology_view::id_of(*v), "again", true));
        ASSERT_TRUE(second.editor.bind(second.vhost("/"), {"x", "again", bind_destination::queue, "", {}}, me));
        static_cast<void>(second.editor.remove_queue(second.vhost("/"), "again"));
        second.settle();
    }
    life third(log);
    EXPECT_EQ(topology_view::find_exchange(*third.editor.view().find_vhost("/"), "x"), nullptr);
}

TEST(TopologyJournal, ARemovedVhostTakesAllAlong) {
    store::memory_log log;
    {
        life first(log);
        const auto v = first.editor.add_vhost("gone");
        first.editor.add_vhost("gone too");
        EXPECT_TRUE(first.exchange(v, "x", "fanout", true, false));
        EXPECT_TRUE(first.queue(v, "q", true));
        first.journal.set(parameter_definition{"gone", "c", "n", "{}"});
        first.journal.set(parameter_definition{"", "", "n", "1"});
        ASSERT_TRUE(first.editor.set_permissions("ada", v, {".*", ".*", ".*"}).has_value());
        ASSERT_TRUE(first.editor.remove_vhost("gone").has_value());
        EXPECT_EQ(first.journal.parameters().size(), 1U);
        static_cast<void>(first.editor.add_vhost("gone"));
        first.settle();
    }
    life second(log);
    EXPECT_EQ(second.problems, std::vector<std::string>{});
    EXPECT_EQ(durable_part(second.editor, second.journal).size(), 3U);  // two vhosts, a parameter
}

TEST(TopologyJournal, NamesOfQueuesAreNeverGivenAgain) {
    store::memory_log log;
    owner_uid highest = 0;
    for (int i = 0; i < 5; ++i) {
        life one(log);
        const auto v = one.editor.add_vhost("/");
        for (int k = 0; k < 3; ++k) {
            EXPECT_TRUE(one.queue(v, "q", true));
            const auto uid = one.editor.view().find_queue(*one.editor.view().find_vhost(v), "q")->spec.uid;
            EXPECT_GT(uid, highest);
            EXPECT_EQ(uid & fleeting_owner, 0U);
            highest = uid;
            if (k != 2 || i % 2 == 0) {
                static_cast<void>(one.editor.remove_queue(v, "q"));
            }
        }
        static_cast<void>(one.editor.remove_queue(v, "q"));
        one.settle();
    }
}

TEST(TopologyJournal, IsDurableWhenTheDiskSaysSo) {
    store::memory_log log;
    life one(log);
    one.settle();
    log.hold();
    static_cast<void>(one.editor.add_vhost("/"));
    EXPECT_TRUE(one.journal.seal());
    one.journal.flush(one.editor);
    EXPECT_FALSE(one.journal.poll());
    EXPECT_LT(one.journal.durable(), one.journal.position());
    log.release();
    EXPECT_TRUE(one.journal.poll());
    EXPECT_EQ(one.journal.durable(), one.journal.position());
}

TEST(TopologyJournal, WithoutALogItKeepsUsersForTheProcess) {
    topology_journal j(nullptr, {});
    topology_editor editor;
    EXPECT_TRUE(j.restore(editor, [](const queue_spec&) { return queue_handle{}; }).empty());
    static_cast<void>(editor.add_vhost("/"));
    j.set(user_definition{"ada", "hash", {}, false});
    EXPECT_FALSE(j.seal());
    EXPECT_EQ(j.position(), 0U);
    EXPECT_EQ(j.durable(), 0U);
    EXPECT_EQ(j.users().size(), 1U);
    EXPECT_GT(j.next_uid(), 0U);
    editor.listen(nullptr);
}

TEST(TopologyJournal, ARewriteLeavesTheContentAndFreesTheRest) {
    store::memory_log log(std::uint64_t{256} << 10);
    const auto first_begin = log.begin();
    picture before;
    {
        life one(log);
        const auto v = one.editor.add_vhost("/");
        for (int i = 0; i < 100; ++i) {
            EXPECT_TRUE(one.queue(v, "stays" + std::to_string(i), true));
        }
        for (int i = 0; i < 20'000; ++i) {
            EXPECT_TRUE(one.queue(v, "q", true));
            static_cast<void>(one.editor.remove_queue(v, "q"));
            one.settle();
        }
        before = durable_part(one.editor, one.journal);
        one.settle();
    }
    EXPECT_GT(log.begin(), first_begin);
    EXPECT_LT(log.end() - log.begin(), std::uint64_t{2} << 20);
    life again(log);
    EXPECT_EQ(durable_part(again.editor, again.journal), before);
}

// The records of a rewrite up to any of them, and what a next life makes of it and writes behind it.
TEST(TopologyJournal, AnUnfinishedRewriteDoesNotCount) {
    store::memory_log source;
    {
        life one(source);
        const auto v = one.editor.add_vhost("/");
        for (int i = 0; i < 10; ++i) {
            EXPECT_TRUE(one.queue(v, "q" + std::to_string(i), true));
        }
        one.settle();
    }
    const auto copy = [&](store::memory_log& into, std::size_t of_rewrite) {
        const auto put = [&](const log_record& r) {
            into.append(r.kind, r.flags, {&r.payload, 1});
            return true;
        };
        source.scan(source.begin(), put);
        const std::span<const std::uint8_t> none;
        into.append(static_cast<std::uint8_t>(topology_record::rewrite_begins), 0, {&none, 1});
        source.scan(source.begin(), [&](const log_record& r) { return of_rewrite-- != 0 && put(r); });
        into.flush();
        static_cast<void>(into.poll());
    };
    for (std::size_t n = 0; n <= 11; ++n) {
        store::memory_log log;
        copy(log, n);
        picture before;
        {
            life second(log);
            before = durable_part(second.editor, second.journal);
            EXPECT_EQ(before.size(), 11U);
            EXPECT_TRUE(second.queue(second.vhost("/"), "later", true));
            second.settle();
            before = durable_part(second.editor, second.journal);
        }
        life third(log);
        EXPECT_EQ(durable_part(third.editor, third.journal), before) << n;
    }
}

// Anything a client or an administrator may do, in any order, with restarts between.
TEST(TopologyJournal, AnyHistoryIsTheSameAfterARestart) {
    const auto seed = linnet::test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    std::mt19937_64 random(seed);
    const auto pick = [&](std::size_t n) { return static_cast<std::size_t>(random() % n); };
    const auto name = [&](const char* prefix) { return prefix + std::to_string(pick(5)); };
    store::memory_log log(std::uint64_t{64} << 10);
    picture before;
    for (int lives = 0; lives < 12; ++lives) {
        life one(log);
        ASSERT_EQ(one.problems, std::vector<std::string>{});
        ASSERT_EQ(durable_part(one.editor, one.journal), before);
        for (int step = 0; step < 600; ++step) {
            const auto v = one.editor.add_vhost(name("v"));
            const bool exchange_to = pick(3) == 0;
            const bind b{name("x"),
                         name(exchange_to ? "x" : "q"),
                         exchange_to ? bind_destination::exchange : bind_destination::queue,
                         name("k."),
                         {}};
            switch (pick(12)) {
                case 0:
                case 1: one.queue(v, name("q"), pick(3) != 0, false, pick(6) == 0); break;
                case 2:
                case 3:
                    one.exchange(v, name("x"), pick(2) == 0 ? "topic" : "direct", pick(3) != 0, pick(2) == 0);
                    break;
                case 4:
                case 5:
                case 6: static_cast<void>(one.editor.bind(v, b, me)); break;
                case 7:
                    static_cast<void>(one.editor.unbind(v, {b.source, b.destination, b.kind, b.routing_key, {}}, me));
                    break;
                case 8: static_cast<void>(one.editor.remove_queue(v, name("q"))); break;
                case 9:
                    if (pick(4) == 0) {
                        static_cast<void>(one.editor.delete_exchange(v, {name("x"), false}));
                    } else if (pick(10) == 0) {
                        static_cast<void>(one.editor.remove_vhost(name("v")));
                    }
                    break;
                case 10:
                    static_cast<void>(one.editor.set_permissions(name("u"), v, {name("c"), name("w"), name("r")}));
                    static_cast<void>(one.editor.set_topic_permissions(name("u"), v, name("x"), {"a", name("r")}));
                    one.journal.set(user_definition{name("u"), name("h"), {}, false});
                    if (pick(4) == 0) {
                        const auto user = name("u");
                        one.editor.remove_user(user);
                        one.journal.remove_user(user);
                    }
                    break;
                case 11:
                    static_cast<void>(
                        one.editor.set_policy(v, {name("p"),
                                                  "q",
                                                  policy_scope::all,
                                                  0,
                                                  {{"max-length", make_int64(static_cast<int>(pick(9)))}}}));
                    if (pick(3) == 0) {
                        static_cast<void>(one.editor.remove_policy(v, name("p")));
                    }
                    break;
            }
            if (pick(3) == 0) {
                one.settle();
            }
        }
        one.settle();
        before = durable_part(one.editor, one.journal);
    }
}

}  // namespace
}  // namespace linnet::core
