#include "broker/core/user_rules.hpp"

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

[[nodiscard]] std::string filled_in(std::string pattern, const user_rules::names& who) {
    replace_all(pattern, "{username}", regex_quote(who.user));
    replace_all(pattern, "{vhost}", regex_quote(who.vhost));
    return pattern;
}

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

outcome<std::shared_ptr<const user_rules>> user_rules::with_topic(std::string_view exchange, const topic_patterns& p,
                                                                  const names& who) const {
    auto write = compiled(filled_in(p.write, who));
    auto read = compiled(filled_in(p.read, who));
    for (const auto* one : {&write, &read}) {
        if (!*one) {
            return fail(one->error());
        }
    }
    auto next = topics_;
    next.insert_or_assign(std::string(exchange), topic{*write, *read});
    return std::make_shared<const user_rules>(permissions_ ? &*permissions_ : nullptr, next);
}

std::shared_ptr<const user_rules> user_rules::without_topic(std::string_view exchange) const {
    auto next = topics_;
    if (const auto at = next.find(exchange); at != next.end()) {
        next.erase(at);
    }
    return std::make_shared<const user_rules>(permissions_ ? &*permissions_ : nullptr, next);
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

bool user_rules::topic_allowed(right r, std::string_view exchange, std::string_view routing_key) const {
    const auto at = topics_.find(exchange);
    if (at == topics_.end()) {
        return true;  // no rule for this exchange: the ordinary rights decide alone
    }
    switch (r) {
        case right::write: return at->second.write.matches(routing_key);
        case right::read: return at->second.read.matches(routing_key);
        case right::configure: break;
    }
    return true;
}

}  // namespace linnet::core
