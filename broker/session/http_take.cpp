// Taking messages through HTTP: at once what is there, or what comes while the client waits.

#include "broker/session/http_consumer.hpp"
#include "broker/session/http_properties.hpp"
#include "broker/session/http_words.hpp"
#include "protocol/http/base64.hpp"
#include "protocol/http/json_text.hpp"
#include "protocol/wire/bytes.hpp"
#include "protocol/wire/utf8.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <utility>
#include <vector>

namespace linnet::session {
namespace {

using http::status;

constexpr std::uint64_t wait_s_max = 60;
constexpr std::uint64_t count_max = 1000;
constexpr std::uint64_t bytes_default = std::uint64_t{1} << 20;
constexpr std::uint64_t bytes_max = std::uint64_t{64} << 20;

// Beginning with 1. A queue that counts failures knows; else all that is known is that this is not the first.
std::uint32_t attempt_of(const core::delivery& d) noexcept {
    return std::max<std::uint32_t>(d.delivery_count + 1, d.redelivered ? 2 : 1);
}

void append_line(std::string& out, const core::delivery& d, const core::neutral_properties& p, std::string_view lease) {
    const auto& m = *d.msg;
    const auto body = wire::as_text(m.body());
    fmt::format_to(std::back_inserter(out), "{{\"lease\":");
    if (lease.empty()) {
        out += "null";
    } else {
        http::append_json_string(out, lease);
    }
    fmt::format_to(std::back_inserter(out), ",\"attempt\":{},\"exchange\":", attempt_of(d));
    http::append_json_string(out, m.exchange());
    out += ",\"routing_key\":";
    http::append_json_string(out, m.routing_key());
    append_properties_json(out, p);
    if (wire::is_utf8(body)) {
        out += ",\"body\":";
        http::append_json_string(out, body);
    } else {
        out += ",\"base64\":\"";
        http::append_base64(out, body);
        out += '"';
    }
    out += "}\n";
}

}  // namespace

// One GET of messages. First what the queue has is fetched one by one; only if there is nothing it becomes a consumer,
// for as long as the client waits.
class http_poll final : public http_consumer, private core::timer {
public:
    struct wish {
        std::string queue;
        std::string user;
        std::uint64_t count = 1;
        std::uint64_t bytes = 0;
        mono_ns wait = 0;
        mono_ns lease = 0;  // 0: what is told is done
        bool lines = false;
    };

    http_poll(http_messaging& home, core::vhost_id vhost, wish w, http_responder to)
        : http_consumer(home, vhost), wish_(std::move(w)), to_(std::move(to)) {}

    void start() {
        to_->on_gone([this] { abandon(); });
        if (room() == 0) {  // before a message is taken, which would have to go back
            refuse_lease();
        } else {
            fetch();
        }
    }

private:
    // For so many messages there may still be leases. What is told is done without one.
    [[nodiscard]] std::size_t room() noexcept {
        const auto most = home().settings().leases_max;
        return wish_.lease == 0 ? SIZE_MAX : most - std::min(most, home().leases().size());
    }
    [[nodiscard]] std::size_t count() noexcept { return std::min<std::size_t>(wish_.count, room()); }

    void fetch() {
        if (std::exchange(fetching_, true)) {
            return;
        }
        do {
            again_ = false;
            ask(core::get{.queue = wish_.queue}, [this](core::reply&& r) { got(std::move(r)); });
        } while (again_ && !ended());
        fetching_ = false;
    }

    void got(core::reply&& r) {
        auto* const g = r.result ? std::get_if<core::got_message>(&*r.result) : nullptr;
        if (ended()) {
            if (g != nullptr && g->message) {
                give_back(std::move(*g->message), core::settlement::bounced);
            }
        } else if (g == nullptr) {
            refused(r.result ? core::error{core::error_kind::internal, "no message"} : r.result.error());
        } else if (g->message) {
            add(std::move(*g->message));
            if (is_full()) {
                finish();
            } else {
                again_ = true;
                if (!fetching_) {
                    fetch();
                }
            }
        } else if (taken_.empty() && wish_.wait > 0) {
            wait();
        } else {
            finish();
        }
    }

    void wait() {
        shard().timers().start(*this, shard().now() + wish_.wait);
        consume({.queue = wish_.queue,
                 .label = "http",
                 .prefetch = static_cast<std::uint32_t>(std::max<std::size_t>(count(), 1)),  // 0 is no limit
                 .arguments = {}});
    }

    [[nodiscard]] bool is_full() noexcept { return taken_.size() >= count() || bytes_ >= wish_.bytes; }

    void add(core::delivery&& d) {
        bytes_ += d.msg->body_bytes();
        taken_.push_back(std::move(d));
    }

    // What else comes in this turn goes along.
    void take(core::delivery&& d) override {
        add(std::move(d));
        ready_ = !is_full();
        if (taken_.size() == 1) {
            shard().timers().start(*this, shard().now());
        }
    }
    void on_timer(mono_ns) override { finish(); }

    void refused(const core::error& why) override {
        if (taken_.empty()) {
            say(refusal_of(why));
        } else {
            finish();
        }
    }
    void cancelled() override {
        refused({core::error_kind::not_found, fmt::format("queue '{}' was deleted", wish_.queue)});
    }

    void finish() {
        // Others may have taken leases since.
        while (taken_.size() > room() && room() != 0) {
            give_back(std::move(taken_.back()), core::settlement::bounced);
            taken_.pop_back();
        }
        if (taken_.empty()) {
            say({.code = status::no_content});
        } else if (room() == 0) {
            refuse_lease();
        } else {
            say(wish_.lines ? lines() : whole());
        }
    }
    void refuse_lease() {
        say(problem_answer({.code = status::too_many_requests, .detail = "too many leases are held"},
                           {{"Retry-After", "5"}}));
    }

    // Has the delivery lent on, or settles it. Its message stays readable through `kept`.
    std::string lease(core::delivery&& d) {
        if (wish_.lease == 0) {
            give_back(std::move(d), core::settlement::accepted);
            return {};
        }
        return home().leases().add(std::move(d), wish_.user, vhost(), wish_.lease).text();
    }

    // With a way to answer that needs no rights: POST to the queue that Reply-To names.
    core::neutral_properties said_of(const core::delivery& d) {
        auto said = properties_of(*d.msg, home().reader_of(*d.msg));
        if (d.msg->traits().answerable) {
            if (const auto handle = shard().lend_reply(vhost(), d, said)) {
                said.reply_to = core::reply_key(*handle);
            }
        }
        return said;
    }

    http_answer whole() {
        auto d = std::move(taken_.front());
        taken_.erase(taken_.begin());
        const auto kept = d.msg.share();
        http_answer a;
        append_properties(a, said_of(d));
        a.fields.emplace_back("Exchange", kept->exchange());
        a.fields.emplace_back("Routing-Key", kept->routing_key());
        a.fields.emplace_back("Delivery-Attempt", std::to_string(attempt_of(d)));
        a.fields.emplace_back("Cache-Control", "no-store");
        if (auto id = lease(std::move(d)); !id.empty()) {
            a.fields.emplace_back("Lease", std::move(id));
        }
        a.body = wire::as_text(kept->body());
        return a;
    }

    http_answer lines() {
        http_answer a{.fields = {{"Content-Type", "application/x-ndjson"}, {"Cache-Control", "no-store"}}};
        for (auto& d : taken_) {
            const auto said = said_of(d);
            const core::delivery shown{.msg = d.msg.share(),
                                       .queue = d.queue,
                                       .consumer = d.consumer,
                                       .delivery_count = d.delivery_count,
                                       .redelivered = d.redelivered};
            const auto id = lease(std::move(d));
            append_line(a.body, shown, said, id);
        }
        taken_.clear();
        return a;
    }

    void say(http_answer a) {
        auto to = std::exchange(to_, std::nullopt);
        abandon();
        std::move(*to).answer(std::move(a));
    }

    void abandon() {
        stop();
        // None of them has been told of.
        for (auto& d : taken_) {
            give_back(std::move(d), core::settlement::bounced);
        }
        taken_.clear();
        end();
    }

    const wish wish_;
    std::optional<http_responder> to_;
    std::vector<core::delivery> taken_;
    std::uint64_t bytes_ = 0;
    bool fetching_ = false;
    bool again_ = false;
};

void http_messaging::take(const http_request& r, const place& at, const core::queue_entry& q, http_responder to) {
    if (!may(at, core::right::read, q.spec.name)) {
        std::move(to).answer(forbidden("reading that queue is not allowed"));
        return;
    }
    if (core::is_stream(q.handle)) {
        std::move(to).answer(problem_answer({.code = status::conflict, .detail = "a stream is read by its events"}));
        return;
    }
    const auto wait = number_asked(r, "wait", 0, wait_s_max);
    const auto count = number_asked(r, "max", 1, count_max);
    const auto bytes = number_asked(r, "bytes", bytes_default, bytes_max);
    const auto lease = lease_asked(r);
    if (!wait || !count || *count == 0 || !bytes || !lease) {
        std::move(to).answer(bad_request(fmt::format(
            "wait is at most {} seconds, max {}, bytes {}, lease 43200 seconds", wait_s_max, count_max, bytes_max)));
        return;
    }
    auto made = std::make_unique<http_poll>(*this, core::topology_view::id_of(*at.vhost),
                                            http_poll::wish{.queue = q.spec.name,
                                                            .user = r.user.name,
                                                            .count = *count,
                                                            .bytes = *bytes,
                                                            .wait = static_cast<mono_ns>(*wait) * ns_per_s,
                                                            .lease = *lease,
                                                            .lines = r.query("max").has_value()},
                                            std::move(to));
    auto& poll = *made;
    adopt(std::move(made));
    poll.start();
}

}  // namespace linnet::session
