#include "broker/store/log_copy.hpp"
#include "broker/store/log_view.hpp"
#include "broker/store/recovery.hpp"
#include "broker/store/store_cut.hpp"
#include "tests/core/random_seed.hpp"
#include "tests/store/log_support.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <optional>
#include <random>
#include <set>

// Cuts through several logs that are written meanwhile, and copies of what they leave.

namespace linnet::test {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

store::log_options log_of(store::store_cut& cut, std::uint32_t number) {
    store::log_options o = small_log();
    o.log_number = number;
    o.cut = &cut;
    o.folder = std::to_string(number);
    return o;
}

// What a start would find in the copy.
std::vector<std::string> records_in(const store::disk_image& image, const store::log_cut& c) {
    simulated_disk medium{image, {}};
    const auto d = medium.attach();
    store::log_view view{*d, store::files_of(c)};
    store::log_options o = small_log();
    o.log_number = c.log_number;
    std::vector<std::string> found;
    const auto read = store::recover(
        view, o, [&](const core::log_record& r) { found.emplace_back(r.payload.begin(), r.payload.end()); }, nullptr);
    EXPECT_TRUE(read.has_value()) << read.error();
    const auto checked = store::check_log(*d, store::files_of(c), o, c.end);
    EXPECT_TRUE(checked.has_value()) << checked.error();
    EXPECT_EQ(medium.snapshot(), image) << "looking changes nothing";
    return found;
}

// Logs in which effects follow causes: once a cause is durable in one, or at once, its effect is appended to another.
class world {
public:
    static constexpr std::size_t count = 3;
    enum class method : std::uint8_t { cut, glance };

    world(std::uint64_t seed, method how) : random_{seed}, how_{how} {
        for (std::uint32_t n = 0; n < count; ++n) {
            media_.push_back(std::make_unique<simulated_disk>(store::simulation{.seed = seed + n}));
            logs_.push_back(open(*media_.back(), log_of(cut_, n)).log);
        }
    }

    // What is wrong with a cut somewhere in so many steps.
    std::string run(std::size_t steps) {
        const std::size_t begin = below(steps);
        for (std::size_t i = 0; i < steps; ++i) {
            if (i == begin)
                begin_cut();
            step();
        }
        for (int i = 0; i < 100 && !finished(); ++i)
            let_all_work();
        // Held until it is lifted, whatever goes on.
        for (std::size_t i = 0; i < steps; ++i)
            step();
        return finished() ? check() : "the cut was never finished";
    }

private:
    struct cause {
        std::size_t id;
        std::size_t log;
        core::log_position end;
    };
    struct certain {
        std::size_t log;
        std::string text;
        core::log_position at;
    };

    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

    void append(std::size_t log, const std::string& what) {
        const kept_record r = put(*logs_[log], what + ":" + std::string(below(3000), 'x'));
        appended_.push_back({log, r.payload, r.at});
    }

    void step() {
        const std::size_t log = below(count);
        switch (below(8)) {
            case 0:
            case 1:
                append(log, "c" + std::to_string(next_));
                waiting_.push_back({next_++, log, logs_[log]->end()});
                break;
            case 2:
                append(log, "c" + std::to_string(next_));
                append((log + 1) % count, "e" + std::to_string(next_++));
                break;
            case 3: media_[log]->finish(1 + below(3)); break;
            case 4: logs_[log]->flush(); break;
            case 5: static_cast<void>(logs_[log]->poll()); break;
            case 6: logs_[log]->tick(0); break;
            case 7:
                if (below(20) == 0)
                    logs_[log]->drop_before(logs_[log]->begin() +
                                            below(logs_[log]->durable() - logs_[log]->begin() + 1));
                break;
        }
        act_on_causes();
        if (how_ == method::glance && begun_ && !glances_[log])
            glances_[log] = glance(log);
    }

    void act_on_causes() {
        std::erase_if(waiting_, [&](const cause& c) {
            if (logs_[c.log]->durable() < c.end)
                return false;
            append((c.log + 1) % count, "e" + std::to_string(c.id));
            return true;
        });
    }

    void let_all_work() {
        for (std::size_t n = 0; n < count; ++n) {
            logs_[n]->flush();
            media_[n]->finish_all();
            static_cast<void>(logs_[n]->poll());
            if (how_ == method::glance && !glances_[n])
                glances_[n] = glance(n);
        }
    }

    void begin_cut() {
        begun_ = true;
        cut_.begin();
        std::ranges::copy_if(appended_, std::back_inserter(certain_), [&](const certain& r) {
            return r.at < logs_[r.log]->durable() && r.at >= logs_[r.log]->begin();
        });
    }

    // The canary: each log's durable end, whenever one comes by.
    store::log_cut glance(std::size_t n) const {
        const store::segment_geometry g{.bytes = small_log().segment_bytes};
        const auto end = logs_[n]->durable();
        return {.folder = std::to_string(n),
                .log_number = static_cast<std::uint32_t>(n),
                .segment_bytes = g.bytes,
                .first = g.number(logs_[n]->begin()),
                .last = g.number(end - 1),
                .end = end};
    }

    bool finished() {
        if (how_ == method::cut)
            return cut_.finished().has_value();
        return std::ranges::all_of(glances_, [](const auto& g) { return g.has_value(); });
    }

    std::string check() {
        std::vector<store::log_cut> cuts = how_ == method::cut ? *cut_.finished() : std::vector<store::log_cut>{};
        for (const auto& g : glances_)
            if (g)
                cuts.push_back(*g);
        std::set<std::string> found;
        for (const store::log_cut& c : cuts)
            for (const std::string& r : records_in(media_[c.log_number]->snapshot(), c))
                found.insert(std::to_string(c.log_number) + r);
        for (const certain& r : certain_)
            if (!found.contains(std::to_string(r.log) + r.text))
                return "not there, and durable before: " + r.text.substr(0, 8);
        std::set<std::string> causes;
        for (const std::string& r : found)
            if (r[1] == 'c')
                causes.insert(r.substr(2, r.find(':') - 2));
        for (const certain& r : appended_)
            if (r.text[0] == 'c' && dropped(cuts, r))
                causes.insert(r.text.substr(1, r.text.find(':') - 1));
        for (const std::string& r : found)
            if (r[1] == 'e' && !causes.contains(r.substr(2, r.find(':') - 2)))
                return "an effect without its cause: " + r.substr(0, 8);
        return {};
    }

    static bool dropped(const std::vector<store::log_cut>& cuts, const certain& r) {
        return std::ranges::any_of(
            cuts, [&](const store::log_cut& c) { return c.log_number == r.log && r.at < c.first * c.segment_bytes; });
    }

    std::mt19937_64 random_;
    const method how_;
    store::store_cut cut_;
    std::vector<std::unique_ptr<simulated_disk>> media_;
    std::vector<std::unique_ptr<core::durable_log>> logs_;
    std::size_t next_ = 0;
    std::vector<cause> waiting_;
    std::vector<certain> appended_;
    std::vector<certain> certain_;
    std::array<std::optional<store::log_cut>, count> glances_;
    bool begun_ = false;
};

TEST(StoreCut, HoldsWhatWasDurableAndNoEffectWithoutItsCause) {
    const std::uint64_t seed = fresh_seed();
    for (std::uint64_t i = 0; i < 150; ++i) {
        LINNET_TRACE_SEED(seed + i);
        ASSERT_EQ(world(seed + i, world::method::cut).run(400), "");
    }
}

TEST(StoreCut, ACanaryThatOnlyGlancesAtEachLogIsCaught) {
    std::size_t caught = 0;
    for (std::uint64_t seed = 1; seed <= 60; ++seed)
        caught += world(seed, world::method::glance).run(400).starts_with("an effect") ? 1U : 0U;
    EXPECT_GT(caught, 0U);
}

struct one_log {
    store::store_cut cut;
    simulated_disk medium{store::simulation{.seed = 7, .prompt = true}};
    std::unique_ptr<core::durable_log> log = open(medium, log_of(cut, 3)).log;

    void fill(std::size_t from, std::size_t to) {
        for (std::size_t i = from; i < to; ++i) {
            put(*log, text(i, 4000));
            settle(*log, medium);
        }
    }
    [[nodiscard]] std::size_t segments() const {
        const auto image = medium.snapshot();
        return static_cast<std::size_t>(
            std::ranges::count_if(image, [](const auto& f) { return f.first.starts_with("log-"); }));
    }
};

TEST(StoreCut, KeepsSegmentsUntilItIsLifted) {
    one_log l;
    l.fill(0, 60);
    l.cut.begin();
    static_cast<void>(l.log->poll());
    const auto cuts = l.cut.finished();
    ASSERT_TRUE(cuts.has_value());
    const auto before = records_in(l.medium.snapshot(), cuts->front());
    ASSERT_EQ(before.size(), 60U);
    l.log->drop_before(l.log->durable());
    l.fill(60, 120);
    const std::size_t held = l.segments();
    EXPECT_GT(held, 4U);
    EXPECT_EQ(records_in(l.medium.snapshot(), cuts->front()), before);
    l.cut.lift();
    settle(*l.log, l.medium);
    settle(*l.log, l.medium);
    EXPECT_LT(l.segments(), held) << "what was to go meanwhile goes now";
}

TEST(StoreCut, WaitsForNoLogThatEnds) {
    one_log l;
    auto other_medium = std::make_unique<simulated_disk>(store::simulation{.seed = 8});
    auto other = open(*other_medium, log_of(l.cut, 4)).log;
    const auto kept = put(*other, "stored");
    settle(*other, *other_medium);
    l.fill(0, 1);
    l.cut.begin();
    static_cast<void>(l.log->poll());
    EXPECT_FALSE(l.cut.finished().has_value());
    put(*other, "under way when it ends");
    other.reset();
    const auto cuts = l.cut.finished();
    ASSERT_TRUE(cuts.has_value());
    ASSERT_EQ(cuts->size(), 2U);
    EXPECT_THAT(records_in(other_medium->snapshot(), (*cuts)[1]), ElementsAre(kept.payload)) << "and has its part";
}

TEST(StoreCut, IsOneOfLogsThatAreThere) {
    one_log l;
    l.cut.begin();
    simulated_disk later{store::simulation{.seed = 8, .prompt = true}};
    const auto other = open(later, log_of(l.cut, 4)).log;
    static_cast<void>(other->poll());
    static_cast<void>(l.log->poll());
    const auto cuts = l.cut.finished();
    ASSERT_TRUE(cuts.has_value());
    ASSERT_EQ(cuts->size(), 1U);
    EXPECT_THAT(store::files_of(cuts->front()), IsEmpty()) << "nothing was ever written";
    l.cut.lift();
    EXPECT_FALSE(l.cut.finished().has_value());
    l.cut.begin();
    static_cast<void>(other->poll());
    EXPECT_FALSE(l.cut.finished().has_value());
    static_cast<void>(l.log->poll());
    EXPECT_EQ(l.cut.finished()->size(), 2U);
}

// ---- Copies ------------------------------------------------------------------------------------

struct cut_log {
    one_log l;
    store::log_cut at;

    cut_log() {
        l.fill(0, 40);
        l.cut.begin();
        static_cast<void>(l.log->poll());
        at = l.cut.finished()->front();
    }
    [[nodiscard]] std::string check(const store::disk_image& image) const {
        simulated_disk medium{image, {}};
        const auto d = medium.attach();
        const auto checked = store::check_log(*d, store::files_of(at), small_log(), at.end);
        return checked ? "" : checked.error();
    }
};

// A start takes damage to the last batches for a torn end; a cut knows better.
TEST(LogCopy, AnyDamageBelowTheCutIsFound) {
    const cut_log c;
    const auto image = c.l.medium.snapshot();
    ASSERT_EQ(c.check(image), "");
    const auto files = store::files_of(c.at);
    ASSERT_GT(files.size(), 2U);
    for (const auto& f : files) {
        const std::uint64_t first = store::segment_header_bytes;
        for (std::uint64_t at = first; at < f.stored; at += (f.stored - first) / 11 + 1) {
            auto bad = image;
            if (bad.at(f.name)[at] == 0 &&
                std::all_of(&bad.at(f.name)[at], &bad.at(f.name)[at] + 64, [](std::uint8_t b) { return b == 0; }))
                continue;  // padding
            bad.at(f.name)[at] ^= 0x40;
            EXPECT_NE(c.check(bad), "") << f.name << " + " << at;
        }
        auto gone = image;
        gone.erase(f.name);
        EXPECT_THAT(c.check(gone), HasSubstr(f.name));
        auto cut_short = image;
        cut_short.at(f.name).resize(f.stored / 2 / store::disk::block * store::disk::block);
        EXPECT_NE(c.check(cut_short), "") << f.name;
    }
    // The very last byte of the last commit.
    auto last = image;
    auto& bytes = last.at(files.back().name);
    const auto used = std::find_if(bytes.rbegin() + static_cast<std::ptrdiff_t>(bytes.size() - files.back().stored),
                                   bytes.rend(), [](std::uint8_t b) { return b != 0; });
    *used ^= 1;
    EXPECT_NE(c.check(last), "");
}

TEST(LogCopy, IsWhatTheCutLeaves) {
    const cut_log c;
    simulated_disk source{c.l.medium.snapshot(), {}};
    const auto from = source.attach();
    store::log_view view{*from, store::files_of(c.at)};
    simulated_disk target{store::simulation{.seed = 1}};
    const auto to = target.attach();
    std::vector<store::file_extent> copies;
    std::uint64_t seen = 0;
    for (const auto& f : store::files_of(c.at)) {
        const auto used = store::used_bytes(view, f.name);
        ASSERT_TRUE(used.has_value());
        EXPECT_LT(*used, f.stored + store::disk::block);
        const auto crc = store::copy_file(view, *to, {.name = f.name, .bytes = *used, .size = *used},
                                          [&](std::uint64_t bytes) { return (seen += bytes) != 0; });
        ASSERT_TRUE(crc.has_value()) << crc.error().why.what;
        copies.push_back({.name = f.name, .stored = *used, .size = f.size});
    }
    std::uint64_t sum = 0;
    for (const auto& f : copies)
        sum += f.stored;
    EXPECT_EQ(seen, sum);
    const auto checked = store::check_log(*to, copies, small_log(), c.at.end);
    ASSERT_TRUE(checked.has_value()) << checked.error();
    EXPECT_EQ(checked->records, 40U);
}

TEST(LogCopy, SaysWhichSideFailed) {
    const cut_log c;
    const auto image = c.l.medium.snapshot();
    const auto file = store::files_of(c.at).front();
    const store::copy_order order{.name = file.name, .bytes = file.stored, .size = file.size};
    const auto copy = [&](bool fail_source, std::uint64_t nth, int error) -> std::optional<store::copy_error> {
        simulated_disk source{image, {}};
        simulated_disk target{store::simulation{.seed = 1}};
        const auto from = source.attach();
        const auto to = target.attach();
        (fail_source ? source : target).fail_at(nth, error);
        const auto crc = store::copy_file(*from, *to, order, [](std::uint64_t) { return true; });
        return crc ? std::nullopt : std::optional(crc.error());
    };
    for (const bool source : {true, false}) {
        std::uint64_t nth = 1;
        for (auto e = copy(source, nth, EIO); e; e = copy(source, ++nth, EIO)) {
            EXPECT_EQ(e->at, source ? store::copy_side::source : store::copy_side::target);
            EXPECT_EQ(e->why.code, EIO);
        }
        EXPECT_GE(nth, 3U) << "opening, and each piece";
    }
    simulated_disk source{image, {}};
    simulated_disk target{store::simulation{.seed = 1}};
    const auto from = source.attach();
    const auto to = target.attach();
    const auto stopped = store::copy_file(*from, *to, order, [](std::uint64_t) { return false; });
    ASSERT_FALSE(stopped.has_value());
    EXPECT_EQ(stopped.error().at, store::copy_side::stopped);
}

}  // namespace
}  // namespace linnet::test
