#include "broker/session/mqtt_subscriptions.hpp"

#include <algorithm>

namespace linnet::session {
namespace {

// The first level of `text`, and what follows its '/'. `more`: something does, be it empty.
struct cut {
    std::string_view level;
    std::string_view rest;
    bool more;
};
cut first_level(std::string_view text) noexcept {
    const auto end = text.find('/');
    if (end == std::string_view::npos) {
        return {text, {}, false};
    }
    return {text.substr(0, end), text.substr(end + 1), true};
}

}  // namespace

std::size_t mqtt_subscriptions::place_of(const node& parent, std::string_view level) const {
    const auto at = std::lower_bound(parent.children.begin(), parent.children.end(), level,
                                     [this](index i, std::string_view l) { return nodes_[i].level < l; });
    return static_cast<std::size_t>(at - parent.children.begin());
}

mqtt_subscriptions::index mqtt_subscriptions::child(index parent, std::string_view level) const {
    const auto& p = nodes_[parent];
    const auto at = place_of(p, level);
    return at < p.children.size() && nodes_[p.children[at]].level == level ? p.children[at] : none;
}

mqtt_subscriptions::index mqtt_subscriptions::add_child(index parent, std::string_view level) {
    index made = 0;
    if (free_.empty()) {
        made = static_cast<index>(nodes_.size());
        nodes_.emplace_back();
    } else {
        made = free_.back();
        free_.pop_back();
    }
    nodes_[made].level = level;
    nodes_[made].parent = parent;
    auto& p = nodes_[parent];
    p.children.insert(p.children.begin() + static_cast<std::ptrdiff_t>(place_of(p, level)), made);
    return made;
}

bool mqtt_subscriptions::put(mqtt_subscription s) {
    if (nodes_.empty()) {
        nodes_.resize(1);
    }
    index at = root;
    for (cut c = first_level(s.filter);; c = first_level(c.rest)) {
        const auto next = child(at, c.level);
        at = next != none ? next : add_child(at, c.level);
        if (!c.more) {
            break;
        }
    }
    auto& place = nodes_[at].subscription;
    if (place != nullptr) {
        *place = std::move(s);
        return false;
    }
    place = std::make_unique<mqtt_subscription>(std::move(s));
    filter_bytes_ += place->filter.size();
    ++size_;
    return true;
}

mqtt_subscriptions::index mqtt_subscriptions::leaf_of(std::string_view filter) const {
    if (nodes_.empty()) {
        return none;
    }
    index at = root;
    for (cut c = first_level(filter);; c = first_level(c.rest)) {
        at = child(at, c.level);
        if (at == none || !c.more) {
            return at;
        }
    }
}

const mqtt_subscription* mqtt_subscriptions::find(std::string_view filter) const {
    const auto at = leaf_of(filter);
    return at == none ? nullptr : nodes_[at].subscription.get();
}

bool mqtt_subscriptions::remove(std::string_view filter) {
    const auto at = leaf_of(filter);
    if (at == none || nodes_[at].subscription == nullptr) {
        return false;
    }
    nodes_[at].subscription.reset();
    filter_bytes_ -= filter.size();
    --size_;
    prune(at);
    return true;
}

void mqtt_subscriptions::prune(index at) {
    while (at != root && nodes_[at].children.empty() && nodes_[at].subscription == nullptr) {
        const auto parent = nodes_[at].parent;
        auto& siblings = nodes_[parent].children;
        siblings.erase(siblings.begin() + static_cast<std::ptrdiff_t>(place_of(nodes_[parent], nodes_[at].level)));
        nodes_[at] = node{};
        free_.push_back(at);
        at = parent;
    }
}

void mqtt_subscriptions::clear() {
    nodes_.clear();
    free_.clear();
    size_ = filter_bytes_ = 0;
}

void mqtt_subscriptions::match(std::string_view topic, publisher who, mqtt_match& out) const {
    out.clear();
    if (!nodes_.empty()) {
        collect(root, topic, true, who, out);
    }
}

void mqtt_subscriptions::collect(index at, std::string_view rest, bool first, publisher who, mqtt_match& out) const {
    // [MQTT-4.7.2-1] Wildcards in first place do not match names that begin with '$'.
    const bool wild = !(first && rest.starts_with('$'));
    const auto c = first_level(rest);
    const auto visit = [&](index next) {
        if (next == none) {
            return;
        }
        if (c.more) {
            collect(next, c.rest, false, who, out);
            return;
        }
        take(next, who, out);
        // [MQTT-4.7.1-2] '#' matches the level it stands behind, too.
        if (const auto all = child(next, "#"); all != none) {
            take(all, who, out);
        }
    };
    visit(child(at, c.level));
    if (wild) {
        visit(child(at, "+"));
        if (const auto all = child(at, "#"); all != none) {
            take(all, who, out);
        }
    }
}

void mqtt_subscriptions::take(index at, publisher who, mqtt_match& out) const {
    const auto* s = nodes_[at].subscription.get();
    if (s == nullptr) {
        return;
    }
    const bool unheard = s->no_local && who == publisher::itself;
    out.uncounted = out.uncounted || s->binding || (unheard && !s->live);
    if (unheard) {
        return;
    }
    out.any = true;
    out.live = out.live || s->live;
    out.queued = out.queued || (!s->live && !s->binding);
    out.qos = std::max(out.qos, s->qos);
    out.retain_as_published = out.retain_as_published || s->retain_as_published;
    if (s->identifier != 0) {
        out.identifiers.push_back(s->identifier);
    }
}

}  // namespace linnet::session
