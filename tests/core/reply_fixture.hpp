#pragma once

#include "broker/core/message_builder.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/reply_registry.hpp"
#include "tests/core/cluster.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace linnet::core {

// The properties of a protocol of its own: lines of a name, '=' and a value.
class spoken_reader final : public property_reader {
public:
    [[nodiscard]] static std::map<std::string, std::string> lines(block b) {
        std::map<std::string, std::string> all;
        std::string_view text(reinterpret_cast<const char*>(b.data()), b.size());
        while (!text.empty()) {
            const auto end = std::min(text.find('\n'), text.size());
            const auto line = text.substr(0, end);
            const auto equals = std::min(line.find('='), line.size());
            all.emplace(line.substr(0, equals), line.substr(std::min(equals + 1, line.size())));
            text.remove_prefix(std::min(end + 1, text.size()));
        }
        return all;
    }
    [[nodiscard]] value_table headers(block b) const override {
        value_table all;
        for (const auto& [name, text] : lines(b)) {
            all.emplace_back(name, make_string(text));
        }
        return all;
    }
    [[nodiscard]] std::optional<value> header(block b, std::string_view name) const override {
        const auto all = headers(b);
        const auto* v = find(all, name);
        return v == nullptr ? std::nullopt : std::optional(*v);
    }
    [[nodiscard]] std::optional<death_log> deaths(block) const override { return std::nullopt; }
    [[nodiscard]] std::string expiration(block) const override { return {}; }
    [[nodiscard]] std::vector<std::string> carbon_copies(block) const override { return {}; }
    [[nodiscard]] std::string message_id(block) const override { return {}; }
    [[nodiscard]] neutral_properties read(block b, const message_traits& t) const override {
        auto all = property_reader::read(b, t);
        if (const auto said = lines(b); said.contains("id")) {
            all.correlation_id = said.at("id");
        }
        return all;
    }
    // queue=NAME, or inbox=KEY of the session `inbox`.
    [[nodiscard]] std::optional<requested_answers> answers_to(block b) const override {
        const auto said = lines(b);
        if (said.contains("queue")) {
            return answer_address{"", said.at("queue")};
        }
        if (said.contains("token")) {
            return reply_token::parse(said.at("token")).value();
        }
        return said.contains("inbox") ? std::optional<requested_answers>(answer_inbox{inbox, 1, said.at("inbox")})
                                      : std::nullopt;
    }
    [[nodiscard]] std::string with_correlation(block b, std::string_view correlation) const override {
        auto said = lines(b);
        said["id"] = correlation;
        std::string out;
        for (const auto& [name, text] : said) {
            out.append(name).append("=").append(text).append("\n");
        }
        return out;
    }

    session_handle inbox{};
};

struct reply_session : test_session {
    using test_session::test_session;
    void on_publish_unrouted(std::uint64_t, std::uint64_t n) override { unrouted.insert(n); }
    void on_reply_news(reply_news&& n) override {
        news.push_back(std::to_string(n.number) + ":" + (n.what ? body_text(*n.what) : "gone"));
    }

    std::set<std::uint64_t> unrouted;
    std::vector<std::string> news;
    std::uint64_t sequence = 0;
};

[[nodiscard]] inline std::span<const std::uint8_t> bytes_of(std::string_view text) {
    return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}
[[nodiscard]] inline std::string properties_text(const message& m) {
    return {m.properties().begin(), m.properties().end()};
}

[[nodiscard]] inline kept_terms terms_of(std::string user = "guest", bool durable = false) {
    kept_terms t;
    t.user = std::move(user);
    t.answer_within = 60 * ns_per_s;
    t.keep_for = 30 * ns_per_s;
    t.durable = durable;
    return t;
}

// `Cluster` below: cluster or durable_cluster.
template <class Cluster>
[[nodiscard]] std::optional<reply_token> open(Cluster& c, reply_session& s, kept_terms t) {
    auto& home = c.enter(s.home().id().value);
    const auto opened = home.open_reply(c.vhost(), std::move(t), s.handle(), 1, ++s.sequence);
    if (!opened) {
        return std::nullopt;
    }
    c.settle();
    EXPECT_TRUE(!opened->pending || s.settled.contains(s.sequence));
    return opened->token;
}

enum class fate : std::uint8_t { taken, refused, unrouted, open };

// What its publisher hears of it.
template <class Cluster>
[[nodiscard]] fate answer(Cluster& c, reply_session& s, const reply_token& t, std::string_view body,
                          std::string_view properties = {}, std::optional<vhost_id> v = {}) {
    auto& home = c.enter(s.home().id().value);
    const auto n = ++s.sequence;
    auto m = make_message(home.pool(), "", reply_key(t), bytes_of(properties), bytes_of(body), {});
    const auto done = home.answer(std::move(m), v.value_or(c.vhost()), t, s.handle(), 1, n);
    c.settle();
    if (!done.pending) {
        return done.routed == 0 ? fate::unrouted : done.rejected ? fate::refused : fate::taken;
    }
    if (s.unrouted.contains(n)) {
        EXPECT_FALSE(s.settled.contains(n));
        return fate::unrouted;
    }
    const auto at = s.settled.find(n);
    return at == s.settled.end() ? fate::open : at->second ? fate::taken : fate::refused;
}

// "pending", "answered: ...", "gone", or why it is not told; with what progress there was.
[[nodiscard]] inline std::string text_of(const reply& r) {
    if (!r.result) {
        return r.result.error().text;
    }
    const auto& k = std::get<kept_reply>(*r.result);
    std::string out;
    for (const auto& p : k.progress) {
        out += std::to_string(p.number) + "=" + body_text(*p.what) + " ";
    }
    switch (k.now) {
        case kept_reply::phase::pending: return out + "pending";
        case kept_reply::phase::answered: return out + "answered: " + (k.answer ? body_text(*k.answer) : "?");
        case kept_reply::phase::gone: return out + "gone";
    }
    return out;
}

template <class Cluster>
[[nodiscard]] std::string look(Cluster& c, reply_session& s, const reply_token& t, std::string user = "guest") {
    return text_of(c.ask(s, read_reply{t, std::move(user)}));
}

}  // namespace linnet::core
