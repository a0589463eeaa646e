#pragma once

#include "broker/core/journal.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/core/message_pool.hpp"
#include "broker/core/property_reader.hpp"
#include "broker/core/queue.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// Property blocks of tests: "name=value,name=value". The header "id" is the message id, "corr" the correlation id; what
// looks like a number is one.
class text_reader final : public property_reader {
public:
    [[nodiscard]] value_table headers(block b) const override {
        value_table all;
        std::string_view text(reinterpret_cast<const char*>(b.data()), b.size());
        while (!text.empty()) {
            const auto entry = text.substr(0, text.find(','));
            text.remove_prefix(std::min(entry.size() + 1, text.size()));
            const auto eq = entry.find('=');
            all.emplace_back(std::string(entry.substr(0, eq)), typed(std::string(entry.substr(eq + 1))));
        }
        return all;
    }
    [[nodiscard]] std::optional<value> header(block b, std::string_view name) const override {
        const value_table all = headers(b);
        const value* v = find(all, name);
        return v == nullptr ? std::nullopt : std::optional(*v);
    }
    [[nodiscard]] std::optional<death_log> deaths(block) const override { return std::nullopt; }
    [[nodiscard]] std::string expiration(block) const override { return {}; }
    [[nodiscard]] std::vector<std::string> carbon_copies(block) const override { return {}; }
    [[nodiscard]] std::string message_id(block b) const override { return text_of(b, "id"); }
    [[nodiscard]] std::string correlation_id(block b) const override { return text_of(b, "corr"); }

private:
    [[nodiscard]] static value typed(std::string text) {
        const bool number = !text.empty() && text.find_first_not_of("-0123456789") == std::string::npos;
        return number ? make_int64(std::stoll(text)) : make_string(text);
    }
    [[nodiscard]] std::string text_of(block b, std::string_view name) const {
        const auto v = header(b, name);
        if (!v) {
            return {};
        }
        return v->as_string() != nullptr ? *v->as_string() : std::to_string(*v->as_integer());
    }
};

class feature_shard final : public queue_context {
public:
    struct dead_message {
        std::string body;
        death_reason why;
        bool operator==(const dead_message&) const = default;
    };

    [[nodiscard]] mono_ns now() const noexcept override { return time; }
    [[nodiscard]] wall_ns wall_now() const noexcept override { return wall_start + time; }
    [[nodiscard]] timer_wheel& timers() noexcept override { return wheel; }
    [[nodiscard]] const property_reader* reader_of(protocol_tag) const noexcept override { return &reader; }
    void on_dead(const queue&, queue_item&& item, death_reason why) override {
        const auto b = item.msg->body();
        dead.push_back({{b.begin(), b.end()}, why});
        item.msg.reset();
    }
    void deliver_remote(const remote_consumer&, delivery&&) override { ADD_FAILURE() << "nobody is remote"; }
    void cancel_remote(const remote_consumer&, cancel_reason) override {}
    void on_unused(const queue&) override {}
    void on_loaded(queue& q) override { to_pump = &q; }
    void on_settled(queue&) override { ADD_FAILURE() << "nothing is stored"; }

    static constexpr wall_ns wall_start = 1'700'000'000 * ns_per_s;
    mono_ns time = ns_per_s;
    timer_wheel wheel{ns_per_s};
    text_reader reader;
    std::vector<dead_message> dead;
    queue* to_pump = nullptr;
};

class feature_sink final : public delivery_sink {
public:
    void on_delivery(std::uint64_t, delivery&& d) override {
        const auto b = d.msg->body();
        heard.emplace_back(b.begin(), b.end());
        got.push_back(std::move(d));
    }
    void on_cancelled(std::uint64_t, cancel_reason) override {}
    void on_direct(message_ptr) override {}
    // Of all that ever came.
    [[nodiscard]] const std::vector<std::string>& bodies() const noexcept { return heard; }
    std::vector<std::string> heard;
    std::vector<delivery> got;
};

using texts = std::vector<std::string>;

// One queue of a broker without a log, or with one (`log`).
class feature_fixture : public testing::Test {
protected:
    feature_fixture() { message_pool::enter(&pool); }
    ~feature_fixture() override {
        q.reset();
        message_pool::enter(nullptr);
    }

    queue& make(const queue_settings& s) {
        spec.name = "q";
        spec.durable = true;
        spec.settings = s;
        q = std::make_unique<queue>(shard, queue_handle{1, 1, {}}, spec, queue_keeping{log, uid});
        return *q;
    }
    message_ptr text(std::string_view body, std::string_view properties = {}, mono_ns ttl = -1) {
        message_traits t;
        t.properties_of = protocol_tag::amqp091;
        t.persistent = persistent;
        t.time_to_live = ttl;
        const auto bytes = [](std::string_view s) {
            return std::span(reinterpret_cast<const std::uint8_t*>(s.data()), s.size());
        };
        return make_message(pool, "x", "k", bytes(properties), bytes(body), t);
    }
    // As a shard does it.
    enum class put_result : std::uint8_t { taken, refused, duplicate };
    put_result put(std::string_view body, std::string_view properties = {}, mono_ns ttl = -1) {
        auto m = text(body, properties, ttl);
        if (!q->records(*m)) {
            return q->enqueue(std::move(m)) == enqueue_result::accepted ? put_result::taken : put_result::refused;
        }
        switch (q->admit(*m)) {
            case admission::refuse: return put_result::refused;
            case admission::duplicate: return put_result::duplicate;
            case admission::pass: static_cast<void>(q->enqueue(std::move(m))); break;
            case admission::take: {
                const message_place place{uid, q->take_position(), 0};
                const auto ref = log->record_message(*m, shard.wall_now(), {&place, 1});
                q->enqueue_stored(std::move(m), place.pos, ref);
                break;
            }
        }
        return put_result::taken;
    }
    consumer_id consumer(feature_sink& sink, std::uint32_t prefetch = 0, bool no_ack = false) {
        queue::attachment a;
        a.sink = &sink;
        a.tag = 1;
        a.prefetch = prefetch;
        a.no_ack = no_ack;
        const auto id = *q->attach(std::move(a));
        static_cast<void>(q->pump());
        return id;
    }
    void ack(const delivery& d) {
        if (d.stored) {
            q->settle_stored(d.consumer, {&d.pos, 1}, d.msg->body_bytes());
        } else {
            q->settle(d.consumer, 1, d.msg->body_bytes());
        }
        static_cast<void>(q->pump());
    }
    void nack(delivery&& d) {
        q->requeue(std::move(d));
        static_cast<void>(q->pump());
    }
    void pass(mono_ns by) {
        shard.time += by;
        shard.wheel.advance(shard.time);
        if (auto* waiting = std::exchange(shard.to_pump, nullptr)) {
            static_cast<void>(waiting->pump());
        }
    }

    message_pool pool{shard_id{0}};
    feature_shard shard;
    queue_spec spec;
    journal* log = nullptr;
    owner_uid uid = 7;
    bool persistent = false;
    std::unique_ptr<queue> q;
};

}  // namespace linnet::core
