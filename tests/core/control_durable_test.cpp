// Answers of the control and the disk: what is promised is durable, and nobody waits for another's sync in line.
#include "broker/core/administer.hpp"
#include "broker/core/topology_journal.hpp"
#include "broker/store/memory_log.hpp"
#include "tests/core/cluster.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace linnet::core {
namespace {

class ControlDurable : public testing::Test {
protected:
    ControlDurable() {
        keeper.release_owner();
        EXPECT_TRUE(keeper.restore(c.parts().editor(), [](const queue_spec&) { return queue_handle{}; }).empty());
        c.parts().set_keeper(&keeper);
        log.hold();
    }
    ~ControlDurable() override {
        log.release();
        c.settle();
        c.parts().editor().listen(nullptr);
        c.parts().set_keeper(nullptr);
    }

    // Sent, and heard by all; true when the answer was there at once.
    bool send(test_session& s, request_body body, bool pipelined = false) {
        auto now = c.enter(s.home().id().value).submit({c.vhost(), s.handle(), 7, std::move(body), pipelined});
        if (now) {
            s.replies.push_back(std::move(*now));
        }
        c.settle();
        return now.has_value();
    }
    [[nodiscard]] static declare_queue queue(std::string name, bool durable = true) {
        declare_queue q;
        q.name = std::move(name);
        q.durable = durable;
        return q;
    }
    [[nodiscard]] static declare_exchange exchange(std::string name) {
        declare_exchange x;
        x.name = std::move(name);
        x.type = "direct";
        x.durable = true;
        return x;
    }

    store::memory_log log;
    topology_journal keeper{&log, {}};
    cluster c{3};
};

TEST_F(ControlDurable, AnswersOnceItIsOnTheDisk) {
    test_session near(c.at(0));
    test_session far(c.at(2));
    send(near, queue("a"));
    send(far, exchange("x"));
    EXPECT_TRUE(near.replies.empty());
    EXPECT_TRUE(far.replies.empty());
    log.release();
    c.settle();
    ASSERT_EQ(near.replies.size(), 1U);
    ASSERT_EQ(far.replies.size(), 1U);
    EXPECT_TRUE(near.replies[0].result.has_value());
    EXPECT_EQ(std::get<queue_info>(*near.replies[0].result).name, "a");
}

TEST_F(ControlDurable, TheLineGoesOnWhileAnswersWait) {
    std::vector<std::unique_ptr<test_session>> all;
    for (std::size_t i = 0; i < 60; ++i) {
        all.push_back(std::make_unique<test_session>(c.at(i % 3)));
        send(*all.back(), queue("q" + std::to_string(i)));
    }
    for (std::size_t i = 0; i < 60; ++i) {
        EXPECT_TRUE(all[i]->replies.empty()) << i;
        EXPECT_NE(topology_view::find_queue(*c.parts().editor().view().find_vhost("/"), "q" + std::to_string(i)),
                  nullptr);
    }
    log.release();
    c.turn(0);  // one look at the disk is enough for all
    c.settle();
    for (const auto& s : all) {
        EXPECT_EQ(s->replies.size(), 1U);
    }
}

// So they can ask for more before the disk is through.
TEST_F(ControlDurable, WhoPipelinesHearsTwice) {
    test_session near(c.at(0));
    test_session far(c.at(2));
    for (auto* s : {&near, &far}) {
        const auto id = std::to_string(s->home().id().value);
        send(*s, queue("a" + id), true);
        send(*s, queue("b" + id), true);
        send(*s, queue("a" + id, false), true);
        send(*s, queue("fleeting" + id, false), true);
        ASSERT_EQ(s->replies.size(), 4U);
        EXPECT_TRUE(std::holds_alternative<carried_out>(*s->replies[0].result));
        EXPECT_TRUE(std::holds_alternative<carried_out>(*s->replies[1].result));
        EXPECT_FALSE(s->replies[2].result.has_value());
        EXPECT_TRUE(std::holds_alternative<queue_info>(*s->replies[3].result));
    }
    log.release();
    c.settle();
    for (auto* s : {&near, &far}) {
        ASSERT_EQ(s->replies.size(), 6U);
        EXPECT_EQ(std::get<queue_info>(*s->replies[4].result).name.front(), 'a');
        EXPECT_EQ(std::get<queue_info>(*s->replies[5].result).name.front(), 'b');
    }
    send(near, queue("c"), true);
    EXPECT_TRUE(std::holds_alternative<queue_info>(*near.replies.back().result)) << "the disk was fast";
}

// "There already" is a promise, too.
TEST_F(ControlDurable, ARepeatedDeclarationWaitsForTheFirst) {
    test_session one(c.at(1));
    test_session two(c.at(2));
    send(one, queue("q"));
    send(two, queue("q"));
    EXPECT_TRUE(two.replies.empty());
    log.release();
    c.settle();
    EXPECT_EQ(one.replies.size(), 1U);
    EXPECT_EQ(two.replies.size(), 1U);
}

TEST_F(ControlDurable, RefusalsAndFleetingThingsDoNotWait) {
    test_session one(c.at(1));
    test_session two(c.at(2));
    send(one, queue("q"));
    send(two, queue("amq.reserved"));
    ASSERT_EQ(two.replies.size(), 1U);
    EXPECT_FALSE(two.replies[0].result.has_value());
    send(two, queue("fleeting", false));
    ASSERT_EQ(two.replies.size(), 2U);
    EXPECT_TRUE(two.replies[1].result.has_value());
    send(two, delete_queue{"fleeting"});
    EXPECT_EQ(two.replies.size(), 3U);
    EXPECT_TRUE(one.replies.empty());
}

TEST_F(ControlDurable, ADeletionIsDurableBeforeItIsAnswered) {
    test_session s(c.at(1));
    log.release();
    send(s, queue("q"));
    ASSERT_EQ(s.replies.size(), 1U);
    log.hold();
    send(s, delete_queue{"q"});
    EXPECT_EQ(s.replies.size(), 1U);
    log.release();
    c.settle();
    EXPECT_EQ(s.replies.size(), 2U);
}

TEST_F(ControlDurable, AnAutoDeleteQueueIsForgottenDurably) {
    test_session s(c.at(1));
    log.release();
    auto q = queue("q");
    q.auto_delete = true;
    send(s, q);
    const auto consumer = c.consume_from(s, "q");
    static_cast<void>(c.ask(s, cancel{consumer.queue, consumer.consumer, &s}));
    c.settle();
    topology_replay found;
    log.scan(log.begin(), [&](const log_record& r) { return found.add(r); });
    EXPECT_EQ(found.definitions().count(key_of(queue_definition{"/", "q", true, true, {}, 0, 0})), 0U);
    EXPECT_GT(found.last_uid(), 0U);
}

// A change that brings queues on every shard: one version shows it, one group records it.
class Installing : public ControlDurable {
protected:
    // Queues q0 to q19 and an exchange.
    [[nodiscard]] core::install twenty_queues() {
        core::install i;
        i.plan = [this](const topology_editor& editor, const topology_journal&) -> outcome<std::vector<queue_spec>> {
            if (!refusal.empty()) {
                return fail(error{error_kind::precondition_failed, refusal});
            }
            std::vector<queue_spec> wanted;
            for (int n = 0; n < 20; ++n) {
                auto checked = editor.check_declare_queue(c.vhost(), queue("q" + std::to_string(n)), {});
                wanted.push_back(std::get<queue_spec>(*checked));
            }
            return wanted;
        };
        i.change = [this](topology_editor& editor, topology_journal&, const std::vector<queue_entry>& made) {
            EXPECT_EQ(seen_before, editor.view().version()) << "nobody has seen a part of it";
            EXPECT_TRUE(editor.declare_exchange(c.vhost(), exchange("x")).has_value());
            for (std::size_t n = 0; n < made.size(); ++n) {
                EXPECT_EQ(made[n].spec.name, "q" + std::to_string(n)) << "in the order of the plan";
                editor.add_queue(made[n].spec, made[n].handle);
            }
            return administered{};
        };
        seen_before = c.parts().editor().view().version();
        return i;
    }

    std::string refusal;
    std::uint64_t seen_before = 0;
};

TEST_F(Installing, IsOneVersionAndOneGroupInTheLog) {
    test_session s(c.at(1));
    test_session other(c.at(2));
    auto i = twenty_queues();
    auto now = c.enter(1).submit({c.vhost(), s.handle(), 7, std::move(i)});
    EXPECT_FALSE(now.has_value());
    send(other, queue("later"));
    for (int round = 0; round < 20; ++round) {
        c.settle();  // each queue that lives elsewhere takes its own round trip
    }
    EXPECT_TRUE(s.replies.empty()) << "not durable yet";
    const auto& v = *c.parts().editor().view().find_vhost("/");
    for (int n = 0; n < 20; ++n) {
        EXPECT_NE(topology_view::find_queue(v, "q" + std::to_string(n)), nullptr);
    }
    log.release();
    c.settle();
    ASSERT_EQ(s.replies.size(), 1U);
    EXPECT_TRUE(s.replies[0].result.has_value());
    std::vector<bool> ends;
    log.scan(log.begin(), [&](const log_record& r) {
        ends.push_back((r.flags & record_flags::more) == 0);
        return true;
    });
    ASSERT_EQ(ends.size(), 22U);
    EXPECT_EQ(std::ranges::find(ends, true) - ends.begin(), 20) << "the exchange and the queues end together";
    EXPECT_EQ(c.publish(s, "", "q7", "x").routed, 1U);
}

TEST_F(Installing, ChangesNothingWhenThePlanIsRefused) {
    test_session s(c.at(1));
    refusal = "no";
    send(s, twenty_queues());
    ASSERT_EQ(s.replies.size(), 1U) << "a refusal waits for nothing";
    EXPECT_EQ(s.replies[0].result.error().text, "no");
    EXPECT_EQ(c.parts().editor().view().version(), seen_before);
    EXPECT_EQ(log.begin(), log.end());
}

TEST_F(ControlDurable, QueuesAreNamedForTheStore) {
    test_session s(c.at(1));
    log.release();
    send(s, queue("durable"));
    send(s, queue("fleeting", false));
    const auto& v = *c.parts().editor().view().find_vhost("/");
    const auto& durable = *topology_view::find_queue(v, "durable");
    const auto& fleeting = *topology_view::find_queue(v, "fleeting");
    EXPECT_EQ(durable.spec.uid & fleeting_owner, 0U);
    EXPECT_NE(fleeting.spec.uid & fleeting_owner, 0U);
    EXPECT_EQ(durable.spec.log, durable.handle.shard.value);
}

}  // namespace
}  // namespace linnet::core
