#include "broker/app/command_line.hpp"
#include "broker/app/config.hpp"
#include "broker/app/notify.hpp"
#include "broker/app/server.hpp"

#include <cstdio>
#include <exception>
#include <string>

// linnetd: reads its configuration, opens its sockets, serves until it is told to stop.

namespace {

using namespace linnet::app;

int leave(const answer& a) {
    std::fputs(a.out.c_str(), stdout);
    std::fputs(a.err.c_str(), stderr);
    return static_cast<int>(a.code);
}

int serve(const command_line& line) {
    auto loaded = load(line.sources);
    if (!loaded) {
        return leave({exit_code::config, {}, errors_text(loaded.error())});
    }
    const notifier supervisor(notifier::take_socket_from_environment());
    server s(std::move(*loaded), line.sources, supervisor);
    if (const auto wrong = s.open(); !wrong.empty()) {
        std::string text;
        for (const auto& w : wrong) {
            text += "linnetd: " + w + '\n';
        }
        return leave({exit_code::failure, {}, text});
    }
    s.run();
    return static_cast<int>(exit_code::ok);
}

}  // namespace

int main(int argc, char** argv) {
    try {
        const auto line = parse_command_line(argc, argv, config_sources::of_this_process());
        if (!line) {
            return leave(line.error());
        }
        if (const auto at_once = answer_at_once(*line)) {
            return leave(*at_once);
        }
        return serve(*line);
    } catch (const std::exception& e) {
        std::fprintf(stderr, "linnetd: %s\n", e.what());
        return static_cast<int>(exit_code::bug);
    }
}
