// The inbox's own code under Relacy: two threads push, the owner takes; nothing is lost or doubled,
// each thread's items keep their order, and the owner reads no item before it is written.

#include "relacy_atomics.hpp"

#include "broker/lockfree/mpsc_inbox.hpp"

#include <utility>

namespace linnet::lockfree::model {
namespace {

template <class Mutant>
struct letter : inbox_hook<letter<Mutant>, relacy_atomics<Mutant>> {
    letter(unsigned sender, unsigned number) { text.write() = {sender, number}; }
    watched_cell<std::pair<unsigned, unsigned>> text;
};

template <class Mutant>
using inbox = mpsc_inbox<letter<Mutant>, relacy_atomics<Mutant>>;

// The first sender has `First` items, the others one each; the owner takes `Takes` times meanwhile.
template <class Mutant, unsigned Senders, unsigned First, int Takes>
struct post : fixture<post<Mutant, Senders, First, Takes>, Senders + 1> {
    std::unique_ptr<inbox<Mutant>> shared = std::make_unique<inbox<Mutant>>();
    unsigned taken[Senders] = {};

    void thread(unsigned index) {
        if (index < Senders) {
            for (unsigned n = 1; n <= items_of(index); ++n) {
                shared->push(std::make_unique<letter<Mutant>>(index, n));
            }
        } else {
            for (int i = 0; i < Takes; ++i) {
                take();
            }
        }
    }
    static unsigned items_of(unsigned sender) { return sender == 0 ? First : 1; }
    void take() {
        auto batch = shared->take_all();
        while (auto item = batch.pop_front()) {
            const auto [sender, number] = item->text.read();
            RL_ASSERT(number == taken[sender] + 1);
            taken[sender] = number;
            item->text.write() = {};  // the item is ours alone by now
        }
    }
    void after() {
        take();
        for (unsigned sender = 0; sender < Senders; ++sender) {
            RL_ASSERT(taken[sender] == items_of(sender));
        }
        RL_ASSERT(shared->empty());
    }
};

// An owner whose exchange empties the inbox and comes back with nothing.
struct forgetful_take : faithful {
    template <class Site, class T>
    static T seen(operation op, T value, int) {
        return op == operation::rmw ? T{} : value;
    }
};

constexpr auto acquire = std::memory_order_acquire;
constexpr auto relaxed = std::memory_order_relaxed;
constexpr auto seq_cst = std::memory_order_seq_cst;

using relaxed_push = weakened<site::inbox_head, operation::rmw, seq_cst, relaxed>;
using relaxed_take = weakened<site::inbox_head, operation::rmw, acquire, relaxed>;

TEST(InboxModel, KeepsEachSendersOrderInEveryInterleaving) {
    EXPECT_TRUE(holds("full search, one sender of 3", search_all<post<faithful, 1, 3, 2>>()));
    EXPECT_TRUE(holds("full search, senders of 1 and 1", search_all<post<faithful, 2, 1, 2>>()));
    EXPECT_TRUE(holds("full search, senders of 2 and 1", search_all<post<faithful, 2, 2, 1>>()));
}
TEST(InboxModel, KeepsEachSendersOrderAtRandom) {
    EXPECT_TRUE(holds("random, three senders", try_random<post<faithful, 3, 3, 3>>(random_iterations())));
}
TEST(InboxModel, CatchesARelaxedPush) { EXPECT_TRUE(caught(search_all<post<relaxed_push, 2, 1, 2>>())); }
TEST(InboxModel, CatchesARelaxedTake) { EXPECT_TRUE(caught(search_all<post<relaxed_take, 2, 1, 2>>())); }
TEST(InboxModel, CatchesALostItem) { EXPECT_TRUE(caught(search_all<post<forgetful_take, 2, 1, 2>>())); }

}  // namespace
}  // namespace linnet::lockfree::model
