// Named clients and last values over simulated disks: what was promised is there after a restart, and after a crash at
// any moment.
//
//     LINNET_SEED=<seed>    the same run again
#include "broker/core/administer.hpp"
#include "broker/core/retained_store.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/store/record.hpp"
#include "tests/core/client_fixture.hpp"
#include "tests/core/durable_cluster.hpp"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace linnet::core {
namespace {

using bytes = std::vector<std::uint8_t>;
using texts = std::vector<std::string>;

[[nodiscard]] attach_client durable_client(std::string name, std::string queue = {}) {
    attach_client a = of_name(std::move(name), std::move(queue));
    a.durable = true;
    return a;
}

publish_result retain(durable_cluster& c, test_session& s, std::string_view key, std::string_view body,
                      std::uint64_t sequence, mono_ns ttl = -1) {
    auto& home = c.enter(s.home().id().value);
    message_traits traits;
    traits.retain = true;
    traits.time_to_live = ttl;
    route_memo memo;
    const auto* v = home.topology().find_vhost(c.vhost());
    const auto r = home.find_route(*v, "amq.topic", key, nullptr, {}, memo);
    auto m = make_message(home.pool(), "amq.topic", key, {},
                          {reinterpret_cast<const std::uint8_t*>(body.data()), body.size()}, traits);
    return home.publish(std::move(m), *v, r, s.handle(), 1, sequence);
}

[[nodiscard]] std::map<std::string, std::string> retained_in(durable_cluster& c, test_session& s,
                                                             std::string_view pattern = "#") {
    std::map<std::string, std::string> all;
    std::optional<std::string> after;
    do {
        read_retained asked;
        asked.pattern = pattern;
        asked.after = after;
        auto now = c.enter(s.home().id().value).submit({c.vhost(), s.handle(), 1, std::move(asked)});
        // A thousand reads take their time.
        for (int i = 0; i < 1000 && !now && s.replies.empty(); ++i) {
            c.settle();
        }
        reply r = now ? std::move(*now) : std::move(s.replies.at(0));
        s.replies.clear();
        auto& piece = std::get<retained_messages>(*r.result);
        for (const auto& e : piece.messages) {
            all.emplace(e.message->routing_key(), body_text(*e.message));
        }
        after = std::move(piece.after);
    } while (after);
    return all;
}

TEST(DurableClients, AreThereAfterARestartDetached) {
    durable_cluster::options o{.shards = 2, .logs = 2};
    disk_images left;
    {
        durable_cluster c(o);
        client_session a(c.at(0));
        c.declare(a, "mqtt-x");
        const auto x = attach(c, a, durable_client("x", "mqtt-x"));
        ASSERT_TRUE(x);
        EXPECT_TRUE(keep(c, a, x->ticket, {1, 2}, true));
        EXPECT_TRUE(mark(c, a, x->ticket, 3, true));
        EXPECT_TRUE(mark(c, a, x->ticket, 4, true));
        EXPECT_TRUE(mark(c, a, x->ticket, 3, false));
        const auto y = attach(c, a, "y");
        EXPECT_TRUE(keep(c, a, y->ticket, {9}, false));
        const auto z = attach(c, a, durable_client("z"));
        EXPECT_TRUE(keep(c, a, z->ticket, {7}, true));
        EXPECT_TRUE(keep(c, a, z->ticket, {7}, false)) << "no longer durable";
        a.leave();
        left = c.stop();
    }
    // With other numbers of shards and logs it is found where it lies.
    for (const std::uint16_t shards : {1, 2, 4}) {
        o.shards = shards;
        o.logs = std::max<std::uint16_t>(shards, 2);
        durable_cluster c(o, left);
        client_session a(c.at(0));
        const auto x = attach(c, a, durable_client("x", "mqtt-x"));
        ASSERT_TRUE(x);
        EXPECT_TRUE(x->present);
        EXPECT_EQ(x->state, (bytes{1, 2}));
        EXPECT_EQ(x->marks, (std::vector<std::uint32_t>{4}));
        EXPECT_TRUE(has_queue(c, "mqtt-x"));
        EXPECT_FALSE(attach(c, a, "y")->present);
        EXPECT_FALSE(attach(c, a, "z")->present);
    }
}

// Whoever deletes a user or a vhost deletes what is kept for it, and the next of that name begins with nothing.
TEST(DurableClients, GoWithTheirUserOrVhost) {
    for (const bool whole_vhost : {false, true}) {
        disk_images left;
        {
            durable_cluster c({.shards = 2, .logs = 2});
            c.list_user("guest");
            test_session administrator(c.at(0));
            client_session idle(c.at(0));
            client_session live(c.at(1));
            c.declare(idle, "mqtt-idle");
            const auto first = attach(c, idle, durable_client("idle", "mqtt-idle"));
            EXPECT_TRUE(keep(c, idle, first->ticket, {1}, true));
            detach(c, idle, first->ticket, 60);
            const auto second = attach(c, live, durable_client("live"));
            EXPECT_TRUE(keep(c, live, second->ticket, {2}, true));
            EXPECT_TRUE(retain(c, live, "a", "old", 1).pending);
            c.settle();
            const auto done = c.ask(
                administrator,
                administer{[&](topology_editor& editor, topology_journal& journal) -> outcome<administered> {
                    if (!whole_vhost) {
                        EXPECT_TRUE(journal.remove_user("guest"));
                        return administered{};
                    }
                    auto queues = editor.remove_vhost("/");
                    static_cast<void>(editor.add_vhost("/"));
                    return administered{.changed = {}, .gone = std::move(*queues), .vhosts_gone = {c.vhost()}};
                }});
            EXPECT_TRUE(done.result);
            c.settle();
            detach(c, live, second->ticket, 60);  // as its connection is closed
            c.settle();
            left = c.crash(3);
        }
        durable_cluster c({.shards = 2, .logs = 2}, std::move(left));
        client_session s(c.at(0));
        EXPECT_FALSE(attach(c, s, durable_client("idle", "mqtt-idle"))->present);
        EXPECT_FALSE(attach(c, s, durable_client("live"))->present);
        EXPECT_EQ(has_queue(c, "mqtt-idle"), false);
        EXPECT_EQ(retained_in(c, s).size(), whole_vhost ? 0U : 1U);
    }
}

// As a configuration that does not name it any more takes it away, at a start and while the broker runs.
TEST(DurableClients, GoWithAUserWhomNobodyDeletedByHand) {
    const durable_cluster::options how{.shards = 2, .logs = 2};
    durable_cluster before(how);
    before.list_user("guest");
    std::vector<std::string> names;
    for (std::size_t i = 0; i < 8; ++i) {
        client_session s(before.at(i % 2));
        names.push_back("client" + std::to_string(i));
        const auto one = attach(before, s, durable_client(names.back()));
        EXPECT_TRUE(keep(before, s, one->ticket, {1}, true));
        detach(before, s, one->ticket, 60);
        s.leave();
    }
    before.settle();
    for (const bool at_start : {false, true}) {
        durable_cluster c(how, before.crash(3));
        if (at_start) {
            c.unlist_user("guest");  // no shard has run yet
        } else {
            c.settle();
            c.enter(0).change_topology([&](topology_editor&) {
                c.unlist_user("guest");
                return std::vector<queue_entry>{};
            });
        }
        c.settle();
        client_session s(c.at(0));
        for (const auto& name : names) {
            EXPECT_FALSE(attach(c, s, durable_client(name))->present) << name;
        }
    }
}

// A crash may come between a user's end and that of what is kept for it. Who has shown a token is no user of ours.
TEST(DurableClients, AreNotFoundAgainWithoutTheirUser) {
    for (const bool listed : {false, true}) {
        for (const bool gone : {false, true}) {
            disk_images left;
            {
                durable_cluster c({.shards = 2, .logs = 2});
                c.list_user("other");
                if (!gone) {
                    c.list_user("guest");
                }
                client_session s(c.at(0));
                c.declare(s, "mqtt-x");
                auto who = durable_client("x", "mqtt-x");
                who.listed = listed;
                const auto one = attach(c, s, std::move(who));
                EXPECT_TRUE(keep(c, s, one->ticket, {1}, true));
                detach(c, s, one->ticket, 60);
                c.settle();
                left = c.crash(3);
            }
            durable_cluster c({.shards = 2, .logs = 2}, std::move(left));
            c.settle();
            EXPECT_EQ(has_queue(c, "mqtt-x"), !listed || !gone);
            client_session s(c.at(0));
            EXPECT_EQ(attach(c, s, durable_client("x", "mqtt-x"))->present, !listed || !gone);
        }
    }
}

// Who is let in has no ticket to be told by before its answer comes, and that waits for the disk.
TEST(DurableClients, WhoeverHasTheNameIsToldAlsoOnceItKnows) {
    struct late_session final : client_session {
        using client_session::client_session;
        void on_reply(reply&& r) override {
            told_too_early = taken_over.size();
            client_session::on_reply(std::move(r));
        }
        std::size_t told_too_early = 0;
    };
    for (std::size_t at = 0; at < 2; ++at) {
        durable_cluster c({.shards = 2, .logs = 2});
        c.medium(0).set_prompt(false);
        c.medium(1).set_prompt(false);
        late_session a(c.at(at));
        client_session b(c.at(0));
        const auto finish = [&] {
            c.pass(0);
            c.pass(1);
        };
        EXPECT_FALSE(ask_later(c, a, durable_client("x")));
        c.settle();
        EXPECT_FALSE(ask_later(c, b, durable_client("x")));
        c.settle();
        EXPECT_TRUE(a.replies.empty());
        finish();
        const auto first = a.attached();
        ASSERT_TRUE(first);
        ASSERT_GT(a.taken_over.size(), a.told_too_early);
        EXPECT_EQ(a.taken_over.back().number, first->ticket.number);
        EXPECT_TRUE(b.replies.empty());
        detach(c, a, first->ticket, 60);
        finish();
        EXPECT_TRUE(b.attached());
    }
}

// A crash must not leave its queue behind: nobody would come for it.
TEST(DurableClients, WhoIsNoLongerKeptTakesItsQueueAlong) {
    durable_cluster::options o;
    disk_images crashed;
    disk_images ended;
    {
        durable_cluster c(o);
        client_session a(c.at(0));
        c.declare(a, "mqtt-x");
        auto x = attach(c, a, durable_client("x", "mqtt-x"));
        ASSERT_TRUE(x);
        EXPECT_TRUE(keep(c, a, x->ticket, {1}, true));
        detach(c, a, x->ticket, 60);
        c.settle();
        auto passing = of_name("x", "mqtt-x");
        passing.expiry_s = 0;
        x = attach(c, a, passing);
        ASSERT_TRUE(x);
        EXPECT_EQ(x->state, (bytes{1}));
        c.settle();
        crashed = c.crash(1);
        detach(c, a, x->ticket, 0);
        a.leave();
        ended = c.stop();
    }
    for (auto* left : {&crashed, &ended}) {
        durable_cluster c(o, std::move(*left));
        client_session a(c.at(0));
        c.clock.advance(ns_per_s);
        c.settle();
        EXPECT_FALSE(has_queue(c, "mqtt-x"));
        c.clock.advance(ns_per_s);
        c.settle();
        EXPECT_EQ(c.parts().bytes_of(memory_use::clients), 0U);
        EXPECT_FALSE(attach(c, a, durable_client("x", "mqtt-x"))->present);
    }
}

// Whatever a protocol lets its clients do to it.
TEST(DurableClients, AStateThatNoRecordTakesIsNotKept) {
    const auto too_large = [] { return bytes(store::record_payload_max); };
    durable_cluster::options o;
    disk_images left;
    {
        durable_cluster c(o);
        client_session a(c.at(0));
        const auto x = attach(c, a, durable_client("x"));
        ASSERT_TRUE(x);
        EXPECT_TRUE(keep(c, a, x->ticket, {1}, true));
        EXPECT_FALSE(keep(c, a, x->ticket, too_large(), true));
        detach(c, a, x->ticket, 60, too_large());
        a.leave();
        left = c.stop();
    }
    durable_cluster c(o, std::move(left));
    client_session a(c.at(0));
    EXPECT_EQ(attach(c, a, durable_client("x"))->state, (bytes{1}));
}

// Copies of an entry do not hold the marks that came after it: they have to be written anew before their segment goes.
TEST(DurableClients, MarksOutliveTheSegmentThatTheyLieIn) {
    durable_cluster::options o;
    disk_images left;
    {
        durable_cluster c(o);
        client_session a(c.at(0));
        const auto x = attach(c, a, durable_client("x"));
        ASSERT_TRUE(x);
        EXPECT_TRUE(mark(c, a, x->ticket, 5, true));
        for (int i = 0; i < 600; ++i) {
            static_cast<void>(retain(c, a, "t", std::string(3000, 'r'), 0));
            c.settle();
        }
        EXPECT_GT(c.at(0).store_figures().copied_bytes, 0U);
        EXPECT_LT(c.at(0).store_figures().log_bytes, 600U * 3000) << "nothing was dropped";
        a.leave();
        left = c.stop();
    }
    durable_cluster c(o, left);
    client_session a(c.at(0));
    EXPECT_EQ(attach(c, a, durable_client("x"))->marks, (std::vector<std::uint32_t>{5}));
}

TEST(DurableClients, ExpireAlsoWhileTheBrokerIsDown) {
    durable_cluster::options o;
    disk_images left;
    wall_ns then = 0;
    {
        durable_cluster c(o);
        client_session a(c.at(0));
        c.declare(a, "mqtt-x");
        const auto x = attach(c, a, durable_client("x", "mqtt-x"));
        detach(c, a, x->ticket, 60);
        const auto y = attach(c, a, durable_client("y"));
        ASSERT_TRUE(y);
        a.leave();
        left = c.stop();
        then = c.clock.wall_now();
    }
    durable_cluster c(o, left);
    client_session a(c.at(0));
    const wall_ns down = c.clock.wall_now() - then;
    ASSERT_LT(down, 30 * ns_per_s);
    EXPECT_TRUE(has_queue(c, "mqtt-x"));
    c.clock.advance(61 * ns_per_s);
    c.settle();
    EXPECT_FALSE(has_queue(c, "mqtt-x"));
    EXPECT_FALSE(attach(c, a, durable_client("x"))->present);
    EXPECT_FALSE(attach(c, a, durable_client("y"))->present) << "who was attached expires from the restart on";
}

TEST(DurableClients, LastWordsSurviveARestart) {
    durable_cluster::options o;
    disk_images left;
    {
        durable_cluster c(o);
        set_rights(c, "guest", ".*");
        client_session a(c.at(0));
        c.declare(a, "wills");
        const auto x = attach(c, a, durable_client("x"));
        detach_with_words(c, a, x->ticket, 600, "said later", 30);
        const auto y = attach(c, a, durable_client("y"));
        detach_with_words(c, a, y->ticket, 600, "taken back", 30);
        c.settle();
        EXPECT_TRUE(attach(c, a, durable_client("y")));
        a.leave();
        left = c.stop();
    }
    durable_cluster c(o, left);
    client_session a(c.at(0));
    c.settle();
    EXPECT_EQ(texts_in(c, a, "wills"), texts{});
    c.clock.advance(31 * ns_per_s);
    c.settle();
    EXPECT_EQ(texts_in(c, a, "wills"), (texts{"said later"}));
    a.leave();
    // Once: another restart does not say it again.
    durable_cluster again(o, c.stop());
    client_session b(again.at(0));
    again.clock.advance(100 * ns_per_s);
    again.settle();
    EXPECT_EQ(texts_in(again, b, "wills"), texts{});
    EXPECT_TRUE(attach(again, b, durable_client("x"))->present);
}

TEST(DurableRetained, AreThereAfterARestartWithoutTheirBodies) {
    constexpr int topics = 100'000;
    durable_cluster::options o{.shards = 2, .logs = 2, .segment_bytes = 4 * 1024 * 1024};
    disk_images left;
    {
        durable_cluster c(o);
        test_session a(c.at(0));
        for (int i = 0; i < topics; ++i) {
            static_cast<void>(retain(c, a, fmt::format("site.{}.{}", i % 100, i), fmt::format("value {}", i), 0));
            if (i % 100 == 0) {
                c.settle();
            }
        }
        a.leave();
        left = c.stop();
    }
    durable_cluster c(o, std::move(left));
    test_session a(c.at(0));
    EXPECT_LT(c.parts().bytes_of(memory_use::messages), 1024 * 1024U);
    const auto all = retained_in(c, a);
    EXPECT_EQ(all.size(), static_cast<std::size_t>(topics));
    EXPECT_EQ(all.at("site.7.99907"), "value 99907");
    EXPECT_LT(c.parts().bytes_of(memory_use::messages), 2 * retained_store::cached_bytes_max);
}

// An idle broker that speaks of itself must not write for it.
TEST(DurableRetained, TheBrokersOwnWordsAreNotStored) {
    durable_cluster c({.shards = 1, .logs = 1});
    test_session a(c.at(0));
    const auto before = c.at(0).store_figures().log_bytes;
    static_cast<void>(retain(c, a, "$SYS.broker.uptime", "7 seconds", 0));
    static_cast<void>(retain(c, a, "$SYS.broker.uptime", "8 seconds", 0));
    c.settle();
    EXPECT_EQ(c.at(0).store_figures().log_bytes, before);
    EXPECT_EQ(retained_in(c, a, "$SYS.#"), (std::map<std::string, std::string>{{"$SYS.broker.uptime", "8 seconds"}}));
    static_cast<void>(retain(c, a, "$SYS.broker.uptime", "", 0));
    EXPECT_TRUE(retained_in(c, a, "$SYS.#").empty());
    EXPECT_EQ(c.at(0).store_figures().log_bytes, before);
}

// Names, numbers and topics with their histories: what a crash leaves of each must be what it was at its last promise,
// or after something that was asked for since.
class crash_run {
public:
    explicit crash_run(std::uint64_t seed) : random_(seed), options_(random_options()) {
        cluster_ = std::make_unique<durable_cluster>(options_);
        begin();
    }
    ~crash_run() { sessions_.clear(); }

    void crash_point() {
        for (auto n = 1 + random_() % 30; n != 0; --n) {
            step();
        }
        const auto images = cluster_->crash(random_());
        const auto copied = copied_now();
        const auto before = options_;
        options_ = random_options();
        auto found = std::make_unique<durable_cluster>(options_, images);
        check(*found);
        if (random_() % 12 == 0) {
            copied_ += copied;
            sessions_.clear();
            cluster_ = std::move(found);
            for (auto& [h, value] : seen_) {
                h->restart(value);
            }
            begin();
        } else {
            options_ = before;
        }
    }
    // By cleaning.
    [[nodiscard]] std::uint64_t copied() { return copied_ + copied_now(); }

private:
    // What was asked for, in order, and how much of it has been promised.
    struct history {
        std::vector<std::string> values{""};
        std::size_t promised = 0;

        [[nodiscard]] bool allows(const std::string& found) const {
            return std::find(values.begin() + static_cast<std::ptrdiff_t>(promised), values.end(), found) !=
                   values.end();
        }
        void restart(const std::string& found) {
            values = {found};
            promised = 0;
        }
    };
    struct pledge {
        history* of;
        std::size_t index;
    };

    [[nodiscard]] std::uint64_t copied_now() {
        std::uint64_t sum = 0;
        for (std::size_t i = 0; i < options_.shards; ++i) {
            sum += cluster_->at(i).store_figures().copied_bytes;
        }
        return sum;
    }
    [[nodiscard]] durable_cluster::options random_options() {
        durable_cluster::options o;
        o.shards = static_cast<std::uint16_t>(1 + random_() % 3);
        o.logs = 3;
        o.seed = random_() % 1'000'000;
        return o;
    }
    void begin() {
        for (std::uint16_t i = 0; i < 3; ++i) {
            cluster_->medium(i).set_prompt(true);
        }
        pledges_.clear();
        for (std::size_t i = 0; i < names; ++i) {
            sessions_.push_back(std::make_unique<client_session>(cluster_->at(i % options_.shards)));
            auto& s = *sessions_.back();
            s.name = fmt::format("client-{}", i);
            s.ticket = attach(*cluster_, s, durable_client(s.name))->ticket;
        }
        for (std::uint16_t i = 0; i < 3; ++i) {
            cluster_->medium(i).set_prompt(false);
        }
    }
    [[nodiscard]] static std::size_t add(history& h, std::string value) {
        h.values.push_back(std::move(value));
        return h.values.size() - 1;
    }
    void step() {
        const std::size_t i = random_() % names;
        auto& s = *sessions_[i];
        const auto next = ++counter_;
        switch (random_() % 6) {
            case 0: {
                const auto as = random_() % 3 == 0 ? kept_as::whole : kept_as::addition;
                const auto text = fmt::format("{}:{}", next, std::string(random_() % 3000, 's'));
                const auto before = as == kept_as::whole ? std::string() : states_[i].values.back();
                ask(s, keep_client{*s.ticket, {text.begin(), text.end()}, true, 60, as}, states_[i], before + text);
                break;
            }
            case 1:
            case 2: {
                const auto number = static_cast<std::uint32_t>(random_() % 5);
                const bool set = random_() % 2 == 0;
                auto& h = marks_[{i, number}];
                pledges_[next] = {&h, add(h, set ? "set" : "")};
                cluster_->enter(s.home().id().value).mark_client(*s.ticket, s.handle(), 1, next, number, set);
                break;
            }
            case 3:
            case 4: {
                const auto topic = fmt::format("t.{}.{}", i, random_() % 3);
                const auto text = random_() % 4 == 0 ? std::string()
                                                     : fmt::format("{}:{}", next, std::string(random_() % 6000, 'r'));
                auto& h = topics_[topic];
                const pledge p{&h, add(h, text)};
                if (retain(*cluster_, s, topic, text, next).pending) {
                    pledges_[next] = p;
                } else {
                    h.promised = p.index;
                }
                break;
            }
            default: cluster_->medium(random_() % 3).finish_all();
        }
        cluster_->turn(random_() % options_.shards);
        note();
    }
    void ask(client_session& s, request_body body, history& h, std::string value) {
        pledges_[counter_] = {&h, add(h, std::move(value))};
        auto now =
            cluster_->enter(s.home().id().value).submit({cluster_->vhost(), s.handle(), counter_, std::move(body)});
        if (now) {
            s.replies.push_back(std::move(*now));
        }
    }
    void note() {
        for (auto& s : sessions_) {
            for (const auto& [sequence, accepted] : s->settled) {
                EXPECT_TRUE(accepted);
                promise(sequence);
            }
            s->settled.clear();
            for (const auto& r : s->replies) {
                EXPECT_TRUE(r.result) << r.result.error().text;
                promise(r.cookie);
            }
            s->replies.clear();
        }
    }
    void promise(std::uint64_t what) {
        if (const auto p = pledges_.extract(what)) {
            p.mapped().of->promised = std::max(p.mapped().of->promised, p.mapped().index);
        }
    }

    void look(history& h, const std::string& found, const std::string& of) {
        EXPECT_TRUE(h.allows(found)) << of << ": " << found.substr(0, 20);
        seen_.emplace_back(&h, found);
    }
    void check(durable_cluster& found) {
        seen_.clear();
        client_session s(found.at(random_() % options_.shards));
        for (std::size_t i = 0; i < names; ++i) {
            const auto a = attach(found, s, durable_client(fmt::format("client-{}", i)));
            ASSERT_TRUE(a);
            EXPECT_TRUE(a->present);
            look(states_[i], {a->state.begin(), a->state.end()}, "state");
            for (std::uint32_t n = 0; n < 5; ++n) {
                look(marks_[{i, n}], std::ranges::binary_search(a->marks, n) ? "set" : "", "number");
            }
            detach(found, s, a->ticket, 60);
        }
        const auto retained = retained_in(found, s);
        for (auto& [topic, h] : topics_) {
            const auto at = retained.find(topic);
            look(h, at == retained.end() ? std::string() : at->second, topic);
        }
        for (std::size_t i = 0; i < options_.shards; ++i) {
            EXPECT_EQ(found.at(i).store_figures().damaged, 0U);
        }
    }

    static constexpr std::size_t names = 4;
    std::mt19937_64 random_;
    durable_cluster::options options_;
    std::unique_ptr<durable_cluster> cluster_;
    std::vector<std::unique_ptr<client_session>> sessions_;
    std::map<std::size_t, history> states_;
    std::map<std::pair<std::size_t, std::uint32_t>, history> marks_;
    std::map<std::string, history> topics_;
    std::map<std::uint64_t, pledge> pledges_;  // by sequence or cookie
    std::vector<std::pair<history*, std::string>> seen_;
    std::uint64_t counter_ = 0;
    std::uint64_t copied_ = 0;
};

TEST(DurableClients, ACrashLosesNothingThatWasPromised) {
    const auto seed = test::fresh_seed();
    LINNET_TRACE_SEED(seed);
    crash_run run(seed);
    for (int i = 0; (i < 400 || (run.copied() == 0 && i < 4000)) && !testing::Test::HasFailure(); ++i) {
        run.crash_point();
    }
    EXPECT_GT(run.copied(), 0U) << "nothing was cleaned, so that was not tested";
}

[[nodiscard]] bool add_to_state(durable_cluster& c, client_session& s, client_ticket t, std::size_t size, char with) {
    const bytes more(size, static_cast<std::uint8_t>(with));
    return c.ask(s, keep_client{t, more, true, 60, kept_as::addition}).result.has_value();
}

// A large state that grows little by little is written once, and what is added to it; not again and again.
TEST(DurableClients, WhatIsAddedToAStateCostsWhatIsAdded) {
    const durable_cluster::options o{.segment_bytes = std::uint64_t{4} << 20};
    durable_cluster c(o);
    client_session s(c.at(0));
    const auto a = attach(c, s, durable_client("me"));
    ASSERT_TRUE(a);
    ASSERT_TRUE(keep(c, s, a->ticket, bytes(20'000, 'w'), true));
    const auto before = c.at(0).store_figures().log_bytes;
    for (int i = 0; i < 100; ++i) {
        ASSERT_TRUE(add_to_state(c, s, a->ticket, 10, 'a'));
    }
    EXPECT_LT(c.at(0).store_figures().log_bytes - before, 20'000U);
    for (std::uint64_t seed = 0; seed < 5; ++seed) {
        durable_cluster found(o, c.crash(seed));
        client_session again(found.at(0));
        const auto there = attach(found, again, durable_client("me"));
        ASSERT_TRUE(there);
        bytes expected(20'000, 'w');
        expected.insert(expected.end(), 1000, 'a');
        EXPECT_TRUE(there->state == expected);
    }
}

// With other promises it is said whole, and what belongs to the version before is no part of the next.
TEST(DurableClients, AnAdditionBelongsToItsVersion) {
    durable_cluster c({});
    client_session s(c.at(0));
    const auto a = attach(c, s, durable_client("me"));
    ASSERT_TRUE(a);
    ASSERT_TRUE(add_to_state(c, s, a->ticket, 1, 'a')) << "to nothing";
    ASSERT_TRUE(add_to_state(c, s, a->ticket, 1, 'b'));
    ASSERT_TRUE(keep(c, s, a->ticket, {'c'}, true));
    ASSERT_TRUE(add_to_state(c, s, a->ticket, 1, 'd'));
    ASSERT_TRUE(c.ask(s, keep_client{a->ticket, {'e'}, true, 90, kept_as::addition}).result) << "kept for longer";
    ASSERT_TRUE(c.ask(s, keep_client{a->ticket, {'f'}, true, 90, kept_as::addition}).result);
    EXPECT_FALSE(c.ask(s, keep_client{a->ticket, bytes(client_state_bytes_max), true, 90, kept_as::addition}).result);
    durable_cluster found({}, c.crash(1));
    client_session again(found.at(0));
    const auto there = attach(found, again, durable_client("me"));
    ASSERT_TRUE(there);
    EXPECT_EQ(there->state, (bytes{'c', 'd', 'e', 'f'}));
}

// What each of them takes shows in the budget while it is there.
TEST(DurableMemory, IsCountedByWhoHoldsIt) {
    const durable_cluster::options o{.shards = 2, .logs = 2};
    const auto bytes_in = [](durable_cluster& c, memory_use what) {
        c.clock.advance(ns_per_s);
        c.settle();
        return c.parts().bytes_of(what);
    };
    disk_images left;
    {
        durable_cluster c(o);
        client_session s(c.at(0));
        for (const auto what : {memory_use::clients, memory_use::retained, memory_use::queues, memory_use::places}) {
            EXPECT_EQ(bytes_in(c, what), 0U) << static_cast<int>(what);
        }
        c.declare(s, "q");
        EXPECT_GT(bytes_in(c, memory_use::queues), sizeof(queue));
        for (int i = 0; i < 100; ++i) {
            c.publish(s, "", "q", "message");
        }
        EXPECT_GE(bytes_in(c, memory_use::places), 100 * sizeof(queue_item));
        EXPECT_TRUE(c.ask(s, delete_queue{"q"}).result);
        EXPECT_EQ(bytes_in(c, memory_use::queues), 0U);
        EXPECT_EQ(bytes_in(c, memory_use::places), 0U);

        const std::string key(200, 'k');
        for (int i = 0; i < 10; ++i) {
            static_cast<void>(retain(c, s, fmt::format("{}.{}", key, i), "value", 0));
        }
        EXPECT_GT(bytes_in(c, memory_use::retained), 10 * key.size());
        for (int i = 0; i < 10; ++i) {
            static_cast<void>(retain(c, s, fmt::format("{}.{}", key, i), "", 0));
        }
        EXPECT_EQ(bytes_in(c, memory_use::retained), 0U);

        const auto brief = attach(c, s, "brief");
        ASSERT_TRUE(brief);
        EXPECT_GT(bytes_in(c, memory_use::clients), 0U);
        detach(c, s, brief->ticket, 0);
        EXPECT_EQ(bytes_in(c, memory_use::clients), 0U);
        auto lasting = of_name("lasting");
        lasting.durable = true;
        const auto kept = attach(c, s, std::move(lasting));
        ASSERT_TRUE(kept);
        ASSERT_TRUE(keep(c, s, kept->ticket, std::vector<std::uint8_t>(10'000), true));
        EXPECT_GT(bytes_in(c, memory_use::clients), 10'000U);
        detach(c, s, kept->ticket, 60);
        s.leave();
        left = c.stop();
    }
    durable_cluster c(o, std::move(left));
    EXPECT_GT(bytes_in(c, memory_use::clients), 10'000U);
    c.clock.advance(120 * ns_per_s);
    c.settle();
    EXPECT_EQ(bytes_in(c, memory_use::clients), 0U) << "it has expired";
}

// What many clients have added lies in segments that are to go: it is written anew, and others get their turns
// meanwhile.
TEST(DurableClients, WhatManyHaveAddedIsWrittenAnewAFewATurn) {
    constexpr int clients = 1500;
    constexpr std::size_t state_bytes = 600;
    constexpr std::uint64_t segment_bytes = 64 * 1024;
    const durable_cluster::options o{.segment_bytes = segment_bytes};
    const auto name = [](int i) { return "client" + std::to_string(i); };
    std::vector<disk_images> lives;
    std::uint64_t most = 0;
    {
        durable_cluster c(o);
        client_session s(c.at(0));
        std::vector<client_ticket> tickets;
        for (int i = 0; i < clients; ++i) {
            tickets.push_back(attach(c, s, durable_client(name(i)))->ticket);
            ASSERT_TRUE(keep(c, s, tickets.back(), bytes(state_bytes, 'w'), true));
        }
        for (const auto t : tickets) {
            ASSERT_TRUE(add_to_state(c, s, t, 1, 'a'));
        }
        // What lies behind the additions is dead at once; then the log is long enough to be cleaned.
        for (int i = 0; i < 2500; ++i) {
            static_cast<void>(retain(c, s, "t", std::string(3000, 'r'), 0));
            for (int turns = 0; turns < 4; ++turns) {
                const auto before = c.at(0).store_figures();
                c.turn(0);
                const auto now = c.at(0).store_figures();
                // Cleaning has measures of its own.
                const auto others = before.log_bytes + now.copied_bytes - before.copied_bytes;
                const auto written = now.log_bytes - std::min(now.log_bytes, others);
                most = std::max(most, written);
                if (written > segment_bytes / 2) {
                    lives.push_back(c.crash(static_cast<std::uint64_t>(i)));  // some are written and others not
                }
            }
        }
        EXPECT_GT(lives.size(), 5U);
        EXPECT_LT(c.at(0).store_figures().log_bytes, 2500U * 3000) << "nothing was dropped";
        s.leave();
        lives.push_back(c.stop());
    }
    EXPECT_LT(most, 2 * segment_bytes) << "in one turn";
    bytes expected(state_bytes, 'w');
    expected.push_back('a');
    for (const auto& life : lives) {
        durable_cluster c(o, life);
        client_session s(c.at(0));
        for (int i = 0; i < clients; i += 50) {
            EXPECT_EQ(attach(c, s, durable_client(name(i)))->state, expected) << i;
        }
    }
}

}  // namespace
}  // namespace linnet::core
