#include "broker/net/reactor.hpp"

#include "broker/base/assert.hpp"
#include "broker/net/connection.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <utility>

namespace linnet::net {

namespace {

constexpr mono_ns block_max = ns_per_s;
// Of the memory budget, for what peers have not read yet.
constexpr std::uint64_t output_part = 8;

}  // namespace

// The hint tells Asio that one thread uses the context: it takes no locks. What other threads want goes
// through the inbox and the eventfd.
reactor::reactor(core::broker& parts, core::shard_id id)
    : parts_(parts),
      shard_(parts, id),
      context_(ASIO_CONCURRENCY_HINT_UNSAFE),
      wake_(context_),
      buffer_(std::make_unique_for_overwrite<std::uint8_t[]>(read_buffer_bytes)) {
    const int fd = ::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    LINNET_ASSERT(fd >= 0, "no eventfd: errno {}", errno);
    wake_.assign(fd);
    parts_.set_waker(id, this);
    if (const auto budget = parts_.options().memory_high_bytes; budget != 0) {
        blocks_.allow(budget / output_part / parts_.shard_count());
    }
}

reactor::~reactor() { parts_.set_waker(shard_.id(), nullptr); }

void reactor::wake() noexcept {
    const std::uint64_t one = 1;
    // Cannot fail in a way that matters: a full counter wakes as well.
    static_cast<void>(::write(wake_.native_handle(), &one, sizeof(one)));
}

void reactor::post(std::function<void()> f) {
    inbox_.push(std::make_unique<task>(std::move(f)));
    if (parts_.bell(shard_.id()).must_wake()) {
        wake();
    }
}

void reactor::stop() {
    post([this] { stopping_ = true; });
}

void reactor::listen_for_wakes() {
    wake_.async_wait(asio::posix::stream_descriptor::wait_read, [this](const asio::error_code& failed) {
        if (failed) {
            return;
        }
        enter();
        std::uint64_t count = 0;
        static_cast<void>(::read(wake_.native_handle(), &count, sizeof(count)));
        listen_for_wakes();
    });
}

void reactor::enter() {
    if (in_turn_) [[likely]] {
        return;
    }
    if (std::exchange(asleep_, false)) {
        shard_.awake();
    }
    shard_.begin_turn();
    in_turn_ = true;
}

void reactor::run() {
    listen_for_wakes();
    // What the disk has done rouses the shard as its peers do.
    shard_.wake_through(wake_.native_handle());
    while (!stopping_ || !connections_.empty()) {
        if (!run_turn()) {
            block();
        }
    }
    // The last words to the peers' shards.
    enter();
    static_cast<void>(shard_.end_turn());
    shard_.end();
    in_turn_ = false;
}

// True when something was done, so that more may be there already.
bool reactor::run_turn() {
    enter();
    turns_.add();
    bool busy = context_.poll() != 0;
    busy |= run_tasks();
    feed_hungry();
    busy |= shard_.end_turn();
    flush_dirty();
    wake_resting();
    parts_.set_bytes(shard_.id(), core::memory_use::output, blocks_.lent_bytes());
    in_turn_ = false;
    return busy || !hungry_.empty() || !dirty_.empty();
}

void reactor::block() {
    if (!shard_.prepare_to_sleep()) {
        return;
    }
    if (!inbox_.empty()) {  // the second look, at what the core does not know
        asleep_ = true;
        enter();
        return;
    }
    asleep_ = true;
    const mono_ns now = parts_.clock().now();
    const mono_ns wait = std::max<mono_ns>(shard_.next_due(now + block_max) - now, 0);
    context_.run_one_for(std::chrono::nanoseconds(wait));
    enter();
}

bool reactor::run_tasks() {
    auto batch = inbox_.take_all();
    if (batch.empty()) {
        return false;
    }
    while (const auto t = batch.pop_front()) {
        t->run();
    }
    return true;
}

void reactor::feed_hungry() {
    for (const auto& c : std::exchange(hungry_, {})) {
        c->eat();
    }
}

// What was said in this turn goes out, one write a connection. Writing may free a reader that was too far
// behind, whose session then takes deliveries again and is dirty anew: that is the next turn's business.
void reactor::flush_dirty() {
    std::swap(flushing_, dirty_);
    for (connection* c : flushing_) {
        c->flush();
    }
    flushing_.clear();
}

void reactor::wake_resting() {
    for (connection* c : resting_) {
        c->wait_readable();
    }
    resting_.clear();
    // Connections that ended during this turn live until here, for they may have stood in a list.
    if (!ended_.empty()) {
        std::erase_if(dirty_, [](const connection* c) { return c->ended(); });
        ended_.clear();
    }
}

void reactor::add(connection_ptr c) {
    shard_.note_connection_bytes(c->own_bytes());
    c->place_ = static_cast<std::uint32_t>(connections_.size());
    connections_.push_back(std::move(c));
    connections_open_.set(static_cast<std::int64_t>(connections_.size()));
}

void reactor::remove(connection& c) noexcept {
    if (const auto place = c.place_; place < connections_.size() && connections_[place].get() == &c) {
        shard_.note_connection_bytes(-c.own_bytes());
        ended_.push_back(std::move(connections_[place]));
        // The last one takes its place.
        if (place + 1 != connections_.size()) {
            connections_[place] = std::move(connections_.back());
            connections_[place]->place_ = place;
        }
        connections_.pop_back();
    }
    connections_open_.set(static_cast<std::int64_t>(connections_.size()));
}

void reactor::for_each_connection(const std::function<void(connection&)>& f) {
    const auto all = connections_;  // some may end meanwhile
    for (const auto& c : all) {
        f(*c);
    }
}

}  // namespace linnet::net
