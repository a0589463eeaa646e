#include "tests/store/log_model.hpp"

#include <gtest/gtest.h>

#include <cstdlib>
#include <functional>
#include <memory>

// Every small workload, every point at which the machine may stop, every set of sectors that may have reached the disk
// by then: what was confirmed is there, and a second crash brings back nothing that the first one took.

namespace linnet::test {
namespace {

constexpr std::size_t ways_max = 4096;  // of each crash point; beyond that, as many at random
constexpr std::size_t kills = 8;        // likewise

store::log_options tiny_log() {
    store::log_options o = small_log();
    o.segment_bytes = 32 * 1024;
    return o;
}

enum class step : std::uint8_t { small, large, group, sync, drop, close };
constexpr std::array all_steps{step::small, step::large, step::group, step::sync, step::drop, step::close};

class crash_course {
public:
    explicit crash_course(store::disk_lie lie) : medium_{{.seed = 1, .lie = lie}} {
        o_ = open(medium_, tiny_log());
        EXPECT_TRUE(o_.log) << o_.why;
    }

    std::string run(const std::vector<step>& steps) {
        // Something to go on from, so that the first step's block is one that is written again.
        append(40);
        settle(*o_.log, medium_);
        model_.confirmed(o_.log->durable());
        for (const step s : steps)
            if (std::string wrong = take(s); !wrong.empty())
                return wrong;
        return {};
    }

    std::size_t crashes() const { return crashes_; }

private:
    void append(std::size_t bytes, std::uint8_t flags = 0) {
        model_.appended(put(*o_.log, text(number_++, bytes), flags));
    }

    std::string take(step s) {
        switch (s) {
            case step::small: append(30); break;
            case step::large: append(9'000); break;
            case step::group:
                append(600, core::record_flags::more);
                append(20);
                break;
            case step::sync: break;
            case step::drop:
                o_.log->drop_before(o_.log->durable());
                model_.dropped(o_.log->begin());
                break;
            case step::close:
                EXPECT_TRUE(o_.log->close());
                model_.confirmed(o_.log->durable());
                return crash();
        }
        o_.log->flush();
        if (s == step::small)
            return crash();  // and the next step comes while this one is under way
        // One operation after the other, and a look at what a crash would leave after each.
        while (medium_.under_way() != 0) {
            if (std::string wrong = crash(); !wrong.empty())
                return wrong;
            medium_.finish_one(0);
            o_.log->poll();
            o_.log->flush();
            model_.confirmed(o_.log->durable());
        }
        return crash();
    }

    std::string crash() {
        if (std::string wrong = kill(); !wrong.empty())
            return wrong;
        store::every_choice every;
        std::size_t ways = 0;
        bool more = true;
        for (; more && ways < ways_max; ++ways) {
            if (std::string wrong = look(medium_.crash(every), ways); !wrong.empty())
                return wrong;
            more = every.next();
        }
        for (std::size_t seed = 0; more && seed < ways_max / 4; ++seed)
            if (std::string wrong = look(medium_.crash(seed), seed); !wrong.empty())
                return wrong;
        return {};
    }

    // The process alone ends, the next one reads what is there, and builds on it; then the machine stops.
    std::string kill() {
        for (std::size_t seed = 0; seed < kills; ++seed) {
            simulated_disk left = medium_.kill(seed);
            log_model seen = model_;
            {
                auto o = open(left, tiny_log());
                if (!o.log)
                    return "refused after a kill: " + o.why;
                if (std::string wrong = model_.check(o.records); !wrong.empty())
                    return wrong;
                seen.restart(o.records);
                seen.confirmed(o.log->durable());
            }
            simulated_disk again{left.crash(seed), {.seed = seed, .prompt = true}};
            const auto o = open(again, tiny_log());
            if (!o.log)
                return "refused after a kill and a crash: " + o.why;
            if (std::string wrong = seen.check(o.records); !wrong.empty())
                return "after a kill: " + wrong;
        }
        return {};
    }

    std::string look(store::disk_image image, std::size_t way) {
        ++crashes_;
        simulated_disk after{std::move(image), {.seed = way, .prompt = true}};
        log_model seen = model_;
        {
            auto o = open(after, tiny_log());
            if (!o.log)
                return "refused: " + o.why;
            if (std::string wrong = model_.check(o.records); !wrong.empty())
                return wrong;
            if (way % 8 != 0)
                return {};
            seen.restart(o.records);
            seen.appended(put(*o.log, text(1000, 700)));
            settle(*o.log, after);
            seen.confirmed(o.log->durable());
        }
        simulated_disk again{after.crash(way), {.seed = way, .prompt = true}};
        const auto o = open(again, tiny_log());
        return o.log ? seen.check(o.records) : "refused the second time: " + o.why;
    }

    simulated_disk medium_;
    reopened o_;
    log_model model_;
    std::size_t number_ = 0;
    std::size_t crashes_ = 0;
};

// All workloads of so many steps, one after the other.
void each_workload(std::size_t steps, const std::function<void(const std::vector<step>&)>& f) {
    store::every_choice every;
    do {
        std::vector<step> workload;
        for (std::size_t i = 0; i < steps; ++i)
            workload.push_back(all_steps[every.among(all_steps.size())]);
        // Nothing comes behind a close.
        const auto close = std::ranges::find(workload, step::close);
        if (close == workload.end() || close + 1 == workload.end())
            f(workload);
    } while (every.next());
}

TEST(LogCrash, KeepsItsPromiseWhereverItStops) {
    const char* given = std::getenv("LINNET_CRASH_STEPS");
    const std::size_t steps_max = given == nullptr ? 2 : std::strtoull(given, nullptr, 10);
    std::size_t crashes = 0;
    for (std::size_t steps = 1; steps <= steps_max; ++steps) {
        each_workload(steps, [&](const std::vector<step>& workload) {
            crash_course course{store::disk_lie::none};
            std::string name;
            for (const step s : workload)
                name += std::to_string(static_cast<int>(s)) + " ";
            EXPECT_EQ(course.run(workload), "") << "steps " << name;
            crashes += course.crashes();
        });
    }
    RecordProperty("crashes", std::to_string(crashes));
    std::printf("%zu crashes\n", crashes);
}

// The canary: a disk that only says that writes are done would be found out.
TEST(LogCrash, NoticesADiskThatLies) {
    std::size_t caught = 0;
    each_workload(1, [&](const std::vector<step>& workload) {
        crash_course course{store::disk_lie::writes};
        caught += course.run(workload).empty() ? 0U : 1U;
    });
    EXPECT_EQ(caught, all_steps.size());
}

}  // namespace
}  // namespace linnet::test
