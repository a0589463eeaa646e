#include "broker/app/edit_distance.hpp"

#include <algorithm>
#include <vector>

namespace linnet::app {

std::size_t edit_distance(std::string_view a, std::string_view b) {
    // Optimal string alignment over three rows: the last one is kept for swapped neighbours.
    auto before_last = std::vector<std::size_t>(b.size() + 1);
    auto last = before_last;
    auto row = before_last;
    for (std::size_t j = 0; j <= b.size(); ++j) {
        last[j] = j;
    }
    for (std::size_t i = 1; i <= a.size(); ++i) {
        row[0] = i;
        for (std::size_t j = 1; j <= b.size(); ++j) {
            const std::size_t change = a[i - 1] == b[j - 1] ? 0 : 1;
            row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + change});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
                row[j] = std::min(row[j], before_last[j - 2] + 1);
            }
        }
        std::swap(before_last, last);
        std::swap(last, row);
    }
    return last[b.size()];
}

std::string_view closest(std::string_view wrong, std::span<const std::string_view> names) {
    if (wrong.size() < 3) {
        return {};  // everything is near to a word of two letters
    }
    auto best = std::string_view{};
    // A third of the letters may be wrong: beyond that a suggestion is noise.
    auto best_distance = wrong.size() / 3 + 1;
    for (auto name : names) {
        if (const auto distance = edit_distance(wrong, name); distance < best_distance) {
            best_distance = distance;
            best = name;
        }
    }
    return best;
}

}  // namespace linnet::app
