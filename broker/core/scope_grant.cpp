#include "broker/core/scope_grant.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace linnet::core {

namespace {

[[nodiscard]] int hex_digit(char c) noexcept {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

[[nodiscard]] std::optional<std::string> decoded(std::string_view text) {
    std::string out;
    for (std::size_t i = 0; i < text.size(); ++i) {
        if (text[i] != '%') {
            out += text[i] == '+' ? ' ' : text[i];
            continue;
        }
        const int high = i + 2 < text.size() ? hex_digit(text[i + 1]) : -1;
        const int low = high < 0 ? -1 : hex_digit(text[i + 2]);
        if (low < 0) {
            return std::nullopt;
        }
        out += static_cast<char>(high * 16 + low);
        i += 2;
    }
    return out;
}

[[nodiscard]] std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    for (;;) {
        const auto end = text.find(at);
        parts.push_back(text.substr(0, end));
        if (end == std::string_view::npos) {
            return parts;
        }
        text.remove_prefix(end + 1);
    }
}

constexpr std::array<std::pair<std::string_view, right>, 3> verbs{
    {{"configure:", right::configure}, {"write:", right::write}, {"read:", right::read}}};

[[nodiscard]] std::optional<scope_grant::scope> read_scope(std::string_view text) {
    for (const auto& [verb, grants] : verbs) {
        if (!text.starts_with(verb)) {
            continue;
        }
        const auto parts = split(text.substr(verb.size()), '/');
        if (parts.size() < 2 || parts.size() > 3) {
            return std::nullopt;
        }
        scope_grant::scope s{grants, scope_pattern(parts[0]), scope_pattern(parts[1]), {}};
        if (parts.size() == 3) {
            s.key.emplace_back(parts[2]);
        }
        return s;
    }
    return std::nullopt;
}

// Those scopes that concern one vhost.
class scope_rules final : public access_rules {
public:
    scope_rules(std::shared_ptr<const scope_grant> of, std::vector<const scope_grant::scope*> scopes)
        : of_(std::move(of)), scopes_(std::move(scopes)) {}

    [[nodiscard]] bool allowed(right r, std::string_view resource) const override {
        return std::ranges::any_of(scopes_, [&](const auto* s) { return s->grants == r && s->name.matches(resource); });
    }
    [[nodiscard]] bool topic_allowed(right r, std::string_view exchange, std::string_view routing_key,
                                     std::string_view /*client*/) const override {
        return std::ranges::any_of(scopes_, [&](const auto* s) {
            return s->grants == r && !s->key.empty() && s->name.matches(exchange) &&
                   s->key.front().matches(routing_key);
        });
    }
    [[nodiscard]] bool has_topic_rules() const noexcept override { return true; }

private:
    const std::shared_ptr<const scope_grant> of_;  // whose the scopes are
    const std::vector<const scope_grant::scope*> scopes_;
};

}  // namespace

scope_pattern::scope_pattern(std::string_view text) {
    for (const auto part : split(text, '*')) {
        auto plain = decoded(part);
        if (!plain) {
            parts_.clear();
            return;
        }
        parts_.push_back(std::move(*plain));
    }
}

bool scope_pattern::matches(std::string_view subject) const noexcept {
    if (parts_.size() < 2) {
        return !parts_.empty() && parts_.front() == subject;
    }
    if (!subject.starts_with(parts_.front())) {
        return false;
    }
    subject.remove_prefix(parts_.front().size());
    // What lies between two asterisks is taken where it comes first, which leaves the most for what follows.
    for (std::size_t i = 1; i + 1 < parts_.size(); ++i) {
        const auto at = subject.find(parts_[i]);
        if (at == std::string_view::npos) {
            return false;
        }
        subject.remove_prefix(at + parts_[i].size());
    }
    return subject.ends_with(parts_.back());
}

std::shared_ptr<const scope_grant> scope_grant::make(std::span<const std::string> scopes, wall_ns ends_at) {
    std::vector<scope> read;
    for (const auto& text : scopes) {
        if (auto s = read_scope(text)) {
            read.push_back(std::move(*s));
        }
    }
    return std::make_shared<const scope_grant>(std::move(read), ends_at);
}

scope_grant::scope_grant(std::vector<scope> scopes, wall_ns ends_at)
    : access_grant(ends_at), scopes_(std::move(scopes)) {}

std::shared_ptr<const access_rules> scope_grant::rules_in(std::string_view vhost) const {
    std::vector<const scope*> here;
    for (const auto& s : scopes_) {
        if (s.vhost.matches(vhost)) {
            here.push_back(&s);
        }
    }
    return here.empty() ? nullptr : std::make_shared<const scope_rules>(shared_from_this(), std::move(here));
}

}  // namespace linnet::core
