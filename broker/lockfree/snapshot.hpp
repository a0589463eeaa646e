#pragma once

#include "broker/base/assert.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/lockfree/atomics.hpp"
#include "broker/lockfree/counter.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <memory>
#include <optional>
#include <type_traits>
#include <utility>

namespace linnet::lockfree {

// Epochs number the writer's reclamation rounds. Zero is kept for "offline".
using snapshot_epoch = std::uint64_t;

template <class T, class Atomics>
class snapshot;
template <class Atomics>
class basic_snapshot_domain;

// A shard's place in a snapshot domain: it says when the shard holds no snapshot pointer.
//
//     reader.online();
//     every turn:   const table* t = routes.read(reader); ... ; reader.quiescent();
//     to block:     reader.offline(); epoll_wait(...); reader.online();
//
// A pointer read is good until the next quiescent() or offline(); never keep one longer.
//
// Threads:  everything only from the shard that uses it.
// Bounds:   a reader that is online and not quiescent holds back all reclamation since its last
//           word.
template <class Atomics = std_atomics>
class alignas(cacheline_bytes) basic_snapshot_reader {
public:
    basic_snapshot_reader() = default;
    basic_snapshot_reader(const basic_snapshot_reader&) = delete;
    basic_snapshot_reader& operator=(const basic_snapshot_reader&) = delete;
    ~basic_snapshot_reader() = default;

    // The end of a turn: every pointer read so far is given up.
    void quiescent() noexcept {
        check_online();
        // Acquire: having seen this epoch, our later reads see everything unlinked before it.
        const snapshot_epoch now = epoch_->load(std::memory_order_acquire);
        if (now != announced_) {
            announced_ = now;
            // Release: our reads through old pointers are over before the writer sees this and
            // frees.
            seen_.store(now, std::memory_order_release);
        }
    }

    // Before blocking: every pointer is given up, and the writer need not wait for us.
    void offline() noexcept {
        check_online();
        announced_ = offline_mark;
        seen_.store(offline_mark, std::memory_order_release);  // as in quiescent()
    }

    // Must come before the first read, and after every offline().
    //
    // The race: we come back while the writer, who unlinked something a moment ago, scans the
    // readers. Our store and the epoch load after it, the writer's epoch store and its scan after
    // it are all sequentially consistent, so in their one order S either our store precedes the
    // writer's load of it, and the writer waits for us; or the load precedes our store, hence the
    // writer's epoch store precedes our epoch load, which reads that epoch (or a later one) and
    // acquires with it the unlinking: we can no longer find what is freed. With weaker orders each
    // side could miss the other.
    void online() noexcept {
        LINNET_DEBUG_ASSERT(announced_ == offline_mark, "online() twice");
        owner_.check();
        // An old value is safe, it only holds back more; relaxed, for the load below acquires it
        // again.
        announced_ = epoch_->load(std::memory_order_relaxed);
        seen_.store(announced_, std::memory_order_seq_cst);
        static_cast<void>(epoch_->load(std::memory_order_seq_cst));
    }

    [[nodiscard]] bool is_online() const noexcept { return announced_ != offline_mark; }

    // Lets another thread take this place; it must be offline.
    void release() const noexcept { owner_.release(); }

private:
    friend class basic_snapshot_domain<Atomics>;
    template <class, class>
    friend class snapshot;

    static constexpr snapshot_epoch offline_mark = 0;

    using epoch_atomic = typename Atomics::template atomic<snapshot_epoch, site::epoch_global>;

    void check_online() const noexcept {
        owner_.check();
        LINNET_DEBUG_ASSERT(is_online(), "an offline reader");
    }

    // Constant after the domain's construction.
    const epoch_atomic* epoch_ = nullptr;
    // Reader only.
    snapshot_epoch announced_ = offline_mark;  // what seen_ says
    thread_owner owner_;
    // Shared: written by the reader, read by the writer, on the reader's line: the writer looks
    // seldom.
    typename Atomics::template atomic<snapshot_epoch, site::epoch_reader> seen_{offline_mark};
};

// Frees what was unlinked from shared structures once no shard can still be looking at it.
//
// Quiescent-state reclamation: a reader pays nothing to read, for it says once a turn that it holds
// no pointer (a shard has such a moment anyway, between turns). The writer unlinks an object,
// retires it under the number of the next round, and frees it when every reader that is online has
// spoken since that round began. Per-read schemes (hazard pointers, pins, counts) cost ten times a
// plain load.
//
// Threads:  retire(), reclaim(), laggard() and snapshot::publish() from one thread, the writer
//           (which may have a reader's place as well); reader(i) anywhere; the counts anywhere.
// Owns:     what was retired. Deleters run in the writer's thread, in the order of retiring.
// Bounds:   garbage is what was retired since the slowest online reader's last word; a reader that
//           stays online and silent makes it grow without limit, so the writer reports laggard()
//           and may stop publishing at a garbage_count() of its choice. Idle shards are offline and
//           hold back nothing.
// Fails:    cannot. Destroying it while a reader is online is our bug, and aborts.
template <class Atomics = std_atomics>
class basic_snapshot_domain {
public:
    using reader_type = basic_snapshot_reader<Atomics>;
    using deleter = void (*)(void*) noexcept;

    explicit basic_snapshot_domain(std::size_t readers)
        : readers_(std::make_unique<reader_type[]>(readers)), reader_count_(readers) {
        for (std::size_t i = 0; i < reader_count_; ++i) {
            readers_[i].epoch_ = &epoch_.value;
        }
    }
    basic_snapshot_domain(const basic_snapshot_domain&) = delete;
    basic_snapshot_domain& operator=(const basic_snapshot_domain&) = delete;
    ~basic_snapshot_domain() {
        writer_.owner.release();  // the end may come from the main thread
        LINNET_ASSERT(slowest_reader().epoch == nobody_online, "reader {} of a dying domain is online",
                      slowest_reader().reader);
        static_cast<void>(reclaim());
    }

    [[nodiscard]] std::size_t reader_count() const noexcept { return reader_count_; }
    [[nodiscard]] reader_type& reader(std::size_t i) noexcept {
        LINNET_DEBUG_ASSERT(i < reader_count_, "reader {} of {}", i, reader_count_);
        return readers_[i];
    }

    // ---- writer ----

    // Takes an object that new readers can no longer reach: unlink first, then retire.
    void retire(void* object, deleter free) {
        writer_.owner.check();
        writer_.garbage.push_back({writer_.epoch + 1, object, free});
        retired_.add();
    }
    template <class T>
    void retire(std::unique_ptr<T> object) {
        retire(const_cast<std::remove_const_t<T>*>(object.release()),
               [](void* p) noexcept { delete static_cast<T*>(p); });
    }

    // Frees what every online reader has passed, and returns how many objects that were. Once a
    // turn, or after a batch of changes: one scan of the readers, nothing at all when there is no
    // garbage.
    std::size_t reclaim() noexcept {
        writer_.owner.check();
        if (writer_.garbage.empty()) {
            return 0;
        }
        begin_round_if_needed();
        // Not beyond this round, even with nobody online: what a deleter retires meanwhile was
        // unlinked after our scan, and a reader may have come online since.
        return free_up_to(std::min(slowest_reader().epoch, writer_.epoch));
    }

    // The reader that holds back the oldest garbage, if one does: after a second it is stuck, and
    // reported.
    [[nodiscard]] std::optional<std::size_t> laggard() const noexcept {
        writer_.owner.check();
        if (writer_.garbage.empty()) {
            return std::nullopt;
        }
        const slowest s = slowest_reader();
        return s.epoch < writer_.garbage.front().epoch ? std::optional{s.reader} : std::nullopt;
    }

    void release_writer() const noexcept { writer_.owner.release(); }

    // ---- anyone ----

    [[nodiscard]] std::uint64_t retired_total() const noexcept { return retired_.value(); }
    [[nodiscard]] std::uint64_t freed_total() const noexcept { return freed_.value(); }
    // Objects waiting now. The freed are read first, so that the difference is never negative.
    [[nodiscard]] std::uint64_t garbage_count() const noexcept {
        const std::uint64_t freed = freed_.value();
        const std::uint64_t retired = retired_.value();
        return retired < freed ? 0 : retired - freed;
    }

private:
    struct retired_object {
        snapshot_epoch epoch;  // to be freed when every online reader has announced this or more
        void* object;
        deleter free;
    };
    static constexpr snapshot_epoch nobody_online = std::numeric_limits<snapshot_epoch>::max();
    struct slowest {
        snapshot_epoch epoch;
        std::size_t reader;
    };

    // Everything retired since the last round began carries the next epoch; beginning that round
    // promises that it is unlinked. One store for a whole batch of retirements.
    void begin_round_if_needed() noexcept {
        if (writer_.garbage.back().epoch == writer_.epoch) {
            return;
        }
        ++writer_.epoch;
        // Release carries the unlinking to readers that see the epoch; sequentially consistent with
        // the scan that follows, for the sake of readers that come online meanwhile.
        epoch_.value.store(writer_.epoch, std::memory_order_seq_cst);
    }

    [[nodiscard]] slowest slowest_reader() const noexcept {
        slowest found{nobody_online, 0};
        for (std::size_t i = 0; i < reader_count_; ++i) {
            // Acquire: the reads that this announcement ended are over before we free. Sequentially
            // consistent: see basic_snapshot_reader::online().
            const snapshot_epoch seen = readers_[i].seen_.load(std::memory_order_seq_cst);
            if (seen != reader_type::offline_mark && seen < found.epoch) {
                found = {seen, i};
            }
        }
        return found;
    }

    std::size_t free_up_to(snapshot_epoch passed) noexcept {
        std::size_t count = 0;
        while (!writer_.garbage.empty() && writer_.garbage.front().epoch <= passed) {
            const retired_object oldest = writer_.garbage.front();
            writer_.garbage.pop_front();  // first, for a deleter may retire more
            oldest.free(oldest.object);
            ++count;
        }
        freed_.add(count);
        return count;
    }

    // Constant after construction.
    const std::unique_ptr<reader_type[]> readers_;
    const std::size_t reader_count_;

    // Writer only.
    struct alignas(cacheline_bytes) {
        snapshot_epoch epoch = 1;  // what epoch_ says
        std::deque<retired_object> garbage;
        thread_owner owner;
    } writer_;

    // Written by the writer, read by anyone. Not of the policy's atomics: they order nothing, and
    // each would multiply the interleavings that the model checker has to try.
    counter retired_;
    counter freed_;

    // Shared: written by the writer once a round, read by every reader once a turn.
    struct alignas(cacheline_bytes) {
        typename reader_type::epoch_atomic value{1};
    } epoch_;
};

// One immutable object that shards read and one thread replaces: a vhost's routing table, the
// users, a TLS context. The object is built whole, published with one store, and freed when no one
// can be reading it.
//
// Threads:  read() from any thread with a reader's place; publish() and current() only from the
//           writer.
// Owns:     the current object; replaced ones belong to the domain.
// Bounds:   as the domain says.
// Fails:    cannot. Destroy it when no reader can reach it any more (retire the object it is part
//           of).
template <class T, class Atomics = std_atomics>
class snapshot {
public:
    using domain_type = basic_snapshot_domain<Atomics>;
    using reader_type = basic_snapshot_reader<Atomics>;

    snapshot(domain_type& domain, std::unique_ptr<const T> first) : domain_(domain), current_(first.release()) {}
    snapshot(const snapshot&) = delete;
    snapshot& operator=(const snapshot&) = delete;
    ~snapshot() {
        // Relaxed suffices here and in current(): the writer reads what it wrote itself.
        delete current_.load(std::memory_order_relaxed);
    }

    // Good until the reader's next quiescent() or offline(). Read it once a turn and pass it down,
    // so that a whole batch sees one version. Null only if null was published.
    [[nodiscard]] const T* read([[maybe_unused]] const reader_type& reader) const noexcept {
        reader.check_online();
        // Acquire pairs with publish(): the object is seen complete.
        return current_.load(std::memory_order_acquire);
    }

    // What readers see from now on, for building the next version from it.
    [[nodiscard]] const T* current() const noexcept { return current_.load(std::memory_order_relaxed); }

    // The old version is retired; call the domain's reclaim() after a batch of publications.
    void publish(std::unique_ptr<const T> next) {
        std::unique_ptr<const T> old{current()};
        // Release: whoever reads the pointer sees the object behind it.
        current_.store(next.release(), std::memory_order_release);
        if (old) {
            domain_.retire(std::move(old));
        }
    }

private:
    domain_type& domain_;
    // Shared: written by the writer, read by everyone.
    typename Atomics::template atomic<const T*, site::snapshot_pointer> current_;
};

using snapshot_reader = basic_snapshot_reader<>;
using snapshot_domain = basic_snapshot_domain<>;

}  // namespace linnet::lockfree
