// Every allocation of a log's life fails in turn, on a real folder, in a process of its own that ends as the daemon
// does; and whichever it was, what the log had called durable is there afterwards, and nothing but what was appended.
//
//     LINNET_ALLOCATION_POINTS=100000    more of them; without it a sample that differs from run to run
//     LINNET_SEED=<seed>                 the same sample again

#include "tests/support/failing_new.hpp"

#include "broker/base/out_of_memory.hpp"
#include "tests/store/log_support.hpp"
#include "tests/store/temporary_folder.hpp"

#include <gtest/gtest.h>

#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <new>
#include <random>
#include <string>

namespace linnet::test {
namespace {

using store::disk_method;

constexpr std::size_t records_of_a_life = 160;  // over several segments, in two openings
constexpr std::size_t dropped_records = 40;     // by the second

// The i-th record: whoever reads the folder knows it again.
std::string payload_of(std::size_t i) { return text(i, 1 + i * 137 % 4000); }

// What the process that lived has told of itself, in memory that outlives it.
struct told {
    std::atomic<std::uint64_t> allocations;
    std::atomic<std::uint64_t> durable;  // so many records
    std::atomic<std::uint64_t> dropped;
    std::atomic<bool> fired;
    std::atomic<bool> closed;
};

class page {
public:
    page() : at_(::mmap(nullptr, sizeof(told), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0)) {
        EXPECT_NE(at_, MAP_FAILED);
        new (at_) told{};
    }
    page(const page&) = delete;
    page& operator=(const page&) = delete;
    ~page() { ::munmap(at_, sizeof(told)); }
    told& operator*() const { return *static_cast<told*>(at_); }

private:
    void* at_;
};

std::unique_ptr<store::disk> disk_of(const std::string& folder) {
    auto d = store::open_disk(folder, disk_method::automatic);
    EXPECT_TRUE(d);
    return d ? std::move(*d) : nullptr;
}

void turn(told& t, core::durable_log& log, const std::vector<core::log_position>& ends) {
    log.flush();
    log.poll();
    log.tick(0);
    const auto durable = log.durable();
    t.durable = static_cast<std::uint64_t>(std::ranges::upper_bound(ends, durable) - ends.begin());
}

// The half of it, from opening to close: the records from `first` on.
bool live(told& t, const std::string& folder, std::vector<core::log_position>& ends, std::size_t count) {
    auto o = open(disk_of(folder));
    if (!o.log) {
        return false;
    }
    std::vector<core::record_range> last(1);
    for (std::size_t i = 0; i < count; ++i) {
        const auto r = put(*o.log, payload_of(ends.size()));
        ends.push_back(r.at + r.bytes);
        last[0] = {r.at, r.bytes};
        if (i % 3 == 0) {
            turn(t, *o.log, ends);
        }
        if (i == count / 2) {
            gathering into;
            o.log->read(last, into);
            while (!into.done) {
                turn(t, *o.log, ends);
            }
        }
    }
    if (ends.size() == records_of_a_life) {
        t.dropped = dropped_records;
        o.log->drop_before(ends[dropped_records - 1]);
    }
    while (o.log->durable() != o.log->end()) {
        turn(t, *o.log, ends);
    }
    return o.log->close();
}

// Does not return.
void live_starved(told& t, const std::string& folder, std::uint64_t nth) {
    end_when_out_of_memory();
    ::close(STDERR_FILENO);  // for its last words
    std::vector<core::log_position> ends;
    ends.reserve(records_of_a_life);
    const auto before = allocations_so_far();
    starvation s(nth, shortage::for_ever);
    bool good = true;
    t.fired = true;
    for (int opening = 0; opening < 2; ++opening) {
        good = good && live(t, folder, ends, records_of_a_life / 2);
    }
    s.end();
    t.fired = s.fired();
    t.closed = good;
    t.allocations = allocations_so_far() - before;
    std::_Exit(good ? 0 : 1);
}

int status_of_life(told& t, const std::string& folder, std::uint64_t nth) {
    const auto child = ::fork();
    if (child == 0) {
        live_starved(t, folder, nth);
    }
    int status = 0;
    EXPECT_EQ(::waitpid(child, &status, 0), child);
    return status;
}

// What was durable is there, in order, and nothing else than what was appended; "" when it is so.
std::string fault_of(const told& t, const std::vector<kept_record>& found) {
    std::size_t next = 0;
    for (std::size_t i = 0; i < found.size(); ++i) {
        const auto number = static_cast<std::size_t>(std::strtoull(found[i].payload.c_str(), nullptr, 10));
        if (number >= records_of_a_life || found[i].payload != payload_of(number)) {
            return "a record from nowhere at " + std::to_string(found[i].at);
        }
        if (i == 0 ? number > t.dropped : number != next) {
            return "record " + std::to_string(number) + " where " + std::to_string(next) + " was to come";
        }
        next = number + 1;
    }
    return next < t.durable ? std::to_string(t.durable) + " were durable, and " + std::to_string(next) + " are there"
                            : std::string{};
}

std::uint64_t number_in(const char* name, std::uint64_t otherwise) {
    const char* const given = std::getenv(name);
    return given == nullptr ? otherwise : std::strtoull(given, nullptr, 0);
}

TEST(StarvedLog, LosesNothingWhicheverAllocationFails) {
    std::uint64_t all = 0;
    {
        const page heard;
        const store::temporary_folder folder;
        ASSERT_EQ(status_of_life(*heard, folder.path(), 1U << 30), 0);
        all = (*heard).allocations;
        EXPECT_EQ((*heard).durable, records_of_a_life);
        ASSERT_EQ(fault_of(*heard, open(disk_of(folder.path())).records), "");
    }
    const auto seed = number_in("LINNET_SEED", std::random_device{}());
    const auto points = std::min(all, number_in("LINNET_ALLOCATION_POINTS", 100));
    SCOPED_TRACE("LINNET_SEED=" + std::to_string(seed));
    std::mt19937_64 random(seed);
    std::uint64_t told_something = 0;
    for (std::uint64_t i = 0; i < points; ++i) {
        const auto from = all * i / points;
        const auto nth = 1 + from + random() % (all * (i + 1) / points - from);
        SCOPED_TRACE("allocation " + std::to_string(nth) + " of " + std::to_string(all));
        const page heard;
        const store::temporary_folder folder;
        const int status = status_of_life(*heard, folder.path(), nth);
        if ((*heard).fired) {
            ASSERT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == out_of_memory_exit_code) << status;
        } else {
            ASSERT_EQ(status, 0);
        }
        const auto left = open(disk_of(folder.path()));
        ASSERT_TRUE(left.log) << "a shortage has become damage: " << left.why;
        ASSERT_EQ(fault_of(*heard, left.records), "");
        told_something += (*heard).durable != 0 ? 1 : 0;
    }
    RecordProperty("allocations", static_cast<int>(all));
    EXPECT_GT(told_something, points / 4) << "hardly anything was durable at the end";
}

// The checker objects to what is missing, out of order, or from nowhere.
TEST(StarvedLog, CheckerSeesWhatIsWrong) {
    told t{};
    t.durable = 3;
    std::vector<kept_record> found(3);
    for (std::size_t i = 0; i < 3; ++i) {
        found[i].payload = payload_of(i);
    }
    EXPECT_EQ(fault_of(t, found), "");
    EXPECT_NE(fault_of(t, {found[0], found[1]}), "");
    EXPECT_NE(fault_of(t, {found[0], found[2]}), "");
    EXPECT_NE(fault_of(t, {found[1], found[2]}), "");
    found[1].payload.back() ^= 1;
    EXPECT_NE(fault_of(t, found), "");
    EXPECT_NE(fault_of(t, {}), "");
}

}  // namespace
}  // namespace linnet::test
