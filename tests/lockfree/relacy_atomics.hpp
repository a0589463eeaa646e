#pragma once

// Relacy's instrumented types as a policy for the lock-free structures, so that it checks the very
// code that production runs, and mutants of it with one operation made weaker.
//
// Relacy runs the threads of a test as fibers of one thread and decides at each atomic operation
// who goes on and, for a load, which of the stores it may legally see. A full search tries all of
// that.

#include "broker/lockfree/atomics.hpp"

#include <gtest/gtest.h>

#include <atomic>
#include <cstdlib>
#include <iostream>
#include <memory>
#include <sstream>
#include <string>
#include <type_traits>

#include <relacy/relacy.hpp>

// Relacy renames the language for programs written for it; ours reach it through the policy below.
#undef new
#undef delete
#undef malloc
#undef calloc
#undef realloc
#undef free
#undef assert
#undef errno
#undef memory_order_relaxed
#undef memory_order_consume
#undef memory_order_acquire
#undef memory_order_release
#undef memory_order_acq_rel
#undef memory_order_seq_cst

namespace linnet::lockfree::model {

enum class operation { load, store, rmw };

// The code as it is. A mutant hides one of these functions.
struct faithful {
    template <class Site>
    static constexpr std::memory_order order(operation, std::memory_order given) {
        return given;
    }
    // The value a load or read-modify-write returned from the `instance`-th variable of its site.
    template <class Site, class T>
    static T seen(operation, T value, int /*instance*/) {
        return value;
    }
};

// The code with every `Op` of order `From` on the variable `At` made as weak as `To`.
template <class At, operation Op, std::memory_order From, std::memory_order To>
struct weakened : faithful {
    template <class Site>
    static constexpr std::memory_order order(operation op, std::memory_order given) {
        return std::is_same_v<Site, At> && op == Op && given == From ? To : given;
    }
};

constexpr rl::memory_order to_relacy(std::memory_order order) {
    switch (order) {
        case std::memory_order_relaxed: return rl::mo_relaxed;
        case std::memory_order_consume: return rl::mo_consume;
        case std::memory_order_acquire: return rl::mo_acquire;
        case std::memory_order_release: return rl::mo_release;
        case std::memory_order_acq_rel: return rl::mo_acq_rel;
        case std::memory_order_seq_cst: return rl::mo_seq_cst;
    }
    return rl::mo_seq_cst;
}

template <class T, class Site, class Mutant>
class relacy_atomic {
public:
    relacy_atomic(T value) : value_(value), instance_(built++) {}

    T load(std::memory_order order) const {
        return seen(operation::load, value_.load(weak(operation::load, order), RL_INFO));
    }
    void store(T value, std::memory_order order) { value_.store(value, weak(operation::store, order), RL_INFO); }
    T exchange(T value, std::memory_order order) {
        return seen(operation::rmw, value_.exchange(value, weak(operation::rmw, order), RL_INFO));
    }
    bool compare_exchange_weak(T& expected, T desired, std::memory_order success, std::memory_order failure) {
        return value_.compare_exchange_weak(expected, desired, weak(operation::rmw, success), RL_INFO,
                                            to_relacy(failure), RL_INFO);
    }

    // Instances built since the fixture set this to 0, so that a mutant can single one out.
    static inline int built = 0;

private:
    static rl::memory_order weak(operation op, std::memory_order order) {
        return to_relacy(Mutant::template order<Site>(op, order));
    }
    T seen(operation op, T value) const { return Mutant::template seen<Site>(op, value, instance_); }

    rl::atomic<T> value_;
    int instance_;
};

// A value with a sentry: Relacy reports a read or write of the sentry that nothing orders against
// another thread's write. The value itself is plain, for fibers share one thread.
template <class T>
class watched_cell {
public:
    const T& read() const {
        static_cast<void>(static_cast<int>(sentry_(RL_INFO)));
        return value_;
    }
    T& write() {
        sentry_(RL_INFO) = 1;
        return value_;
    }

private:
    rl::var<int> sentry_;
    T value_{};
};

template <class Mutant>
struct relacy_atomics {
    template <class T, class Site>
    using atomic = relacy_atomic<T, Site, Mutant>;
    template <class T>
    using cell = watched_cell<T>;
};

// First base of a fixture. Relacy replaces the heap and tries, at each free, whether the address
// comes back at once: twice the interleavings for every free, for a question that our fixtures
// answer with sentries.
class plain_heap {
public:
    plain_heap() { ++untracked(); }
    plain_heap(const plain_heap&) = delete;
    plain_heap& operator=(const plain_heap&) = delete;
    ~plain_heap() { --untracked(); }

private:
    struct open_context : rl::context {
        static constexpr int rl::context::*untracked = &open_context::disable_alloc_;
    };
    static int& untracked() { return rl::ctx().*open_context::untracked; }
};

template <class Derived, rl::thread_id_t Threads>
struct fixture : plain_heap, rl::test_suite<Derived, Threads> {};

// What a search found.
struct verdict {
    rl::test_result_e result = rl::test_result_success;
    rl::iteration_t interleavings = 0;
    std::string report;
};

// The scheduler is named here, and not by rl::simulate(), which would compile each fixture three
// times.
template <class Fixture, class Scheduler>
verdict explore(rl::test_params params) {
    std::ostringstream report;
    params.output_stream = &report;
    params.progress_stream = &report;
    rl::ostringstream state;
    verdict found;
    found.result = rl::run_test<Fixture, Scheduler>(params, state, false);
    found.interleavings = params.stop_iteration;
    if (found.result != rl::test_result_success) {
        // The failing interleaving again, to tell its story.
        params.initial_state = state.str();
        params.collect_history = true;
        rl::ostringstream ignored;
        static_cast<void>(rl::run_test<Fixture, Scheduler>(params, ignored, true));
        found.report = report.str();
    }
    return found;
}

template <class Fixture>
verdict search_all() {
    rl::test_params params;
    params.search_type = rl::sched_full;
    return explore<Fixture, rl::full_search_scheduler<Fixture::params::thread_count>>(params);
}

template <class Fixture>
verdict try_random(rl::iteration_t iterations) {
    rl::test_params params;
    params.search_type = rl::sched_random;
    params.iteration_count = iterations;
    return explore<Fixture, rl::random_scheduler<Fixture::params::thread_count>>(params);
}

// How long the random part is. LINNET_MODEL_ITERATIONS changes it.
inline rl::iteration_t random_iterations() {
    const char* given = std::getenv("LINNET_MODEL_ITERATIONS");
    return given == nullptr ? 1'000'000 : std::stoull(given);
}

inline ::testing::AssertionResult holds(const char* how, const verdict& v) {
    std::cout << "    " << how << ": " << v.interleavings << " interleavings\n";
    if (v.result == rl::test_result_success && v.interleavings > 1) {
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << rl::test_result_str(v.result) << '\n' << v.report;
}

// Only a broken promise or a data race counts: a mutant that merely hangs or crashes proves
// nothing.
inline ::testing::AssertionResult caught(const verdict& v) {
    if (v.result == rl::test_result_user_assert_failed || v.result == rl::test_result_data_race) {
        std::cout << "    caught in interleaving " << v.interleavings << ": " << rl::test_result_str(v.result) << '\n';
        return ::testing::AssertionSuccess();
    }
    return ::testing::AssertionFailure() << "not caught in " << v.interleavings
                                         << " interleavings: " << rl::test_result_str(v.result);
}

}  // namespace linnet::lockfree::model
