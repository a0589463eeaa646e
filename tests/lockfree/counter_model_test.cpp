// The counter's own code under Relacy: no count is lost, and what a reader sees never falls.

#include "relacy_atomics.hpp"

#include "broker/lockfree/counter.hpp"

namespace linnet::lockfree::model {
namespace {

template <class Atomics, unsigned Writers>
struct counting : fixture<counting<Atomics, Writers>, Writers + 2> {
    std::unique_ptr<basic_counter<Atomics>> shared = std::make_unique<basic_counter<Atomics>>();

    void thread(unsigned index) {
        if (index < Writers) {
            shared->add();
            shared->add(2);
        } else {
            const std::uint64_t first = shared->value();
            const std::uint64_t second = shared->value();
            RL_ASSERT(Writers > 1 || first == 0 || first == 1 || first == 3);
            RL_ASSERT(second >= first);
        }
    }
    void after() { RL_ASSERT(shared->value() == 3 * Writers); }
};

// What the counter would be without an atomic in it.
struct no_atomics {
    template <class T, class>
    class atomic {
    public:
        atomic(T value) { cell_.write() = value; }
        T load(std::memory_order) const { return cell_.read(); }
        void store(T value, std::memory_order) { cell_.write() = value; }

    private:
        watched_cell<T> cell_;
    };
};

TEST(CounterModel, CountsAndNeverFallsInAnyInterleaving) {
    EXPECT_TRUE(holds("full search", search_all<counting<relacy_atomics<faithful>, 1>>()));
    EXPECT_TRUE(holds("random", try_random<counting<relacy_atomics<faithful>, 1>>(random_iterations())));
}
TEST(CounterModel, CatchesAPlainVariable) { EXPECT_TRUE(caught(search_all<counting<no_atomics, 1>>())); }
TEST(CounterModel, CatchesASecondWriter) { EXPECT_TRUE(caught(search_all<counting<relacy_atomics<faithful>, 2>>())); }

}  // namespace
}  // namespace linnet::lockfree::model
