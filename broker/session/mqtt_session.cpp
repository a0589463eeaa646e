#include "broker/session/mqtt_session.hpp"

#include "broker/base/log.hpp"
#include "protocol/mqtt/property_writing.hpp"

#include <algorithm>

namespace linnet::session {
namespace {

using mqtt::reason_code;

// A session that provokes one error after the other does not fill the log.
constexpr std::uint8_t trouble_lines_max = 8;
constexpr std::size_t reason_text_max = 1024;

// With its client's name and what it publishes or subscribes, or has in flight.
constexpr std::int64_t own_bytes = sizeof(mqtt_session) + 512;

core::spoken spoken_of(mqtt::version v) noexcept {
    return v == mqtt::version::v5       ? core::spoken::mqtt50
           : v == mqtt::version::v3_1_1 ? core::spoken::mqtt311
                                        : core::spoken::mqtt310;
}

}  // namespace

void mqtt_session::log_info(std::string_view line) const {
    if (log::enabled(log::level::info)) {
        const auto name = host_.peer().name();
        log::write(log::level::info,
                   {.domain = "connection", .conn = name, .vhost = vhost_name_.text(), .user = user_.text()}, line);
    }
}

void mqtt_session::log_trouble(std::string_view line) {
    if (trouble_lines_ < trouble_lines_max && log::enabled(log::level::warning)) {
        ++trouble_lines_;
        const auto name = host_.peer().name();
        log::write(log::level::warning,
                   {.domain = "connection", .conn = name, .vhost = vhost_name_.text(), .user = user_.text()}, line);
    }
}

mqtt_session::mqtt_session(host& h, core::shard& s, authenticator& a, const mqtt_settings& settings)
    : host_(h),
      shard_(s),
      authenticator_(a),
      settings_(settings),
      out_(h.out()),
      counts_(settings.figures->of(s.id())),
      scratch_(settings.figures->scratch_of(s.id())),
      since_(s.wall_now()),
      handle_(s.add_session(*this)),
      totals_(&s.counts(core::spoken::mqtt311)),
      alarms_(s.active_alarms()),
      last_read_(s.now()),
      deadline_(s.now() + settings.handshake_timeout) {
    ready_ = false;  // until CONNACK is out
    shard_.note_connection_bytes(own_bytes);
    arm_timer();
    counts_.sockets.add();
    log_info("accepted");
}

mqtt_session::~mqtt_session() {
    release(parting::with_will);
    shard_.remove_session(handle_);
    shard_.note_connection_bytes(-own_bytes);
    core::octet_counts told = showing_ == nullptr ? core::octet_counts{} : showing_->told;
    tell_octets(host_, told, *totals_);
    totals_->connections_closed += opened_ ? 1 : 0;
}

bool mqtt_session::describe(core::connection_look& into) {
    if (!opened_) {
        return false;
    }
    if (showing_ == nullptr) {
        showing_ = std::make_unique<showing>();
    }
    describe_peer(host_, into);
    tell_octets(host_, showing_->told, *totals_);
    into.session = handle_;
    into.given_name = client_id_;
    into.user = user_.text();
    into.vhost = vhost_name_.text();
    into.of = spoken_of(spoken_);
    into.protocol = is_v5() ? "MQTT 5-0" : spoken_ == mqtt::version::v3_1_1 ? "MQTT 3-1-1" : "MQTT 3-1-0";
    into.state = phase_ != phase::running ? "closing" : (paused_ & wait_memory) != 0 ? "blocked" : "running";
    into.heartbeat_s = agreed_.keep_alive_s;
    into.frame_max = agreed_.packet_bytes_max;
    into.publishers = published_ ? 1 : 0;
    into.consumers = static_cast<std::uint32_t>(
        std::ranges::count_if(sources_, [](const source& s) { return s.used && s.attached; }));
    into.since = since_;
    into.properties = {{"client_id", core::make_string(client_id_)}};
    into.seen = showing_->window.look(into.octets, shard_.now(), shard_.wall_now());
    return true;
}

void mqtt_session::note_opened() {
    totals_ = &shard_.counts(spoken_of(spoken_));
    ++totals_->connections_opened;
    opened_ = true;
}

mqtt_session::publishing& mqtt_session::publishes() {
    if (publishing_ == nullptr) [[unlikely]] {
        publishing_ = std::make_unique<publishing>();
    }
    return *publishing_;
}

mqtt_session::consuming& mqtt_session::consumes() {
    if (consuming_ == nullptr) {
        consuming_ = std::make_unique<consuming>();
    }
    return *consuming_;
}

// ---- Batches -----------------------------------------------------------------------------------

void mqtt_session::begin_batch() {
    refresh_vhost();
    if (phase_ == phase::running && vhost_ == nullptr) {
        fail(reason_code::administrative_action, fmt::format("vhost '{}' is deleted", vhost_name_.text()));
    }
}

void mqtt_session::refresh_vhost() {
    const auto view = shard_.topology();
    topology_version_ = view.version();
    vhost_ = phase_ == phase::attaching || phase_ == phase::running ? view.find_vhost(vhost_id_) : nullptr;
}

const core::access_rules* mqtt_session::rules() const noexcept {
    return rights_ != nullptr ? rights_->rules.get() : shard_.topology().rules_of(user_.text(), vhost_id_);
}

bool mqtt_session::allowed(core::right r, std::string_view exchange, std::string_view key) const {
    const auto* rights = rules();
    const auto* x = vhost_ == nullptr ? nullptr : core::topology_view::find_exchange(*vhost_, exchange);
    return rights != nullptr && (x == nullptr ? rights->allowed(r, core::exchange_in_rules(exchange))
                                              : core::may_use_exchange(*rights, r, *x, key, client_id_));
}

void mqtt_session::end_batch() {
    flush_answers();
    flush_settled();
    if (wants_resume_ && ready_) {
        wants_resume_ = false;
        shard_.resume(*this);
    }
    shard_.pump();
    if (!out_.empty()) {
        host_.flush_soon();
    }
}

// ---- The core's answers ------------------------------------------------------------------------

std::optional<core::reply> mqtt_session::ask(core::request_body body) {
    auto r = shard_.submit({vhost_id_, handle_, ++cookie_, std::move(body)});
    refresh_vhost();
    if (!r) {
        waiting_ = true;
        pause(wait_reply);
    }
    return r;
}

void mqtt_session::on_reply(core::reply&& r) {
    if (!waiting_ || r.cookie != cookie_) {
        dispose(std::move(r));
        return;
    }
    waiting_ = false;
    refresh_vhost();
    if (released_) {
        dispose(std::move(r));
        return;
    }
    if (has_retained_work() && consuming_->retained->asking) {
        took_retained(std::move(r));
        go_on_with_retained();
    } else {
        answered(std::move(r));
        go_on();
    }
    end_batch();
    if (!waiting_) {
        resume(wait_reply);
    }
}

// What the core gave to a session that is over goes back.
void mqtt_session::dispose(core::reply&& r) {
    if (!r.result) {
        return;
    }
    if (const auto* c = std::get_if<core::consumer_info>(&*r.result)) {
        shard_.forget_consumer(c->queue, c->consumer, *this);
    } else if (const auto* a = std::get_if<core::attached_client>(&*r.result)) {
        shard_.detach_client(vhost_id_, handle_, {.ticket = a->ticket});
    }
}

// ---- Flow --------------------------------------------------------------------------------------

void mqtt_session::pause(pause_reason why) {
    if (std::exchange(paused_, static_cast<std::uint8_t>(paused_ | why)) == 0) {
        host_.pause_reading();
    }
}

void mqtt_session::resume(pause_reason why) {
    if ((paused_ & why) == 0) {
        return;
    }
    paused_ = static_cast<std::uint8_t>(paused_ & ~why);
    if (paused_ == 0 && phase_ != phase::done) {
        last_read_ = shard_.now();  // silence was our doing
        host_.resume_reading();
        arm_timer();
    }
}

void mqtt_session::stop_deliveries() {
    if (!passes_high(host_)) {
        return;  // the socket has taken it
    }
    output_full_ = true;
    update_ready();
    pause(wait_output);
}

void mqtt_session::on_output_drained() {
    if (!output_full_ || released_) {
        return;  // [MQTT-3.14.4-1] Nothing after DISCONNECT.
    }
    output_full_ = false;
    refresh_vhost();
    go_on_delivering();
    end_batch();
    if (!output_full_) {
        resume(wait_output);
    }
}

void mqtt_session::on_alarms(core::alarms now) {
    alarms_ = now;
    if (!now) {
        resume(wait_memory);
    }
}

void mqtt_session::append(std::span<const std::uint8_t> bytes) {
    if (out_.empty()) {
        host_.flush_soon();
    }
    out_.append(bytes);
    counts_.bytes_sent.add(bytes.size());
    if (out_.passes_high() && !output_full_) {
        stop_deliveries();
    }
}

// ---- Time --------------------------------------------------------------------------------------

// One timer serves everything: it is armed for what comes first and looks around when it fires, so that traffic costs
// no timer operation.
void mqtt_session::arm_timer() {
    mono_ns next = deadline_;
    if (phase_ == phase::running && agreed_.keep_alive_s != 0 && paused_ == 0) {
        next = last_read_ + agreed_.keep_alive_s * ns_per_s * 3 / 2;
    }
    if (phase_ == phase::running && rights_ != nullptr) {
        const auto ends = shard_.now() + std::max<mono_ns>(rights_->grant->ends_at() - shard_.wall_now(), ns_per_ms);
        next = next == 0 ? ends : std::min(next, ends);
    }
    if (!sent_.empty()) {
        next = shard_.now();
    }
    if (next != 0) {
        shard_.timers().start(*this, next);
    }
}

void mqtt_session::on_timer(mono_ns now) {
    flush_settled();
    if (std::exchange(own_queue_gone_, false)) {
        fail(reason_code::administrative_action, "the session's queue was deleted");
        return;
    }
    if (deadline_ != 0 && now >= deadline_) {
        log_trouble("no CONNECT in time");
        release(parting::with_will);
        phase_ = phase::done;
        host_.abort();
        return;
    }
    if (phase_ == phase::running && rights_ != nullptr && shard_.wall_now() >= rights_->grant->ends_at()) {
        fail(reason_code::not_authorized, "the token has expired");
        return;
    }
    // [MQTT-3.1.2-22] One and a half times the keep alive.
    if (phase_ == phase::running && agreed_.keep_alive_s != 0 && paused_ == 0 &&
        now - last_read_ >= agreed_.keep_alive_s * ns_per_s * 3 / 2) {
        fail(reason_code::keep_alive_timeout, fmt::format("nothing heard for {} s", agreed_.keep_alive_s * 3 / 2));
        return;
    }
    arm_timer();
}

// ---- The end -----------------------------------------------------------------------------------

std::string mqtt_session::reason_properties(std::string_view text) const {
    std::string properties;
    // [MQTT-3.1.2-29]
    if (is_v5() && agreed_.problem_information && !text.empty()) {
        mqtt::append_property<mqtt::property::reason_string>(properties, text.substr(0, reason_text_max));
    }
    return properties;
}

void mqtt_session::say_disconnect(reason_code why, std::string_view text) {
    auto properties = reason_properties(text);
    mqtt::disconnect d{.reason = why, .properties = mqtt::property_block::trusted(wire::as_bytes(properties))};
    // [MQTT-3.14.2-3] No reason string that would make it too long.
    if (mqtt::encoded_size(d, spoken_) > agreed_.packet_bytes_max) {
        d.properties = {};
    }
    if (mqtt::encoded_size(d, spoken_) <= agreed_.packet_bytes_max) {
        send(d);
    }
}

void mqtt_session::fail(mqtt::fault why) { fail(mqtt::reason_code_of(why), mqtt::describe(why)); }

void mqtt_session::fail(reason_code why, std::string_view text) {
    if (phase_ == phase::done) {
        return;
    }
    log_trouble(fmt::format("closing the connection: {}: {}", mqtt::reason_name(why), text));
    // [MQTT-3.14.0-1] Nothing but CONNACK may come before it.
    if (is_v5() && phase_ == phase::running) {
        say_disconnect(why, text);
    }
    finish(parting::with_will);
}

void mqtt_session::on_shutdown(std::string_view reason) { fail(reason_code::server_shutting_down, reason); }

// Whoever reads what it may not any more is sent away; what is kept of its session is judged when it comes back.
void mqtt_session::on_rights_changed() {
    if (phase_ != phase::running) {
        rights_changed_ = true;
        return;
    }
    begin_batch();
    if (phase_ != phase::running) {
        return;  // its vhost has gone, too
    }
    std::optional<std::string> denied;
    const auto judge_again = [&](const mqtt_subscription& s) {
        wish w;
        w.what = s;
        if (!denied && find_place(w) && !may_read(w)) {
            denied = s.filter;
        }
    };
    if (consuming_ != nullptr) {
        consuming_->subscriptions.for_each(judge_again);
    }
    for (std::size_t i = 1; i < sources_.size(); ++i) {
        if (sources_[i].used && !sources_[i].options.filter.empty()) {
            judge_again(sources_[i].options);
        }
    }
    if (job_ != nullptr && job_->what == job::kind::subscribe) {
        for (const auto& w : job_->wishes) {
            if (!mqtt::is_failure(w.reason)) {
                judge_again(w.what);
            }
        }
    }
    if (denied) {
        fail(reason_code::not_authorized, fmt::format("'{}' may not be read any more", *denied));
    }
}

void mqtt_session::on_taken_over(core::client_ticket t) {
    if (released_ || t.number != ticket_.number) {
        return;
    }
    // [MQTT-3.1.4-3]
    fail(reason_code::session_taken_over, "another connection has this client id now");
    shard_.pump();
}

void mqtt_session::on_peer_closed() {
    if (phase_ == phase::running) {
        log_info("the client closed its socket without a word");
    }
    release(parting::with_will);
    phase_ = phase::done;
}

mqtt_state mqtt_session::state_now() const {
    mqtt_state s;
    if (consuming_ == nullptr) {
        return s;
    }
    s.has_queue = has_own_queue();
    consuming_->subscriptions.for_each([&](const mqtt_subscription& one) { s.subscriptions.push_back(one); });
    for (std::size_t i = 1; i < sources_.size(); ++i) {
        if (sources_[i].used) {
            s.sources.push_back(sources_[i].options);
        }
    }
    if (consuming_->resumed != nullptr) {
        s.flights = *consuming_->resumed;
    }
    outbound_.for_each([&](const mqtt_flight& f) {
        if (f.of_session) {
            s.flights[f.d.pos] = f.d.received ? mqtt_state::stage::released
                                 : f.qos == 2 ? mqtt_state::stage::sent_qos_2
                                              : mqtt_state::stage::sent_qos_1;
        }
    });
    return s;
}

// Lets go of everything that the core holds for this connection: consumers first, so that nothing comes back, then
// deliveries, then the name.
void mqtt_session::release(parting how) {
    timer::stop();
    if (std::exchange(released_, true)) {
        return;
    }
    authenticator_.forget(*this);
    seat_.release();
    if (phase_ == phase::running) {
        counts_.clients.sub();
        counts_.subscriptions.sub(static_cast<std::int64_t>(subscription_count()));
    }
    ready_ = false;
    leave_groups();
    std::vector<std::uint8_t> state;
    if (ticket_.number != 0 && kept_) {
        auto now = state_now();
        now.exchanges = exchanges_left();
        state = encode(now);
    }
    for (auto& s : sources_) {
        if (s.attached) {
            shard_.forget_consumer(s.handle, s.consumer, *this);
        }
    }
    flush_settled();
    std::vector<core::delivery> back;
    take_back(back);
    if (consuming_ != nullptr) {
        for (auto& [tag, d] : consuming_->held) {
            if (!d.no_ack) {
                back.push_back(std::move(d));
            }
        }
        consuming_->held.clear();
    }
    std::stable_sort(back.begin(), back.end(), [](const core::delivery& a, const core::delivery& b) {
        const auto place = [](const core::delivery& d) {
            return std::tuple(d.queue.shard, d.queue.slot, d.queue.generation, d.consumer.value, d.pos);
        };
        return place(a) < place(b);
    });
    if (!back.empty()) {
        shard_.settle(back, core::settlement::requeued);
    }
    const bool has_queue = has_own_queue() || (waiting_ && job_ != nullptr && job_->at == job::step::declare);
    if (consuming_ != nullptr) {
        consuming_->retained.reset();
        consuming_->unfinished.clear();
    }
    job_.reset();
    if (const auto live = live_sink()) {
        shard_.remove_subscriber(vhost_id_, live);
    }
    if (ticket_.number != 0) {
        core::detach_client d{.ticket = ticket_};
        d.has_queue = has_queue;
        if (phase_ == phase::running) {
            d.expiry_s = agreed_.expiry_s;
        }
        if (phase_ == phase::running || kept_) {
            // Before CONNACK, too: what the last connection left is here by now, and nowhere else.
            d.state = std::move(state);
        }
        if (how == parting::with_will && phase_ == phase::running && will_ != nullptr) {
            d.words = std::move(*will_);
            d.words.grant = rights_ == nullptr ? nullptr : rights_->grant;
        }
        shard_.detach_client(vhost_id_, handle_, std::move(d));
        shard_.pump();
    }
    will_.reset();
}

void mqtt_session::finish(parting how) {
    release(how);
    phase_ = phase::done;
    host_.close_after_flush();
}

}  // namespace linnet::session
