#include "broker/session/amqp_session.hpp"

#include "broker/base/log.hpp"
#include "broker/session/amqp_channel.hpp"
#include "broker/session/amqp_reply_text.hpp"

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::reply_code;

constexpr mono_ns timeout_check_interval = 60 * ns_per_s;
// A session that provokes one error after the other does not fill the log.
constexpr std::uint8_t trouble_lines_max = 8;

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
      handle_(s.add_session(*this)),
      born_(s.now()),
      memory_alarm_(s.memory_alarm()),
      last_read_(s.now()),
      last_write_(s.now()) {
    start_phase_timer(settings_.handshake_timeout);
    log_info("accepted");
}

amqp_session::~amqp_session() {
    release();
    shard_.remove_session(handle_);
}

// ---- Input -------------------------------------------------------------------------------------

std::size_t amqp_session::on_bytes(std::span<const std::uint8_t> in) {
    last_read_ = shard_.now();
    begin_batch();
    std::size_t used = 0;
    while (paused_ == 0 && used < in.size()) {
        const auto n = take_step(in.subspan(used));
        if (n == 0) {
            break;
        }
        used += n;
    }
    end_batch();
    return used;
}

void amqp_session::begin_batch() {
    if (waiting_ == nullptr) {
        graveyard_.clear();
    }
    refresh_vhost();
    if (phase_ == phase::running && vhost_ == nullptr) {
        fail(reply_code::connection_forced, fmt::format("vhost '{}' is deleted", vhost_name_));
    }
}

void amqp_session::refresh_vhost() {
    const auto view = shard_.topology();
    topology_version_ = view.version();
    vhost_ = phase_ == phase::running ? view.find_vhost(vhost_id_) : nullptr;
}

const core::access_rules* amqp_session::rules() const noexcept {
    return shard_.topology().rules_of(user_, vhost_id_);
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

std::size_t amqp_session::take_step(std::span<const std::uint8_t> in) {
    if (body_.active) [[unlikely]] {
        return take_body_stream(in);
    }
    if (phase_ == phase::running) [[likely]] {
        return take_frame(in);
    }
    if (phase_ == phase::greeting) {
        return take_greeting(in);
    }
    if (phase_ == phase::done || phase_ == phase::refusing) {
        return in.size();
    }
    return take_frame(in);
}

std::size_t amqp_session::take_greeting(std::span<const std::uint8_t> in) {
    switch (amqp::match_protocol_header(in)) {
        case amqp::protocol_match::need_more: return 0;
        case amqp::protocol_match::mismatch:
            log_trouble("not AMQP 0-9-1: the first bytes are not its header");
            append(amqp::protocol_header);
            finish();
            return in.size();
        case amqp::protocol_match::complete: break;
    }
    phase_ = phase::starting;
    send_start();
    return amqp::protocol_header.size();
}

std::size_t amqp_session::take_frame(std::span<const std::uint8_t> in) {
    const auto f = amqp::decode_frame(in, frame_limit());
    if (!f) [[unlikely]] {
        if (f.needs_more()) {
            return take_partial(in);
        }
        return refuse_frame(f.reason(), in);
    }
    if (f->channel == 0 || phase_ != phase::running) [[unlikely]] {
        handle_frame(*f);
        return f->size();
    }
    if (f->type == amqp::frame_type::method && f->payload.size() >= sizeof(amqp::method_id) &&
        wire::load<amqp::method_id>(f->payload.data()) == amqp::basic_publish::id) [[likely]] {
        if (memory_alarm_) [[unlikely]] {
            pause(wait_memory);
            return 0;
        }
        if (const auto n = take_publish(*f, in); n != 0) [[likely]] {
            return n;
        }
    }
    handle_frame(*f);
    return f->size();
}

// Method, header and body at once, when they are all here: the hot path. Else 0, and the frames go one by one.
std::size_t amqp_session::take_publish(const amqp::frame& f, std::span<const std::uint8_t> in) {
    auto* const c = find_channel(f.channel);
    if (c == nullptr || c->closing() || !c->between_contents()) [[unlikely]] {
        return 0;
    }
    auto used = f.size();
    const auto head = amqp::decode_frame(in.subspan(used), frame_limit());
    if (!head || head->type != amqp::frame_type::header || head->channel != f.channel) [[unlikely]] {
        return 0;
    }
    used += head->size();
    const auto content = amqp::decode_content_header(head->payload);
    if (!content || content->weight != 0 ||
        content->class_number != static_cast<std::uint16_t>(amqp::class_id::basic)) [[unlikely]] {
        return 0;
    }
    wire::bytes_view body;
    if (content->body_size != 0) {
        const auto part = amqp::decode_frame(in.subspan(used), frame_limit());
        if (!part || part->type != amqp::frame_type::body || part->channel != f.channel ||
            part->payload.size() != content->body_size) [[unlikely]] {
            return 0;
        }
        body = part->payload;
        used += part->size();
    }
    const auto m = amqp::decode<amqp::basic_publish>(f.payload.subspan(sizeof(amqp::method_id)));
    if (!m) [[unlikely]] {
        return 0;
    }
    method_ = amqp::basic_publish::id;
    c->on_publish(*m, content->properties, body);
    return used;
}

// The front of a frame. Only a body that a channel is waiting for is worth taking in pieces.
std::size_t amqp_session::take_partial(std::span<const std::uint8_t> in) {
    if (phase_ != phase::running || in.size() <= amqp::frame_header_bytes ||
        static_cast<amqp::frame_type>(in[0]) != amqp::frame_type::body) {
        return 0;
    }
    const auto number = wire::load<std::uint16_t>(&in[1]);
    const auto* c = find_channel(number);
    if (c == nullptr || (!c->closing() && !c->expects_body())) {
        return 0;
    }
    body_ = {.left = wire::load<std::uint32_t>(&in[3]), .channel = number, .active = true};
    return amqp::frame_header_bytes + take_body_stream(in.subspan(amqp::frame_header_bytes));
}

std::size_t amqp_session::take_body_stream(std::span<const std::uint8_t> in) {
    const auto n = std::min<std::size_t>(in.size(), body_.left);
    body_.left -= static_cast<std::uint32_t>(n);
    if (n != 0 && phase_ == phase::running) {
        if (auto* c = find_channel(body_.channel); c != nullptr && !c->closing()) {
            c->on_body(in.first(n));
        }
    }
    if (n == in.size()) {
        return n;
    }
    body_.active = false;
    if (in[n] != amqp::frame_end) {
        fail_frame(static_cast<std::uint8_t>(amqp::frame_type::body), {},
                   fmt::format("{{invalid_frame_end_marker,{}}}", in[n]));
        finish();
        return in.size();
    }
    return n + 1;
}

void amqp_session::handle_frame(const amqp::frame& f) {
    if (phase_ == phase::closing && (f.channel != 0 || f.type != amqp::frame_type::method)) {
        return;
    }
    if (f.type == amqp::frame_type::heartbeat) {
        if (!f.payload.empty()) {
            fail_frame(static_cast<std::uint8_t>(f.type), f.payload, "unknown_frame");
        } else if (f.channel != 0) {
            unexpected_frame(f);
        }
        return;
    }
    f.channel == 0 ? handle_connection_frame(f) : handle_channel_frame(f);
}

void amqp_session::handle_connection_frame(const amqp::frame& f) {
    if (f.type != amqp::frame_type::method) {
        unexpected_frame(f);
        return;
    }
    const auto id = amqp::decode_method_id(f.payload);
    if (!id) {
        fail_frame(static_cast<std::uint8_t>(f.type), f.payload, "unknown_frame");
        return;
    }
    if (phase_ == phase::closing && *id != amqp::connection_close_ok::id && *id != amqp::connection_close::id) {
        return;
    }
    method_ = *id;
    const auto arguments = f.payload.subspan(sizeof(amqp::method_id));
    if (const auto why = amqp::visit_method(*id, arguments, [this](const auto& m) { on(m); })) {
        fail_method(*why, arguments);
    }
}

void amqp_session::handle_channel_frame(const amqp::frame& f) {
    if (phase_ == phase::leaving) {
        return;
    }
    if (phase_ != phase::running) {
        unexpected_frame(f);
        return;
    }
    if ((f.type == amqp::frame_type::method && f.payload.size() < sizeof(amqp::method_id)) ||
        (f.type == amqp::frame_type::header && f.payload.size() < amqp::content_header_fixed_bytes)) {
        fail_frame(static_cast<std::uint8_t>(f.type), f.payload, "unknown_frame");
        return;
    }
    auto* const c = find_channel(f.channel);
    if (c == nullptr) {
        handle_unopened(f);
        return;
    }
    const bool is_method = f.type == amqp::frame_type::method;
    const auto id = is_method ? wire::load<amqp::method_id>(f.payload.data()) : amqp::method_id{0};
    if (c->closing()) {
        handle_closing(f.channel, id);
        return;
    }
    if (is_method) {
        if (id == amqp::channel_close::id && c->between_contents()) {
            method_ = id;
            close_channel(f.channel);
            send(f.channel, amqp::channel_close_ok{});
            return;
        }
        c->on_method(id, f.payload.subspan(sizeof(amqp::method_id)));
        return;
    }
    // Whatever is wrong with a content, the publish is to blame.
    method_ = c->between_contents() ? amqp::method_id{0} : amqp::basic_publish::id;
    f.type == amqp::frame_type::header ? c->on_header(f.payload) : c->on_body(f.payload);
}

// After a channel error: everything is ignored until the client has heard of it.
void amqp_session::handle_closing(std::uint16_t number, amqp::method_id id) {
    switch (id) {
        case amqp::channel_close_ok::id: close_channel(number); break;
        case amqp::channel_close::id: send(number, amqp::channel_close_ok{}); break;
        case amqp::channel_open::id:
            method_ = id;
            fail(reply_code::channel_error, "second 'channel.open' seen");
            break;
        default: break;
    }
}

void amqp_session::handle_unopened(const amqp::frame& f) {
    method_ = 0;
    if (f.type != amqp::frame_type::method) {
        fail(reply_code::unexpected_frame, "expected method frame, got non method frame instead");
        return;
    }
    method_ = wire::load<amqp::method_id>(f.payload.data());
    if (method_ != amqp::channel_open::id) {
        fail(reply_code::channel_error, "expected 'channel.open'");
        return;
    }
    open_channel(f.channel);
}

namespace {

constexpr auto by_number = [](const auto& entry, std::uint16_t number) { return entry.number < number; };

}  // namespace

amqp_channel* amqp_session::search_channel(std::uint16_t number) const noexcept {
    const auto at = std::lower_bound(channels_.begin(), channels_.end(), number, by_number);
    return at != channels_.end() && at->number == number ? at->channel.get() : nullptr;
}

// As RabbitMQ: channel_max bounds how many there are, not their numbers.
void amqp_session::open_channel(std::uint16_t number) {
    if (tuned_.channel_max != 0 && channels_.size() >= tuned_.channel_max) {
        method_ = 0;
        fail(reply_code::not_allowed,
             fmt::format("number of channels opened ({}) has reached the negotiated channel_max ({})",
                         channels_.size(), tuned_.channel_max));
        return;
    }
    const auto at = std::lower_bound(channels_.begin(), channels_.end(), number, by_number);
    channels_.insert(at, {number, std::make_unique<amqp_channel>(*this, number)});
    send(number, amqp::channel_open_ok{});
}

void amqp_session::close_channel(std::uint16_t number) {
    const auto entry = std::lower_bound(channels_.begin(), channels_.end(), number, by_number);
    auto& c = *entry->channel;
    c.release();
    if (c.dirty) {
        auto** at = &dirty_;
        while (*at != &c) {
            at = &(*at)->next_dirty;
        }
        *at = c.next_dirty;
    }
    channels_.erase(entry);
}

// ---- Errors ------------------------------------------------------------------------------------

void amqp_session::fail(reply_code code, std::string_view text) {
    if (phase_ == phase::closing || phase_ == phase::done || phase_ == phase::refusing) {
        return;
    }
    const auto full = reply_text(code, text);
    log_trouble(fmt::format("closing the connection: {} {}", static_cast<unsigned>(code), full));
    if (phase_ == phase::starting || phase_ == phase::tuning) {
        hang_up_later();
        return;
    }
    release();
    send(0, amqp::connection_close{.code = static_cast<std::uint16_t>(code),
                                   .text = full,
                                   .class_number = amqp::class_of(method_),
                                   .method_number = amqp::method_of(method_)});
    phase_ = phase::closing;
    start_phase_timer(settings_.close_timeout);
    if (std::exchange(paused_, std::uint8_t{0}) != 0) {
        host_.resume_reading();  // whatever we waited for: the close-ok has to be read
    }
}

// Who breaks the rules before it is even let in hears nothing, and has to wait for that.
void amqp_session::hang_up_later() {
    phase_ = phase::refusing;
    start_phase_timer(settings_.refusal_delay);
}

void amqp_session::fail_method(amqp::fault why, wire::bytes_view arguments) {
    if (amqp::reply_code_of(why) == reply_code::frame_error) {
        fail(reply_code::frame_error, fmt::format("cannot decode {}", erlang_binary(arguments)));
    } else {
        fail(amqp::reply_code_of(why), amqp::describe(why));
    }
}

void amqp_session::fail_frame(std::uint8_t type, wire::bytes_view payload, std::string_view why) {
    method_ = 0;
    fail(reply_code::frame_error, fmt::format("type {}, all octets = {}: {}", type, erlang_binary(payload), why));
}

void amqp_session::unexpected_frame(const amqp::frame& f) {
    method_ = 0;
    fail(reply_code::unexpected_frame,
         fmt::format("type {}, all octets = {}", static_cast<unsigned>(f.type), erlang_binary(f.payload)));
}

// The stream is out of step: nothing that follows can be understood, not even a close-ok. Returns 0 while the
// rest of the frame, which the answer quotes, is still to come.
std::size_t amqp_session::refuse_frame(amqp::fault why, std::span<const std::uint8_t> in) {
    if (in.size() < amqp::frame_header_bytes) {
        return 0;
    }
    const std::size_t size = wire::load<std::uint32_t>(&in[3]);
    if (frame_limit() != 0 && size + amqp::frame_overhead_bytes > frame_limit()) {
        fail_frame(in[0], {}, fmt::format("{{frame_too_large,{},{}}}", size,
                                          tuned_.frame_max - amqp::frame_overhead_bytes));
    } else if (in.size() < size + amqp::frame_overhead_bytes) {
        return 0;
    } else {
        const auto payload = in.subspan(amqp::frame_header_bytes, size);
        const auto end = in[amqp::frame_header_bytes + size];
        fail_frame(in[0], payload, end == amqp::frame_end ? std::string("unknown_frame")
                                                          : fmt::format("{{invalid_frame_end_marker,{}}}", end));
    }
    static_cast<void>(why);
    if (phase_ == phase::closing) {
        finish();
    }
    return in.size();
}

void amqp_session::log_channel_error(std::uint16_t channel, reply_code code, std::string_view text) {
    log_trouble(fmt::format("channel {}: {} {}", channel, static_cast<unsigned>(code), text));
}

std::string_view amqp_session::state_name(phase p) noexcept {
    switch (p) {
        case phase::greeting: return "handshake";
        case phase::starting: return "starting";
        case phase::authenticating: return "securing";
        case phase::refusing: return "starting";
        case phase::tuning: return "tuning";
        case phase::opening: return "opening";
        case phase::running: return "running";
        case phase::leaving:
        case phase::closing: return "closing";
        case phase::done: return "closed";
    }
    return "";
}

void amqp_session::unexpected_method() {
    fail(reply_code::channel_error, fmt::format("unexpected method in connection state {}", state_name(phase_)));
}

// ---- The core's answers ------------------------------------------------------------------------

void amqp_session::ask(core::request_body body, amqp_continuation then) {
    asking_ = true;
    auto r = shard_.submit({vhost_id_, handle_, ++cookie_, std::move(body)});
    asking_ = false;
    refresh_vhost();
    if (r) {
        answer(std::move(*r), then);
        return;
    }
    wait(std::move(then));
}

void amqp_session::ask_reply_queue(core::session_handle to, std::string key, amqp_continuation then) {
    auto r = shard_.find_direct(handle_, ++cookie_, to, std::move(key));
    if (r) {
        answer(std::move(*r), then);
        return;
    }
    wait(std::move(then));
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
    c.finish_commit();
    resume(wait_reply);
}

void amqp_session::on_reply(core::reply&& r) {
    if (waiting_ == nullptr || r.cookie != waiting_cookie_) {
        return;  // the end of the exclusive queues, of which nobody waits to hear
    }
    const auto then = std::exchange(waiting_, nullptr);
    refresh_vhost();
    answer(std::move(r), *then);
    end_batch();
    resume(wait_reply);
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
    if (auto* c = find_channel(static_cast<std::uint16_t>(sink_tag)); c != nullptr && !c->closing()) {
        c->on_publish_settled(sequence, accepted);
    }
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
        send(0, amqp::connection_blocked{.reason = "low on memory"});
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
    output_full_ = true;
    for (auto& entry : channels_) {
        entry.channel->update_ready();
    }
    pause(wait_output);
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

void amqp_session::on_memory_alarm(bool on) {
    memory_alarm_ = on;
    if (on) {
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

// ---- Time --------------------------------------------------------------------------------------

void amqp_session::start_phase_timer(mono_ns after) {
    phase_deadline_ = shard_.now() + after;
    arm_timer();
}

// One timer serves everything: it is armed for what comes first and looks around when it fires, so that
// traffic costs no timer operation.
void amqp_session::arm_timer() {
    mono_ns next = phase_deadline_;
    const auto consider = [&](mono_ns at) { next = next == 0 ? at : std::min(next, at); };
    if (phase_ == phase::running && tuned_.heartbeat_s != 0) {
        const mono_ns interval = tuned_.heartbeat_s * ns_per_s;
        consider(last_write_ + interval / 2);
        if (paused_ == 0) {
            consider(last_read_ + 2 * interval);
        }
    }
    if (phase_ == phase::running && next_check_ != 0) {
        consider(next_check_);
    }
    if (finish_armed_) {
        consider(shard_.now() + ns_per_ms);
    }
    if (next != 0) {
        shard_.timers().start(*this, std::max(next, shard_.now() + ns_per_ms));
    }
}

void amqp_session::on_timer(mono_ns now) {
    if (phase_deadline_ != 0 && now >= phase_deadline_) {
        if (phase_ != phase::closing && phase_ != phase::refusing) {
            log_trouble(fmt::format("handshake timed out in state {}", state_name(phase_)));
        }
        release();
        phase_ = phase::done;
        host_.abort();
        return;
    }
    finish_armed_ = false;
    if (dirty_ != nullptr) {
        end_batch();
    }
    if (phase_ == phase::running) {
        if (!check_heartbeats(now)) {
            return;
        }
        check_timeouts(now);
    }
    arm_timer();
}

bool amqp_session::check_heartbeats(mono_ns now) {
    if (tuned_.heartbeat_s == 0) {
        return true;
    }
    const mono_ns interval = tuned_.heartbeat_s * ns_per_s;
    if (paused_ == 0 && now - last_read_ >= 2 * interval) {
        log_trouble(fmt::format("missed heartbeats from client, timeout: {}s", tuned_.heartbeat_s));
        release();
        phase_ = phase::done;
        host_.abort();
        return false;
    }
    if (now - last_write_ >= interval / 2) {
        // Output that is stuck needs no further bytes behind it.
        if (out_.empty()) {
            send_heartbeat();
        } else {
            last_write_ = now;
        }
    }
    return true;
}

void amqp_session::finish_soon() noexcept {
    if (!std::exchange(finish_armed_, true)) {
        shard_.timers().start(*this, shard_.now() + ns_per_ms);
    }
}

void amqp_session::watch_timeouts() noexcept {
    if (next_check_ == 0) {
        next_check_ = shard_.now() + timeout_check_interval;
        arm_timer();
    }
}

void amqp_session::check_timeouts(mono_ns now) {
    if (next_check_ == 0 || now < next_check_) {
        return;
    }
    next_check_ = now + timeout_check_interval;
    method_ = 0;  // nothing that the client said is to blame
    refresh_vhost();
    for (auto& entry : channels_) {
        if (!entry.channel->closing()) {
            entry.channel->check_timeouts(age_s());
        }
    }
    end_batch();
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
