#include "broker/session/amqp_session.hpp"

#include "broker/base/log.hpp"
#include "broker/session/amqp_arguments.hpp"
#include "broker/session/amqp_channel.hpp"
#include "broker/session/amqp_reply_text.hpp"

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::reply_code;

// A session that provokes one error after the other does not fill the log.
constexpr std::uint8_t trouble_lines_max = 8;

// With what its client said of itself.
constexpr std::int64_t own_bytes = sizeof(amqp_session) + 1024;

// In RabbitMQ's words.
constexpr std::string_view reason_of(core::alarms a) noexcept {
    return a.memory && a.disk ? "low on memory & disk" : a.disk ? "low on disk" : "low on memory";
}

}  // namespace

void amqp_session::log_info(std::string_view line) const {
    if (log::enabled(log::level::info)) {
        const auto name = host_.peer().name();
        log::write(log::level::info, {.domain = "connection", .conn = name, .vhost = vhost_name_, .user = user_}, line);
    }
}

void amqp_session::log_trouble(std::string_view line) {
    if (trouble_lines_ < trouble_lines_max && log::enabled(log::level::warning)) {
        ++trouble_lines_;
        const auto name = host_.peer().name();
        log::write(log::level::warning, {.domain = "connection", .conn = name, .vhost = vhost_name_, .user = user_},
                   line);
    }
}

amqp_session::amqp_session(host& h, core::shard& s, authenticator& a, const amqp_settings& settings)
    : host_(h),
      shard_(s),
      authenticator_(a),
      settings_(settings),
      out_(h.out()),
      counts_(s.counts(core::spoken::amqp091)),
      handle_(s.add_session(*this)),
      born_(s.now()),
      since_(s.wall_now()),
      alarms_(s.active_alarms()),
      last_read_(s.now()),
      last_write_(s.now()) {
    shard_.note_connection_bytes(own_bytes);
    start_phase_timer(settings_.handshake_timeout);
    log_info("accepted");
}

amqp_session::~amqp_session() {
    release();
    shard_.remove_session(handle_);
    shard_.note_connection_bytes(-own_bytes);
    tell_octets(host_, told_, counts_);
    counts_.connections_closed += opened_ ? 1 : 0;
}

// ---- Batches -----------------------------------------------------------------------------------

void amqp_session::begin_batch() {
    if (waiting_ == nullptr) {
        graveyard_.clear();
    }
    refresh_vhost();
    static_cast<void>(has_vhost());
}

// False: it has been deleted, and the connection ends over it.
bool amqp_session::has_vhost() {
    if (phase_ == phase::running && vhost_ == nullptr) {
        fail(reply_code::connection_forced, fmt::format("vhost '{}' is deleted", vhost_name_));
        return false;
    }
    return true;
}

void amqp_session::refresh_vhost() {
    const auto view = shard_.topology();
    topology_version_ = view.version();
    vhost_ = phase_ == phase::running ? view.find_vhost(vhost_id_) : nullptr;
}

const core::access_rules* amqp_session::rules() const noexcept {
    return grant_ != nullptr ? granted_.get() : shard_.topology().rules_of(user_, vhost_id_);
}

void amqp_session::end_batch() {
    while (dirty_ != nullptr) {
        auto& c = *std::exchange(dirty_, dirty_->next_dirty);
        c.next_dirty = nullptr;
        c.dirty = false;
        c.end_batch();
    }
    shard_.pump();
    if (!out_.empty()) {
        host_.flush_soon();
    }
}

void amqp_session::mark_dirty(amqp_channel& c) noexcept {
    if (!c.dirty) {
        c.dirty = true;
        c.next_dirty = std::exchange(dirty_, &c);
    }
}

// ---- The core's answers ------------------------------------------------------------------------

void amqp_session::ask(core::request_body body, amqp_continuation then) {
    asking_ = true;
    auto r = shard_.submit({vhost_id_, handle_, ++cookie_, std::move(body), phase_ == phase::running});
    asking_ = false;
    refresh_vhost();
    if (!r) {
        wait(std::move(then));
        static_cast<void>(has_vhost());
    } else if (!has_vhost()) {
        dispose(std::move(*r), then.channel);
    } else {
        take_answer(std::move(*r), std::move(then));
    }
}

void amqp_session::ask_reply_queue(core::session_handle to, std::string key, amqp_continuation then) {
    auto r = shard_.find_direct(handle_, ++cookie_, to, std::move(key));
    if (r) {
        take_answer(std::move(*r), std::move(then));
        return;
    }
    wait(std::move(then));
}

void amqp_session::take_answer(core::reply&& r, amqp_continuation then) {
    const bool promised = r.result && std::holds_alternative<core::carried_out>(*r.result);
    if (!promised && owed_ == nullptr) {
        answer(std::move(r), then);
        return;
    }
    if (owed_ == nullptr) {
        owed_ = std::make_unique<amqp_owed>();
    }
    const bool failed = !r.result;
    if (promised) {
        owed_->promise(r.cookie, std::move(then));
    } else {
        owed_->add(std::move(r), std::move(then));
    }
    if (failed || owed_->full()) {
        pause(wait_reply);
    }
}

bool amqp_session::owe_failure(std::uint16_t channel, reply_code code, std::string_view text) {
    if (owed_ == nullptr) {
        return false;
    }
    amqp_continuation then;
    then.channel = channel;
    then.method = method_;
    owed_->add(amqp_owed::refusal{code, std::string(text)}, std::move(then));
    pause(wait_reply);
    return true;
}

void amqp_session::wait(amqp_continuation then) {
    waiting_cookie_ = cookie_;
    waiting_ = std::make_unique<amqp_continuation>(std::move(then));
    pause(wait_reply);
}

void amqp_session::commit_settled(amqp_channel& c) {
    if (waiting_ == nullptr || waiting_->what != amqp_continuation::kind::commit || waiting_->channel != c.number()) {
        return;
    }
    const auto then = std::exchange(waiting_, nullptr);
    method_ = then->method;
    refresh_vhost();
    if (has_vhost()) {
        c.finish_commit();
    }
    go_on_reading();
}

void amqp_session::give_up_commit(std::uint16_t channel) {
    if (waiting_ != nullptr && waiting_->what == amqp_continuation::kind::commit && waiting_->channel == channel) {
        waiting_.reset();
        go_on_reading();
    }
}

void amqp_session::on_reply(core::reply&& r) {
    if (waiting_ != nullptr && r.cookie == waiting_cookie_) {
        const auto then = std::exchange(waiting_, nullptr);
        refresh_vhost();
        if (has_vhost()) {
            take_answer(std::move(r), std::move(*then));
        } else {
            answer(std::move(r), *then);
        }
    } else if (owed_ != nullptr && owed_->keep(std::move(r))) {
        refresh_vhost();
        if (has_vhost()) {
            give_owed();
        }
    } else {
        return;  // the end of the exclusive queues, of which nobody waits to hear
    }
    end_batch();
    go_on_reading();
}

void amqp_session::give_owed() {
    auto owed = std::move(owed_);  // what fails now need not wait
    while (auto next = owed->take()) {
        if (auto* r = std::get_if<core::reply>(&next->what)) {
            answer(std::move(*r), next->then);
        } else if (auto* c = find_channel(next->then.channel); c != nullptr) {
            const auto& why = std::get<amqp_owed::refusal>(next->what);
            method_ = next->then.method;
            c->fail(why.code, why.text);
        }
    }
    if (!owed->empty()) {
        owed_ = std::move(owed);
    }
}

void amqp_session::go_on_reading() {
    if (waiting_ == nullptr && (owed_ == nullptr || !owed_->holds_input())) {
        resume(wait_reply);
    }
}

void amqp_session::answer(core::reply&& r, const amqp_continuation& then) {
    if (phase_ == phase::leaving) {
        finish_leaving();
        return;
    }
    auto* const c = find_channel(then.channel);
    if (c == nullptr || c->closing() || phase_ != phase::running || vhost_ == nullptr) {
        dispose(std::move(r), then.channel);
        return;
    }
    method_ = then.method;
    c->on_reply(std::move(r), then);
}

// The channel has ended meanwhile; what the core gave for it goes back.
void amqp_session::dispose(core::reply&& r, std::uint16_t channel) {
    if (!r.result) {
        return;
    }
    auto* sink = find_channel(channel);
    for (auto& entry : graveyard_) {
        sink = sink == nullptr && entry.number == channel ? entry.channel.get() : sink;
    }
    if (auto* c = std::get_if<core::consumer_info>(&*r.result); c != nullptr && sink != nullptr) {
        shard_.forget_consumer(c->queue, c->consumer, *sink);
    }
    if (auto* g = std::get_if<core::got_message>(&*r.result); g != nullptr && g->message) {
        shard_.settle({&*g->message, 1}, core::settlement::requeued);
    }
}

void amqp_session::on_publish_settled(std::uint64_t sink_tag, std::uint64_t sequence, bool accepted) {
    if (auto* c = find_publisher(sink_tag)) {
        c->on_publish_settled(sequence, accepted);
    }
}

void amqp_session::on_publish_unrouted(std::uint64_t sink_tag, std::uint64_t sequence) {
    if (auto* c = find_publisher(sink_tag)) {
        c->on_publish_unrouted(sequence);
    }
}

// Null when that channel has ended, be its number in use again or not.
amqp_channel* amqp_session::find_publisher(std::uint64_t publish_tag) const noexcept {
    auto* c = find_channel(static_cast<std::uint16_t>(publish_tag));
    return c != nullptr && !c->closing() && c->publish_tag() == publish_tag ? c : nullptr;
}

core::delivery_sink* amqp_session::find_sink(std::uint64_t sink_tag) {
    return sink_tag <= 0xFFFF ? find_channel(static_cast<std::uint16_t>(sink_tag)) : nullptr;
}

bool amqp_session::takes_direct(std::string_view key) const {
    const auto a = reply_address::parse(key);
    const auto* c = a ? find_channel(a->channel) : nullptr;
    return c != nullptr && c->takes_direct(*a);
}

// ---- Flow --------------------------------------------------------------------------------------

void amqp_session::pause(pause_reason why) {
    if (why == wait_memory && !blocked_said_ && abilities_.connection_blocked) {
        blocked_said_ = true;
        send(0, amqp::connection_blocked{.reason = reason_of(alarms_)});
    }
    if (std::exchange(paused_, static_cast<std::uint8_t>(paused_ | why)) == 0) {
        host_.pause_reading();
    }
}

void amqp_session::resume(pause_reason why) {
    if ((paused_ & why) == 0) {
        return;
    }
    paused_ = static_cast<std::uint8_t>(paused_ & ~why);
    if (paused_ == 0 && phase_ != phase::done) {
        last_read_ = shard_.now();  // silence was our doing
        host_.resume_reading();
    }
}

void amqp_session::stop_deliveries() {
    if (!passes_high(host_)) {
        return;  // the socket has taken it
    }
    output_full_ = true;
    note_delivered();
    for (auto& entry : channels_) {
        entry.channel->update_ready();
    }
}

void amqp_session::on_output_drained() {
    if (!output_full_) {
        return;
    }
    output_full_ = false;
    for (auto& entry : channels_) {
        entry.channel->update_ready();
    }
    end_batch();
    resume(wait_output);
}

void amqp_session::on_alarms(core::alarms now) {
    alarms_ = now;
    if (now) {
        return;  // those who publish are told when they do
    }
    if (std::exchange(blocked_said_, false) && phase_ == phase::running) {
        send(0, amqp::connection_unblocked{});
    }
    resume(wait_memory);
}

// ---- Output ------------------------------------------------------------------------------------

void amqp_session::append(std::span<const std::uint8_t> bytes) {
    if (out_.empty()) {
        host_.flush_soon();
    }
    out_.append(bytes);
    last_write_ = shard_.now();
}

void amqp_session::send_body_referenced(std::uint16_t channel, const core::message_ptr& msg) {
    auto body = msg->body();
    const auto most = amqp::body_bytes_max(tuned_.frame_max);
    while (!body.empty()) {
        const auto part = body.first(std::min(body.size(), most));
        amqp::put_frame_header(room(amqp::frame_header_bytes), amqp::frame_type::body, channel, part.size());
        written(amqp::frame_header_bytes);
        out_.append_reference(msg.share(), part);
        amqp::put_frame_end(room(1));
        written(1);
        body = body.subspan(part.size());
    }
}

void amqp_session::send_body_copied(std::uint16_t channel, wire::bytes_view body) {
    const auto most = amqp::body_bytes_max(tuned_.frame_max);
    while (!body.empty()) {
        const auto part = body.first(std::min(body.size(), most));
        amqp::put_frame_header(room(amqp::frame_header_bytes), amqp::frame_type::body, channel, part.size());
        written(amqp::frame_header_bytes);
        append(part);
        amqp::put_frame_end(room(1));
        written(1);
        body = body.subspan(part.size());
    }
}

void amqp_session::send_heartbeat() {
    amqp::put_heartbeat(room(amqp::heartbeat_size));
    written(amqp::heartbeat_size);
}

// ---- Figures -----------------------------------------------------------------------------------

bool amqp_session::describe(core::connection_look& into) {
    if (!opened_) {
        return false;
    }
    describe_peer(host_, into);
    tell_octets(host_, told_, counts_);
    into.session = handle_;
    into.given_name = client_name_;
    into.user = user_;
    into.vhost = vhost_name_;
    into.protocol = "AMQP 0-9-1";
    into.of = core::spoken::amqp091;
    into.state = phase_ != phase::running ? "closing" : (paused_ & wait_memory) != 0 ? "blocked" : "running";
    into.mechanism = name_of(mechanism_);
    into.frame_max = tuned_.frame_max;
    into.channel_max = tuned_.channel_max;
    into.heartbeat_s = tuned_.heartbeat_s;
    into.channels = static_cast<std::uint32_t>(channels_.size());
    for (const auto& entry : channels_) {
        into.publishers += entry.channel->has_published() ? 1 : 0;
        into.consumers += entry.channel->consumer_count();
    }
    into.since = since_;
    into.properties = to_values(amqp::table_view::trusted(wire::as_bytes(client_properties_)));
    if (window_ == nullptr) {
        window_ = std::make_unique<core::rate_window<core::octet_counts>>();
    }
    into.seen = window_->look(into.octets, shard_.now(), shard_.wall_now());
    return true;
}

void amqp_session::describe_channels(std::vector<core::channel_look>& into) {
    for (auto& entry : channels_) {
        into.push_back(entry.channel->look());
    }
}

// ---- The end -----------------------------------------------------------------------------------

void amqp_session::on_shutdown(std::string_view reason) {
    method_ = 0;
    switch (phase_) {
        case phase::running:
        case phase::opening:
        case phase::tuning: fail(reply_code::connection_forced, reason); break;
        case phase::greeting:
        case phase::starting:
        case phase::authenticating: finish(); break;
        case phase::refusing:
        case phase::leaving:
        case phase::closing:
        case phase::done: break;
    }
}

void amqp_session::on_rights_changed() {
    if (phase_ != phase::running) {
        return;
    }
    method_ = 0;
    begin_batch();
    for (auto& entry : channels_) {
        entry.channel->check_consumers();
    }
    end_batch();
}

void amqp_session::on_peer_closed() {
    if (phase_ == phase::running) {
        log_info("the client closed its socket without a word");
    }
    release();
    phase_ = phase::done;
}

// Lets go of everything that the core holds for this session. The session itself stays known until it dies.
void amqp_session::release() {
    timer::stop();
    if (std::exchange(released_, true)) {
        return;
    }
    authenticator_.forget(*this);
    seat_.release();  // before the client hears of its end: it may come again at once
    for (auto& entry : channels_) {
        entry.channel->release();
    }
    // A channel may be what brought us here: it is destroyed with the next batch.
    graveyard_.swap(channels_);
    dirty_ = nullptr;
    body_.active = body_.active && phase_ != phase::done;
    if (phase_ == phase::running) {
        // Its exclusive queues. An answer that comes later finds nobody waiting.
        static_cast<void>(shard_.submit({vhost_id_, handle_, ++cookie_, core::end_session{}}));
        shard_.pump();
    }
}

void amqp_session::finish() {
    release();
    phase_ = phase::done;
    host_.close_after_flush();
}

}  // namespace linnet::session
