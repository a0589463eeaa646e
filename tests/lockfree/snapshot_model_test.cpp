// The snapshot domain's own code under Relacy: a version is complete when it is read, is never
// freed while a reader may look at it, and is freed in the end. Each memory order in it is needed.

#include "relacy_atomics.hpp"

#include "broker/lockfree/snapshot.hpp"

#include <array>
#include <new>

namespace linnet::lockfree::model {
namespace {

constexpr std::size_t versions_max = 4;

// One version of what is published. Its content stands beside it, so that a read after the free is
// seen by Relacy (a write that nothing orders after the read, or the wrong content) and not by the
// allocator.
struct version {
    enum class content { none, alive, freed };
    using page = watched_cell<content>;

    explicit version(page& p) : text(p) { text.write() = content::alive; }
    ~version() { text.write() = content::freed; }
    static void operator delete(void*) noexcept {}  // the storage belongs to the fixture

    page& text;
};

// A writer and `Readers` readers; what they do is the derived fixture's.
template <class Mutant, std::size_t Readers>
struct world {
    using atomics = relacy_atomics<Mutant>;

    world() {
        relacy_atomic<snapshot_epoch, site::epoch_reader, Mutant>::built = 0;
        domain = std::make_unique<basic_snapshot_domain<atomics>>(Readers);
        routes = std::make_unique<snapshot<version, atomics>>(*domain, make_version());
    }
    std::unique_ptr<const version> make_version() {
        const std::size_t n = made++;
        return std::unique_ptr<const version>(::new (&storage[n]) version(pages[n]));
    }
    void publish() { routes->publish(make_version()); }
    void use(basic_snapshot_reader<atomics>& reader) {
        RL_ASSERT(routes->read(reader)->text.read() == version::content::alive);
    }
    // With everybody offline nothing may remain.
    void finish() {
        static_cast<void>(domain->reclaim());
        RL_ASSERT(domain->garbage_count() == 0);
        RL_ASSERT(domain->retired_total() == made - 1);
        for (std::size_t i = 0; i + 1 < made; ++i) {
            RL_ASSERT(pages[i].read() == version::content::freed);
        }
        RL_ASSERT(pages[made - 1].read() == version::content::alive);
        routes.reset();
        domain.reset();
    }

    std::array<version::page, versions_max> pages;
    struct alignas(version) bytes {
        std::byte b[sizeof(version)];
    };
    std::array<bytes, versions_max> storage;
    std::size_t made = 0;
    std::unique_ptr<basic_snapshot_domain<atomics>> domain;
    std::unique_ptr<snapshot<version, atomics>> routes;
};

// One reader that is online from the start: turns and their ends.
template <class Mutant>
struct turns : fixture<turns<Mutant>, 2>, world<Mutant, 1> {
    void before() { this->domain->reader(0).online(); }
    void thread(unsigned index) {
        if (index == 0) {
            this->publish();
            this->domain->reclaim();
            this->publish();
            this->domain->reclaim();
            return;
        }
        auto& reader = this->domain->reader(0);
        this->use(reader);
        reader.quiescent();
        this->use(reader);
        reader.quiescent();
        this->use(reader);
        reader.offline();
    }
    void after() { this->finish(); }
};

// One reader that comes back from its sleep while the writer publishes and reclaims.
template <class Mutant>
struct waking : fixture<waking<Mutant>, 2>, world<Mutant, 1> {
    void thread(unsigned index) {
        if (index == 0) {
            this->publish();
            this->domain->reclaim();
            this->domain->reclaim();
            return;
        }
        auto& reader = this->domain->reader(0);
        for (int i = 0; i < 2; ++i) {
            reader.online();
            this->use(reader);
            reader.offline();
        }
    }
    void after() { this->finish(); }
};

// Two readers: one in its turns, one waking.
template <class Mutant>
struct two_readers : fixture<two_readers<Mutant>, 3>, world<Mutant, 2> {
    void before() { this->domain->reader(0).online(); }
    void thread(unsigned index) {
        if (index == 2) {
            this->publish();
            this->domain->reclaim();
            return;
        }
        auto& reader = this->domain->reader(index);
        if (index == 1) {
            reader.online();
        }
        this->use(reader);
        reader.offline();
    }
    void after() { this->finish(); }
};

// Three readers in a random mixture of turns and sleeps, three versions.
template <class Mutant>
struct crowd : fixture<crowd<Mutant>, 4>, world<Mutant, 3> {
    void thread(unsigned index) {
        if (index == 3) {
            for (int i = 0; i < 3; ++i) {
                this->publish();
                this->domain->reclaim();
            }
            return;
        }
        auto& reader = this->domain->reader(index);
        for (unsigned sleep = 0; sleep < 2; ++sleep) {
            reader.online();
            this->use(reader);
            for (unsigned turn = 0; turn < index; ++turn) {
                reader.quiescent();
                this->use(reader);
            }
            reader.offline();
        }
    }
    void after() { this->finish(); }
};

// A reclaim that overlooks the first reader: it takes it for offline.
struct ignores_one_reader : faithful {
    template <class Site, class T>
    static T seen(operation, T value, int instance) {
        return std::is_same_v<Site, site::epoch_reader> && instance == 0 ? T{} : value;
    }
};
// A reclaim that frees one round too early.
struct frees_a_round_early : faithful {
    template <class Site, class T>
    static T seen(operation, T value, int) {
        if constexpr (std::is_same_v<Site, site::epoch_reader>) {
            return value == 0 ? value : value + 1;
        }
        return value;
    }
};

constexpr auto acquire = std::memory_order_acquire;
constexpr auto release = std::memory_order_release;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto seq_cst = std::memory_order_seq_cst;

template <class Site, operation Op, std::memory_order From, std::memory_order To>
using weak = weakened<Site, Op, From, To>;

TEST(SnapshotModel, FreesNothingInUseAndAllInTheEndInEveryInterleaving) {
    EXPECT_TRUE(holds("full search, turns", search_all<turns<faithful>>()));
    EXPECT_TRUE(holds("full search, waking", search_all<waking<faithful>>()));
    EXPECT_TRUE(holds("full search, two readers", search_all<two_readers<faithful>>()));
}
TEST(SnapshotModel, FreesNothingInUseAndAllInTheEndAtRandom) {
    EXPECT_TRUE(holds("random, three readers", try_random<crowd<faithful>>(random_iterations())));
}

TEST(SnapshotModel, CatchesAnIgnoredReader) {
    EXPECT_TRUE(caught(search_all<turns<ignores_one_reader>>()));
    EXPECT_TRUE(caught(search_all<two_readers<ignores_one_reader>>()));
}
TEST(SnapshotModel, CatchesFreeingARoundEarly) { EXPECT_TRUE(caught(search_all<turns<frees_a_round_early>>())); }
TEST(SnapshotModel, CatchesARelaxedPublish) {
    EXPECT_TRUE(caught(search_all<turns<weak<site::snapshot_pointer, operation::store, release, relaxed>>>()));
}
TEST(SnapshotModel, CatchesARelaxedRead) {
    EXPECT_TRUE(caught(search_all<turns<weak<site::snapshot_pointer, operation::load, acquire, relaxed>>>()));
}
TEST(SnapshotModel, CatchesARelaxedAnnouncement) {
    EXPECT_TRUE(caught(search_all<turns<weak<site::epoch_reader, operation::store, release, relaxed>>>()));
}
TEST(SnapshotModel, CatchesAnEpochReadRelaxedAtTheTurnsEnd) {
    EXPECT_TRUE(caught(search_all<turns<weak<site::epoch_global, operation::load, acquire, relaxed>>>()));
}
TEST(SnapshotModel, CatchesAScanThatAcquiresNothing) {
    EXPECT_TRUE(caught(search_all<turns<weak<site::epoch_reader, operation::load, seq_cst, relaxed>>>()));
}
TEST(SnapshotModel, CatchesAnEpochThatReleasesNothing) {
    EXPECT_TRUE(caught(search_all<turns<weak<site::epoch_global, operation::store, seq_cst, relaxed>>>()));
}

// The four sequentially consistent operations of coming online, one weakened at a time.
TEST(SnapshotModel, CatchesAWriterWhoseEpochIsOnlyReleased) {
    EXPECT_TRUE(caught(search_all<waking<weak<site::epoch_global, operation::store, seq_cst, release>>>()));
}
TEST(SnapshotModel, CatchesAWriterWhoseScanOnlyAcquires) {
    EXPECT_TRUE(caught(search_all<waking<weak<site::epoch_reader, operation::load, seq_cst, acquire>>>()));
}
TEST(SnapshotModel, CatchesAReaderWhoseReturnIsOnlyReleased) {
    EXPECT_TRUE(caught(search_all<waking<weak<site::epoch_reader, operation::store, seq_cst, release>>>()));
}
TEST(SnapshotModel, CatchesAReaderWhoseSecondLookOnlyAcquires) {
    EXPECT_TRUE(caught(search_all<waking<weak<site::epoch_global, operation::load, seq_cst, acquire>>>()));
}

}  // namespace
}  // namespace linnet::lockfree::model
