// Definitions: what a broker has, as a file, and a file's definitions as what a broker is to have.
#include "clients/cli/definitions_diff.hpp"
#include "clients/cli/progress.hpp"
#include "clients/cli/target.hpp"
#include "protocol/http/percent.hpp"

#include <fstream>
#include <iostream>
#include <iterator>

namespace linnet::cli {
namespace {

using kind = definition_change::kind;

std::string path_of(const invocation& call, const target& at) {
    return call.has("vhost") ? api_path({"definitions", at.vhost}) : api_path({"definitions"});
}

// Where objects are that name no vhost.
std::string vhost_of(const invocation& call, const target& at) { return call.has("vhost") ? at.vhost : "/"; }

result<json_value> file_of(const invocation& call) {
    const auto name = call.word("file");
    auto text = std::string{};
    if (name == "-") {
        text.assign(std::istreambuf_iterator<char>{std::cin}, {});
    } else {
        auto in = std::ifstream{name, std::ios::binary};
        text.assign(std::istreambuf_iterator<char>{in}, {});
        if (!in) {
            return fail(exit_code::io, fmt::format("{} cannot be read", name));
        }
    }
    try {
        auto parsed = json_value::parse(text);
        if (!parsed.is_object()) {
            return fail(exit_code::bad_data, fmt::format("{}: definitions are an object", name));
        }
        return parsed;
    } catch (const json_value::parse_error& error) {
        return fail(exit_code::bad_data, fmt::format("{}: {}", name, error.what()));
    }
}

exit_code export_all(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto all = api.get(path_of(call, at), "the definitions");
        if (!all) {
            return tl::unexpected{all.error()};
        }
        const auto text = all->dump(2) + '\n';
        const auto name = call.word("file");
        if (name.empty() || name == "-") {
            fmt::print("{}", text);
            return {};
        }
        auto out = std::ofstream{name, std::ios::binary};
        out << text << std::flush;
        if (!out) {
            return fail(exit_code::io, fmt::format("{} cannot be written", name));
        }
        tell(call, fmt::format("{} is written", name));
        return {};
    });
}

exit_code import_all(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto wanted = file_of(call);
        if (!wanted) {
            return tl::unexpected{wanted.error()};
        }
        if (call.has("dry-run")) {
            tell(call, "would import; `linnet definitions diff` shows what that changes");
            return {};
        }
        return api.post(path_of(call, at), *wanted, "the definitions").map([&](const json_value&) {
            tell(call, fmt::format("{} is imported", call.word("file")));
        });
    });
}

const char* name_of(kind what) {
    switch (what) {
        case kind::add: return "add";
        case kind::change: return "change";
        case kind::remove: return "remove";
    }
    return "";
}

void show_changes(const invocation& call, const std::vector<definition_change>& changes) {
    auto rows = json_value::array();
    for (const auto& each : changes) {
        rows.push_back({{"change", name_of(each.what)},
                        {"what", text_of(each)},
                        {"section", each.section},
                        {"wanted", each.what == kind::remove ? json_value{} : each.object},
                        {"is", each.what == kind::remove ? each.object : each.before}});
    }
    show_rows(call, std::move(rows),
              {{"change", "change"}, {"what", "what"}, {"wanted", "wanted", true}, {"is", "is", true}});
}

exit_code diff(const invocation& call) {
    auto code = exit_code::ok;
    const auto done = with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto wanted = file_of(call);
        const auto is = wanted ? api.get(path_of(call, at), "the definitions") : wanted;
        if (!is) {
            return tl::unexpected{is.error()};
        }
        const auto changes = difference(*is, *wanted, vhost_of(call, at));
        show_changes(call, changes);
        code = changes.empty() ? exit_code::ok : exit_code::failure;
        return {};
    });
    return done == exit_code::ok ? code : done;
}

// Where a binding is, for the API: its list tells the key that it has there.
result<std::string> binding_path(management& api, const json_value& binding, const std::string& vhost) {
    const auto path = api_path({"bindings", vhost, "e", binding.value("source", ""),
                                binding.value("destination_type", "") == "exchange" ? "e" : "q",
                                binding.value("destination", "")});
    const auto all = api.get(path, "the bindings");
    if (!all) {
        return tl::unexpected{all.error()};
    }
    for (const auto& each : *all) {
        if (each.value("routing_key", "") == binding.value("routing_key", "") &&
            each.value("arguments", json_value::object()) == binding.value("arguments", json_value::object())) {
            auto key = std::string{};
            http::append_percent_encoded(key, each.value("properties_key", "~"));
            return path + '/' + key;
        }
    }
    return fail(exit_code::failure, "the binding is gone");
}

result<std::string> path_of(management& api, const definition_change& change, const target& at) {
    const auto& object = change.object;
    const auto vhost = object.value("vhost", at.vhost);
    const auto name = object.value("name", "");
    if (change.section == "bindings") {
        return binding_path(api, object, vhost);
    }
    if (change.section == "users" || change.section == "vhosts") {
        return api_path({change.section, name});
    }
    if (change.section == "permissions") {
        return api_path({"permissions", vhost, object.value("user", "")});
    }
    if (change.section == "topic_permissions") {
        auto exchange = std::string{};
        http::append_percent_encoded(exchange, object.value("exchange", ""));
        return api_path({"topic-permissions", vhost, object.value("user", "")}) + "?exchange=" + exchange;
    }
    if (change.section == "parameters" && object.value("component", "") == "operator_policy") {
        return api_path({"operator-policies", vhost, name});
    }
    if (change.section == "parameters") {
        return api_path({"parameters", object.value("component", ""), vhost, name});
    }
    return api_path({change.section, vhost, name});
}

// What is gone already, with what it belonged to, needs no deleting.
result<void> remove(management& api, const definition_change& change, const target& at) {
    const auto path = path_of(api, change, at);
    const auto what = text_of(change);
    auto done = path ? api.remove(*path, what) : result<void>{tl::unexpected{path.error()}};
    if (!done && done.error().code == exit_code::failure && !api.get(path.value_or("/api/-"), what)) {
        return {};
    }
    return done;
}

// Removals that must not be made: we would saw off the branch that we sit on.
bool is_ours(const definition_change& change, const management& api) {
    return change.section == "users" && change.object.value("name", "") == api.at().user.value_or("guest");
}

// A broker that does not know of `exchange` has removed what that user may do with all of them.
result<void> give_topic_permissions_again(management& api, const definition_change& removed, const target& at,
                                          const json_value& wanted) {
    const auto user = removed.object.value("user", "");
    const auto vhost = removed.object.value("vhost", at.vhost);
    for (const auto& each : wanted.value("topic_permissions", json_value::array())) {
        if (each.value("user", "") != user || each.value("vhost", at.vhost) != vhost) {
            continue;
        }
        const auto done = api.put(api_path({"topic-permissions", vhost, user}),
                                  {{"exchange", each.value("exchange", "")},
                                   {"write", each.value("write", "")},
                                   {"read", each.value("read", "")}},
                                  "the topic permission");
        if (!done) {
            return tl::unexpected{done.error()};
        }
    }
    return {};
}

result<void> prune(const invocation& call, management& api, const target& at, const json_value& wanted,
                   const std::vector<definition_change>& removals) {
    auto bar = progress{"removed", removals.size(), call.has("quiet")};
    auto removed = std::uint64_t{0};
    for (const auto& each : removals) {
        if (is_ours(each, api)) {
            tell(call, fmt::format("{} stays: it is who asks", text_of(each)));
            continue;
        }
        auto done = remove(api, each, at);
        if (done && each.section == "topic_permissions") {
            done = give_topic_permissions_again(api, each, at, wanted);
        }
        if (!done) {
            return fail(exit_code::partial, fmt::format("{}: {}", text_of(each), done.error().why),
                        fmt::format("{} of {} are removed; `linnet definitions diff` shows the rest.", removed,
                                    removals.size()));
        }
        bar.show(++removed);
    }
    return {};
}

exit_code apply(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto wanted = file_of(call);
        const auto is = wanted ? api.get(path_of(call, at), "the definitions") : wanted;
        if (!is) {
            return tl::unexpected{is.error()};
        }
        if (const auto outside = call.has("vhost") ? first_outside(*wanted, at.vhost) : std::string{};
            !outside.empty()) {
            return fail(exit_code::bad_data, fmt::format("{} is not of vhost {}", outside, at.vhost),
                        "With --vhost everything in the file goes there; leave it out for a whole export.");
        }
        auto changes = difference(*is, *wanted, vhost_of(call, at));
        if (!call.has("prune")) {
            std::erase_if(changes, [](const auto& each) { return each.what == kind::remove; });
        }
        if (!call.has("quiet")) {
            show_changes(call, changes);
        }
        if (changes.empty() || call.has("dry-run")) {
            return {};
        }
        auto removals = changes;
        std::erase_if(removals, [](const auto& each) { return each.what != kind::remove; });
        auto done = removals.empty() ? result<void>{}
                                     : confirmed(call, fmt::format("remove {} objects", removals.size()));
        return done.and_then([&] { return api.post(path_of(call, at), *wanted, "the definitions"); })
            .and_then([&](const json_value&) { return prune(call, api, at, *wanted, removals); })
            .map([&] { tell(call, "the changes are made"); });
    });
}

}  // namespace

std::vector<command_spec> definition_commands() {
    using enum option_group;
    const auto file = word_spec{"file", "JSON, as `export` writes it; - is standard input"};
    return {
        {"definitions",
         "export",
         "Write all definitions; with --vhost those of one",
         {broker},
         {{"file", "Where to; without it standard output", false}},
         {{"-q,--quiet", "", "Say nothing unless it fails"}},
         export_all},
        {"definitions",
         "import",
         "Make what a file defines, beside what is there",
         {broker, changes},
         {file},
         {},
         import_all},
        {"definitions",
         "diff",
         "Show what `apply --prune` would change: exit code 1 if anything",
         {broker, rows},
         {file},
         {},
         diff},
        {"definitions",
         "apply",
         "Make what is there into what a file defines",
         {broker, changes, danger, object},
         {file},
         {{"--prune", "", "Remove what the file does not define, in the sections that it has"}},
         apply},
    };
}

}  // namespace linnet::cli
