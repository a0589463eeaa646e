// What takes an MQTT session several requests to the core: connecting, subscribing, unsubscribing.

#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/topic.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

using core::error_kind;
using mqtt::reason_code;

// Filters that are bound to the connection by one request: what others ask of the control meanwhile comes between.
constexpr std::size_t bound_together = 500;

// What may be added to a small state before it is said whole again.
constexpr std::size_t added_bytes_min = 1024;

}  // namespace

void mqtt_session::begin(std::unique_ptr<job> j) {
    job_ = std::move(j);
    go_on();
}

void mqtt_session::go_on() {
    while (job_ != nullptr && !waiting_ && phase_ != phase::done) {
        auto body = next_request();
        if (!body) {
            finish_job();
        } else if (auto r = ask(std::move(*body))) {
            answered(std::move(*r));
        }
    }
}

std::optional<core::request_body> mqtt_session::next_request() {
    switch (job_->what) {
        case job::kind::connect: return next_connect_request();
        case job::kind::subscribe: return next_subscribe_request();
        case job::kind::unsubscribe: return next_unsubscribe_request();
    }
    return std::nullopt;
}

void mqtt_session::answered(core::reply&& r) {
    if (phase_ == phase::done || job_ == nullptr) {
        dispose(std::move(r));
        return;
    }
    switch (job_->what) {
        case job::kind::connect: answered_connect(std::move(r)); return;
        case job::kind::subscribe: answered_subscribe(std::move(r)); return;
        case job::kind::unsubscribe: answered_unsubscribe(std::move(r)); return;
    }
}

void mqtt_session::finish_job() {
    const auto done = std::move(job_);
    switch (done->what) {
        case job::kind::connect: welcome(); return;
        case job::kind::subscribe:
            end_binding(*done);
            say_suback(*done);
            read_retained(done->wishes);
            go_on_with_retained();
            return;
        case job::kind::unsubscribe: say_unsuback(*done); return;
    }
}

// ---- Requests ------------------------------------------------------------------------------------

std::string mqtt_session::own_queue() const { return session_queue_name(client_id_).value_or(""); }

core::request_body mqtt_session::declare_own_queue() const {
    return core::declare_queue{.name = own_queue(), .durable = kept_, .arguments = {}};
}

core::request_body mqtt_session::declare_shared_queue(const std::string& name) const {
    core::declare_queue q{.name = name, .durable = kept_, .auto_delete = !kept_, .arguments = {}};
    if (kept_ && settings_.shared_expiry_ms != 0) {
        q.arguments.emplace_back("x-expires", core::make_int64(settings_.shared_expiry_ms));
    }
    return q;
}

core::request_body mqtt_session::bind_to(const std::string& queue, std::string_view filter) const {
    return core::bind{.source = settings_.exchange,
                      .destination = queue,
                      .routing_key = mqtt::filter_to_pattern(filter, topic_mode_),
                      .arguments = {},
                      .syntax = core::pattern_syntax::mqtt};
}

core::request_body mqtt_session::unbind_own(std::string_view filter) const {
    return core::unbind{.source = settings_.exchange,
                        .destination = own_queue(),
                        .routing_key = mqtt::filter_to_pattern(filter, topic_mode_),
                        .arguments = {},
                        .syntax = core::pattern_syntax::mqtt};
}

core::request_body mqtt_session::bind_live(std::vector<std::string> patterns) {
    auto& live = consumes().live;
    if (!live) {
        live = shard_.add_subscriber(*this);
    }
    return core::subscribe{.source = settings_.exchange,
                           .sink = live,
                           .patterns = std::move(patterns),
                           .syntax = core::pattern_syntax::mqtt};
}

core::request_body mqtt_session::unbind_live(std::string_view filter) const {
    return core::unsubscribe{.source = settings_.exchange,
                             .sink = live_sink(),
                             .patterns = {mqtt::filter_to_pattern(filter, topic_mode_)},
                             .syntax = core::pattern_syntax::mqtt};
}

// What nobody will acknowledge is settled by being sent.
core::request_body mqtt_session::consume_from(std::size_t index) {
    auto& s = sources_[index];
    s.no_ack = index != 0 && s.options.qos == 0;
    return core::consume{.queue = index == 0 ? own_queue() : s.queue,
                         .tag = tag_of(index, s),
                         .label = client_id_,
                         .sink = this,
                         .prefetch = s.no_ack ? 0U : agreed_.inflight_max,
                         .no_ack = s.no_ack,
                         .arguments = {}};
}

core::request_body mqtt_session::keep() {
    auto state = state_now();
    state.exchanges = exchanges_to_release();
    auto bytes = encode(state);
    if (consuming_ != nullptr) {
        consuming_->kept_bytes = bytes.size();
        consuming_->added_bytes = 0;
        consuming_->kept_exchanges = !state.exchanges.empty();
    }
    return core::keep_client{
        .ticket = ticket_, .state = std::move(bytes), .durable = true, .expiry_s = agreed_.expiry_s};
}

// What the job has made another of, or all: when nothing is kept yet that it could be added to, when additions have
// doubled that or would make more of it than is kept, and when there are ids to be released or have been, of which
// additions say nothing. Nor do they of deliveries: those that have come to their end since lie in no queue any more.
core::request_body mqtt_session::keep_changes() {
    auto* const c = consuming_.get();
    if (c == nullptr || c->kept_bytes == 0 || c->kept_exchanges || !exchanges_to_release().empty()) {
        return keep();
    }
    auto bytes = encode(changes_of(*job_));
    const auto added = c->added_bytes + bytes.size();
    if (added > c->kept_bytes + added_bytes_min || c->kept_bytes + added > core::client_state_bytes_max) {
        return keep();
    }
    c->added_bytes = added;
    return core::keep_client{.ticket = ticket_,
                             .state = std::move(bytes),
                             .durable = true,
                             .expiry_s = agreed_.expiry_s,
                             .as = core::kept_as::addition};
}

mqtt_state_changes mqtt_session::changes_of(const job& j) const {
    mqtt_state_changes c;
    c.has_queue = has_own_queue();
    const bool subscribes = j.what == job::kind::subscribe;
    for (const auto& w : j.wishes) {
        const auto* own = w.is_own() ? find_subscription(w.filter) : nullptr;
        if (mqtt::is_failure(w.reason)) {
            continue;
        }
        if (subscribes && own != nullptr) {
            c.subscriptions.push_back(*own);
        } else if (subscribes && w.source != 0) {
            c.sources.push_back(sources_[w.source].options);
        } else if (!subscribes && w.source != 0) {
            c.gone_sources.push_back(w.what.filter);
        } else if (!subscribes && w.existed) {
            c.gone_subscriptions.push_back(w.filter);
        }
    }
    return c;
}

bool mqtt_session::take_consumer(std::size_t index, const core::reply& r) {
    const auto* info = r.result ? std::get_if<core::consumer_info>(&*r.result) : nullptr;
    auto& s = sources_[index];
    s.attached = info != nullptr;
    if (info != nullptr) {
        s.handle = info->queue;
        s.consumer = info->consumer;
    }
    return s.attached;
}

// ---- Connecting ----------------------------------------------------------------------------------

std::optional<core::request_body> mqtt_session::next_connect_request() {
    using step = job::step;
    auto& j = *job_;
    switch (j.at) {
        case step::attach:
            return core::attach_client{.name = client_id_,
                                       .queue = own_queue(),
                                       .user = std::string(user_.text()),
                                       .clean = agreed_.clean,
                                       .durable = kept_,
                                       .listed = rights_ == nullptr,
                                       .expiry_s = agreed_.expiry_s};
        case step::declare:
            return j.rebuilding == 0 ? declare_own_queue() : declare_shared_queue(sources_[j.rebuilding].queue);
        case step::bind:
            return bind_to(j.rebuilding == 0 ? own_queue() : sources_[j.rebuilding].queue, j.wishes[j.next].filter);
        case step::consume:
            while (j.next < sources_.size() && !sources_[j.next].used) {
                ++j.next;
            }
            if (j.next < sources_.size()) {
                return consume_from(j.next);
            }
            list_wishes_of(placed::live);
            j.at = step::subscribe;
            return bind_more_live();
        case step::subscribe: return bind_more_live();
        case step::unbind: return unbind_own(j.wishes[j.next].filter);
        case step::keep: return keep();
        case step::done: break;
    }
    return std::nullopt;
}

// What the session goes on with, as wishes to be bound again.
void mqtt_session::list_wishes_of(placed where) {
    auto& j = *job_;
    j.wishes.clear();
    j.next = 0;
    if (consuming_ != nullptr) {
        consuming_->subscriptions.for_each([&](const mqtt_subscription& s) {
            if (s.live == (where == placed::live)) {
                wish w;
                w.filter = s.filter;
                j.wishes.push_back(std::move(w));
            }
        });
    }
}

// None: all of them are.
std::optional<core::request_body> mqtt_session::bind_more_live() {
    auto& j = *job_;
    j.end = std::min(j.next + bound_together, j.wishes.size());
    std::vector<std::string> patterns;
    for (auto i = j.next; i < j.end; ++i) {
        patterns.push_back(mqtt::filter_to_pattern(j.wishes[i].filter, topic_mode_));
    }
    return patterns.empty() ? std::nullopt : std::optional(bind_live(std::move(patterns)));
}

// Somebody deleted the queue meanwhile, or a restart did: what was in it is lost, the subscriptions are not. False:
// there is nothing to be made anew.
bool mqtt_session::rebuild_source(const core::error& e) {
    auto& j = *job_;
    wish w;
    w.what = sources_[j.next].options;
    const bool is_groups = j.next != 0 && e.kind == error_kind::not_found && find_place(w) && !w.group.empty();
    if ((j.next != 0 && !is_groups) || std::exchange(j.rebuilt, true)) {
        return false;
    }
    j.rebuilding = j.next;
    if (is_groups) {
        j.wishes.clear();
        j.wishes.push_back(std::move(w));
    } else {
        list_wishes_of(placed::queued);
    }
    j.at = job::step::declare;
    return true;
}

void mqtt_session::answered_connect(core::reply&& r) {
    using step = job::step;
    auto& j = *job_;
    // A group that a kept and a passing session share has one queue, the first one's.
    const bool is_there = j.at == step::declare && j.rebuilding != 0 && !r.result &&
                          r.result.error().kind == error_kind::precondition_failed;
    const bool is_groups = j.rebuilding != 0 && (j.at == step::declare || j.at == step::bind);
    if (!r.result && !is_there && is_groups) {
        log_trouble(fmt::format("'{}' is not consumed any more: {}", sources_[j.rebuilding].options.filter,
                                r.result.error().text));
        forget_source(sources_[j.rebuilding]);
        j.wishes.clear();
        j.next = j.rebuilding + 1;
        j.rebuilt = false;
        j.at = step::consume;
        return;
    }
    if (!r.result && !is_there && j.at != step::consume && j.at != step::unbind) {
        const auto& e = r.result.error();
        const bool forbidden = e.kind == error_kind::access_refused;
        // Another connection came for the same client while this one waited.
        const bool overtaken = e.kind == error_kind::resource_locked;
        const bool too_many = e.kind == error_kind::resource_error || e.kind == error_kind::quota_exceeded;
        refuse(forbidden   ? reason_code::not_authorized
               : overtaken ? reason_code::server_busy
               : too_many  ? reason_code::quota_exceeded
                           : reason_code::server_unavailable,
               e.text);
        return;
    }
    switch (j.at) {
        case step::attach:
            attached(std::move(std::get<core::attached_client>(*r.result)));
            // What may not be read any more has no binding any more, either.
            std::erase_if(j.wishes, [](const wish& w) { return w.what.live; });
            j.at = !j.wishes.empty() ? step::unbind : kept_ && brings_messages() ? step::keep : step::consume;
            j.next = 0;
            return;
        case step::declare:
            j.at = j.wishes.empty() ? step::consume : step::bind;
            j.next = j.wishes.empty() ? j.rebuilding : 0;
            return;
        case step::bind:
            if (++j.next == j.wishes.size()) {
                j.at = step::consume;
                j.next = j.rebuilding;
            }
            return;
        case step::consume:
            if (!take_consumer(j.next, r)) {
                const auto why = r.result ? core::error{error_kind::internal, {}} : r.result.error();
                if (rebuild_source(why)) {
                    return;
                }
                log_trouble(fmt::format("'{}' is not consumed any more: {}",
                                        j.next == 0 ? own_queue() : sources_[j.next].options.filter, why.text));
                forget_source(sources_[j.next]);
            }
            ++j.next;
            j.rebuilt = false;
            return;
        case step::unbind:
            if (++j.next == j.wishes.size()) {
                j.wishes.clear();
                j.next = 0;
                j.at = kept_ ? step::keep : step::consume;
            }
            return;
        case step::keep: j.at = step::consume; return;
        case step::subscribe: j.next = j.end; return;
        case step::done: return;
    }
}

// ---- Subscribing ---------------------------------------------------------------------------------

void mqtt_session::next_wish() {
    ++job_->next;
    job_->at = job::step::declare;
}

std::optional<core::request_body> mqtt_session::next_subscribe_request() {
    using step = job::step;
    auto& j = *job_;
    while (j.next < j.wishes.size()) {
        auto& w = j.wishes[j.next];
        if (mqtt::is_failure(w.reason)) {
            next_wish();
        } else if (j.at == step::unbind) {
            return unbind_live(w.filter);
        } else if (w.is_own() && is_live(w)) {
            return begin_live();
        } else if (w.is_own()) {
            if (j.at == step::declare && renew(w)) {
                next_wish();
            } else {
                return begin_queued(w);
            }
        } else if (auto request = begin_shared(w)) {
            return request;
        } else {
            next_wish();
        }
    }
    // All wishes are done; what remains is the session's own consumer.
    if (j.at == step::declare) {
        j.at = step::consume;
        if (has_own_queue() && !sources_.front().attached) {
            return consume_from(0);
        }
    }
    if (j.at == step::consume) {
        j.at = kept_ ? step::keep : step::done;
    }
    return j.at == step::keep ? std::optional(keep_changes()) : std::nullopt;
}

// A filter stays bound to the queue once it has been: what lies there for it is still to be delivered.
bool mqtt_session::is_live(const wish& w) const {
    const auto* known = find_subscription(w.filter);
    return w.what.qos == 0 && (known == nullptr || known->live);
}

// It has its binding and needs no other.
bool mqtt_session::renew(wish& w) {
    const auto* known = find_subscription(w.filter);
    if (known == nullptr || known->live) {
        return false;
    }
    w.what.binding = known->binding;
    add_own(w);
    return true;
}

// All wishes from the next one on that are bound to the connection: one request for the core.
core::request_body mqtt_session::begin_live() {
    auto& j = *job_;
    j.at = job::step::subscribe;
    std::vector<std::string> patterns;
    for (j.end = j.next; j.end < std::min(j.next + bound_together, j.wishes.size()); ++j.end) {
        auto& w = j.wishes[j.end];
        if (mqtt::is_failure(w.reason) || !w.is_own() || !is_live(w)) {
            break;
        }
        w.what.live = true;
        add_own(w);  // before the binding: messages may come at once
        patterns.push_back(mqtt::filter_to_pattern(w.filter, topic_mode_));
    }
    return bind_live(std::move(patterns));
}

core::request_body mqtt_session::begin_queued(wish& w) {
    if (!has_own_queue()) {
        return declare_own_queue();
    }
    job_->at = job::step::bind;
    if (find_subscription(w.filter) == nullptr) {
        w.what.binding = true;
        add_own(w);  // before the binding: deliveries may come at once
    }
    return bind_to(own_queue(), w.filter);
}

// From here on the queue's deliveries count. Not from when the binding has been made: who has not heard of it publishes
// to the connection alone for a moment. Until here what comes both ways has been taken from the connection; what the
// queue still brings of that is one copy more, as overlapping filters may have (3.3.4), in place of a loss.
void mqtt_session::end_binding(job& j) {
    for (auto& w : j.wishes) {
        if (w.what.binding && !mqtt::is_failure(w.reason)) {
            w.what.binding = false;
            static_cast<void>(consuming_->subscriptions.put(w.what));
        }
    }
    forget_match();
}

// None: the session has that consumer already.
std::optional<core::request_body> mqtt_session::begin_shared(wish& w) {
    using step = job::step;
    auto& j = *job_;
    if (j.at == step::bind) {
        return bind_to(w.queue, w.filter);
    }
    if (j.at == step::consume) {
        return consume_from(w.source);
    }
    w.source = find_source(w.what.filter);
    w.existed = w.source != 0;
    if (w.existed) {
        sources_[w.source].options = w.what;
        return std::nullopt;
    }
    w.source = new_source(w.queue, w.what);
    if (!w.group.empty()) {
        return declare_shared_queue(w.queue);
    }
    j.at = step::consume;
    return consume_from(w.source);
}

void mqtt_session::answered_subscribe(core::reply&& r) {
    using step = job::step;
    auto& j = *job_;
    if (j.at == step::keep && !r.result) {
        forget_kept();
    }
    if (j.next < j.wishes.size()) {
        if (j.at == step::subscribe) {
            answered_live(r);
        } else {
            answered_wish(r);
        }
    } else if (j.at == step::consume) {
        if (!take_consumer(0, r)) {
            fail(reason_code::unspecified_error, "the session's queue has gone");
        }
    } else {
        j.at = step::done;
    }
}

void mqtt_session::answered_live(const core::reply& r) {
    auto& j = *job_;
    for (auto i = j.next; i < j.end && !r.result; ++i) {
        refuse_wish(j.wishes[i], r.result.error());
    }
    j.next = j.end;
    j.at = job::step::declare;
}

void mqtt_session::answered_wish(const core::reply& r) {
    using step = job::step;
    auto& j = *job_;
    auto& w = j.wishes[j.next];
    // A group that a kept and a passing session share has one queue, the first one's.
    const bool is_there = j.at == step::declare && !r.result && !w.is_own() &&
                          r.result.error().kind == error_kind::precondition_failed;
    if (!r.result && !is_there) {
        refuse_wish(w, r.result.error());
        next_wish();
        return;
    }
    const auto* known = w.is_own() ? find_subscription(w.filter) : nullptr;
    switch (j.at) {
        case step::declare:
            if (w.is_own()) {
                own_source().used = true;
            }
            j.at = step::bind;
            return;
        case step::bind:
            // Of higher quality now: until the other binding has gone, both bring it.
            j.at = !w.is_own() ? step::consume : step::unbind;
            if (known != nullptr && !known->live) {
                next_wish();
            }
            return;
        case step::unbind:
            add_own(w);
            next_wish();
            return;
        case step::consume:
            static_cast<void>(take_consumer(w.source, r));
            next_wish();
            return;
        case step::attach:
        case step::subscribe:
        case step::keep:
        case step::done: return;
    }
}

// ---- Unsubscribing -------------------------------------------------------------------------------

// First the subscriptions are forgotten for good, then the bindings: one that is left over brings what nobody wants,
// one too few would lose what somebody does.
std::optional<core::request_body> mqtt_session::next_unsubscribe_request() {
    using step = job::step;
    auto& j = *job_;
    if (j.at == step::keep && kept_) {
        return keep_changes();
    }
    j.at = step::unbind;
    while (j.next < j.wishes.size() && !j.wishes[j.next].existed) {
        ++j.next;
    }
    if (j.next == j.wishes.size()) {
        return std::nullopt;
    }
    const auto& w = j.wishes[j.next];
    if (w.is_own()) {
        return w.what.live ? unbind_live(w.filter) : unbind_own(w.filter);
    }
    auto& s = sources_[w.source];
    flush_settled();
    return core::cancel{s.handle, s.consumer, this};
}

void mqtt_session::answered_unsubscribe(core::reply&& r) {
    auto& j = *job_;
    if (j.at == job::step::keep) {
        if (!r.result) {
            forget_kept();
        }
        j.at = job::step::unbind;
        return;
    }
    const auto& w = j.wishes[j.next++];
    if (!w.is_own()) {
        forget_source(sources_[w.source]);
    }
}

}  // namespace linnet::session
