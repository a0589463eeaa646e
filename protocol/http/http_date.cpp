#include "protocol/http/http_date.hpp"

#include <algorithm>
#include <array>
#include <cstdio>

namespace linnet::http {
namespace {

constexpr std::int64_t seconds_a_day = 86400;
constexpr std::int64_t last_second = 253402300799;  // of the year 9999

struct civil_day {
    int year;
    int month;  // from 0
    int day;    // from 1
};

constexpr bool is_leap(int year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

constexpr int days_of(int year, int month) {
    constexpr std::array<int, 12> days{31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    return month == 1 && is_leap(year) ? 29 : days[static_cast<std::size_t>(month)];
}

// Counted, not computed: it happens once a second, and a reader can see that it is right.
civil_day civil_of(std::int64_t days) {
    civil_day found{1970, 0, 1};
    while (days >= (is_leap(found.year) ? 366 : 365))
        days -= is_leap(found.year++) ? 366 : 365;
    while (days >= days_of(found.year, found.month))
        days -= days_of(found.year, found.month++);
    found.day += static_cast<int>(days);
    return found;
}

}  // namespace

std::string http_date(std::int64_t unix_seconds) {
    constexpr std::array<const char*, 7> weekdays{"Thu", "Fri", "Sat", "Sun",
                                                  "Mon", "Tue", "Wed"};  // 1970 began on one
    constexpr std::array<const char*, 12> months{"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                 "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    const std::int64_t seconds = std::clamp<std::int64_t>(unix_seconds, 0, last_second);
    const std::int64_t days = seconds / seconds_a_day;
    const int rest = static_cast<int>(seconds % seconds_a_day);
    const civil_day at = civil_of(days);
    std::array<char, 64> text{};
    const int size = std::snprintf(
        text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT", weekdays[static_cast<std::size_t>(days % 7)],
        at.day, months[static_cast<std::size_t>(at.month)], at.year, rest / 3600, rest / 60 % 60, rest % 60);
    return {text.data(), static_cast<std::size_t>(size)};
}

}  // namespace linnet::http
