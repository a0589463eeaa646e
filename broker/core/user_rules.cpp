#include "broker/core/user_rules.hpp"

#include "broker/core/address.hpp"
#include "broker/core/rabbit_text.hpp"
#include "broker/core/topology_editor.hpp"

namespace linnet::core {

namespace {

[[nodiscard]] outcome<regex> compiled(std::string_view pattern) {
    auto made = regex::compile(pattern);
    if (!made) {
        return fail(
            make_error(error_kind::precondition_failed, "invalid regular expression '{}': {}", pattern, made.error()));
    }
    return std::move(*made);
}

void replace_all(std::string& text, std::string_view what, std::string_view by) {
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
        text.replace(at, what.size(), by);
    }
}

constexpr std::string_view the_client = "{client_id}";

[[nodiscard]] std::string one_level(std::string_view name) { return regex_quote(level_text(name)); }

}  // namespace

user_rules::user_rules(const permissions* p, const topic_table& t)
    : permissions_(p == nullptr ? std::nullopt : std::optional(*p)), topics_(t) {}

outcome<std::shared_ptr<const user_rules>> user_rules::with_permissions(const permission_patterns& p) const {
    auto configure = compiled(p.configure);
    auto write = compiled(p.write);
    auto read = compiled(p.read);
    for (const auto* one : {&configure, &write, &read}) {
        if (!*one) {
            return fail(one->error());
        }
    }
    const permissions made{*configure, *write, *read};
    return std::make_shared<const user_rules>(&made, topics_);
}

std::shared_ptr<const user_rules> user_rules::without_permissions() const {
    return std::make_shared<const user_rules>(nullptr, topics_);
}

// In this order: what a name holds must not be taken for something to be filled in.
outcome<user_rules::topic_pattern> user_rules::compile_topic(std::string pattern, const names& who) {
    replace_all(pattern, "%c", the_client);
    const bool names_client = pattern.find(the_client) != std::string::npos;
    std::string filled;
    for (std::string_view rest = pattern; !rest.empty();) {
        const auto take = [&](std::string_view mark, const std::string& by) {
            const bool there = rest.starts_with(mark);
            if (there) {
                filled += by;
                rest.remove_prefix(mark.size());
            }
            return there;
        };
        if (!take("{username}", regex_quote(who.user)) && !take("{vhost}", regex_quote(who.vhost)) &&
            !take("%u", one_level(who.user))) {
            filled += rest.front();
            rest.remove_prefix(1);
        }
    }
    auto made = compiled(filled);
    if (!made) {
        return fail(made.error());
    }
    return names_client ? topic_pattern{std::nullopt, std::move(filled)} : topic_pattern{std::move(*made), {}};
}

bool user_rules::topic_pattern::matches(std::string_view key, std::string_view client) const {
    if (fixed) {
        return fixed->matches(key);
    }
    if (client.empty()) {
        return false;
    }
    auto pattern = for_client;
    replace_all(pattern, the_client, one_level(client));
    const auto made = regex::compile(pattern);
    return made && made->matches(key);
}

outcome<std::shared_ptr<const user_rules>> user_rules::with_topic(std::string_view exchange, const topic_patterns& p,
                                                                  const names& who) const {
    auto write = compile_topic(p.write, who);
    auto read = compile_topic(p.read, who);
    for (const auto* one : {&write, &read}) {
        if (!*one) {
            return fail(one->error());
        }
    }
    auto next = topics_;
    next.insert_or_assign(std::string(exchange), topic{*write, *read, p});
    return std::make_shared<const user_rules>(permissions_ ? &*permissions_ : nullptr, next);
}

std::shared_ptr<const user_rules> user_rules::without_topic(std::string_view exchange) const {
    auto next = topics_;
    if (const auto at = next.find(exchange); at != next.end()) {
        next.erase(at);
    }
    return std::make_shared<const user_rules>(permissions_ ? &*permissions_ : nullptr, next);
}

permission_patterns user_rules::asked_permissions() const {
    if (!permissions_) {
        return {};
    }
    return {permissions_->configure.pattern(), permissions_->write.pattern(), permissions_->read.pattern()};
}

const topic_patterns* user_rules::asked_topic(std::string_view exchange) const noexcept {
    const auto at = topics_.find(exchange);
    return at == topics_.end() ? nullptr : &at->second.asked;
}

bool user_rules::allowed(right r, std::string_view resource) const {
    if (!permissions_) {
        return false;
    }
    const std::string_view name = resource.empty() ? std::string_view("amq.default") : resource;
    switch (r) {
        case right::configure: return permissions_->configure.matches(name);
        case right::write: return permissions_->write.matches(name);
        case right::read: return permissions_->read.matches(name);
    }
    return false;
}

bool user_rules::topic_allowed(right r, std::string_view exchange, std::string_view routing_key,
                               std::string_view client) const {
    const auto at = topics_.find(exchange);
    if (at == topics_.end()) {
        return true;  // no rule for this exchange: the ordinary rights decide alone
    }
    switch (r) {
        case right::write: return at->second.write.matches(routing_key, client);
        case right::read: return at->second.read.matches(routing_key, client);
        case right::configure: break;
    }
    return true;
}

}  // namespace linnet::core
