// Real threads, random timing: what the model checker cannot have, the compiler's and the machine's
// own reorderings. Meant to be run under ThreadSanitizer too. Every item carries its sender and its
// number, so that "a queue, in order, nothing lost, nothing twice" is checked item by item.

#include "broker/lockfree/counter.hpp"
#include "broker/lockfree/doorbell.hpp"
#include "broker/lockfree/mpsc_inbox.hpp"
#include "broker/lockfree/snapshot.hpp"
#include "broker/lockfree/spsc_ring.hpp"

#include "random_run.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

namespace linnet::lockfree {
namespace {

using testing::dice;
using testing::seed_of_this_run;
using testing::stress_rounds;

struct alignas(cacheline_bytes) command {
    std::uint64_t number;
    std::uint64_t hops;
    std::array<std::uint64_t, 6> copies;

    static command make(std::uint64_t number, std::uint64_t hops = 0) {
        command c{number, hops, {}};
        c.copies.fill(number);
        return c;
    }
    // False if the slot was written while it was read.
    [[nodiscard]] bool whole() const {
        for (std::uint64_t copy : copies) {
            if (copy != number) {
                return false;
            }
        }
        return true;
    }
};

// What a shard sleeps on. Waiting for ever is what a lost wake-up looks like, so it is cut short.
class event {
public:
    event() : fd_(::eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC)) {}
    event(const event&) = delete;
    event& operator=(const event&) = delete;
    ~event() { ::close(fd_); }

    void ring() const {
        const std::uint64_t one = 1;
        ASSERT_EQ(::write(fd_, &one, sizeof one), static_cast<ssize_t>(sizeof one));
    }
    // False when nobody rang for half a minute.
    [[nodiscard]] bool wait() const {
        pollfd p{fd_, POLLIN, 0};
        if (::poll(&p, 1, 30'000) != 1) {
            return false;
        }
        std::uint64_t count = 0;
        return ::read(fd_, &count, sizeof count) == static_cast<ssize_t>(sizeof count);
    }

private:
    int fd_;
};

TEST(LockfreeStress, ARingIsAQueue) {
    const std::uint64_t seed = seed_of_this_run("ARingIsAQueue");
    const std::uint64_t items = stress_rounds(500'000);
    for (std::size_t capacity : {1u, 4u, 1024u}) {
        spsc_ring<command> ring(capacity);
        std::thread producer([&] {
            dice d(seed);
            for (std::uint64_t next = 0; next < items;) {
                for (std::uint64_t batch = d.roll(64) + 1; batch > 0 && next < items; --batch) {
                    if (ring.try_push(command::make(next)) == push_result::full) {
                        break;
                    }
                    ++next;
                }
                if (!ring.publish()) {
                    std::this_thread::yield();
                }
            }
        });
        dice d(seed + 1);
        std::uint64_t expected = 0;
        bool good = true;
        while (expected < items) {
            const std::size_t count = ring.drain(d.roll(64) + 1, [&](const command& c) {
                good = good && c.number == expected && c.whole();
                ++expected;
            });
            if (count == 0) {
                std::this_thread::yield();
            }
        }
        producer.join();
        EXPECT_TRUE(good);
        EXPECT_EQ(expected, items);
        EXPECT_TRUE(ring.empty());
    }
}

struct letter : inbox_hook<letter> {
    letter(std::size_t s, std::uint64_t n) : sender(s), number(n) {}
    std::size_t sender;
    std::uint64_t number;
};

TEST(LockfreeStress, AnInboxKeepsEachSendersOrder) {
    constexpr std::size_t senders = 4;
    const std::uint64_t seed = seed_of_this_run("AnInboxKeepsEachSendersOrder");
    const std::uint64_t each = stress_rounds(500'000);
    mpsc_inbox<letter> box;
    std::vector<std::thread> threads;
    for (std::size_t s = 0; s < senders; ++s) {
        threads.emplace_back([&, s] {
            dice d(seed + s);
            for (std::uint64_t n = 0; n < each; ++n) {
                box.push(std::make_unique<letter>(s, n));
                if (d.roll(256) == 0) {
                    std::this_thread::yield();
                }
            }
        });
    }
    std::array<std::uint64_t, senders> next{};
    bool good = true;
    for (std::uint64_t taken = 0; taken < senders * each;) {
        auto batch = box.take_all();
        if (batch.empty()) {
            std::this_thread::yield();
        }
        while (auto item = batch.pop_front()) {
            good = good && item->number == next[item->sender]++;
            ++taken;
        }
    }
    for (auto& t : threads) {
        t.join();
    }
    EXPECT_TRUE(good);
    EXPECT_TRUE(box.empty());
}

TEST(LockfreeStress, ACounterNeverFalls) {
    const std::uint64_t rounds = stress_rounds(20'000'000);
    counter shared;
    std::thread writer([&] {
        for (std::uint64_t i = 0; i < rounds; ++i) {
            shared.add(3);
        }
    });
    std::uint64_t last = 0;
    bool good = true;
    while (last < 3 * rounds) {
        const std::uint64_t now = shared.value();
        good = good && now >= last && now % 3 == 0;
        last = now;
    }
    writer.join();
    EXPECT_TRUE(good);
}

// A consumer that sleeps whenever it can, three ring producers and a thread with the inbox. A lost
// wake-up is a sleep that nobody ends.
TEST(LockfreeStress, NoWakeUpIsLost) {
    constexpr std::size_t producers = 3;
    const std::uint64_t seed = seed_of_this_run("NoWakeUpIsLost");
    const std::uint64_t each = stress_rounds(200'000);
    doorbell bell;
    event wake;
    std::vector<std::unique_ptr<spsc_ring<command>>> rings;
    for (std::size_t i = 0; i < producers; ++i) {
        rings.push_back(std::make_unique<spsc_ring<command>>(64));
    }
    mpsc_inbox<letter> box;
    std::atomic<std::uint64_t> rung{0};
    std::atomic<bool> failed{false};
    auto ring_if_needed = [&] {
        if (bell.must_wake()) {
            rung.fetch_add(1, std::memory_order_relaxed);
            wake.ring();
        }
    };

    std::vector<std::thread> threads;
    for (std::size_t i = 0; i < producers; ++i) {
        threads.emplace_back([&, i] {
            dice d(seed + i);
            for (std::uint64_t n = 0; n < each && !failed.load(std::memory_order_relaxed);) {
                for (std::uint64_t batch = d.roll(8) + 1; batch > 0 && n < each; --batch) {
                    if (rings[i]->try_push(command::make(n)) == push_result::full) {
                        break;
                    }
                    ++n;
                }
                if (rings[i]->publish()) {
                    ring_if_needed();
                }
                for (std::uint32_t pause = d.roll(200); pause > 0; --pause) {
                    static_cast<void>(bell.sleeping());
                }
            }
        });
    }
    threads.emplace_back([&] {
        for (std::uint64_t n = 0; n < each; ++n) {
            box.push(std::make_unique<letter>(0, n));
            ring_if_needed();
        }
    });

    std::array<std::uint64_t, producers> next{};
    std::uint64_t next_letter = 0;
    std::uint64_t taken = 0;
    std::uint64_t sleeps = 0;
    bool good = true;
    auto drain_all = [&] {
        std::uint64_t count = 0;
        for (std::size_t i = 0; i < producers; ++i) {
            count += rings[i]->drain(16, [&](const command& c) { good = good && c.number == next[i]++ && c.whole(); });
        }
        auto batch = box.take_all();
        while (auto item = batch.pop_front()) {
            good = good && item->number == next_letter++;
            ++count;
        }
        return count;
    };
    auto all_empty = [&] {
        for (auto& r : rings) {
            if (!r->empty()) {
                return false;
            }
        }
        return box.empty();
    };
    while (taken < (producers + 1) * each) {
        if (const std::uint64_t count = drain_all(); count > 0) {
            taken += count;
            continue;
        }
        ++sleeps;
        bell.prepare_to_sleep();
        if (all_empty() && !wake.wait()) {
            failed = true;
            break;
        }
        bell.awake();
    }
    for (auto& t : threads) {
        t.join();
    }
    EXPECT_FALSE(failed) << "slept on " << taken << " of " << (producers + 1) * each;
    EXPECT_TRUE(good);
    EXPECT_LE(rung.load(), sleeps);
}

// Three shards send tokens to each other through small rings until all have made their hops. What
// does not fit waits in a list of the sender, so full rings never wait for each other; every ring's
// items are numbered by their sender.
class mesh {
public:
    static constexpr std::size_t shards = 3;

    mesh(std::uint64_t seed, std::uint64_t tokens_each, std::uint64_t hops)
        : seed_(seed), hops_(hops), tokens_left_(tokens_each * shards) {
        for (std::size_t i = 0; i < shards; ++i) {
            nodes_[i].tokens_to_start = tokens_each;
            for (auto& ring : nodes_[i].in) {
                ring = std::make_unique<spsc_ring<command>>(8);
            }
        }
    }

    // Empty when all went well.
    std::string run() {
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < shards; ++i) {
            threads.emplace_back([this, i] { loop(i); });
        }
        for (auto& t : threads) {
            t.join();
        }
        for (const node& n : nodes_) {
            if (!n.failure.empty()) {
                return n.failure;
            }
        }
        return {};
    }

private:
    struct node {
        // Shared.
        doorbell bell;
        event wake;
        std::array<std::unique_ptr<spsc_ring<command>>, shards> in;  // in[from]
        // Own.
        std::uint64_t tokens_to_start = 0;
        std::array<std::deque<std::uint64_t>, shards> waiting;  // hops left of the tokens for [to]
        std::array<std::uint64_t, shards> sent{};               // numbers given to [to]
        std::array<std::uint64_t, shards> received{};           // numbers expected from [from]
        std::string failure;
    };

    void loop(std::size_t self) {
        node& me = nodes_[self];
        dice d(seed_ + self);
        for (; me.tokens_to_start > 0; --me.tokens_to_start) {
            send_somewhere(self, hops_, d);
        }
        while (!done_.load(std::memory_order_acquire)) {
            const bool busy = turn(self, d);
            if (busy || has_waiting(me)) {
                // A token that waits for room does so awake here; a shard would stop reading its
                // sockets.
                if (!busy) {
                    std::this_thread::yield();
                }
                continue;
            }
            me.bell.prepare_to_sleep();
            if (all_empty(me) && !done_.load(std::memory_order_seq_cst) && !me.wake.wait()) {
                me.failure = "shard " + std::to_string(self) + " was never woken";
                finish();
            }
            me.bell.awake();
        }
    }

    bool turn(std::size_t self, dice& d) {
        node& me = nodes_[self];
        std::size_t count = 0;
        for (std::size_t from = 0; from < shards; ++from) {
            count += me.in[from]->drain(4, [&](const command& c) {
                if (c.number != me.received[from]++ || !c.whole()) {
                    me.failure = "out of order or torn";
                    finish();
                }
                arrived(self, c.hops, d);
            });
        }
        for (std::size_t to = 0; to < shards; ++to) {
            count += flush(self, to);
        }
        return count > 0;
    }

    std::size_t flush(std::size_t self, std::size_t to) {
        node& me = nodes_[self];
        spsc_ring<command>& ring = *nodes_[to].in[self];
        std::size_t count = 0;
        while (!me.waiting[to].empty() &&
               ring.try_push(command::make(me.sent[to], me.waiting[to].front())) == push_result::pushed) {
            me.waiting[to].pop_front();
            ++me.sent[to];
            ++count;
        }
        if (ring.publish() && nodes_[to].bell.must_wake()) {
            nodes_[to].wake.ring();
        }
        return count;
    }

    void arrived(std::size_t self, std::uint64_t hops, dice& d) {
        if (hops > 0) {
            send_somewhere(self, hops - 1, d);
        } else if (tokens_left_.fetch_sub(1, std::memory_order_relaxed) == 1) {
            finish();
        }
    }
    void send_somewhere(std::size_t self, std::uint64_t hops, dice& d) {
        const std::size_t to = (self + 1 + d.roll(shards - 1)) % shards;
        nodes_[self].waiting[to].push_back(hops);
    }
    void finish() {
        done_.store(true, std::memory_order_seq_cst);
        for (node& n : nodes_) {
            if (n.bell.must_wake()) {
                n.wake.ring();
            }
        }
    }
    static bool has_waiting(const node& n) {
        for (const auto& list : n.waiting) {
            if (!list.empty()) {
                return true;
            }
        }
        return false;
    }
    static bool all_empty(const node& n) {
        for (const auto& ring : n.in) {
            if (!ring->empty()) {
                return false;
            }
        }
        return true;
    }

    const std::uint64_t seed_;
    const std::uint64_t hops_;
    std::array<node, shards> nodes_;
    std::atomic<std::uint64_t> tokens_left_;
    std::atomic<bool> done_{false};
};

TEST(LockfreeStress, AMeshOfShardsPassesEveryTokenOn) {
    const std::uint64_t seed = seed_of_this_run("AMeshOfShardsPassesEveryTokenOn");
    EXPECT_EQ(mesh(seed, 1, stress_rounds(50'000)).run(), "");   // mostly asleep
    EXPECT_EQ(mesh(seed, 200, stress_rounds(5'000)).run(), "");  // rings always full
}

// A version whose words all say its number, and nothing any more once it is freed.
struct version {
    explicit version(std::uint64_t n) { words.fill(n); }
    version(const version&) = delete;
    version& operator=(const version&) = delete;
    ~version() { words.fill(~std::uint64_t{0}); }
    std::array<std::uint64_t, 16> words;
};

TEST(LockfreeStress, NoVersionIsFreedUnderAReader) {
    constexpr std::size_t readers = 3;
    const std::uint64_t seed = seed_of_this_run("NoVersionIsFreedUnderAReader");
    const std::uint64_t publications = stress_rounds(1'000'000);
    snapshot_domain domain(readers);
    {
        snapshot<version> routes(domain, std::make_unique<const version>(0));
        std::atomic<bool> done{false};
        std::latch all_online(readers + 1);
        std::array<bool, readers> good{};
        std::vector<std::thread> threads;
        for (std::size_t i = 0; i < readers; ++i) {
            threads.emplace_back([&, i] {
                dice d(seed + i);
                snapshot_reader& me = domain.reader(i);
                std::uint64_t last = 0;
                bool fine = true;
                me.online();
                all_online.arrive_and_wait();
                while (!done.load(std::memory_order_relaxed)) {
                    const version* v = routes.read(me);
                    const std::uint64_t number = v->words[0];
                    fine = fine && number >= last;
                    last = number;
                    for (std::uint32_t again = d.roll(4); again > 0; --again) {
                        for (std::uint64_t word : v->words) {
                            fine = fine && word == number;
                        }
                    }
                    if (d.roll(8) == 0) {
                        me.offline();
                        std::this_thread::yield();
                        me.online();
                    } else {
                        me.quiescent();
                    }
                }
                me.offline();
                good[i] = fine;
            });
        }
        dice d(seed + readers);
        all_online.arrive_and_wait();
        for (std::uint64_t n = 1; n <= publications; ++n) {
            routes.publish(std::make_unique<const version>(n));
            if (d.roll(4) == 0) {
                domain.reclaim();
            }
            // A reader that has no processor is online and silent: let it run rather than pile up
            // garbage.
            while (domain.garbage_count() > 1000) {
                std::this_thread::yield();
                domain.reclaim();
            }
        }
        done = true;
        for (auto& t : threads) {
            t.join();
        }
        domain.reclaim();
        EXPECT_EQ(domain.garbage_count(), 0u);
        EXPECT_EQ(domain.freed_total(), publications);
        for (bool fine : good) {
            EXPECT_TRUE(fine);
        }
    }
}

}  // namespace
}  // namespace linnet::lockfree
