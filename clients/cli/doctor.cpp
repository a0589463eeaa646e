#include "clients/cli/doctor.hpp"

#include "clients/cli/amqp_probe.hpp"
#include "clients/cli/target.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <ctime>
#include <fcntl.h>
#include <unistd.h>

namespace linnet::cli {
namespace {

using verdict = finding::verdict;
using clock = std::chrono::steady_clock;

constexpr double descriptors_few = 4'096;
constexpr double share_high = 0.8;
constexpr int certificate_days_few = 30;
constexpr std::int64_t clock_seconds_off = 5;
constexpr int sync_rounds = 20;
constexpr double sync_ms_slow = 10;

double number_at(const json_value& object, std::string_view path) {
    const auto value = value_at(object, path);
    return value.is_number() ? value.get<double>() : 0;
}

bool is_true(const json_value& object, std::string_view path) { return value_at(object, path) == json_value(true); }

finding finding_of_use(const std::string& check, double used, double all, std::string next) {
    const double share = all > 0 ? used / all : 0;
    return {check, share > share_high ? verdict::warning : verdict::good,
            fmt::format("{:.0f} of {:.0f} ({:.0f} %)", used, all, share * 100),
            share > share_high ? std::move(next) : ""};
}

finding finding_of_amqp(const target& at) {
    const auto report = probe(at.amqp, probe_depth::login, at.timeout);
    if (!report) {
        return {"amqp", verdict::bad, fmt::format("{}: {}", at.amqp.text(), report.error().text),
                "Is there a listener for amqp, and may this user log in? --amqp-url says where else to look."};
    }
    return {"amqp", verdict::good,
            fmt::format("{} {}, round trip {:.2f} ms", report->product, report->version,
                        static_cast<double>(report->round_trip.count()) / 1'000)};
}

finding finding_of_certificate(const server_uri& uri, std::chrono::milliseconds timeout) {
    auto connection = stream{clock::now() + timeout};
    if (const auto error = connection.connect(uri); !error.empty()) {
        return {"certificate", verdict::bad, fmt::format("{}: {}", uri.text(), error),
                "Compare the certificate's names and its authority with the URL."};
    }
    const auto days = connection.certificate_days().value_or(0);
    const bool few = days < certificate_days_few;
    return {"certificate", few ? verdict::warning : verdict::good, fmt::format("ends in {} days", days),
            few ? "Renew it; SIGHUP loads the new one." : ""};
}

// The median time of a small write that has to be on the disk.
finding finding_of_disk(const std::string& folder) {
    auto path = folder + "/linnet-doctor-XXXXXX";
    const int fd = ::mkstemp(path.data());
    if (fd < 0) {
        return {"disk sync", verdict::bad, fmt::format("{}: {}", folder, std::strerror(errno)),
                "Give a --data-dir that "
                "can be written to."};
    }
    ::unlink(path.c_str());
    const auto block = std::array<char, 4096>{};
    auto times = std::vector<double>{};
    for (int i = 0; i < sync_rounds; ++i) {
        const auto begin = clock::now();
        if (::write(fd, block.data(), block.size()) < 0 || ::fdatasync(fd) != 0) {
            break;
        }
        times.push_back(std::chrono::duration<double, std::milli>(clock::now() - begin).count());
    }
    ::close(fd);
    if (times.size() < sync_rounds) {
        return {"disk sync", verdict::bad, fmt::format("{}: cannot be written", folder), "Is the disk full?"};
    }
    std::ranges::nth_element(times, times.begin() + sync_rounds / 2);
    const double median = times[sync_rounds / 2];
    return {"disk sync", median > sync_ms_slow ? verdict::warning : verdict::good,
            fmt::format("{:.2f} ms for 4 KiB", median),
            median > sync_ms_slow ? "Confirms of persistent messages wait for this; a faster disk shortens them." : ""};
}

finding finding_of_user(const json_value& who) {
    const bool is_guest = value_at(who, "name") == json_value("guest");
    return {"user", is_guest ? verdict::warning : verdict::good, value_at(who, "name").is_string() ? who["name"] : "",
            is_guest ? "The default user is in use: make one of your own, and delete guest." : ""};
}

const char* name_of(verdict v) {
    switch (v) {
        case verdict::good: return "ok";
        case verdict::warning: return "WARNING";
        case verdict::bad: return "BAD";
    }
    return "";
}

result<std::vector<finding>> examine(const invocation& call, management& api, const target& at) {
    auto all = std::vector<finding>{};
    const auto overview = api.get(api_path({"overview"}), "the overview");
    if (!overview) {
        return tl::unexpected{overview.error()};
    }
    all.push_back(
        {"api", verdict::good,
         fmt::format("{} {}", overview->value("product_name", "?"), overview->value("product_version", "?"))});
    all.push_back(finding_of_clock(api.server_date(), std::time(nullptr)));
    if (const auto who = api.get(api_path({"whoami"}), "the user")) {
        all.push_back(finding_of_user(*who));
    }
    using judgement = std::vector<finding> (*)(const json_value&);
    for (const auto& [path, judge] : {std::pair<const char*, judgement>{"nodes", findings_of_nodes},
                                      std::pair<const char*, judgement>{"queues", findings_of_queues}}) {
        const auto found = api.get(api_path({path}), path);
        if (!found) {
            return tl::unexpected{found.error()};
        }
        auto some = judge(*found);
        std::move(some.begin(), some.end(), std::back_inserter(all));
    }
    all.push_back(finding_of_amqp(at));
    if (at.api.tls) {
        all.push_back(finding_of_certificate(at.api, at.timeout));
    }
    if (call.has("data-dir")) {
        all.push_back(finding_of_disk(call.value("data-dir")));
    }
    return all;
}

exit_code doctor(const invocation& call) {
    auto code = exit_code::ok;
    const auto done = with_api(call, [&](management& api, const target& at) {
        return examine(call, api, at).map([&](const std::vector<finding>& all) {
            auto rows = json_value::array();
            for (const auto& each : all) {
                rows.push_back({{"check", each.check},
                                {"verdict", name_of(each.is)},
                                {"detail", each.detail},
                                {"next", each.next}});
                code = each.is == verdict::bad ? exit_code::failure : code;
            }
            show_rows(call, std::move(rows),
                      {{"check", "check"}, {"verdict", "verdict"}, {"detail", "detail"}, {"next", "next"}});
        });
    });
    return done == exit_code::ok ? code : done;
}

}  // namespace

std::vector<finding> findings_of_nodes(const json_value& nodes) {
    auto all = std::vector<finding>{};
    for (const auto& node : nodes) {
        if (!is_true(node, "running")) {
            all.push_back(
                {"node", verdict::bad, fmt::format("{} does not run", node.value("name", "?")), "Its log says why."});
            continue;
        }
        all.push_back(is_true(node, "mem_alarm")
                          ? finding{"memory", verdict::bad, "the alarm is on: publishers are held back",
                                    "Consume, or purge; `linnet queue ls --sort=-memory` shows where it is."}
                          : finding_of_use("memory", number_at(node, "mem_used"), number_at(node, "mem_limit"),
                                           "`linnet queue ls --sort=-memory` shows where it is."));
        all.push_back(
            is_true(node, "disk_free_alarm")
                ? finding{"disk", verdict::bad, "the alarm is on: publishers are held back",
                          "Make room in the data folder's file system."}
                : finding{"disk", verdict::good, fmt::format("{:.1f} GB free", number_at(node, "disk_free") / 1e9)});
        auto descriptors = finding_of_use("descriptors", number_at(node, "fd_used"), number_at(node, "fd_total"),
                                          "Raise LimitNOFILE= of the unit, or ulimit -n.");
        if (descriptors.is == verdict::good && number_at(node, "fd_total") < descriptors_few) {
            descriptors.is = verdict::warning;
            descriptors.next = "That is few: raise LimitNOFILE= of the unit, or ulimit -n.";
        }
        all.push_back(std::move(descriptors));
    }
    return all;
}

std::vector<finding> findings_of_queues(const json_value& queues) {
    auto abandoned = std::vector<std::string>{};
    auto unacked = std::vector<std::string>{};
    for (const auto& queue : queues) {
        if (number_at(queue, "consumers") == 0 && number_at(queue, "messages_ready") > 0) {
            abandoned.push_back(queue.value("name", "?"));
        }
        if (number_at(queue, "messages_unacknowledged") > 10'000) {
            unacked.push_back(queue.value("name", "?"));
        }
    }
    const auto judged = [](const char* check, const std::vector<std::string>& names, const char* what,
                           const char* next) {
        auto detail = names.empty() ? std::string{"none"} : fmt::format("{}: {}", names.size(), names.front());
        detail += names.size() > 1 ? ", ..." : "";
        return finding{check, names.empty() ? verdict::good : verdict::warning, detail + ' ' + what,
                       names.empty() ? "" : next};
    };
    return {judged("abandoned queues", abandoned, "with messages and without a consumer",
                   "`linnet queue ls --filter consumers=0 --filter 'ready>0'`"),
            judged("unacknowledged", unacked, "with more than 10000 messages that nobody acknowledges",
                   "Give its consumers a prefetch, and let them acknowledge.")};
}

finding finding_of_clock(const std::string& date, std::int64_t now) {
    auto time = std::tm{};
    if (date.empty() || ::strptime(date.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &time) == nullptr) {
        return {"clock", verdict::good, "the broker does not say its time"};
    }
    const auto off = std::int64_t{::timegm(&time)} - now;
    const bool wrong = std::abs(off) > clock_seconds_off;
    return {"clock", wrong ? verdict::warning : verdict::good, fmt::format("{} s from this machine's", off),
            wrong ? "Let both follow a time server: timestamps and tokens depend on it." : ""};
}

std::vector<command_spec> doctor_commands() {
    using enum option_group;
    return {{"doctor",
             "",
             "Look for what is wrong with a broker, or soon will be: exit code 1 if anything is bad",
             {broker, rows},
             {},
             {{"--amqp-url", "URL", "Where the broker speaks AMQP, if not on the usual port"},
              {"--data-dir", "FOLDER", "Measure how fast the disk below it syncs; the broker's, on its machine"}},
             doctor}};
}

}  // namespace linnet::cli
