#include "clients/cli/target.hpp"

#include "clients/cli/contexts.hpp"
#include "clients/cli/pause.hpp"

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <unistd.h>

namespace linnet::cli {
namespace {

struct place {
    std::string url;
    std::string vhost;
};

// $AMQP_URL and the like are what applications are given; ours comes first.
std::string url_in_environment() {
    for (const auto* name : {"LINNET_URL", "RABBITMQ_URL", "AMQP_URL", "CLOUDAMQP_URL"}) {
        if (const char* value = std::getenv(name); value != nullptr && *value != '\0') {
            return value;
        }
    }
    return {};
}

result<place> place_of(const invocation& call) {
    if (call.has("url")) {
        return place{call.value("url"), {}};
    }
    const auto from_environment = url_in_environment();
    if (!call.has("context") && !from_environment.empty()) {
        return place{from_environment, {}};
    }
    const auto known = contexts::load();
    if (!known) {
        return tl::unexpected{known.error()};
    }
    const auto name = call.value("context", known->current);
    if (name.empty()) {
        return place{"http://127.0.0.1:15672", {}};
    }
    const auto found = known->all.find(name);
    if (found == known->all.end()) {
        return fail(exit_code::usage, fmt::format("context \"{}\" is not there", name),
                    "`linnet context ls` shows those that are there.");
    }
    return place{found->second.url, found->second.vhost};
}

result<server_uri> uri_of(const std::string& text, protocol wanted, std::string_view option) {
    const auto uri = parse_server_uri(text);
    if (!uri) {
        return fail(exit_code::usage, fmt::format("--{}: {}", option, uri.error()));
    }
    return uri->speaks == wanted ? *uri : uri->through(wanted);
}

result<std::chrono::milliseconds> timeout_of(const invocation& call) {
    const auto text = call.value("timeout", "10000");
    auto ms = std::uint32_t{0};
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, ms);
    if (error != std::errc{} || rest != end || ms == 0 || ms > 3'600'000) {
        return fail(exit_code::usage,
                    fmt::format("--timeout \"{}\" is not a number of milliseconds from 1 to 3600000", text));
    }
    return std::chrono::milliseconds{ms};
}

// Where a protocol is said to be, or else where it usually is.
result<server_uri> side_of(const invocation& call, const std::string& base, protocol wanted, std::string_view option) {
    return uri_of(call.value(option, base), wanted, call.has(option) ? option : "url");
}

std::vector<std::string> listed(const std::vector<std::string>& values) {
    auto out = std::vector<std::string>{};
    for (const auto& each : values) {
        for (std::size_t at = 0; at <= each.size();) {
            const auto comma = std::min(each.find(',', at), each.size());
            if (comma > at) {
                out.push_back(each.substr(at, comma - at));
            }
            at = comma + 1;
        }
    }
    return out;
}

void print(const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
}

}  // namespace

result<target> target_of(const invocation& call) {
    const auto at = place_of(call);
    const auto timeout = timeout_of(call);
    if (!at || !timeout) {
        return tl::unexpected{at ? timeout.error() : at.error()};
    }
    auto found = target{};
    found.timeout = *timeout;
    const auto into = [](server_uri& to) { return [&to](server_uri uri) { to = std::move(uri); }; };
    const auto done = side_of(call, at->url, protocol::http, "url")
                          .map(into(found.api))
                          .and_then([&] { return side_of(call, at->url, protocol::amqp, "amqp-url"); })
                          .map(into(found.amqp))
                          .and_then([&] { return side_of(call, at->url, protocol::mqtt, "mqtt-url"); })
                          .map(into(found.mqtt));
    if (!done) {
        return tl::unexpected{done.error()};
    }
    found.vhost = call.value("vhost", at->vhost.empty() ? found.api.vhost : at->vhost);
    found.amqp.vhost = found.mqtt.vhost = found.vhost;
    return found;
}

record_view view_of(const invocation& call) {
    auto view = record_view{};
    view.form = record_form_of(call.value("output", "table"));
    view.columns = listed(call.values("columns"));
    view.headers = !call.has("no-headers");
    view.sort = listed(call.values("sort"));
    view.filters = call.values("filter");
    view.bold = is_lively(STDOUT_FILENO);
    return view;
}

exit_code show_rows(const invocation& call, json_value rows, const std::vector<column>& columns) {
    const auto view = view_of(call);
    const auto some = chosen(std::move(rows), columns, view);
    if (!some) {
        return complain(call.name(), some.error());
    }
    print(render(*some, columns, view));
    return exit_code::ok;
}

exit_code show_object(const invocation& call, const json_value& object, const std::vector<column>& columns) {
    print(render_object(object, columns, view_of(call)));
    return exit_code::ok;
}

exit_code shown_repeatedly(const invocation& call, const std::function<exit_code()>& show) {
    if (!call.has("watch")) {
        return show();
    }
    const auto text = call.value("watch");
    auto seconds = 0.0;
    const auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (error != std::errc{} || rest != text.data() + text.size() || !(seconds >= 0.1 && seconds <= 86'400)) {
        return complain(call.name(),
                        {exit_code::usage, fmt::format("--watch \"{}\" is not 0.1 to 86400 seconds", text)});
    }
    for (;;) {
        // Home, and what is left of the screen before: no flicker between two pictures.
        if (is_lively(STDOUT_FILENO)) {
            print("\x1b[H\x1b[J");
        }
        if (const auto code = show(); code != exit_code::ok) {
            return code;
        }
        pause(std::chrono::duration_cast<std::chrono::nanoseconds>(std::chrono::duration<double>(seconds)));
    }
}

void tell(const invocation& call, const std::string& sentence) {
    if (!call.has("quiet")) {
        fmt::print(stderr, "{}\n", sentence);
    }
}

result<void> confirmed(const invocation& call, const std::string& question) {
    if (call.has("yes") || call.has("dry-run")) {
        return {};
    }
    if (::isatty(STDIN_FILENO) == 0) {
        return fail(exit_code::usage, fmt::format("{} needs --yes where nobody can be asked", question));
    }
    fmt::print(stderr, "{}? [y/N] ", question);
    auto answer = std::string{};
    std::getline(std::cin, answer);
    return answer == "y" || answer == "yes" ? result<void>{} : fail(exit_code::failure, "nothing was done");
}

exit_code with_api(const invocation& call, const std::function<result<void>(management&, const target&)>& act) {
    const auto at = target_of(call);
    if (!at) {
        return complain(call.name(), at.error());
    }
    auto api = at->connect();
    const auto done = act(api, *at);
    return done ? exit_code::ok : complain(call.name(), done.error());
}

bool is_lively(int fd) {
    const char* refused = std::getenv("NO_COLOR");
    return ::isatty(fd) != 0 && (refused == nullptr || *refused == '\0');
}

}  // namespace linnet::cli
