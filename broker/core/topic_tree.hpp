#pragma once

#include "broker/core/address.hpp"
#include "broker/core/binding_node.hpp"
#include "broker/core/counted.hpp"
#include "broker/core/persistent_map.hpp"
#include "broker/core/stamp_set.hpp"
#include "broker/core/text_hash.hpp"

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// A prefix of patterns. One tree serves every protocol: below a node hang literal levels, one for exactly
// one level, and one for "any number of levels, then more".
//
// A pattern that ends in a "rest of the key" wildcard, as most do, hangs on the node before it: it matches
// as soon as that node is reached, so that it costs the match no state to carry along.
//
// What a literal path reads lies in the node's first cache line; `rare` says whether the second one is worth
// reading at all. With a million bindings every line saved is a memory access saved.
struct alignas(64) topic_node : counted {
    bool rare = false;  // anything below `here` is not empty
    std::uint64_t hash;
    std::string level;  // the literal that leads here
    persistent_map<topic_node> literals;
    binding_set here;  // patterns that end here

    node_ref<topic_node> one;
    node_ref<topic_node> many0;  // never last: parse_pattern() puts a literal behind it
    binding_set many0_here;      // patterns that end with any number of levels after this
    binding_set many1_here;      // ... with one level or more after this

    explicit topic_node(std::string_view text) : hash(text_hash(text)), level(text) {}
    [[nodiscard]] bool is(std::string_view text) const noexcept { return level == text; }
    [[nodiscard]] bool same(const topic_node& other) const noexcept { return level == other.level; }
    // After every edit of this node's own members.
    void note_rare() noexcept { rare = one || many0 || !many0_here.empty() || !many1_here.empty(); }
    [[nodiscard]] bool empty() const noexcept { return !rare && literals.empty() && here.empty(); }
    [[nodiscard]] bool leads_on() const noexcept { return one || many0 || !literals.empty(); }
};

// Editing. The tree of an exchange begins at a reference that may be empty; it is emptied again when the
// last pattern goes.
//
// What a key can cost is bounded by the number of *roaming* nodes: those that lead on, and have both "any number of
// levels, then more" and another wildcard before them. All of them can be live at every level of one key. Of the
// others, however many there are, those without "any number" are live once a key, and those with it alone are as many
// as a key has levels to begin them and levels to end at. Both answer how many there are more of; add_pattern() nothing
// below 0, remove_pattern() nothing above.
[[nodiscard]] std::ptrdiff_t add_pattern(node_ref<topic_node>& tree, const pattern& p, node_ref<binding_node> binding);
// The binding must be there.
[[nodiscard]] std::ptrdiff_t remove_pattern(node_ref<topic_node>& tree, const pattern& p, const binding_node& binding);
// What add_pattern() would answer.
[[nodiscard]] std::size_t roaming_nodes_for(const topic_node* tree, const pattern& p) noexcept;

// Matching: a walk of all live states at once, level by level.
//
// Live are the nodes whose prefix matches the levels read so far. A node comes to life through its one
// parent only, hence at most once a level; a many0 node stays alive for good and is noted so that it is not
// added twice. So a level costs at most one look-up for each live node, whatever the patterns are.
//
// Threads: one a thread. Bounds: grows to the largest match it has seen, then allocates nothing.
class topic_match {
public:
    // Calls `found(const binding_set&)` for each set that the key reaches; no set twice.
    template <class F>
    void run(const topic_node& tree, std::string_view key, F&& found) {
        live_.clear();
        staying_.clear();
        seen_.clear();
        looks_ = 0;
        enter(tree, live_, found);
        // An empty key has no level at all.
        for (bool more = !key.empty(); more;) {
            const auto end = key.find('.');
            more = end != std::string_view::npos;
            step(key.substr(0, end), found);
            if (live_.empty() && staying_.empty()) {
                return;
            }
            key.remove_prefix(more ? end + 1 : key.size());
        }
        for (const topic_node* n : live_) {
            report(n->here, found);
        }
    }
    // At nodes, by the last run.
    [[nodiscard]] std::uint64_t looks() const noexcept { return looks_; }

private:
    template <class F>
    void step(std::string_view level, F&& found) {
        next_.clear();
        const std::uint64_t hash = text_hash(level);
        const std::size_t staying = staying_.size();  // what comes to stay now sees the next level first
        looks_ += live_.size() + staying;
        for (const topic_node* n : live_) {
            if (const topic_node* child = n->literals.find(hash, level)) {
                enter(*child, next_, found);
            }
            if (n->rare) {
                report_once(n->many1_here, found);
                if (n->one) {
                    enter(*n->one, next_, found);
                }
            }
        }
        for (std::size_t i = 0; i < staying; ++i) {
            if (const topic_node* child = staying_[i]->literals.find(hash, level)) {
                enter(*child, next_, found);
            }
        }
        live_.swap(next_);
    }

    template <class F>
    void enter(const topic_node& n, std::vector<const topic_node*>& to, F&& found) {
        to.push_back(&n);
        if (!n.rare) {
            return;
        }
        report_once(n.many0_here, found);
        if (n.many0 && seen_.insert(number_of(n.many0.get()))) {
            staying_.push_back(n.many0.get());
        }
    }
    [[nodiscard]] static std::uint64_t number_of(const void* p) noexcept { return reinterpret_cast<std::uintptr_t>(p); }
    template <class F>
    static void report(const binding_set& s, F&& found) {
        if (!s.empty()) {
            found(s);
        }
    }
    // A node may be live at several levels, but only below one that stays.
    template <class F>
    void report_once(const binding_set& s, F&& found) {
        if (!s.empty() && (staying_.empty() || seen_.insert(number_of(&s)))) {
            found(s);
        }
    }

    std::vector<const topic_node*> live_;
    std::vector<const topic_node*> next_;
    std::vector<const topic_node*> staying_;
    stamp_set seen_;
    std::uint64_t looks_ = 0;
};

}  // namespace linnet::core
