#pragma once

#include "broker/session/http_messaging.hpp"
#include "tests/session/http_line.hpp"

#include <gtest/gtest.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::session::test {

[[nodiscard]] inline core::broker_options with_shards(std::uint16_t n) {
    auto o = world::options();
    o.shards = n;
    return o;
}

// A daemon's worth of it: a handler a shard, functions carried between them in turns.
class HttpMessaging : public ::testing::TestWithParam<std::uint16_t> {
protected:
    HttpMessaging() : w(with_shards(GetParam())) {
        http_messaging_settings m;
        m.leases_max = 50;
        m.repeated_bytes_max = 100'000;
        for (auto& s : w.shards) {
            parts.push_back(
                std::make_unique<http_messaging>(*s, m, all, [this](core::shard_id to, std::function<void()> f) {
                    posted.emplace_back(to, std::move(f));
                }));
            all.push_back(parts.back().get());
        }
        settings.handlers = {{.prefix = "/v1/", .handler = parts[0].get()}};
        settings.logins = &w.logins;
        w.shard->begin_turn();
    }
    ~HttpMessaging() override {
        for (std::size_t i = 0; i < parts.size(); ++i) {
            w.shards[i]->begin_turn();
            parts[i]->stop();
            while (w.shards[i]->end_turn()) {}
        }
        turn();
    }
    // Everybody's turn, until nothing is left to carry.
    void turn() {
        for (int round = 0; round < 10; ++round) {
            w.end_turn();
            for (auto& [to, f] : std::exchange(posted, {})) {
                w.shards[to.value]->begin_turn();
                f();
                while (w.shards[to.value]->end_turn()) {}
            }
            w.clock.advance(ns_per_ms);
            w.turn();
            w.shard->begin_turn();
        }
    }
    static std::string request(std::string_view what, std::string_view body = {}, std::string_view more = {},
                               std::string_view login = "Z3Vlc3Q6Z3Vlc3Q=") {
        auto text = std::string(what) + " HTTP/1.1\r\nHost: a\r\nAuthorization: Basic " + std::string(login) + "\r\n" +
                    std::string(more);
        if (!body.empty()) {
            text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
        }
        return text + "\r\n" + std::string(body);
    }
    std::string ask(line& l, std::string_view what, std::string_view body = {}, std::string_view more = {},
                    std::string_view login = "Z3Vlc3Q6Z3Vlc3Q=") {
        auto said = l.read(request(what, body, more, login));
        turn();
        return said + l.written();
    }
    std::string ask(std::string_view what, std::string_view body = {}, std::string_view more = {},
                    std::string_view login = "Z3Vlc3Q6Z3Vlc3Q=") {
        line l(w, settings);
        return ask(l, what, body, more, login);
    }
    void declare(const std::string& queue, core::value_table arguments = {}) {
        bool done = false;
        const auto v = core::topology_view::id_of(*w.shard->topology().find_vhost("/"));
        parts[0]->ask(v, core::declare_queue{.name = queue, .durable = true, .arguments = std::move(arguments)},
                      [&](core::reply&& r) { done = r.result.has_value(); });
        turn();
        ASSERT_TRUE(done);
    }
    static std::string field(const std::string& answer, std::string_view name) {
        const auto at = answer.find("\r\n" + std::string(name) + ": ");
        if (at == std::string::npos) {
            return {};
        }
        const auto begin = at + name.size() + 4;
        return answer.substr(begin, answer.find("\r\n", begin) - begin);
    }

    world w;
    http_messaging::peers all;
    std::vector<std::unique_ptr<http_messaging>> parts;
    std::vector<std::pair<core::shard_id, std::function<void()>>> posted;
    http_settings settings;
};

}  // namespace linnet::session::test
