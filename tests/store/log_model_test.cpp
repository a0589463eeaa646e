#include "tests/core/random_seed.hpp"
#include "tests/store/log_model.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <random>

// Random lives of a log: appends, groups, reads, drops, and in the end a crash or a close; then the next life, on what
// the disk has left.

namespace linnet::test {
namespace {

class lives {
public:
    lives(std::uint64_t seed, store::disk_lie lie) : random_{seed}, lie_{lie} { medium_ = fresh({}); }

    // What went wrong, or nothing.
    std::string run(int count) {
        for (int life = 0; life < count; ++life)
            if (std::string wrong = live(); !wrong.empty())
                return "life " + std::to_string(life) + ": " + wrong;
        return {};
    }

private:
    std::size_t below(std::size_t n) { return static_cast<std::size_t>(random_() % n); }

    std::unique_ptr<simulated_disk> fresh(store::disk_image image) {
        store::simulation how;
        how.seed = random_();
        how.lie = lie_;
        return std::make_unique<simulated_disk>(std::move(image), how);
    }

    std::string live() {
        auto o = open(*medium_);
        if (!o.log)
            return "refused: " + o.why;
        if (std::string wrong = model_.check(o.records); !wrong.empty())
            return wrong;
        if (o.report.clean != was_closed_)
            return was_closed_ ? "the clean end was not seen" : "a clean end was seen";
        if (o.log->epoch() <= epoch_ && !o.records.empty())
            return "the epoch did not grow";
        epoch_ = o.log->epoch();
        model_.restart(o.records);
        log_ = o.log.get();
        for (std::size_t steps = 1 + below(150); steps > 0; --steps) {
            if (std::string wrong = step(); !wrong.empty())
                return wrong;
            model_.confirmed(log_->durable());
        }
        end_life();
        return {};
    }

    void end_life() {
        was_closed_ = false;
        if (below(3) == 0) {
            was_closed_ = log_->close();
            EXPECT_TRUE(was_closed_) << log_->complaint();
            model_.confirmed(log_->durable());
        }
        medium_ = fresh(was_closed_ && lie_ == store::disk_lie::none ? medium_->snapshot() : medium_->crash(random_()));
        // A log that was never begun has no crash to tell of.
        const store::disk_image left = medium_->snapshot();
        if (std::ranges::none_of(left, [](const auto& file) { return file.first.starts_with("log-"); }))
            was_closed_ = true;
    }

    std::size_t size() {
        switch (below(12)) {
            case 0: return 1;
            case 1: return 4000 + below(200);
            case 2: return 12'000 + below(8'000);
            case 3: return below(40) == 0 ? 150'000 : 20;
            default: return 1 + below(600);
        }
    }

    std::string step() {
        switch (below(10)) {
            case 0:
            case 1:
            case 2: append(); break;
            case 3: log_->flush(); break;
            case 4:
            case 5: medium_->finish(1 + below(3)); break;
            case 6: log_->poll(); break;
            case 7: return below(4) == 0 ? read_some() : std::string{};
            case 8: return below(8) == 0 ? read_on() : std::string{};
            case 9:
                if (below(10) == 0)
                    drop();
                else if (below(20) == 0)
                    settle(*log_, *medium_);
                else
                    log_->tick(0);
                break;
        }
        return {};
    }

    void append() {
        for (std::size_t group = below(8) == 0 ? 1 + below(5) : 1; group > 0; --group)
            model_.appended(put(*log_, text(number_++, size()), group > 1 ? core::record_flags::more : std::uint8_t{0},
                                static_cast<std::uint8_t>(1 + below(200))));
    }

    void drop() {
        if (model_.records().empty())
            return;
        log_->drop_before(model_.records()[below(model_.records().size())].at);
        model_.dropped(log_->begin());
    }

    std::vector<kept_record> still_kept() const {
        std::vector<kept_record> all;
        for (const kept_record& r : model_.records())
            if (r.at >= log_->begin())
                all.push_back(r);
        return all;
    }

    std::string read_some() {
        const auto all = still_kept();
        if (all.empty())
            return {};
        std::vector<kept_record> expected;
        std::vector<core::record_range> which;
        for (std::size_t i = below(all.size()); i < all.size() && which.size() < 20; i += 1 + below(3)) {
            expected.push_back(all[i]);
            which.push_back({all[i].at, all[i].bytes});
        }
        gathering g;
        log_->read(which, g);
        if (!brought(g))
            return "read() hangs";
        return difference("read()", g.shown, expected);
    }

    static std::string difference(const std::string& what, const std::vector<kept_record>& shown,
                                  const std::vector<kept_record>& expected) {
        if (shown == expected)
            return {};
        const auto at = std::mismatch(shown.begin(), shown.end(), expected.begin(), expected.end());
        const auto say = [](auto i, auto end) {
            return i == end ? std::string{"nothing"}
                            : std::to_string(i->payload.size()) + " bytes of kind " + std::to_string(i->kind) + " at " +
                                  std::to_string(i->at) + " (" + std::to_string(i->bytes) + ")";
        };
        return what + " brought " + say(at.first, shown.end()) + " instead of " + say(at.second, expected.end());
    }

    std::string read_on() {
        const auto all = still_kept();
        if (all.empty())
            return {};
        // In the midst of a record as well as where one begins.
        const core::log_position from = all[below(all.size())].at + (below(2) == 0 ? 0 : 8 * below(10));
        const auto bytes = static_cast<std::uint32_t>(below(2) == 0 ? below(5'000) : below(200'000));
        settle(*log_, *medium_);
        std::vector<kept_record> expected;
        for (const kept_record& r : all)
            if (r.at >= from && r.at < from + bytes)
                expected.push_back(r);
        gathering g;
        log_->read_on(from, bytes, g);
        if (!brought(g))
            return "read_on() hangs";
        if (std::string wrong = difference("read_on()", g.shown, expected); !wrong.empty())
            return wrong;
        std::vector<kept_record> scanned;
        log_->scan(from, [&](const core::log_record& r) {
            scanned.push_back(keep(r));
            return scanned.size() < expected.size();
        });
        scanned.resize(std::min(scanned.size(), expected.size()));
        return difference("scan()", scanned, expected);
    }

    bool brought(const gathering& g) {
        for (int i = 0; i < 1000 && !g.done; ++i) {
            log_->poll();
            medium_->finish_all();
        }
        return g.done;
    }

    std::mt19937_64 random_;
    const store::disk_lie lie_;
    std::unique_ptr<simulated_disk> medium_;
    core::durable_log* log_ = nullptr;
    log_model model_;
    std::size_t number_ = 0;
    std::uint64_t epoch_ = 0;
    bool was_closed_ = true;
};

std::size_t rounds() {
    const char* given = std::getenv("LINNET_LOG_ROUNDS");
    return given == nullptr ? 150 : std::strtoull(given, nullptr, 10);
}

TEST(LogModel, SurvivesRandomLives) {
    const std::uint64_t first = fresh_seed();
    for (std::uint64_t seed = first; seed < first + rounds(); ++seed) {
        LINNET_TRACE_SEED(seed);
        ASSERT_EQ(lives(seed, store::disk_lie::none).run(12), "");
    }
}

// The canaries: were the log's promises broken, would this test say so?
TEST(LogModel, NoticesADiskThatLiesAboutWrites) {
    std::size_t caught = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed)
        caught += lives(seed, store::disk_lie::writes).run(12).empty() ? 0U : 1U;
    EXPECT_GT(caught, 15U);
}

TEST(LogModel, NoticesADiskThatLiesAboutNames) {
    std::size_t caught = 0;
    for (std::uint64_t seed = 0; seed < 20; ++seed)
        caught += lives(seed, store::disk_lie::names).run(12).empty() ? 0U : 1U;
    EXPECT_GT(caught, 5U);
}

}  // namespace
}  // namespace linnet::test
