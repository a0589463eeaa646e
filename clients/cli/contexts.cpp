#include "clients/cli/contexts.hpp"

#include "clients/cli/command.hpp"
#include "clients/cli/records.hpp"
#include "clients/cli/server_uri.hpp"
#include "clients/cli/target.hpp"

#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <unistd.h>

namespace linnet::cli {
namespace {

constexpr std::string_view not_there = "`linnet context ls` shows those that are there.";

std::string from_environment(const char* name) {
    const char* value = std::getenv(name);
    return value == nullptr ? "" : value;
}

// A new file in the old one's place: a crash between leaves one of the two, whole.
std::string write_private(const std::string& path, const std::string& text) {
    const auto unfinished = path + ".new";
    const int fd = ::open(unfinished.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    if (fd < 0) {
        return std::strerror(errno);
    }
    const bool written = ::write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size()) && ::fsync(fd) == 0;
    const int why = errno;
    ::close(fd);
    if (!written) {
        return std::strerror(why);
    }
    auto error = std::error_code{};
    std::filesystem::rename(unfinished, path, error);
    return error ? error.message() : "";
}

exit_code in(const invocation& call, result<void> (*act)(const invocation&, contexts&)) {
    auto known = contexts::load();
    auto done = known ? act(call, *known) : result<void>{tl::unexpected{known.error()}};
    if (done && !call.has("dry-run")) {
        done = known->save();
    }
    return done ? exit_code::ok : complain(call.name(), done.error());
}

result<void> add(const invocation& call, contexts& to) {
    const auto uri = parse_server_uri(call.word("url"));
    if (!uri) {
        return fail(exit_code::usage, uri.error());
    }
    to.all[call.word("name")] = {call.word("url"), call.value("vhost")};
    if (to.current.empty()) {
        to.current = call.word("name");
    }
    return {};
}

result<void> use(const invocation& call, contexts& of) {
    if (!of.all.contains(call.word("name"))) {
        return fail(exit_code::failure, fmt::format("context \"{}\" is not there", call.word("name")),
                    std::string{not_there});
    }
    of.current = call.word("name");
    return {};
}

result<void> remove(const invocation& call, contexts& from) {
    if (from.all.erase(call.word("name")) == 0) {
        return fail(exit_code::failure, fmt::format("context \"{}\" is not there", call.word("name")),
                    std::string{not_there});
    }
    if (from.current == call.word("name")) {
        from.current.clear();
    }
    return {};
}

exit_code list(const invocation& call) {
    const auto known = contexts::load();
    if (!known) {
        return complain(call.name(), known.error());
    }
    auto rows = json_value::array();
    for (const auto& [name, each] : known->all) {
        const auto uri = parse_server_uri(each.url);
        rows.push_back({{"name", name},
                        {"current", name == known->current},
                        {"url", uri ? uri->text() : "?"},
                        {"vhost", each.vhost.empty() && uri ? uri->vhost : each.vhost}});
    }
    return show_rows(call, std::move(rows),
                     {{"name", "name"}, {"current", "current"}, {"url", "url"}, {"vhost", "vhost"}});
}

}  // namespace

std::string contexts::path() {
    auto folder = from_environment("XDG_CONFIG_HOME");
    if (folder.empty()) {
        folder = from_environment("HOME") + "/.config";
    }
    return folder + "/linnet/contexts.json";
}

result<contexts> contexts::load() {
    auto known = contexts{};
    const auto file = path();
    if (!std::filesystem::exists(file)) {
        return known;
    }
    auto in = std::ifstream{file};
    const auto text = std::string{std::istreambuf_iterator<char>{in}, {}};
    if (!in) {
        return fail(exit_code::io, fmt::format("{} cannot be read", file));
    }
    const auto parsed = json_value::parse(text, nullptr, false);
    if (!parsed.is_object() || !parsed.value("contexts", json_value::object()).is_object()) {
        return fail(exit_code::config, fmt::format("{} is not what `linnet context` writes", file),
                    "Mend it by hand, or move it away.");
    }
    const auto all = parsed.value("contexts", json_value::object());
    for (const auto& [name, each] : all.items()) {
        if (each.is_object()) {
            known.all[name] = {each.value("url", ""), each.value("vhost", "")};
        }
    }
    known.current = parsed.value("current", "");
    return known;
}

result<void> contexts::save() const {
    auto out = json_value{{"current", current}, {"contexts", json_value::object()}};
    for (const auto& [name, each] : all) {
        out["contexts"][name] = {{"url", each.url}, {"vhost", each.vhost}};
    }
    const auto file = path();
    auto error = std::error_code{};
    std::filesystem::create_directories(std::filesystem::path{file}.parent_path(), error);
    if (const auto why = write_private(file, out.dump(2) + '\n'); !why.empty()) {
        return fail(exit_code::io, fmt::format("{} cannot be written: {}", file, why));
    }
    return {};
}

std::vector<command_spec> context_commands() {
    const auto name = word_spec{"name", "The context's name"};
    return {
        {"context",
         "add",
         "Give a broker a name",
         {option_group::changes},
         {name, {"url", "As for --url"}},
         {{"-p,--vhost", "VHOST", "The vhost to look at; else the URL's"}},
         [](const invocation& call) { return in(call, add); }},
        {"context",
         "use",
         "Use a context from now on",
         {option_group::changes},
         {name},
         {},
         [](const invocation& call) { return in(call, use); }},
        {"context", "ls", "Show the contexts, without passwords", {option_group::rows}, {}, {}, list},
        {"context",
         "rm",
         "Forget a context",
         {option_group::changes},
         {name},
         {},
         [](const invocation& call) { return in(call, remove); }},
    };
}

}  // namespace linnet::cli
