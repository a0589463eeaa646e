#include "broker/app/backup_command.hpp"

#include "broker/app/progress_line.hpp"
#include "broker/store/backup.hpp"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include <chrono>
#include <csignal>

namespace linnet::app {

namespace {

volatile std::sig_atomic_t told_to_stop = 0;

void listen_to_signals() {
    struct sigaction act {};
    act.sa_handler = [](int) { told_to_stop = 1; };
    sigemptyset(&act.sa_mask);
    for (const int s : {SIGINT, SIGTERM, SIGHUP}) {
        ::sigaction(s, &act, nullptr);
    }
    // Whoever read what is printed may have gone; the work goes on.
    std::signal(SIGPIPE, SIG_IGN);
}

exit_code code_of(store::backup_fault f) {
    switch (f) {
        case store::backup_fault::unfit:
        case store::backup_fault::damaged: return exit_code::bad_data;
        case store::backup_fault::unreachable: return exit_code::unreachable;
        case store::backup_fault::source: return exit_code::io_error;
        case store::backup_fault::target: return exit_code::cannot_create;
        case store::backup_fault::busy:
        case store::backup_fault::stopped: break;
    }
    return exit_code::failure;
}

std::string as_json(const command_line& line, const std::string& data_folder, const store::backup_report& r,
                    double seconds) {
    nlohmann::ordered_json j{{"backup", line.folder}, {"data_dir", data_folder}, {"made", r.made},
                             {"logs", r.logs},        {"files", r.files},        {"bytes", r.bytes}};
    if (line.what == action::back_up) {
        j["records"] = r.records;
        j["online"] = r.online;
    }
    j["seconds"] = seconds;
    return j.dump(-1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

std::string as_text(const command_line& line, const std::string& data_folder, const store::backup_report& r,
                    double seconds) {
    if (line.what == action::restore) {
        return fmt::format("{} is as it was at {}: {} in {} files, restored in {:.1f} s\n", data_folder, r.made,
                           size_text(r.bytes), r.files, seconds);
    }
    return fmt::format("{} holds {} as it was at {}{}: {} in {} files, {} records checked, made in {:.1f} s\n",
                       line.folder, data_folder, r.made, r.online ? " while it was served" : "", size_text(r.bytes),
                       r.files, r.records, seconds);
}

}  // namespace

answer run_backup_command(const command_line& line, const std::string& data_folder) {
    listen_to_signals();
    const auto began = std::chrono::steady_clock::now();
    progress_line progress(line.quiet ? progress_line::showing::nothing : progress_line::fitting());
    const auto observe = [&](const store::backup_progress& p) {
        progress.show(p);
        return told_to_stop == 0;
    };
    const auto done = line.what == action::back_up ? store::back_up(data_folder, line.folder, observe)
                                                   : store::restore(line.folder, data_folder, observe);
    progress.end();
    if (!done) {
        return {code_of(done.error().why), {}, fmt::format("linnetd: {}\n", done.error().text)};
    }
    const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
    return {exit_code::ok,
            line.json ? as_json(line, data_folder, *done, seconds) : as_text(line, data_folder, *done, seconds),
            {}};
}

}  // namespace linnet::app
