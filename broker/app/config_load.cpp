#include "broker/app/config.hpp"
#include "broker/app/config_check.hpp"
#include "broker/app/config_merge.hpp"
#include "broker/app/config_schema.hpp"

#include <unistd.h>

#include <algorithm>

namespace linnet::app {
namespace {

// In the order in which a reader meets them: source by source as first seen, then by line and column.
std::vector<config_error> in_reading_order(std::vector<placed_error> errors) {
    auto sources = std::vector<std::string>{};
    for (const auto& e : errors) {
        if (std::ranges::find(sources, e.at.source) == sources.end()) {
            sources.push_back(e.at.source);
        }
    }
    const auto order = [&](const placed_error& e) {
        return std::tuple{std::ranges::find(sources, e.at.source) - sources.begin(), e.at.line, e.at.column};
    };
    std::ranges::stable_sort(errors, {}, order);
    // One value, one error: what follows from the first would only distract.
    const auto repeated = std::unique(errors.begin(), errors.end(), [&](const placed_error& a, const placed_error& b) {
        return a.at.line != 0 && order(a) == order(b);
    });
    errors.erase(repeated, errors.end());
    auto texts = std::vector<config_error>{};
    for (auto& e : errors) {
        texts.push_back({e.at.text(), std::move(e.what)});
    }
    return texts;
}

// A listener keeps its socket over a reload; only its certificates may change.
bool same_sockets(const config& a, const config& b) {
    return std::ranges::equal(a.listeners, b.listeners, [](const listener_config& x, const listener_config& y) {
        return x.name == y.name && x.protocol == y.protocol && x.bind == y.bind;
    });
}

}  // namespace

config_sources config_sources::of_this_process() {
    auto sources = config_sources{};
    for (char** variable = environ; *variable != nullptr; ++variable) {
        sources.environment.emplace_back(*variable);
    }
    const auto variables = read_environment(sources.environment);
    const auto value = [&](std::string_view name) {
        const auto it = variables.find(name);
        return it == variables.end() ? std::string{} : it->second;
    };
    sources.search.emplace_back("linnet.toml");
    if (const auto xdg = value("XDG_CONFIG_HOME"); !xdg.empty()) {
        sources.search.push_back(xdg + "/linnet/linnet.toml");
    } else if (const auto home = value("HOME"); !home.empty()) {
        sources.search.push_back(home + "/.config/linnet/linnet.toml");
    }
    sources.search.emplace_back("/etc/linnet/linnet.toml");
    return sources;
}

result<loaded_config, std::vector<config_error>> load(const config_sources& sources) {
    auto errors = std::vector<placed_error>{};
    auto merged = merge(sources, errors);
    auto loaded = loaded_config{{}, std::move(merged.files), std::move(merged.warnings), std::move(merged.digest)};
    auto where = places{};
    check_values(merged.tree, read_environment(sources.environment), loaded.values, where, errors);
    check_whole(loaded.values, where, errors, loaded.warnings);
    if (!errors.empty()) {
        return fail(in_reading_order(std::move(errors)));
    }
    return loaded;
}

std::vector<std::string> restart_needed(const config& running, const config& wanted) {
    auto keys = std::vector<std::string>{};
    auto a = running;  // open() wants something it may change
    auto b = wanted;
    for (const auto& section : schema::sections()) {
        if (section.repeated) {
            continue;
        }
        const auto* left = section.open(&a);
        const auto* right = section.open(&b);
        for (const auto& key : section.keys) {
            if (key.when == schema::takes_effect::on_restart && !key.at.same(left, right)) {
                keys.push_back(section.name.empty() ? std::string{key.name}
                                                    : std::string{section.name} + '.' + std::string{key.name});
            }
        }
    }
    if (!same_sockets(running, wanted)) {
        keys.emplace_back("listener");
    }
    return keys;
}

}  // namespace linnet::app
