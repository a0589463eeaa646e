#include "broker/app/backup_command.hpp"
#include "broker/app/command_line.hpp"
#include "broker/app/config.hpp"
#include "broker/app/definitions_import.hpp"
#include "broker/app/notify.hpp"
#include "broker/app/openssl_memory.hpp"
#include "broker/app/server.hpp"
#include "broker/base/out_of_memory.hpp"

#include <cstdio>
#include <exception>
#include <string>

// linnetd: reads its configuration, opens its sockets, serves until it is told to stop.

namespace {

using namespace linnet::app;

// Before whatever else is made before main(), for that allocates.
[[gnu::constructor(101)]] void prepare() {
    linnet::end_when_out_of_memory();
    end_when_openssl_is_out_of_memory();
}

int leave(const answer& a) {
    std::fputs(a.out.c_str(), stdout);
    std::fputs(a.err.c_str(), stderr);
    return static_cast<int>(a.code);
}

// The configuration is good; what it names may not be.
int check_definitions(const command_line& line, const answer& good) {
    const auto loaded = load(line.sources);
    const auto wrong = loaded ? check_definitions_file(loaded->values) : loaded.error();
    return leave(wrong.empty() ? good : answer{exit_code::config, {}, errors_text(wrong)});
}

int copy(const command_line& line) {
    const auto loaded = load(line.sources);
    if (!loaded) {
        return leave({exit_code::config, {}, errors_text(loaded.error())});
    }
    return leave(run_backup_command(line, loaded->values.data_dir));
}

// noexcept: with shards at work nothing is unwound; whatever is thrown ends the process where it stands.
int run(server& s) noexcept { return static_cast<int>(s.run()); }

int serve(const command_line& line) {
    auto loaded = load(line.sources);
    if (!loaded) {
        return leave({exit_code::config, {}, errors_text(loaded.error())});
    }
    const notifier supervisor(notifier::take_socket_from_environment());
    server s(std::move(*loaded), line.sources, supervisor, line.salvage);
    if (const auto failed = s.open()) {
        std::string text;
        for (const auto& w : failed->lines) {
            text += "linnetd: " + w + '\n';
        }
        return leave({failed->code, {}, text});
    }
    return run(s);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto line = parse_command_line(argc, argv, config_sources::of_this_process());
        if (!line) {
            return leave(line.error());
        }
        if (const auto at_once = answer_at_once(*line)) {
            const bool goes_on = line->what == action::check_config && at_once->code == exit_code::ok;
            return goes_on ? check_definitions(*line, *at_once) : leave(*at_once);
        }
        const bool copies = line->what == action::back_up || line->what == action::restore;
        return copies ? copy(*line) : serve(*line);
    } catch (const std::exception& e) {
        linnet::end_if_out_of_memory();
        std::fprintf(stderr, "linnetd: %s\n", e.what());
        return static_cast<int>(exit_code::bug);
    }
}
