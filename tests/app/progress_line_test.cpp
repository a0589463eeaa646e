#include "broker/app/progress_line.hpp"

#include <gtest/gtest.h>

namespace linnet::app {
namespace {

using store::backup_phase;
using store::backup_progress;

constexpr std::uint64_t mib = 1 << 20;

TEST(ProgressLine, SaysShareRateAndTimeLeft) {
    const backup_progress half{backup_phase::copying, 600 * mib, 1200 * mib};
    EXPECT_EQ(progress_text(half, 2), "copying   50 %  600.0 MiB of 1.2 GiB  300.0 MiB/s  2 s left");
    EXPECT_EQ(progress_text(half, 3000), "copying   50 %  600.0 MiB of 1.2 GiB  204.8 KiB/s  0:50:00 left");
    EXPECT_EQ(progress_text({backup_phase::checking, 0, mib}, 5), "checking    0 %  0 bytes of 1.0 MiB");
    EXPECT_EQ(progress_text({backup_phase::waiting, 0, 0}, 5), "waiting for the broker");
}

TEST(ProgressLine, SaysNoRateBeforeThereIsOne) {
    EXPECT_EQ(progress_text({backup_phase::copying, mib, 2 * mib}, 0.1), "copying   50 %  1.0 MiB of 2.0 MiB");
}

// Never 100 % before the end, nor more behind it.
TEST(ProgressLine, RoundsDownAndEndsWithHundred) {
    EXPECT_EQ(progress_text({backup_phase::copying, 999 * mib, 1000 * mib}, 0).substr(0, 14), "copying   99 %");
    EXPECT_EQ(progress_text({backup_phase::copying, mib, mib}, 0).substr(0, 14), "copying  100 %");
    EXPECT_EQ(progress_text({backup_phase::copying, 2 * mib, mib}, 0).substr(0, 14), "copying  100 %");
    EXPECT_EQ(progress_text({backup_phase::copying, 0, 0}, 0).substr(0, 14), "copying  100 %");
}

TEST(ProgressLine, ItsBarFillsTheLineAndNoMore) {
    const backup_progress half{backup_phase::copying, mib, 2 * mib};
    EXPECT_EQ(progress_bar(half, 0, 58), "[##########..........]  copying   50 %  1.0 MiB of 2.0 MiB");
    for (std::size_t columns = 1; columns < 200; ++columns) {
        EXPECT_LE(progress_bar(half, 1, columns).size(), columns);
    }
    EXPECT_EQ(progress_bar(half, 0, 45)[0], 'c') << "no room for a bar";
    EXPECT_EQ(progress_bar({backup_phase::waiting, 0, 0}, 0, 100), "waiting for the broker");
}

}  // namespace
}  // namespace linnet::app
