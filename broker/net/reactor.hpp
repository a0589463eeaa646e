#pragma once

#include "broker/core/broker.hpp"
#include "broker/core/shard.hpp"
#include "broker/lockfree/counter.hpp"
#include "broker/lockfree/mpsc_inbox.hpp"
#include "broker/net/asio.hpp"
#include "broker/net/connection_ptr.hpp"
#include "broker/session/output.hpp"

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <vector>

namespace linnet::net {

// One shard's thread: its io_context, and the turn that drives the core.
//
// A turn: take what the sockets bring, let the core do its part (rings, timers, deliveries), write what
// connections have to say, one write each; block only if nothing was done. Handlers of Asio only ever run
// inside a turn: each begins with enter().
//
// Threads: run() is the thread; post() and stop() from any; everything else from handlers.
class reactor final : public core::waker {
public:
    static constexpr std::size_t read_buffer_bytes = 256 * 1024;

    reactor(core::broker& parts, core::shard_id id);
    ~reactor() override;

    // Until stop() has been called and the last connection has gone.
    void run();
    // Runs `f` on the reactor's thread, in a turn. Order is kept between calls of one thread.
    void post(std::function<void()> f);
    void stop();
    void wake() noexcept override;
    // The eventfd behind wake(): the kernel may write to it, too.
    [[nodiscard]] int wake_fd() noexcept { return wake_.native_handle(); }

    [[nodiscard]] core::shard& shard() noexcept { return shard_; }
    [[nodiscard]] asio::io_context& context() noexcept { return context_; }
    [[nodiscard]] session::block_pool& blocks() noexcept { return blocks_; }

    // ---- For connections -----------------------------------------------------------------------
    // To be called first by every handler.
    void enter();
    // Shared by all connections: what is in it belongs to the caller until it returns to the loop.
    [[nodiscard]] std::span<std::uint8_t> read_buffer() noexcept { return {buffer_.get(), read_buffer_bytes}; }
    void add(connection_ptr c);
    void remove(connection& c) noexcept;
    void for_each_connection(const std::function<void(connection&)>& f);
    void mark_dirty(connection& c) { dirty_.push_back(&c); }
    // Has read its share of this turn: waits for more from the turn's end on, so that a turn ends however
    // much a peer sends.
    void read_again_later(connection& c) { resting_.push_back(&c); }
    // Has whole input waiting, or may read its socket again: looked at in the next turn.
    void mark_hungry(connection_ptr c) { hungry_.push_back(std::move(c)); }

    // ---- Figures, from any thread --------------------------------------------------------------
    [[nodiscard]] std::uint64_t connection_count() const noexcept {
        return static_cast<std::uint64_t>(connections_open_.value());
    }
    // Turns so far: a watchdog sees whether the loop still goes round.
    [[nodiscard]] std::uint64_t turns() const noexcept { return turns_.value(); }

private:
    struct task : lockfree::inbox_hook<task> {
        explicit task(std::function<void()> f) : run(std::move(f)) {}
        std::function<void()> run;
    };

    [[nodiscard]] bool run_turn();
    void block();
    [[nodiscard]] bool run_tasks();
    void feed_hungry();
    void flush_dirty();
    void wake_resting();
    void listen_for_wakes();

    core::broker& parts_;
    core::shard shard_;
    asio::io_context context_;
    asio::posix::stream_descriptor wake_;
    lockfree::mpsc_inbox<task> inbox_;
    session::block_pool blocks_;
    std::unique_ptr<std::uint8_t[]> buffer_;

    std::vector<connection_ptr> connections_;  // each knows its place
    std::vector<connection*> dirty_;
    std::vector<connection*> flushing_;
    std::vector<connection*> resting_;
    std::vector<connection_ptr> hungry_;
    std::vector<connection_ptr> ended_;
    bool in_turn_ = false;
    bool asleep_ = false;
    bool stopping_ = false;  // set by a task
    lockfree::gauge connections_open_;
    lockfree::counter turns_;
};

}  // namespace linnet::net
