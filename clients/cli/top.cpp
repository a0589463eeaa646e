#include "clients/cli/top.hpp"

#include "clients/cli/arguments.hpp"
#include "clients/cli/output.hpp"
#include "clients/cli/pause.hpp"
#include "clients/cli/target.hpp"

#include <algorithm>
#include <array>
#include <memory>
#include <poll.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

namespace linnet::cli {
namespace {

const std::array orders{
    top_order{"messages", "messages"},
    top_order{"in/s", "message_stats.publish_details.rate"},
    top_order{"out/s", "message_stats.deliver_get_details.rate"},
    top_order{"consumers", "consumers"},
    top_order{"name", "name", false},
};

double number_at(const json_value& object, std::string_view path) {
    const auto value = value_at(object, path);
    return value.is_number() ? value.get<double>() : 0;
}

std::string plain(const json_value& object, std::string_view path) {
    const auto value = value_at(object, path);
    return value.is_string() ? for_terminal(value.get_ref<const std::string&>()) : "";
}

std::string megabytes(double bytes) { return fmt::format("{:.1f} MB", bytes / 1e6); }

// Keys one by one, as they are pressed, for as long as this lives.
class raw_terminal {
public:
    raw_terminal() {
        if (::tcgetattr(STDIN_FILENO, &before_) != 0) {
            return;
        }
        auto raw = before_;
        raw.c_lflag &= ~static_cast<tcflag_t>(ECHO | ICANON);
        is_set_ = ::tcsetattr(STDIN_FILENO, TCSANOW, &raw) == 0;
    }
    ~raw_terminal() {
        if (is_set_) {
            ::tcsetattr(STDIN_FILENO, TCSANOW, &before_);
        }
    }
    raw_terminal(const raw_terminal&) = delete;
    raw_terminal& operator=(const raw_terminal&) = delete;

    // 0: none was pressed in time.
    [[nodiscard]] static char key(int wait_ms) {
        auto input = pollfd{STDIN_FILENO, POLLIN, 0};
        char pressed = 0;
        if (::poll(&input, 1, wait_ms) <= 0 || ::read(STDIN_FILENO, &pressed, 1) != 1) {
            return 0;
        }
        return pressed;
    }

private:
    termios before_{};
    bool is_set_ = false;
};

std::size_t lines_of_terminal() {
    auto size = winsize{};
    const bool known = ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_row > 8;
    return known ? size.ws_row : 24U;
}

result<std::string> picture(management& api, const target& at, bool one_vhost, const top_order& order,
                            std::size_t lines) {
    const auto overview = api.get(api_path({"overview"}), "the overview");
    const auto nodes = overview ? api.get(api_path({"nodes"}), "the nodes") : overview;
    if (!nodes) {
        return tl::unexpected{nodes.error()};
    }
    // The broker sorts and cuts: a hundred thousand queues do not come here.
    const auto path = (one_vhost ? api_path({"queues", at.vhost}) : api_path({"queues"})) +
                      fmt::format("?page=1&page_size={}&sort={}&sort_reverse={}", std::min<std::size_t>(lines, 500),
                                  order.sort, order.falling);
    const auto queues = api.get(path, "the queues");
    if (!queues) {
        return tl::unexpected{queues.error()};
    }
    return top_picture(*overview, *nodes, *queues, order, lines);
}

exit_code top(const invocation& call) {
    const auto rounds = number_of(call.value("rounds", "0"), "rounds");
    const auto interval = number_of(call.value("interval", "1000"), "interval");
    if (!rounds || !interval) {
        return complain(call.name(), rounds ? interval.error() : rounds.error());
    }
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const bool lively = is_lively(STDOUT_FILENO);
        const bool listens = lively && ::isatty(STDIN_FILENO) != 0;
        const auto keys = listens ? std::make_unique<raw_terminal>() : nullptr;
        auto order = std::size_t{0};
        bool paused = false;
        for (std::uint64_t round = 0; *rounds == 0 || round < *rounds; ++round) {
            if (!paused) {
                const auto shown = picture(api, at, call.has("vhost"), orders[order],
                                           lively ? lines_of_terminal() : 24);
                if (!shown) {
                    return tl::unexpected{shown.error()};
                }
                fmt::print("{}{}", lively ? "\x1b[H\x1b[J" : "", *shown);
                std::fflush(stdout);
            }
            if (*rounds != 0 && round + 1 == *rounds) {
                break;
            }
            if (!listens) {
                pause(std::chrono::milliseconds{*interval});
                continue;
            }
            switch (raw_terminal::key(static_cast<int>(*interval))) {
                case 'q': return {};
                case 's': order = (order + 1) % orders.size(); break;
                case ' ': paused = !paused; break;
                default: break;
            }
        }
        return {};
    });
}

}  // namespace

std::string top_picture(const json_value& overview, const json_value& nodes, const json_value& queues,
                        const top_order& order, std::size_t lines) {
    auto out = fmt::format("{} {}  {}\n", plain(overview, "product_name"), plain(overview, "product_version"),
                           plain(overview, "cluster_name"));
    for (const auto& node : nodes) {
        out += fmt::format(
            "node {}  memory {} of {}{}  disk free {}{}  descriptors {:.0f} of {:.0f}\n", plain(node, "name"),
            megabytes(number_at(node, "mem_used")), megabytes(number_at(node, "mem_limit")),
            value_at(node, "mem_alarm") == json_value(true) ? " ALARM" : "", megabytes(number_at(node, "disk_free")),
            value_at(node, "disk_free_alarm") == json_value(true) ? " ALARM" : "", number_at(node, "fd_used"),
            number_at(node, "fd_total"));
    }
    out += fmt::format("connections {:.0f}  channels {:.0f}  consumers {:.0f}  queues {:.0f}  exchanges {:.0f}\n",
                       number_at(overview, "object_totals.connections"), number_at(overview, "object_totals.channels"),
                       number_at(overview, "object_totals.consumers"), number_at(overview, "object_totals.queues"),
                       number_at(overview, "object_totals.exchanges"));
    out += fmt::format("messages {:.0f}  ready {:.0f}  unacked {:.0f}  in {:.0f}/s  out {:.0f}/s  acked {:.0f}/s\n\n",
                       number_at(overview, "queue_totals.messages"), number_at(overview, "queue_totals.messages_ready"),
                       number_at(overview, "queue_totals.messages_unacknowledged"),
                       number_at(overview, "message_stats.publish_details.rate"),
                       number_at(overview, "message_stats.deliver_get_details.rate"),
                       number_at(overview, "message_stats.ack_details.rate"));
    const auto above = static_cast<std::size_t>(std::count(out.begin(), out.end(), '\n')) + 2;
    auto rows = queues.is_object() ? queues.value("items", json_value::array()) : queues;
    const auto columns = std::vector<column>{
        {"messages", "messages"},
        {"ready", "messages_ready"},
        {"unacked", "messages_unacknowledged"},
        {"in/s", "message_stats.publish_details.rate"},
        {"out/s", "message_stats.deliver_get_details.rate"},
        {"consumers", "consumers"},
        {"vhost", "vhost"},
        {"name", "name"},
    };
    // A broker that does not sort by this is put right here.
    auto sorted = chosen(std::move(rows), columns, {.sort = {(order.falling ? "-" : "") + order.name}});
    auto some = json_value::array();
    for (const auto& row : sorted.value_or(json_value::array())) {
        if (some.size() + above < lines) {
            some.push_back(row);
        }
    }
    out += render(some, columns, {});
    return out + fmt::format("sorted by {}; q quits, s sorts by the next column, space pauses\n", order.name);
}

std::vector<command_spec> top_commands() {
    using enum option_group;
    return {{"top",
             "",
             "Show what a broker does, again and again",
             {broker},
             {},
             {{"--interval", "MS", "Between two pictures (1000)"}, {"--rounds", "N", "End after so many pictures"}},
             top}};
}

}  // namespace linnet::cli
