#include "broker/core/retained_tree.hpp"

#include <algorithm>
#include <utility>

namespace linnet::core {

namespace {

// The separator stands before every other byte.
[[nodiscard]] constexpr unsigned rank(char c) noexcept {
    return c == '.' ? 0 : static_cast<unsigned>(static_cast<unsigned char>(c)) + 1;
}

// Smallest of the texts that follow everything below `prefix`.
[[nodiscard]] std::string behind(std::string_view prefix) { return std::string(prefix).append(1, '\0'); }

}  // namespace

bool by_levels::operator()(std::string_view a, std::string_view b) const noexcept {
    const auto [at, bt] = std::mismatch(
        a.begin(), a.begin() + static_cast<std::ptrdiff_t>(std::min(a.size(), b.size())), b.begin());
    if (at == a.end() || bt == b.end()) {
        return a.size() < b.size();
    }
    return rank(*at) < rank(*bt);
}

retained_search::retained_search(std::string_view text, bool hides_dollar) : text_(text), hides_dollar_(hides_dollar) {
    const auto parsed = parse_pattern(text_);
    if (!parsed) {
        return;
    }
    good_ = true;
    for (const auto& level : parsed->levels) {
        if (level.kind == edge::many1) {
            levels_.push_back({edge::one, {}});
            levels_.push_back({edge::many0, {}});
        } else {
            levels_.push_back(level);
        }
    }
    hides_dollar_ = hides_dollar && !levels_.empty() && levels_.front().kind != edge::literal;
}

// ---- States ------------------------------------------------------------------------------------

// A level that stands for any number may stand for none.
void retained_search::add(state s) {
    const auto first = states_.begin() + static_cast<std::ptrdiff_t>(begins_.back());
    const auto at = std::lower_bound(first, states_.end(), s);
    if (at != states_.end() && *at == s) {
        return;
    }
    states_.insert(at, s);
    if (s < levels_.size() && levels_[s].kind == edge::many0) {
        add(static_cast<state>(s + 1));
    }
}

bool retained_search::step(std::string_view level) {
    const std::size_t from = begins_.back();
    const std::size_t to = states_.size();
    begins_.push_back(to);
    for (std::size_t i = from; i < to; ++i) {
        const state s = states_[i];
        if (s == levels_.size()) {
            continue;
        }
        const auto& wanted = levels_[s];
        if (wanted.kind == edge::many0) {
            add(s);
        } else if (wanted.kind == edge::one || wanted.text == level) {
            add(static_cast<state>(s + 1));
        }
    }
    return states_.size() != to;
}

bool retained_search::accepts() const noexcept { return states_.back() == levels_.size(); }

// ---- Along a key -------------------------------------------------------------------------------

std::string_view retained_search::text_of(std::size_t level, std::string_view key) const noexcept {
    const std::size_t begin = level == 0 ? 0 : ends_[level - 1] + 1;
    return key.substr(begin, ends_[level] - begin);
}

std::size_t retained_search::shared_levels(std::string_view key) const noexcept {
    const std::size_t least = std::min(key.size(), path_.size());
    const auto same = static_cast<std::size_t>(
        std::mismatch(key.begin(), key.begin() + static_cast<std::ptrdiff_t>(least), path_.begin()).first -
        key.begin());
    // Those whose end lies in the part that is the same, in both.
    const auto ends_here = [&](std::size_t end) {
        return end < same || (end == same && (end == key.size() || key[end] == '.'));
    };
    std::size_t n = static_cast<std::size_t>(std::ranges::lower_bound(ends_, same) - ends_.begin());
    if (n < ends_.size() && ends_here(ends_[n])) {
        ++n;
    }
    return n;
}

void retained_search::cut(std::size_t levels) {
    ends_.resize(levels);
    states_.resize(levels + 1 < begins_.size() ? begins_[levels + 1] : states_.size());
    begins_.resize(levels + 1);
}

// Walks the key's levels from where the last one was left. False: it cannot match, and the last level says why.
bool retained_search::advance(std::string_view key) {
    cut(shared_levels(key));
    path_ = key;
    if (key.empty()) {
        return true;
    }
    std::size_t begin = ends_.empty() ? 0 : ends_.back() + 1;
    while (begin <= key.size()) {
        const std::size_t end = std::min(key.find('.', begin), key.size());
        ends_.push_back(end);
        if (!step(key.substr(begin, end - begin))) {
            return false;
        }
        begin = end + 1;
    }
    return true;
}

// The key's last level walked leads nowhere, so every state before it waits for a literal: where to look next. None:
// nothing more can match.
std::optional<std::string> retained_search::next_start(std::string_view key) const {
    const std::size_t dead = ends_.size() - 1;
    const auto level = text_of(dead, key);
    std::optional<std::string_view> literal;
    for (std::size_t i = begins_[dead]; i < begins_[dead + 1]; ++i) {
        if (states_[i] == levels_.size()) {
            continue;
        }
        const auto& wanted = levels_[states_[i]];
        if (by_levels()(level, wanted.text) && (!literal || by_levels()(wanted.text, *literal))) {
            literal = wanted.text;
        }
    }
    const auto prefix = key.substr(0, ends_[dead] - level.size());
    if (literal) {
        return std::string(prefix).append(*literal);
    }
    return dead == 0 ? std::nullopt : std::optional(behind(key.substr(0, ends_[dead - 1])));
}

retained_search::outcome retained_search::run(retained_map& in, const std::optional<std::string>& after,
                                              std::uint64_t looks_max, const found& f) {
    outcome out;
    path_.clear();
    ends_.clear();
    states_.clear();
    begins_.assign(1, 0);
    add(0);
    auto at = after ? in.upper_bound(*after) : in.begin();
    while (at != in.end()) {
        if (out.looks == looks_max) {
            out.more = true;
            return out;
        }
        ++out.looks;
        const std::string& key = at->first;
        out.last = key;
        if (hides_dollar_ && key.starts_with('$')) {
            at = in.lower_bound(std::string_view("%"));
            continue;
        }
        if (!advance(key)) {
            const auto next = next_start(key);
            at = next ? in.lower_bound(*next) : in.end();
            continue;
        }
        if (accepts() && !f(at)) {
            out.more = true;
            return out;
        }
        ++at;
    }
    return out;
}

}  // namespace linnet::core
