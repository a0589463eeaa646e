#include "broker/net/connection.hpp"

#include "broker/base/log.hpp"
#include "broker/net/admission.hpp"
#include "broker/net/reactor.hpp"
#include "broker/net/tls.hpp"

#include <poll.h>

#include <algorithm>
#include <array>
#include <utility>

namespace linnet::net {

connection::connection(reactor& r, asio::ip::tcp::socket socket, session::peer_info peer, admission* admitted_by,
                       const options& o)
    : reactor_(r),
      socket_(std::move(socket)),
      transport_(socket_.native_handle()),
      output_(r.blocks()),
      peer_(std::move(peer)),
      admitted_by_(admitted_by),
      options_(o) {}

connection::~connection() {
    if (admitted_by_ != nullptr) {
        admitted_by_->leave(peer_.peer_address);
    }
}

void connection::start(const session_factory& make_session, const std::shared_ptr<tls_context>& tls) {
    make_session_ = make_session;
    if (tls == nullptr) {
        open_session();
        return;
    }
    SSL* ssl = tls->new_session();
    if (ssl == nullptr) {
        end();
        return;
    }
    name_from_ = tls->name_from();
    transport_.start_tls(ssl);
    peer_.tls = true;
    auto& shard = reactor_.shard();
    shard.timers().start(*this, shard.now() + options_.tls_handshake_timeout);
    continue_handshake();
}

void connection::continue_handshake() {
    switch (transport_.handshake().status) {
        case io_status::done:
            stop();
            peer_.certificate_name = transport_.certificate_name(name_from_);
            open_session();
            return;
        case io_status::wants_read: wait_readable(); return;
        case io_status::wants_write: wait_writable(); return;
        case io_status::closed:
        case io_status::failed:
            log::debug({.domain = "connection", .conn = peer_.name()}, "TLS handshake failed");
            end();
            return;
    }
}

void connection::open_session() {
    phase_ = phase::open;
    session_ = std::exchange(make_session_, nullptr)(*this, reactor_.shard());
    if (transport_.encrypted()) {
        on_readable();  // application data may have come with the handshake
    } else {
        wait_readable();
    }
}

void connection::on_timer(mono_ns /*now*/) {
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
    socket_.async_wait(asio::ip::tcp::socket::wait_read, [self = shared_from_this()](const asio::error_code& failed) {
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
    if (reactor_.congested()) {
        // Another shard cannot follow: leave the bytes with the kernel, which slows the peer down.
        be_hungry();
        return;
    }
    const auto buffer = reactor_.read_buffer();
    const auto got = transport_.read(buffer);
    switch (got.status) {
        case io_status::done:
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

// Hands over what is held together with what is fresh; the session says how much it has taken.
void connection::feed(std::span<const std::uint8_t> fresh) {
    if (held_.empty()) [[likely]] {
        const auto taken = session_->on_bytes(fresh);
        if (taken < fresh.size()) {
            hold(fresh.subspan(taken));
        }
        return;
    }
    // Part of a unit was held: units are bounded by the session (frame_max), and so is this copy.
    held_.insert(held_.end(), fresh.begin(), fresh.end());
    const auto taken = session_->on_bytes(held_);
    if (taken == held_.size()) {
        held_.clear();
        if (held_.capacity() > 16 * 1024) {
            held_.shrink_to_fit();
        }
    } else if (taken != 0) {
        held_.erase(held_.begin(), held_.begin() + static_cast<std::ptrdiff_t>(taken));
    }
}

void connection::hold(std::span<const std::uint8_t> rest) {
    if (phase_ == phase::open) {
        held_.assign(rest.begin(), rest.end());
    }
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
    socket_.async_wait(asio::ip::tcp::socket::wait_error, [self = shared_from_this()](const asio::error_code& failed) {
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
        reactor_.mark_hungry(shared_from_this());
    }
}

void connection::eat() {
    hungry_ = false;
    if (phase_ != phase::open || paused_) {
        return;
    }
    if (!held_.empty()) {
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
    if (output_.pending() >= early_flush_bytes && !writing_ && phase_ == phase::open) [[unlikely]] {
        was_high_ = was_high_ || output_.pending() > session::session::output_high_bytes;
        write_some();
    }
}

void connection::flush() {
    dirty_ = false;
    if (phase_ == phase::ended) {
        return;
    }
    was_high_ = was_high_ || output_.pending() > session::session::output_high_bytes;
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
            case io_status::done: output_.consume(sent.bytes); continue;
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
    if (was_high_ && output_.pending() < session::session::output_low_bytes) {
        was_high_ = false;
        if (phase_ == phase::open) {
            session_->on_output_drained();
        }
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
    socket_.async_wait(asio::ip::tcp::socket::wait_write, [self = shared_from_this()](const asio::error_code& failed) {
        self->reactor_.enter();
        self->writing_ = false;
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
    auto& shard = reactor_.shard();
    shard.timers().start(*this, shard.now() + options_.linger);
    flush_soon();
}

// All is said. The peer may still be sending: closing now would reset the connection under the last words.
void connection::start_linger() {
    phase_ = phase::lingering;
    auto& shard = reactor_.shard();
    shard.timers().start(*this, shard.now() + options_.peer_goes_first);
    wait_readable();
}

void connection::end_output() {
    output_ended_ = true;
    transport_.end_output();
    auto& shard = reactor_.shard();
    shard.timers().start(*this, shard.now() + options_.linger);
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
    const auto self = shared_from_this();
    phase_ = phase::ended;
    stop();
    if (session_ != nullptr) {
        session_->on_peer_closed();
        session_.reset();
    }
    output_.clear();
    held_ = {};
    asio::error_code ignored;  // closing a socket that is broken already tells nothing
    socket_.close(ignored);
    reactor_.remove(*this);
}

}  // namespace linnet::net
