#include "clients/cli/definitions_diff.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <string_view>

namespace linnet::cli {
namespace {

struct section {
    const char* name;
    const char* one;
    std::vector<const char*> identity;
};

// In the order in which an import makes them.
const std::vector<section>& sections() {
    static const auto all = std::vector<section>{
        {"users", "user", {"name"}},
        {"vhosts", "vhost", {"name"}},
        {"permissions", "permission", {"user", "vhost"}},
        {"topic_permissions", "topic permission", {"user", "vhost", "exchange"}},
        {"parameters", "parameter", {"vhost", "component", "name"}},
        {"policies", "policy", {"vhost", "name"}},
        {"exchanges", "exchange", {"vhost", "name"}},
        {"queues", "queue", {"vhost", "name"}},
        {"bindings", "binding", {"vhost", "source", "destination", "destination_type", "routing_key", "arguments"}},
    };
    return all;
}

// Arguments that are empty are written as [], {} or not at all; names come in any order.
nlohmann::json canonical(const json_value& value) {
    auto out = nlohmann::json::parse(value.dump());
    if (out.is_object()) {
        for (const auto* optional : {"arguments", "limits", "metadata"}) {
            if (out.contains(optional) && out[optional].empty()) {
                out.erase(optional);
            }
        }
        if (out.contains("tags") && out["tags"].is_string()) {
            out["tags"] = out["tags"].get<std::string>().empty() ? nlohmann::json::array()
                                                                 : nlohmann::json::array({out["tags"]});
        }
    }
    return out;
}

// With what a broker that reads it takes for granted.
json_value completed(json_value object, const section& of, const std::string& vhost) {
    if (std::ranges::find(of.identity, std::string_view{"vhost"}) != of.identity.end() && !object.contains("vhost")) {
        object["vhost"] = vhost;
    }
    if (of.name == std::string_view{"bindings"}) {
        if (!object.contains("destination_type")) {
            object["destination_type"] = "queue";
        }
        if (!object.contains("routing_key")) {
            object["routing_key"] = "";
        }
    }
    return object;
}

std::string identity_of(const json_value& object, const section& of) {
    const auto plain = canonical(object);
    auto id = nlohmann::json::array();
    for (const auto* name : of.identity) {
        id.push_back(plain.contains(name) ? plain[name] : nlohmann::json{});
    }
    return id.dump();
}

// What the file does not say about an object may be anything: a broker exports more than people write.
bool agrees(const json_value& is, const json_value& wanted) {
    const auto have = canonical(is);
    const auto want = canonical(wanted);
    for (const auto& [name, value] : want.items()) {
        if (!have.contains(name) || have[name] != value) {
            return false;
        }
    }
    // Arguments that are there and not wanted are a difference, though.
    return have.contains("arguments") == want.contains("arguments") || !want.contains("durable");
}

std::map<std::string, json_value> by_identity(const json_value& definitions, const section& of,
                                              const std::string& vhost) {
    auto out = std::map<std::string, json_value>{};
    for (const auto& each : definitions.value(of.name, json_value::array())) {
        if (each.is_object()) {
            auto whole = completed(each, of, vhost);
            auto id = identity_of(whole, of);
            out.emplace(std::move(id), std::move(whole));
        }
    }
    return out;
}

}  // namespace

std::string first_outside(const json_value& definitions, const std::string& vhost) {
    for (const auto& each : sections()) {
        for (const auto& object : definitions.value(each.name, json_value::array())) {
            if (object.is_object() && object.value("vhost", vhost) != vhost) {
                return text_of({definition_change::kind::add, each.name, object, {}});
            }
        }
    }
    return {};
}

std::vector<definition_change> difference(const json_value& is, const json_value& wanted, const std::string& vhost) {
    using kind = definition_change::kind;
    auto changes = std::vector<definition_change>{};
    auto removals = std::vector<definition_change>{};
    for (const auto& each : sections()) {
        if (!wanted.contains(each.name)) {
            continue;
        }
        const auto have = by_identity(is, each, vhost);
        const auto want = by_identity(wanted, each, vhost);
        for (const auto& [id, object] : want) {
            const auto found = have.find(id);
            if (found == have.end()) {
                changes.push_back({kind::add, each.name, object, {}});
            } else if (!agrees(found->second, object)) {
                changes.push_back({kind::change, each.name, object, found->second});
            }
        }
        for (const auto& [id, object] : have) {
            if (!want.contains(id)) {
                removals.push_back({kind::remove, each.name, object, {}});
            }
        }
    }
    std::reverse(removals.begin(), removals.end());
    changes.insert(changes.end(), removals.begin(), removals.end());
    return changes;
}

std::string text_of(const definition_change& change) {
    const auto& all = sections();
    const auto of = std::find_if(all.begin(), all.end(), [&](const section& s) { return s.name == change.section; });
    const auto& object = change.object;
    const auto in_vhost = object.contains("vhost") ? fmt::format(" in {}", object.value("vhost", "")) : std::string{};
    if (change.section == "bindings") {
        return fmt::format("binding {} -> {} ({}){}", object.value("source", ""), object.value("destination", ""),
                           object.value("routing_key", ""), in_vhost);
    }
    const auto name = object.value("name", object.value("user", ""));
    return fmt::format("{} {}{}", of->one, name, in_vhost);
}

}  // namespace linnet::cli
