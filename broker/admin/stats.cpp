#include "broker/admin/stats.hpp"

#include "broker/base/clock.hpp"

#include <fmt/format.h>

#include <array>
#include <string>

namespace linnet::admin {
namespace {

using core::message_counts;

constexpr std::array queue_names{
    counted_member{"ack", &message_counts::ack},
    counted_member{"deliver", &message_counts::deliver},
    counted_member{"deliver_no_ack", &message_counts::deliver_no_ack},
    counted_member{"get", &message_counts::get},
    counted_member{"get_empty", &message_counts::get_empty},
    counted_member{"get_no_ack", &message_counts::get_no_ack},
    counted_member{"publish", &message_counts::publish},
    counted_member{"redeliver", &message_counts::redeliver},
};
constexpr std::array client_names{
    counted_member{"ack", &message_counts::ack},
    counted_member{"confirm", &message_counts::confirm},
    counted_member{"deliver", &message_counts::deliver},
    counted_member{"deliver_no_ack", &message_counts::deliver_no_ack},
    counted_member{"drop_unroutable", &message_counts::drop_unroutable},
    counted_member{"get", &message_counts::get},
    counted_member{"get_empty", &message_counts::get_empty},
    counted_member{"get_no_ack", &message_counts::get_no_ack},
    counted_member{"publish", &message_counts::publish},
    counted_member{"redeliver", &message_counts::redeliver},
    counted_member{"return_unroutable", &message_counts::return_unroutable},
};

}  // namespace

std::span<const counted_member> queue_members() noexcept { return queue_names; }
std::span<const counted_member> client_members() noexcept { return client_names; }

void add_counted(json_writer& w, std::string_view name, std::uint64_t now, double rate) {
    w.member(name, now);
    w.key(std::string(name) + "_details").object().member("rate", rate).end();
}

void add_message_stats(json_writer& w, const message_counts& now, const core::rate_window<message_counts>::seen& seen,
                       std::span<const counted_member> members) {
    w.key("message_stats").object();
    for (const auto& m : members) {
        add_counted(w, m.name, now.*m.member, core::rate_of(now.*m.member, seen.before.*m.member, seen.seconds));
    }
    add_counted(w, "deliver_get", now.deliver_get(),
                core::rate_of(now.deliver_get(), seen.before.deliver_get(), seen.seconds));
    w.end();
}

// Days to a date: the civil calendar's own arithmetic.
std::string time_text(std::int64_t wall) {
    const std::int64_t ms = wall / ns_per_ms;
    const std::int64_t seconds = ms / 1000;
    const std::int64_t days = seconds / 86400 + 719468;
    const std::int64_t era = days / 146097;
    const std::int64_t of_era = days - era * 146097;
    const std::int64_t year_of_era = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    const std::int64_t day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::int64_t shifted = (5 * day_of_year + 2) / 153;
    const std::int64_t month = shifted < 10 ? shifted + 3 : shifted - 9;
    return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}+00:00",
                       year_of_era + era * 400 + (month <= 2 ? 1 : 0), month, day_of_year - (153 * shifted + 2) / 5 + 1,
                       seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, ms % 1000);
}

}  // namespace linnet::admin
