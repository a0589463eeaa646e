// What a session lives in, without sockets, threads or time of its own: shards that take turns on the calling
// thread, a topology with a few users, logins decided at once or held back.
#pragma once

#include "broker/base/assert.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/shard.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/amqp_session.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_settings.hpp"

#include <algorithm>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session::test {

class fake_authenticator final : public authenticator {
public:
    [[nodiscard]] std::optional<login_verdict> verify(const credentials& c, login_port& who) override {
        if (slow) {
            waiting = &who;
            return std::nullopt;
        }
        auto v = verdict(c.user, c.password);
        v.grant = grant;
        return v;
    }
    void forget(login_port& who) noexcept override { waiting = waiting == &who ? nullptr : waiting; }
    [[nodiscard]] login_verdict verify_certificate(std::string_view user, bool /*loopback*/) override {
        return {user == "guest" ? login_result::accepted : login_result::refused, std::string(user), {}};
    }
    // The arithmetic is somebody else's: the right proof is 32 times "p", and the nonces are numbered.
    [[nodiscard]] std::optional<scram_terms> begin_scram(std::string_view user) override {
        return scram_terms{"salt of " + std::string(user), 4096, "server" + std::to_string(++scram_nonces)};
    }
    [[nodiscard]] scram_verdict finish_scram(const scram_proof& p) override {
        scram_said = p.said;
        const bool right = p.proof == std::string(32, 'p');
        return {{right ? login_result::accepted : login_result::refused, p.user, {}}, "signature"};
    }
    [[nodiscard]] static login_verdict verdict(const std::string& user, const std::string& password) {
        const bool right = user == password;
        return {right ? login_result::accepted : login_result::refused, right ? user : "", {}};
    }

    bool slow = false;
    int scram_nonces = 0;
    std::string scram_said;
    login_port* waiting = nullptr;
    core::grant_ptr grant;  // what the next one brings along, as a token does
};

// What a peer of a session needs around it.
class ground {
public:
    ground() = default;
    ground(const ground&) = delete;
    ground& operator=(const ground&) = delete;
    virtual ~ground() = default;

    // Ends the turn of the shard that is at work (null: the first), and lets others have theirs.
    virtual void end_turn(core::shard* at_work) = 0;

    core::shard* shard = nullptr;  // the first
    block_pool blocks;
    fake_authenticator logins;
    mqtt_settings mqtt;
};

// Vhost "/" and users guest (everything), limited (only names that begin with "open") and
// nobody (no rights). A user's password is its name.
class world : public ground {
public:
    explicit world(core::broker_options o = options(), core::topology_limits limits = {}) : parts(o, clock) {
        auto& e = parts.editor();
        e.set_limits(limits);
        const auto v = e.add_vhost("/");
        static_cast<void>(e.add_vhost("other"));
        const bool ok = e.set_permissions("guest", v, {".*", ".*", ".*"}) &&
                        e.set_permissions("limited", v, {"^open", "^open", "^open"});
        LINNET_ASSERT(ok, "permissions of the test's users");
        parts.publish_topology();
        parts.hand_over();
        for (std::uint16_t i = 0; i < o.shards; ++i) {
            shards.push_back(std::make_unique<core::shard>(parts, core::shard_id{i}));
        }
        shard = shards[0].get();
        turn();
    }
    ~world() override { shards.clear(); }

    [[nodiscard]] static core::broker_options options() {
        core::broker_options o;
        o.readers[static_cast<std::size_t>(core::protocol_tag::amqp091)] = &amqp_reader();
        o.readers[static_cast<std::size_t>(core::protocol_tag::mqtt)] = &mqtt_reader();
        return o;
    }
    // Each of the others gets turns until all are quiet.
    void end_turn(core::shard* at_work = nullptr) override {
        while ((at_work == nullptr ? shard : at_work)->end_turn()) {}
        for (int round = 0; shards.size() > 1 && round < 6; ++round) {
            for (auto& s : shards) {
                s->begin_turn();
                while (s->end_turn()) {}
            }
        }
    }
    void turn() {
        for (auto& s : shards) {
            s->begin_turn();
            end_turn(s.get());
        }
    }
    // In steps that a reactor would take.
    void pass(mono_ns time) {
        constexpr mono_ns step = 250 * ns_per_ms;
        for (; time > 0; time -= step) {
            clock.advance(std::min(step, time));
            turn();
        }
    }

    manual_clock_source clock;
    core::broker parts;
    std::vector<std::unique_ptr<core::shard>> shards;
    amqp_settings settings;
};

}  // namespace linnet::session::test
