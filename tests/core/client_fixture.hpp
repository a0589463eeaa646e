#pragma once

#include "tests/core/cluster.hpp"
#include "tests/core/random_seed.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

namespace linnet::core {

// A session of a named client. `Cluster` below: cluster or durable_cluster.
struct client_session : test_session {
    using test_session::test_session;
    void on_taken_over(client_ticket t) override { taken_over.push_back(t); }
    // What the last reply brought.
    [[nodiscard]] std::optional<attached_client> attached() const {
        if (replies.empty() || !replies.back().result) {
            return std::nullopt;
        }
        const auto* a = std::get_if<attached_client>(&*replies.back().result);
        return a == nullptr ? std::nullopt : std::optional(*a);
    }

    std::vector<client_ticket> taken_over;
    // For storms.
    std::string name;
    std::optional<client_ticket> ticket;
    bool waits = false;
    std::uint64_t sequence = 0;
};

template <class Cluster>
[[nodiscard]] std::optional<attached_client> attach(Cluster& c, client_session& s, attach_client a) {
    const reply r = c.ask(s, std::move(a));
    if (!r.result) {
        ADD_FAILURE() << r.result.error().text;
        return std::nullopt;
    }
    return std::get<attached_client>(*r.result);
}

[[nodiscard]] inline attach_client of_name(std::string name, std::string queue = {}) {
    attach_client a;
    a.name = std::move(name);
    a.queue = std::move(queue);
    a.user = "guest";
    a.expiry_s = 60;
    return a;
}

template <class Cluster>
[[nodiscard]] std::optional<attached_client> attach(Cluster& c, client_session& s, std::string name,
                                                    std::string queue = {}, bool clean = false) {
    attach_client a = of_name(std::move(name), std::move(queue));
    a.clean = clean;
    return attach(c, s, std::move(a));
}

// Without waiting for the answer.
template <class Cluster>
[[nodiscard]] std::optional<reply> ask_later(Cluster& c, client_session& s, request_body body) {
    return c.enter(s.home().id().value).submit({c.vhost(), s.handle(), ++s.sequence, std::move(body)});
}

template <class Cluster>
[[nodiscard]] bool keep(Cluster& c, client_session& s, client_ticket t, std::vector<std::uint8_t> state,
                        bool durable = false, std::uint32_t expiry_s = 60) {
    return c.ask(s, keep_client{t, std::move(state), durable, expiry_s}).result.has_value();
}

template <class Cluster>
void detach(Cluster& c, client_session& s, client_ticket t, std::uint32_t expiry_s,
            std::optional<std::vector<std::uint8_t>> state = {}) {
    c.enter(s.home().id().value).detach_client(c.vhost(), s.handle(), {t, std::move(state), expiry_s, {}});
}

template <class Cluster>
void detach_with_words(Cluster& c, client_session& s, client_ticket t, std::uint32_t expiry_s, std::string_view words,
                       std::uint32_t delay_s, bool retain = false) {
    auto& home = c.enter(s.home().id().value);
    message_traits traits;
    traits.persistent = true;
    traits.retain = retain;
    auto m = make_message(home.pool(), "", "wills", {},
                          {reinterpret_cast<const std::uint8_t*>(words.data()), words.size()}, traits);
    home.detach_client(c.vhost(), s.handle(), {t, {}, expiry_s, {std::move(m), delay_s}});
}

template <class Cluster>
bool mark(Cluster& c, client_session& s, client_ticket t, std::uint32_t number, bool set) {
    c.enter(s.home().id().value).mark_client(t, s.handle(), 1, ++s.sequence, number, set);
    c.settle();
    EXPECT_TRUE(s.settled.contains(s.sequence)) << "no answer";
    return s.settled[s.sequence];
}

template <class Cluster>
[[nodiscard]] bool has_queue(Cluster& c, std::string_view name) {
    return topology_view::find_queue(*c.enter(0).topology().find_vhost(c.vhost()), name) != nullptr;
}

template <class Cluster>
void set_rights(Cluster& c, const std::string& user, const std::string& pattern) {
    c.enter(0).change_topology([&c, user, pattern](topology_editor& e) {
        EXPECT_TRUE(e.set_permissions(user, c.vhost(), {pattern, pattern, pattern}));
        return std::vector<queue_entry>{};
    });
    c.settle();
}

// All that it has to give, given.
template <class Cluster>
[[nodiscard]] std::vector<std::string> texts_in(Cluster& c, test_session& s, const std::string& queue) {
    std::vector<std::string> all;
    for (;;) {
        get g;
        g.queue = queue;
        g.no_ack = true;
        const reply r = c.ask(s, std::move(g));
        if (!r.result || !std::get<got_message>(*r.result).message) {
            return all;
        }
        all.push_back(body_text(*std::get<got_message>(*r.result).message->msg));
    }
}

}  // namespace linnet::core
