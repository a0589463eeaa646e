#include "broker/app/definitions_file.hpp"

#include "broker/app/password.hpp"
#include "broker/app/placed_json.hpp"
#include "broker/core/topology.hpp"
#include "broker/core/topology_record.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <map>
#include <tuple>
#include <utility>

namespace linnet::app {

namespace {

using core::definition;
using object = placed_json::object;
using list = placed_json::list;

constexpr std::string_view operator_policy_component = "operator_policy";
constexpr std::string_view limits_component = "vhost-limits";
constexpr std::string_view limits_name = "limits";
// A hash that RabbitMQ cannot read, beside an empty one.
constexpr std::string_view own_hash = "linnet_password_hash";
constexpr std::string_view default_hashing_algorithm = "rabbit_password_hashing_sha256";
// What a vhost says of itself beside its name, carried along.
constexpr std::string_view vhost_component = "vhost-metadata";

constexpr std::array<std::string_view, 6> scope_names{"all",           "queues",  "classic_queues",
                                                      "quorum_queues", "streams", "exchanges"};

// ---- Values --------------------------------------------------------------------------------------

[[nodiscard]] core::value_table to_table(const object& members);

}  // namespace

core::value to_value(const placed_json& v) {
    struct {
        core::value operator()(std::monostate) const { return {}; }
        core::value operator()(bool b) const { return core::make_bool(b); }
        core::value operator()(std::int64_t n) const { return core::make_int64(n); }
        core::value operator()(double d) const { return {core::value_type::float64, d, 0}; }
        core::value operator()(const std::string& s) const { return core::make_string(s); }
        core::value operator()(const list& items) const {
            core::value_array array;
            for (const auto& item : items) {
                array.push_back(to_value(item));
            }
            return {core::value_type::array, std::move(array), 0};
        }
        core::value operator()(const object& members) const { return {core::value_type::table, to_table(members), 0}; }
    } convert;
    return std::visit(convert, v.value);
}

namespace {

core::value_table to_table(const object& members) {
    core::value_table table;
    for (const auto& [name, v] : members) {
        table.emplace_back(name, to_value(v));
    }
    return table;
}

[[nodiscard]] placed_json json_of(auto&& value) {
    placed_json made;
    made.value = std::forward<decltype(value)>(value);
    return made;
}

[[nodiscard]] placed_json from_table(const core::value_table& table);

[[nodiscard]] placed_json from_value(const core::value& v) {
    struct {
        placed_json operator()(std::monostate) const { return {}; }
        placed_json operator()(bool b) const { return json_of(b); }
        placed_json operator()(std::int64_t n) const { return json_of(n); }
        placed_json operator()(double d) const { return json_of(d); }
        placed_json operator()(const std::string& s) const { return json_of(s); }
        placed_json operator()(const core::value_array& items) const {
            list made;
            for (const auto& item : items) {
                made.push_back(from_value(item));
            }
            return json_of(std::move(made));
        }
        placed_json operator()(const core::value_table& t) const { return from_table(t); }
    } convert;
    return std::visit(convert, v.data);
}

placed_json from_table(const core::value_table& table) {
    object made;
    for (const auto& entry : table) {
        if (std::ranges::find(made, entry.first, &placed_json::member::first) == made.end()) {
            made.emplace_back(entry.first, from_value(entry.second));
        }
    }
    return json_of(std::move(made));
}

// ---- Reading -------------------------------------------------------------------------------------

class reader {
public:
    explicit reader(const read_options& options) : options_(options) {}

    void read(const placed_json& root) {
        if (root.as<object>() == nullptr) {
            report(root, fmt::format("expected an object with users, queues and so on, got {}", root.kind()));
            return;
        }
        each(root, "vhosts", [this](const placed_json& e) { vhost(e); });
        each(root, "users", [this](const placed_json& e) { user(e); });
        each(root, "parameters", [this](const placed_json& e) { parameter(e); });
        each(root, "global_parameters", [this](const placed_json& e) { global_parameter(e); });
        each(root, "policies", [this](const placed_json& e) { a_policy(e, e, core::policy_kind::user); });
        each(root, "exchanges", [this](const placed_json& e) { exchange(e); });
        each(root, "queues", [this](const placed_json& e) { queue(e); });
        each(root, "bindings", [this](const placed_json& e) { binding(e); });
        each(root, "permissions", [this](const placed_json& e) { permission(e); });
        each(root, "topic_permissions", [this](const placed_json& e) { topic_permission(e); });
        // Last: what the file brings may be more than would be allowed to come later.
        each(root, "parameters", [this](const placed_json& e) { limits(e); });
    }

    [[nodiscard]] result<definitions_document, std::vector<config_error>> take() {
        if (errors_.empty()) {
            return std::move(made_);
        }
        std::ranges::stable_sort(errors_, {}, [](const placed_error& e) { return std::pair(e.at.line, e.at.column); });
        std::vector<config_error> texts;
        for (auto& e : errors_) {
            texts.push_back({e.at.text(), std::move(e.what)});
        }
        return fail(std::move(texts));
    }

private:
    [[nodiscard]] position place(const placed_json& v) const { return {options_.source, v.line, v.column}; }
    void report(const placed_json& at, std::string what) { errors_.push_back({place(at), std::move(what)}); }
    void add(const placed_json& at, definition d) {
        const auto [seen, fresh] = seen_.try_emplace(core::key_of(d), place(at));
        if (!fresh) {
            report(at, fmt::format("is defined twice; the first is at {}", seen->second.text()));
            return;
        }
        made_.push_back({std::move(d), place(at)});
    }

    template <class F>
    void each(const placed_json& root, std::string_view section, F f) {
        const auto* found = root.find(section);
        if (found == nullptr) {
            return;
        }
        const auto* all = found->as<list>();
        if (all == nullptr) {
            report(*found, fmt::format("{}: expected a list, got {}", section, found->kind()));
            return;
        }
        for (const auto& e : *all) {
            if (e.as<object>() == nullptr) {
                report(e, fmt::format("{}: expected an object, got {}", section, e.kind()));
            } else {
                f(e);
            }
        }
    }

    // ---- Members -------------------------------------------------------------------------------
    enum class presence : std::uint8_t { required, optional };
    template <class T>
    [[nodiscard]] T get(const placed_json& e, std::string_view member, presence p, std::string_view wanted,
                        T fallback) {
        const auto* found = e.find(member);
        if (found == nullptr) {
            if (p == presence::required) {
                report(e, fmt::format("\"{}\" is missing", member));
            }
            return fallback;
        }
        if (const T* value = found->as<T>()) {
            return *value;
        }
        report(*found, fmt::format("{}: expected {}, got {}", member, wanted, found->kind()));
        return fallback;
    }
    [[nodiscard]] std::string text(const placed_json& e, std::string_view member, presence p = presence::required) {
        return get<std::string>(e, member, p, "a string", {});
    }
    [[nodiscard]] bool flag(const placed_json& e, std::string_view member, bool fallback) {
        return get<bool>(e, member, presence::optional, "true or false", fallback);
    }
    [[nodiscard]] std::string name(const placed_json& e, std::string_view member = "name") {
        auto n = text(e, member);
        if (n.size() > core::name_bytes_max) {
            report(*e.find(member), fmt::format("{} is longer than {} bytes", member, core::name_bytes_max));
        }
        return n;
    }
    [[nodiscard]] std::string vhost_of(const placed_json& e) {
        return e.find("vhost") == nullptr ? options_.vhost : text(e, "vhost");
    }
    // An object; older exports write an empty one as [], and the command line tool some as [[name, value], ...].
    [[nodiscard]] core::value_table table(const placed_json& e, std::string_view member, presence p) {
        const auto* found = e.find(member);
        if (found == nullptr) {
            if (p == presence::required) {
                report(e, fmt::format("\"{}\" is missing", member));
            }
            return {};
        }
        if (const auto* members = found->as<object>()) {
            return to_table(*members);
        }
        core::value_table pairs;
        const auto* items = found->as<list>();
        for (const auto& item : items == nullptr ? list{} : *items) {
            const auto* pair = item.as<list>();
            const auto* key = pair != nullptr && pair->size() == 2 ? pair->front().as<std::string>() : nullptr;
            if (key == nullptr) {
                items = nullptr;
                break;
            }
            pairs.emplace_back(*key, to_value(pair->back()));
        }
        if (items == nullptr) {
            report(*found, fmt::format("{}: expected an object, got {}", member, found->kind()));
        }
        return pairs;
    }

    // ---- What there is -------------------------------------------------------------------------
    void vhost(const placed_json& e) {
        const auto n = name(e);
        add(e, core::vhost_definition{n});
        object rest;
        for (const auto& [member, v] : *e.as<object>()) {
            if (member != "name" && member != "limits") {  // limits come again as a parameter
                rest.emplace_back(member, v);
            }
        }
        if (!rest.empty()) {
            add(e, core::parameter_definition{n, std::string(vhost_component), n, to_text(json_of(std::move(rest)))});
        }
    }

    void user(const placed_json& e) {
        core::user_definition u;
        u.name = name(e);
        u.tags = tags(e);
        u.loopback_only = flag(e, "loopback_only", false);
        if (const auto plain = text(e, "password", presence::optional); !plain.empty()) {
            u.password_hash = salted_sha256(plain);
        } else {
            const auto member = e.find(own_hash) == nullptr ? "password_hash" : own_hash;
            u.password_hash = text(e, member, presence::optional);
            if (!u.password_hash.empty() && !password_hash::parse(u.password_hash)) {
                report(
                    *e.find(member),
                    fmt::format("{}: is in no known form (RabbitMQ's base64, Argon2id, crypt, SCRAM-SHA-256)", member));
            }
        }
        add(e, std::move(u));
    }
    // A list, or a text with commas.
    [[nodiscard]] std::vector<std::string> tags(const placed_json& e) {
        std::vector<std::string> made;
        const auto* found = e.find("tags");
        if (found == nullptr) {
            return made;
        }
        if (const auto* joined = found->as<std::string>()) {
            for (std::string_view left = *joined; !left.empty();) {
                auto tag = left.substr(0, left.find(','));
                left.remove_prefix(std::min(tag.size() + 1, left.size()));
                tag.remove_prefix(std::min(tag.find_first_not_of(' '), tag.size()));
                if (!tag.empty()) {
                    made.emplace_back(tag);
                }
            }
            return made;
        }
        const auto* all = found->as<list>();
        for (const auto& tag : all == nullptr ? list{} : *all) {
            if (const auto* one = tag.as<std::string>()) {
                made.push_back(*one);
            } else {
                report(tag, fmt::format("tags: expected a string, got {}", tag.kind()));
            }
        }
        if (all == nullptr) {
            report(*found, fmt::format("tags: expected a list of strings, got {}", found->kind()));
        }
        return made;
    }

    void permission(const placed_json& e) {
        add(e, core::permission_definition{
                   vhost_of(e), text(e, "user"), {text(e, "configure"), text(e, "write"), text(e, "read")}});
    }
    void topic_permission(const placed_json& e) {
        add(e, core::topic_permission_definition{
                   vhost_of(e), text(e, "user"), text(e, "exchange"), {text(e, "write"), text(e, "read")}});
    }

    // What it says stands in `body`: the element itself, or a parameter's value.
    void a_policy(const placed_json& e, const placed_json& body, core::policy_kind kind) {
        core::policy_definition d{vhost_of(e), kind, {}};
        d.what.name = name(e);
        d.what.pattern = text(body, "pattern");
        d.what.priority = get<std::int64_t>(body, "priority", presence::optional, "an integer", 0);
        d.what.definition = table(body, "definition", presence::required);
        const auto scope = body.find("apply-to") == nullptr ? "all" : text(body, "apply-to");
        const auto at = std::ranges::find(scope_names, scope);
        if (at == scope_names.end()) {
            report(*body.find("apply-to"),
                   fmt::format("apply-to: \"{}\" is not one of {}", scope, fmt::join(scope_names, ", ")));
            return;
        }
        d.what.apply_to = static_cast<core::policy_scope>(at - scope_names.begin());
        add(e, std::move(d));
    }

    void parameter(const placed_json& e) {
        const auto component = text(e, "component");
        const auto* value = e.find("value");
        if (value == nullptr) {
            report(e, "\"value\" is missing");
        } else if (component == operator_policy_component) {
            a_policy(e, *value, core::policy_kind::operators);
        } else if (component != limits_component) {
            add(e, core::parameter_definition{vhost_of(e), component, name(e), to_text(*value)});
        }
    }
    void limits(const placed_json& e) {
        const auto* component = e.find("component");
        const auto* named = component == nullptr ? nullptr : component->as<std::string>();
        const auto* value = e.find("value");
        if (named == nullptr || *named != limits_component || value == nullptr) {
            return;
        }
        auto read = core::read_vhost_limits(table(e, "value", presence::required));
        if (!read) {
            report(*value, fmt::format("value: {}", read.error()));
        } else if (!read->empty()) {
            add(e, core::vhost_limits_definition{vhost_of(e), *read});
        }
    }
    void global_parameter(const placed_json& e) {
        const auto* value = e.find("value");
        if (value == nullptr) {
            report(e, "\"value\" is missing");
            return;
        }
        add(e, core::parameter_definition{{}, {}, name(e), to_text(*value)});
    }

    // Every vhost has its own already.
    [[nodiscard]] static bool is_standard(std::string_view exchange) {
        return exchange.empty() || exchange.starts_with("amq.");
    }
    void exchange(const placed_json& e) {
        core::exchange_definition d;
        d.vhost = vhost_of(e);
        d.name = name(e);
        d.type = text(e, "type");
        d.durable = flag(e, "durable", true);
        d.auto_delete = flag(e, "auto_delete", false);
        d.internal = flag(e, "internal", false);
        d.arguments = table(e, "arguments", presence::optional);
        if (!is_standard(d.name)) {
            add(e, std::move(d));
        }
    }
    void queue(const placed_json& e) {
        core::queue_definition d;
        d.vhost = vhost_of(e);
        d.name = name(e);
        d.durable = flag(e, "durable", true);
        d.auto_delete = flag(e, "auto_delete", false);
        d.arguments = table(e, "arguments", presence::optional);
        const auto type = text(e, "type", presence::optional);
        if (!type.empty() && type != "classic" && core::find(d.arguments, "x-queue-type") == nullptr) {
            d.arguments.emplace_back("x-queue-type", core::make_string(type));
        }
        add(e, std::move(d));
    }
    void binding(const placed_json& e) {
        core::binding_definition d;
        d.vhost = vhost_of(e);
        d.source = text(e, "source");
        d.destination = text(e, "destination");
        const auto type = e.find("destination_type") == nullptr ? "queue" : text(e, "destination_type");
        if (type != "queue" && type != "exchange") {
            report(*e.find("destination_type"),
                   fmt::format("destination_type: \"{}\" is neither \"queue\" nor \"exchange\"", type));
            return;
        }
        d.kind = type == "queue" ? core::bind_destination::queue : core::bind_destination::exchange;
        d.routing_key = text(e, "routing_key", presence::optional);
        d.hide_dollar = flag(e, "hide_dollar", false);
        d.arguments = table(e, "arguments", presence::optional);
        std::ranges::stable_sort(d.arguments, {}, &core::table_entry::first);
        if (!d.source.empty()) {  // the default exchange binds by itself
            add(e, std::move(d));
        }
    }

    const read_options& options_;
    definitions_document made_;
    std::vector<placed_error> errors_;
    std::map<std::string, position> seen_;
};

// ---- Writing -------------------------------------------------------------------------------------

class writer {
public:
    explicit writer(const write_options& options) : options_(options) {}

    void operator()(const core::vhost_definition& d) {
        if (!options_.vhost.empty()) {
            return;
        }
        object o{{"name", json_of(d.name)}};
        if (const auto about = vhosts_.find(d.name); about != vhosts_.end()) {
            for (const auto& member : about->second) {
                o.push_back(member);
            }
        }
        add("vhosts", std::move(o));
    }
    void operator()(const core::user_definition& d) {
        if (!options_.vhost.empty()) {
            return;
        }
        list tags;
        for (const auto& tag : d.tags) {
            tags.push_back(json_of(tag));
        }
        // RabbitMQ refuses the whole file for a hash that it cannot read: to it such a user has no password.
        const bool foreign = !d.password_hash.empty() && hashing_algorithm_of(d.password_hash).empty();
        const auto hash = foreign ? std::string() : d.password_hash;
        const auto algorithm = hash.empty() ? default_hashing_algorithm : hashing_algorithm_of(hash);
        object o{{"name", json_of(d.name)},
                 {"password_hash", json_of(hash)},
                 {"hashing_algorithm", json_of(std::string(algorithm))},
                 {"tags", json_of(std::move(tags))},
                 {"limits", json_of(object{})}};
        if (foreign) {
            o.emplace_back(std::string(own_hash), json_of(d.password_hash));
        }
        if (d.loopback_only) {
            o.emplace_back("loopback_only", json_of(true));
        }
        add("users", std::move(o));
    }
    void operator()(const core::permission_definition& d) {
        if (options_.vhost.empty()) {
            add("permissions", {{"user", json_of(d.user)},
                                {"vhost", json_of(d.vhost)},
                                {"configure", json_of(d.patterns.configure)},
                                {"write", json_of(d.patterns.write)},
                                {"read", json_of(d.patterns.read)}});
        }
    }
    void operator()(const core::topic_permission_definition& d) {
        if (options_.vhost.empty()) {
            add("topic_permissions", {{"user", json_of(d.user)},
                                      {"vhost", json_of(d.vhost)},
                                      {"exchange", json_of(d.exchange)},
                                      {"write", json_of(d.patterns.write)},
                                      {"read", json_of(d.patterns.read)}});
        }
    }
    void operator()(const core::policy_definition& d) {
        object body{{"pattern", json_of(d.what.pattern)},
                    {"apply-to", json_of(std::string(to_text(d.what.apply_to)))},
                    {"definition", from_table(d.what.definition)},
                    {"priority", json_of(d.what.priority)}};
        if (d.kind == core::policy_kind::operators) {
            add("parameters", placed(d.vhost, {{"component", json_of(std::string(operator_policy_component))},
                                               {"name", json_of(d.what.name)},
                                               {"value", json_of(std::move(body))}}));
            return;
        }
        body.insert(body.begin(), {"name", json_of(d.what.name)});
        add("policies", placed(d.vhost, std::move(body)));
    }
    void operator()(const core::parameter_definition& d) {
        auto value = parse_json(d.json, {});
        if (!value || d.component == vhost_component) {
            return;
        }
        if (!d.vhost.empty()) {
            add("parameters",
                placed(d.vhost,
                       {{"component", json_of(d.component)}, {"name", json_of(d.name)}, {"value", std::move(*value)}}));
        } else if (options_.vhost.empty()) {
            add("global_parameters", {{"name", json_of(d.name)}, {"value", std::move(*value)}});
        }
    }
    void operator()(const core::exchange_definition& d) {
        add("exchanges", placed(d.vhost, {{"name", json_of(d.name)},
                                          {"type", json_of(d.type)},
                                          {"durable", json_of(d.durable)},
                                          {"auto_delete", json_of(d.auto_delete)},
                                          {"internal", json_of(d.internal)},
                                          {"arguments", from_table(d.arguments)}}));
    }
    void operator()(const core::queue_definition& d) {
        add("queues", placed(d.vhost, {{"name", json_of(d.name)},
                                       {"durable", json_of(d.durable)},
                                       {"auto_delete", json_of(d.auto_delete)},
                                       {"arguments", from_table(d.arguments)}}));
    }
    void operator()(const core::binding_definition& d) {
        const auto* type = d.kind == core::bind_destination::queue ? "queue" : "exchange";
        auto o = placed(d.vhost, {{"source", json_of(d.source)},
                                  {"destination", json_of(d.destination)},
                                  {"destination_type", json_of(std::string(type))},
                                  {"routing_key", json_of(d.routing_key)},
                                  {"arguments", from_table(d.arguments)}});
        if (d.hide_dollar) {
            o.emplace_back("hide_dollar", json_of(true));
        }
        add("bindings", std::move(o));
    }
    void operator()(const core::note_definition&) {}
    void operator()(const core::vhost_limits_definition& d) {
        add("parameters", placed(d.vhost, {{"component", json_of(std::string(limits_component))},
                                           {"name", json_of(std::string(limits_name))},
                                           {"value", from_table(core::to_table(d.limits))}}));
    }

    // What a vhost says of itself is kept beside it, and written within it.
    void note_vhost(const core::parameter_definition& d) {
        if (d.component == vhost_component) {
            auto about = parse_json(d.json, {});
            if (const auto* members = about ? about->as<object>() : nullptr) {
                vhosts_[d.vhost] = *members;
            }
        }
    }

    [[nodiscard]] std::string take() {
        object root{{"rabbit_version", json_of(options_.rabbitmq_version)},
                    {"rabbitmq_version", json_of(options_.rabbitmq_version)},
                    {"product_name", json_of(std::string("Linnet"))},
                    {"product_version", json_of(options_.version)}};
        for (const auto section : sections) {
            const bool of_all = std::ranges::find(whole_only, section) != whole_only.end();
            if (options_.vhost.empty() || !of_all) {
                auto& rows = rows_[std::string(section)];
                root.emplace_back(std::string(section), json_of(std::move(rows)));
            }
        }
        return pretty(root);
    }

private:
    static constexpr std::array<std::string_view, 10> sections{
        "users",    "vhosts",    "permissions", "topic_permissions", "parameters", "global_parameters",
        "policies", "exchanges", "queues",      "bindings"};
    static constexpr std::array<std::string_view, 5> whole_only{"users", "vhosts", "permissions", "topic_permissions",
                                                                "global_parameters"};

    void add(std::string_view section, object o) { rows_[std::string(section)].push_back(json_of(std::move(o))); }
    // An export of one vhost does not name it.
    [[nodiscard]] object placed(const std::string& vhost, object o) const {
        if (options_.vhost.empty()) {
            o.insert(o.begin() + (o.front().first == "source" || o.front().first == "component" ? 0 : 1),
                     {"vhost", json_of(vhost)});
        }
        return o;
    }
    // One thing a line, so that versions of the file can be compared.
    [[nodiscard]] static std::string pretty(const object& root) {
        std::string out = "{";
        const char* comma = "\n";
        for (const auto& [name, v] : root) {
            out += fmt::format("{} {}: ", std::exchange(comma, ",\n"), to_text(json_of(name)));
            const auto* rows = v.as<list>();
            if (rows == nullptr || rows->empty()) {
                out += to_text(v);
                continue;
            }
            const char* between = "[\n  ";
            for (const auto& row : *rows) {
                out += std::exchange(between, ",\n  ") + to_text(row);
            }
            out += "\n ]";
        }
        return out + "\n}\n";
    }

    const write_options& options_;
    std::map<std::string, list> rows_;
    std::map<std::string, object> vhosts_;
};

// Beside the kind: what people would sort by.
[[nodiscard]] std::vector<std::string> order_of(const definition& d) {
    struct {
        using names = std::vector<std::string>;
        names operator()(const core::vhost_definition& x) const { return {x.name}; }
        names operator()(const core::user_definition& x) const { return {x.name}; }
        names operator()(const core::permission_definition& x) const { return {x.vhost, x.user}; }
        names operator()(const core::topic_permission_definition& x) const { return {x.vhost, x.user, x.exchange}; }
        names operator()(const core::policy_definition& x) const { return {x.vhost, x.what.name}; }
        names operator()(const core::parameter_definition& x) const { return {x.vhost, x.component, x.name}; }
        names operator()(const core::exchange_definition& x) const { return {x.vhost, x.name}; }
        names operator()(const core::queue_definition& x) const { return {x.vhost, x.name}; }
        names operator()(const core::binding_definition& x) const {
            return {x.vhost, x.source, x.destination, x.routing_key};
        }
        names operator()(const core::note_definition& x) const { return {x.name}; }
        names operator()(const core::vhost_limits_definition& x) const { return {x.vhost}; }
    } names;
    return std::visit(names, d);
}

[[nodiscard]] std::string vhost_of(const definition& d) {
    return std::visit(
        [](const auto& x) -> std::string {
            if constexpr (requires { x.vhost; }) {
                return x.vhost;
            } else {
                return {};
            }
        },
        d);
}

}  // namespace

std::string_view hashing_algorithm_of(std::string_view hash) {
    constexpr std::size_t md5 = 28;  // in base64, with four bytes of salt
    constexpr std::size_t sha256 = 48;
    constexpr std::size_t sha512 = 92;
    switch (hash.find('$') != std::string::npos ? 0 : hash.size()) {
        case md5: return "rabbit_password_hashing_md5";
        case sha256: return "rabbit_password_hashing_sha256";
        case sha512: return "rabbit_password_hashing_sha512";
        default: return "";
    }
}

result<definitions_document, std::vector<config_error>> read_definitions(std::string_view text,
                                                                         const read_options& options) {
    auto root = parse_json(text, options.source);
    if (!root) {
        return fail(std::vector<config_error>{{root.error().at.text(), std::move(root.error().what)}});
    }
    reader r(options);
    r.read(*root);
    return r.take();
}

std::string write_definitions(std::vector<definition> all, const write_options& options) {
    if (!options.vhost.empty()) {
        std::erase_if(all, [&](const definition& d) { return vhost_of(d) != options.vhost; });
    }
    // By names; what is alike in them (a binding's arguments) by all that tells things apart.
    std::ranges::sort(all, {}, [](const definition& d) { return std::tuple(d.index(), order_of(d), core::key_of(d)); });
    writer w(options);
    for (const auto& d : all) {
        if (const auto* p = std::get_if<core::parameter_definition>(&d)) {
            w.note_vhost(*p);
        }
    }
    for (const auto& d : all) {
        std::visit(w, d);
    }
    return w.take();
}

}  // namespace linnet::app
