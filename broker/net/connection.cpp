#include "broker/net/connection.hpp"

#include "broker/base/give_back.hpp"
#include "broker/base/log.hpp"
#include "broker/net/admission.hpp"
#include "broker/net/reactor.hpp"
#include "broker/net/tls.hpp"
#include "broker/net/unsent_bound.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

namespace linnet::net {
namespace {

// What OpenSSL takes for one.
constexpr std::int64_t tls_bytes = 40 * 1024;

}  // namespace

void connection_ptr::retain() noexcept {
    if (connection_ != nullptr) {
        ++connection_->references_;
    }
}

void connection_ptr::release() noexcept {
    if (connection_ != nullptr && --connection_->references_ == 0) {
        delete connection_;
    }
}

connection::connection(reactor& r, tcp_socket socket, const path& between, const terms& t)
    : reactor_(r),
      socket_(std::move(socket)),
      transport_(socket_.native_handle()),
      output_(r.blocks()),
      terms_(t),
      between_(between) {}

connection::~connection() { terms_.admitted_by.leave(between_.from.address().to_string()); }

session::peer_info connection::peer() const {
    const auto from = between_.from.address();
    const auto to = between_.to.address();
    session::peer_info p;
    p.peer_address = from.to_string();
    p.peer_port = between_.from.port();
    p.local_address = to.to_string();
    p.local_port = between_.to.port();
    p.loopback = from.is_loopback() || (from.is_v6() && from.to_v6().is_v4_mapped() &&
                                        asio::ip::make_address_v4(asio::ip::v4_mapped, from.to_v6()).is_loopback());
    if (secured_ != nullptr) {
        p.tls = true;
        p.certificate_name = secured_->certificate_name;
    }
    return p;
}

void connection::start(const session_factory& make_session, const std::shared_ptr<tls_context>& tls) {
    if (tls == nullptr) {
        open_session(make_session);
        return;
    }
    SSL* ssl = tls->new_session();
    if (ssl == nullptr) {
        end();
        return;
    }
    transport_.start_tls(ssl);
    secured_ = std::make_unique<secured>();
    secured_->make_session = make_session;
    secured_->name_from = tls->name_from();
    reactor_.shard().note_connection_bytes(tls_bytes);
    start_deadline(terms_.times.tls_handshake_timeout);
    continue_handshake();
}

void connection::continue_handshake() {
    switch (transport_.handshake().status) {
        case io_status::done:
            stop_deadline();
            secured_->certificate_name = transport_.certificate_name(secured_->name_from);
            open_session(std::exchange(secured_->make_session, nullptr));
            return;
        case io_status::wants_read: wait_readable(); return;
        case io_status::wants_write: wait_writable(); return;
        case io_status::closed:
        case io_status::failed:
            log::debug({.domain = "connection", .conn = peer().name()}, "TLS handshake failed");
            end();
            return;
    }
}

void connection::open_session(const session_factory& make_session) {
    phase_ = phase::open;
    session_ = make_session(*this, reactor_.shard());
    if (transport_.encrypted()) {
        on_readable();  // application data may have come with the handshake
    } else {
        wait_readable();
    }
}

void connection::start_deadline(mono_ns after) {
    if (deadline_ == nullptr) {
        deadline_ = std::make_unique<deadline>(*this);
    }
    auto& shard = reactor_.shard();
    shard.timers().start(*deadline_, shard.now() + after);
}

void connection::stop_deadline() noexcept {
    if (deadline_ != nullptr) {
        deadline_->stop();
    }
}

void connection::on_deadline() {
    if (phase_ == phase::lingering && !output_ended_) {
        end_output();
    } else {
        end();
    }
}

// ---- Reading -----------------------------------------------------------------------------------

void connection::wait_readable() {
    if (reading_ || (paused_ && phase_ == phase::open) || phase_ == phase::ended) {
        return;
    }
    reading_ = true;
    socket_.async_wait(tcp_socket::wait_read, [self = connection_ptr(this)](const asio::error_code& failed) {
        self->reactor_.enter();
        self->reading_ = false;
        if (!failed) {
            self->on_readable();
        }
    });
}

void connection::on_readable() {
    switch (phase_) {
        case phase::handshake: continue_handshake(); return;
        case phase::open: break;
        case phase::flushing:
        case phase::lingering: discard_input(); return;
        case phase::ended: return;
    }
    if (paused_) {
        return;  // resume_reading() waits again
    }
    if (const auto& shard = reactor_.shard(); shard.congested() || (stores_ && shard.logs_congested())) {
        // Another shard, or the disk, cannot follow: leave the bytes with the kernel, which slows the peer down.
        be_hungry();
        return;
    }
    const auto buffer = reactor_.read_buffer();
    const auto got = transport_.read(buffer);
    switch (got.status) {
        case io_status::done:
            octets_.received += got.bytes;
            ++octets_.reads;
            feed(buffer.first(got.bytes));
            if (phase_ != phase::open || paused_) {
                return;
            }
            if (transport_.encrypted() && got.bytes == buffer.size()) {
                be_hungry();  // OpenSSL may hold what the kernel no longer shows
            } else {
                reactor_.read_again_later(*this);
            }
            return;
        case io_status::wants_read: wait_readable(); return;
        case io_status::wants_write: wait_writable(); return;
        case io_status::closed:
        case io_status::failed: end(); return;
    }
}

void connection::discard_input() {
    const auto got = transport_.read(reactor_.read_buffer());
    if (got.status == io_status::done || got.status == io_status::wants_read) {
        wait_readable();
    } else {
        end();
    }
}

void connection::feed(std::span<std::uint8_t> fresh) {
    const auto stored_before = reactor_.shard().stored_messages();
    hand_over(fresh);
    stores_ = reactor_.shard().stored_messages() != stored_before;
}

// What is held together with what is fresh; the session says how much it has taken.
void connection::hand_over(std::span<std::uint8_t> fresh) {
    if (held_ == nullptr || held_->bytes.empty()) [[likely]] {
        const auto taken = session_->on_input(fresh);
        if (taken < fresh.size()) {
            hold(fresh.subspan(taken));
            note_held();
        }
        return;
    }
    // Part of a unit was held: units are bounded by the session (frame_max), and so is this copy.
    auto& held = held_->bytes;
    held.insert(held.end(), fresh.begin(), fresh.end());
    const auto taken = session_->on_input(held);
    if (taken == held.size()) {
        held.clear();
        if (held.capacity() > 16 * 1024) {
            held.shrink_to_fit();
        }
    } else if (taken != 0) {
        held.erase(held.begin(), held.begin() + static_cast<std::ptrdiff_t>(taken));
    }
    note_held();
}

void connection::note_held() {
    if (held_ == nullptr) {
        return;
    }
    const auto now = held_->bytes.capacity();
    reactor_.shard().note_connection_bytes(static_cast<std::int64_t>(now) - static_cast<std::int64_t>(held_->noted));
    held_->noted = now;
}

std::int64_t connection::own_bytes() const noexcept {
    // Of the operations that wait on the socket, and the reactor's entry.
    constexpr std::int64_t waiting_bytes = 320;
    return static_cast<std::int64_t>(sizeof(connection)) + waiting_bytes;
}

void connection::hold(std::span<const std::uint8_t> rest) {
    if (phase_ != phase::open) {
        return;
    }
    if (held_ == nullptr) {
        held_ = std::make_unique<remainder>();
    }
    held_->bytes.assign(rest.begin(), rest.end());
}

void connection::pause_reading() noexcept {
    paused_ = true;
    watch_for_reset();
}

// Who does not read does not see the end either, and a pause may be long (memory is short, output is stuck):
// without this a peer that died would keep its descriptor, its exclusive queues and what it was lent. The wait
// outlasts the pause, so that it costs one system call a connection and not one a pause.
void connection::watch_for_reset() {
    if (phase_ != phase::open || std::exchange(watching_, true)) {
        return;
    }
    socket_.async_wait(tcp_socket::wait_error, [self = connection_ptr(this)](const asio::error_code& failed) {
        self->reactor_.enter();
        self->watching_ = false;
        if (!failed && self->paused_ && self->was_reset()) {
            self->end();
        }
    });
}

// Urgent data wakes the wait above as well, and means nothing.
bool connection::was_reset() noexcept {
    pollfd look{socket_.native_handle(), 0, 0};
    return ::poll(&look, 1, 0) == 1 && (look.revents & (POLLERR | POLLHUP)) != 0;
}

void connection::resume_reading() noexcept {
    if (!std::exchange(paused_, false) || phase_ != phase::open) {
        return;
    }
    be_hungry();
}

void connection::be_hungry() {
    if (!std::exchange(hungry_, true)) {
        reactor_.mark_hungry(connection_ptr(this));
    }
}

void connection::eat() {
    hungry_ = false;
    if (phase_ != phase::open || paused_) {
        return;
    }
    if ((held_ != nullptr && !held_->bytes.empty()) || session_->holds_input()) {
        feed({});
    }
    if (phase_ == phase::open && !paused_) {
        if (transport_.encrypted()) {
            on_readable();  // OpenSSL may hold what the kernel no longer shows
        } else {
            wait_readable();
        }
    }
}

// ---- Writing -----------------------------------------------------------------------------------

void connection::flush_soon() noexcept {
    if (!dirty_) {
        dirty_ = true;
        reactor_.mark_dirty(*this);
    }
    const bool much = output_.passes_high() || output_.pending() >= early_flush_bytes;
    if (much && !writing_ && phase_ == phase::open) [[unlikely]] {
        write_some();
    }
}

void connection::flush() {
    dirty_ = false;
    if (phase_ == phase::ended) {
        return;
    }
    if (session_ != nullptr) {
        session_->before_flush();
    }
    static_cast<void>(output_.passes_high());  // it is told when that is over
    if (!writing_) {
        write_some();
    }
    after_write();
}

// As much as the socket takes. Never calls the session: it may be in the middle of a sentence.
void connection::write_some() {
    std::array<iovec, write_vectors> vectors;
    while (!output_.empty()) {
        const auto n = output_.gather(vectors);
        const auto sent = transport_.write(std::span(vectors).first(n));
        switch (sent.status) {
            case io_status::done:
                octets_.sent += sent.bytes;
                ++octets_.writes;
                output_.consume(sent.bytes);
                if (phase_ == phase::flushing) {
                    start_deadline(patience());  // slow, but it reads
                }
                continue;
            case io_status::wants_read: wait_readable(); return;
            case io_status::wants_write: wait_writable(); return;
            case io_status::closed:
            case io_status::failed:
                output_.clear();
                broken_ = true;
                return;
        }
    }
}

void connection::after_write() {
    if (broken_) {
        end();
        return;
    }
    if (output_.has_drained() && phase_ == phase::open) {
        session_->on_output_drained();
    }
    if (phase_ == phase::flushing && output_.empty()) {
        start_linger();
    }
}

void connection::wait_writable() {
    if (writing_ || phase_ == phase::ended) {
        return;
    }
    writing_ = true;
    output_.set_stuck(true);
    socket_.async_wait(tcp_socket::wait_write, [self = connection_ptr(this)](const asio::error_code& failed) {
        self->reactor_.enter();
        self->writing_ = false;
        self->output_.set_stuck(false);
        if (failed || self->phase_ == phase::ended) {
            return;
        }
        if (self->phase_ == phase::handshake) {
            self->continue_handshake();
        } else {
            self->flush();
        }
    });
}

// ---- Ending ------------------------------------------------------------------------------------

void connection::close_after_flush() noexcept {
    if (phase_ != phase::open) {
        return;
    }
    phase_ = phase::flushing;
    lift_unsent_bound(socket_.native_handle());  // our patience is with peers, not with what the kernel takes at once
    start_deadline(patience());
    flush_soon();
}

// For the next piece of what is still to be sent: a long answer's reader may be on a slow line.
mono_ns connection::patience() const noexcept {
    constexpr std::size_t last_words_bytes = std::size_t{64} * 1024;
    constexpr mono_ns slow_line = 5 * ns_per_s;
    const auto linger = terms_.times.linger;
    return output_.pending() <= last_words_bytes ? linger : std::max(linger, slow_line);
}

// All is said. The peer may still be sending: closing now would reset the connection under the last words.
void connection::start_linger() {
    phase_ = phase::lingering;
    start_deadline(terms_.times.peer_goes_first);
    wait_readable();
}

void connection::end_output() {
    output_ended_ = true;
    transport_.end_output();
    start_deadline(terms_.times.linger);
}

void connection::abort() noexcept {
    if (phase_ == phase::open || phase_ == phase::flushing) {
        // Not from within the session's own call: at the turn's end.
        output_.clear();
        broken_ = true;
        phase_ = phase::flushing;
        flush_soon();
    }
}

void connection::end() {
    if (phase_ == phase::ended) {
        return;
    }
    const connection_ptr self(this);
    phase_ = phase::ended;
    stop_deadline();
    if (session_ != nullptr) {
        session_->on_peer_closed();
        session_.reset();
    }
    output_.clear();
    if (held_ != nullptr) {
        give_back(held_->bytes);
        note_held();
    }
    if (secured_ != nullptr) {
        reactor_.shard().note_connection_bytes(-tls_bytes);
    }
    asio::error_code ignored;  // closing a socket that is broken already tells nothing
    socket_.close(ignored);
    reactor_.remove(*this);
}

}  // namespace linnet::net
