// SUBSCRIBE and UNSUBSCRIBE, and the retained messages that a new subscription brings.

#include "broker/core/address.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "broker/session/mqtt_session.hpp"
#include "protocol/mqtt/topic.hpp"

#include <algorithm>
#include <set>

namespace linnet::session {
namespace {

using core::error_kind;
using mqtt::reason_code;

// How many retained messages are asked for at once: more than a client gets between two of its answers.
constexpr std::uint32_t retained_piece = 100;
// What is kept of a subscription beside its filter, in the words of mqtt_state.
constexpr std::size_t kept_beside_filter = 9;

reason_code reason_of(const core::error& e) noexcept {
    switch (e.kind) {
        case error_kind::access_refused:
        case error_kind::resource_locked: return reason_code::not_authorized;
        case error_kind::quota_exceeded:
        case error_kind::resource_error: return reason_code::quota_exceeded;
        case error_kind::not_found:
        case error_kind::precondition_failed: return reason_code::topic_filter_invalid;
        case error_kind::not_allowed:
        case error_kind::command_invalid:
        case error_kind::not_implemented:
        case error_kind::internal: break;
    }
    return reason_code::implementation_specific_error;
}

// Of one packet: as many as a session may have, and in any case more than one has use for.
std::size_t filters_a_packet(const mqtt_settings& s) noexcept {
    return std::max<std::size_t>(s.subscriptions_max, 10'000);
}

reason_code granted(std::uint8_t qos) noexcept { return static_cast<reason_code>(qos); }

}  // namespace

void mqtt_session::on(const mqtt::subscribe& p) {
    auto j = std::make_unique<job>();
    j->what = job::kind::subscribe;
    j->at = job::step::declare;
    j->packet_id = p.packet_id;
    const auto identifier = p.properties.get<mqtt::property::subscription_identifier>().value_or(0);
    auto would = tally_now();
    for (const auto& s : p.subscriptions) {
        if (j->wishes.size() == filters_a_packet(settings_)) {
            ++j->too_many;
            continue;
        }
        wish w;
        w.what.filter = s.filter;
        w.what.identifier = identifier;
        w.what.qos = static_cast<std::uint8_t>(s.options.maximum_qos);
        w.what.no_local = s.options.no_local;
        w.what.retain_as_published = s.options.retain_as_published;
        w.retained = s.options.retained;
        w.reason = granted(w.what.qos);
        judge(w, would);
        j->wishes.push_back(std::move(w));
    }
    begin(std::move(j));
}

bool mqtt_session::find_place(wish& w) const {
    const auto parsed = mqtt::parse_topic_filter(w.what.filter);
    if (!parsed) {
        return false;
    }
    w.group = parsed->group;
    w.filter = parsed->filter;
    if (w.filter.starts_with(exchange_prefix)) {
        return false;  // published to only
    }
    if (w.filter.starts_with(queue_prefix)) {
        w.queue = w.filter.substr(queue_prefix.size());
        return w.group.empty() && !w.queue.empty() && !mqtt::has_wildcards(w.queue);
    }
    if (topic_mode_ == mqtt::name_mode::rabbitmq) {
        // Both mean the same there; the matcher knows one.
        std::replace(w.filter.begin(), w.filter.end(), '.', '/');
    }
    if (w.group.empty()) {
        w.what.filter = w.filter;
        return true;
    }
    auto queue = shared_queue_name(w.group, w.filter);
    w.queue = queue.value_or("");
    return queue.has_value();
}

mqtt_session::tally mqtt_session::tally_now() const noexcept {
    tally t;
    if (consuming_ != nullptr) {
        t.count = consuming_->subscriptions.size();
        t.bytes = consuming_->subscriptions.filter_bytes();
        if (const auto* places = consuming_->places.get()) {
            t.count += places->by_filter.size();
            t.bytes += places->filter_bytes;
        }
        t.bytes += t.count * kept_beside_filter;
    }
    return t;
}

// One that is renewed takes no more than it had.
bool mqtt_session::is_new(const wish& w) const noexcept {
    return w.is_own() ? find_subscription(w.filter) == nullptr : find_source(w.what.filter) == 0;
}

void mqtt_session::judge(wish& w, tally& would) const {
    // The core would refuse so many levels as well, but by then the session would match by them.
    if (!find_place(w) || std::ranges::count(w.filter, '/') >= static_cast<std::ptrdiff_t>(core::pattern_levels_max)) {
        w.reason = reason_code::topic_filter_invalid;
    } else if (!may_read(w)) {
        w.reason = settings_.forbidden;
    } else if (is_new(w)) {
        const tally with{would.count + 1, would.bytes + w.what.filter.size() + kept_beside_filter};
        if (with.count > settings_.subscriptions_max || with.bytes > settings_.subscription_bytes_max()) {
            w.reason = reason_code::quota_exceeded;
        } else {
            would = with;
        }
    }
}

// The right to the session's queue, or a group's, follows from the right to the topic.
bool mqtt_session::may_read(const wish& w) const {
    if (!w.is_own() && w.group.empty()) {
        const auto* rights = rules();
        return rights != nullptr && rights->allowed(core::right::read, w.queue);
    }
    return allowed(core::right::read, settings_.exchange, mqtt::filter_to_pattern(w.filter, topic_mode_));
}

void mqtt_session::add_own(wish& w) {
    w.existed = !consumes().subscriptions.put(w.what);
    counts_.subscriptions.add(w.existed ? 0 : 1);
    forget_match();
}

void mqtt_session::refuse_wish(wish& w, const core::error& e) {
    w.reason = reason_of(e);
    forget_kept();  // which may have had it
    if (w.is_own()) {
        counts_.subscriptions.sub(remove_subscription(w.filter) ? 1 : 0);
        forget_match();
    } else if (w.source != 0) {
        forget_source(sources_[w.source]);
    }
}

// [MQTT-3.8.4-1] [MQTT-3.8.4-6] One packet, a code for each filter, in their order.
void mqtt_session::say_suback(const job& j) {
    std::vector<std::uint8_t> reasons;
    for (const auto& w : j.wishes) {
        reasons.push_back(static_cast<std::uint8_t>(w.reason));
    }
    reasons.resize(reasons.size() + j.too_many, static_cast<std::uint8_t>(reason_code::quota_exceeded));
    send(mqtt::suback{.packet_id = j.packet_id, .reasons = reasons});
}

// ---- Unsubscribing -------------------------------------------------------------------------------

// Of more filters than a session has: UNSUBACK has no word for it in MQTT 3, nor the right one in MQTT 5.
void mqtt_session::on(const mqtt::unsubscribe& p) {
    if (p.filters.count() > filters_a_packet(settings_)) {
        fail(reason_code::quota_exceeded, "more filters in a packet than a session may have");
        return;
    }
    auto j = std::make_unique<job>();
    j->what = job::kind::unsubscribe;
    j->at = job::step::keep;
    j->packet_id = p.packet_id;
    // No more of them than of those that there are; what those have left in the queue has come by now.
    if (consuming_ != nullptr && consuming_->gone != nullptr &&
        (consuming_->gone->size() > settings_.subscriptions_max ||
         consuming_->gone->filter_bytes() > settings_.subscription_bytes_max())) {
        consuming_->gone.reset();
    }
    for (const auto filter : p.filters) {
        wish w;
        w.what.filter = filter;
        w.reason = reason_code::no_subscription_existed;
        if (find_place(w)) {
            remove_wish(w);
        }
        j->wishes.push_back(std::move(w));
    }
    if (has_retained_work()) {
        std::set<std::string_view> filters;
        for (const auto& w : j->wishes) {
            filters.insert(w.what.filter);
        }
        forget_reads(filters);
    }
    begin(std::move(j));
}

void mqtt_session::remove_wish(wish& w) {
    if (w.is_own()) {
        const auto* known = find_subscription(w.filter);
        w.what.live = known != nullptr && known->live;
        if (known != nullptr && !known->live && live_sink()) {
            remember_gone(*known);
        }
        w.existed = remove_subscription(w.filter);
        counts_.subscriptions.sub(w.existed ? 1 : 0);
        forget_match();
    } else {
        w.source = find_source(w.what.filter);
        w.existed = w.source != 0 && sources_[w.source].attached;
        if (w.source != 0) {
            unname_source(sources_[w.source]);
        }
    }
    w.reason = w.existed ? reason_code::success : w.reason;
}

void mqtt_session::remember_gone(const mqtt_subscription& s) {
    auto& gone = consuming_->gone;
    if (gone == nullptr) {
        gone = std::make_unique<mqtt_subscriptions>();
    }
    static_cast<void>(gone->put(s));
}

// [MQTT-3.10.4-4] [MQTT-3.11.3-1]
void mqtt_session::say_unsuback(const job& j) {
    std::vector<std::uint8_t> reasons;
    for (const auto& w : j.wishes) {
        reasons.push_back(static_cast<std::uint8_t>(w.reason));
    }
    send(mqtt::unsuback{.packet_id = j.packet_id, .reasons = reasons});
}

// ---- Consumers -----------------------------------------------------------------------------------

// 0, which is the session's own: none.
std::size_t mqtt_session::find_source(std::string_view filter) const noexcept {
    const auto* places = consuming_ == nullptr ? nullptr : consuming_->places.get();
    if (places == nullptr) {
        return 0;
    }
    const auto at = places->by_filter.find(filter);
    return at == places->by_filter.end() ? 0 : at->second;
}

// Who has a source has what goes with it.
mqtt_session::source& mqtt_session::own_source() {
    if (sources_.empty()) {
        static_cast<void>(consumes());
        sources_.emplace_back();
    }
    return sources_.front();
}

std::size_t mqtt_session::new_source(std::string queue, mqtt_subscription options) {
    static_cast<void>(own_source());  // has the first place, used or not
    std::size_t i = 1;
    while (i < sources_.size() && sources_[i].used) {
        ++i;
    }
    if (i == sources_.size()) {
        sources_.emplace_back();
    }
    auto& made = sources_[i];
    made.used = true;
    ++made.generation;
    made.queue = std::move(queue);
    made.options = std::move(options);
    auto& places = consuming_->places;
    if (places == nullptr) {
        places = std::make_unique<source_places>();
    }
    places->by_filter.insert_or_assign(made.options.filter, i);
    places->filter_bytes += made.options.filter.size();
    return i;
}

void mqtt_session::unname_source(source& s) noexcept {
    if (!s.options.filter.empty()) {
        auto& places = *consuming_->places;
        places.filter_bytes -= s.options.filter.size();
        places.by_filter.erase(s.options.filter);
        s.options.filter.clear();
    }
}

void mqtt_session::forget_source(source& s) noexcept {
    if (!s.options.filter.empty()) {
        forget_kept();  // which has it
    }
    unname_source(s);
    const auto generation = s.generation;
    s = source{};
    s.generation = generation;
}

// Null for a tag whose consumer has ended.
mqtt_session::source* mqtt_session::source_of(std::uint64_t tag) noexcept {
    const auto index = static_cast<std::uint32_t>(tag);
    if (index >= sources_.size()) {
        return nullptr;
    }
    auto& s = sources_[index];
    return s.used && s.generation == static_cast<std::uint32_t>(tag >> 32) ? &s : nullptr;
}

// ---- Retained messages ---------------------------------------------------------------------------

// [MQTT-3.3.1-9] to [MQTT-3.3.1-11] When a subscription begins, or is renewed, as its options say; never for a shared
// one.
void mqtt_session::read_retained(const std::vector<wish>& wishes) {
    const auto wanted = [](const wish& w) {
        return w.is_own() && !mqtt::is_failure(w.reason) &&
               (w.retained == mqtt::retain_handling::send ||
                (w.retained == mqtt::retain_handling::send_if_new && !w.existed));
    };
    std::set<std::string_view> filters;
    for (const auto& w : wishes) {
        if (wanted(w)) {
            filters.insert(w.what.filter);
        }
    }
    if (filters.empty()) {
        return;
    }
    auto& work = consumes().retained;
    if (work == nullptr) {
        work = std::make_unique<retained_work>();
    }
    forget_reads(filters);  // one that waits for the same is as good as asked for again
    for (const auto& w : wishes) {
        if (wanted(w)) {
            work->reads.push_back({.filter = w.filter, .options = w.what});
        }
    }
}

void mqtt_session::forget_reads(const std::set<std::string_view>& filters) {
    std::erase_if(consuming_->retained->reads,
                  [&](const retained_read& r) { return filters.contains(r.options.filter); });
}

void mqtt_session::go_on_with_retained() {
    while (has_retained_work() && phase_ == phase::running) {
        send_retained();
        auto& work = consuming_->retained;
        if (!work->messages.empty() || work->asking || job_ != nullptr || waiting_) {
            return;
        }
        if (work->reads.empty()) {
            work.reset();
            return;
        }
        const auto& next = work->reads.front();
        work->asking = true;
        auto r = ask(core::read_retained{.pattern = mqtt::filter_to_pattern(next.filter, topic_mode_),
                                         .syntax = core::pattern_syntax::mqtt,
                                         .count_max = retained_piece,
                                         .after = next.after});
        if (!r) {
            return;
        }
        took_retained(std::move(*r));
    }
}

void mqtt_session::took_retained(core::reply&& r) {
    auto& work = *consuming_->retained;
    work.asking = false;
    auto* found = r.result ? std::get_if<core::retained_messages>(&*r.result) : nullptr;
    if (work.reads.empty() || found == nullptr) {
        work.reads.clear();
        return;
    }
    auto& of = work.reads.front();
    for (auto& [m, left_s] : found->messages) {
        const auto qos = std::min(of.options.qos, qos_of(*m));
        work.messages.push_back({std::move(m), left_s, qos, of.options.identifier});
    }
    of.after = std::move(found->after);
    if (!of.after) {
        work.reads.pop_front();
    }
}

// As far as the client's window and the output allow; its answers bring us back here.
void mqtt_session::send_retained() {
    auto& messages = consuming_->retained->messages;
    while (!messages.empty() && !output_full_) {
        auto& next = messages.front();
        if (next.qos != 0 && !has_free_id()) {
            return;
        }
        const auto of_client = next.identifier == 0 ? std::span<const std::uint32_t>{} : std::span(&next.identifier, 1);
        if (topic_of(next.msg->exchange(), next.msg->routing_key(), names(), scratch_.topic)) {
            outgoing o{.msg = *next.msg, .topic = scratch_.topic, .identifiers = of_client};
            o.expires_s = next.left_s == 0 ? -1 : std::int64_t{next.left_s};
            o.qos = next.qos;
            o.id = next.qos == 0 ? std::uint16_t{0} : free_id();
            o.retain = true;  // [MQTT-3.3.1-8]
            o.is_last_value = true;
            if (send_publish(o, next.msg) && o.qos != 0) {
                mqtt_flight f;
                f.id = o.id;
                f.qos = o.qos;
                f.retain = true;
                f.identifier = next.identifier;
                f.d.msg = std::move(next.msg);
                outbound_.add(std::move(f));
            }
        }
        messages.pop_front();
    }
}

}  // namespace linnet::session
