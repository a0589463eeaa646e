#include "broker/core/group_lines.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>

namespace linnet::core {
namespace {

std::uint64_t bytes_of(const queue_item& item) noexcept { return item.msg ? item.msg->footprint() : 0; }

}  // namespace

struct group_lines::node {
    queue_item item;
    group* of = nullptr;
    node* next = nullptr;
    node* prev = nullptr;
};

struct group_lines::group {
    key of = 0;
    consumer* holder = nullptr;
    std::uint32_t lent = 0;       // waiting for a retry included
    std::uint32_t held_back = 0;  // of those: nothing may pass them
    bool yielding = false;        // goes to somebody else once nothing is lent
    node* head = nullptr;
    node* tail = nullptr;

    // Messages are out with nobody to give the next one to.
    [[nodiscard]] bool blocked() const noexcept {
        return held_back != 0 || (lent != 0 && (holder == nullptr || yielding));
    }
    [[nodiscard]] std::pair<position, group*> place() noexcept { return {head->item.pos, this}; }
};

group_lines::group_lines() = default;

group_lines::~group_lines() {
    for (const auto& [k, g] : groups_) {
        for (node* n = g->head; n != nullptr;) {
            delete std::exchange(n, n->next);
        }
    }
}

bool group_lines::has(position pos) const noexcept {
    return std::ranges::any_of(groups_, [pos](const auto& each) {
        const node* n = each.second->head;
        while (n != nullptr && n->item.pos != pos) {
            n = n->next;
        }
        return n != nullptr;
    });
}

// ---- Consumers ---------------------------------------------------------------------------------

group_lines::consumer* group_lines::find(consumer_id c) const noexcept {
    const auto at = std::ranges::find_if(consumers_, [c](const auto& other) { return other->id == c; });
    return at == consumers_.end() ? nullptr : at->get();
}

std::size_t group_lines::keys_of(consumer_id c) const noexcept {
    const consumer* found = find(c);
    return found == nullptr ? 0 : found->keys;
}

void group_lines::attach(consumer_id c) {
    consumers_.push_back(std::make_unique<consumer>());
    consumers_.back()->id = c;
    rebalance();
}

void group_lines::detach(consumer_id c) {
    consumer* gone = find(c);
    if (gone == nullptr) {
        return;
    }
    for (const auto& [k, g] : groups_) {
        if (g->holder == gone) {
            unshelve(*g);
            set_holder(*g, nullptr);
            shelve(*g);
        }
    }
    std::erase_if(consumers_, [gone](const auto& other) { return other.get() == gone; });
}

// Whoever has more keys than his share gives up the surplus; those with nothing lent first, since they change hands
// at once.
void group_lines::rebalance() {
    const std::size_t share = (groups_.size() + consumers_.size() - 1) / consumers_.size();
    std::unordered_map<const consumer*, std::size_t> surplus;
    for (const auto& c : consumers_) {
        if (c->keys > share) {
            surplus.emplace(c.get(), c->keys - share);
        }
    }
    if (surplus.empty()) {
        return;
    }
    for (const bool idle : {true, false}) {
        for (const auto& [k, g] : groups_) {
            const auto at = surplus.find(g->holder);
            if (at == surplus.end() || at->second == 0 || g->yielding || (g->lent == 0) != idle) {
                continue;
            }
            --at->second;
            unshelve(*g);
            if (idle) {
                set_holder(*g, nullptr);
            } else {
                g->yielding = true;
            }
            shelve(*g);
        }
    }
}

void group_lines::set_holder(group& g, consumer* c) noexcept {
    if (g.holder != nullptr) {
        --g.holder->keys;
    }
    g.holder = c;
    g.yielding = false;
    if (c != nullptr) {
        ++c->keys;
    }
}

// ---- Where a group with something ready stands -------------------------------------------------

group_lines::by_head* group_lines::shelf_of(const group& g) noexcept {
    if (g.blocked()) {
        return &blocked_;
    }
    return g.holder == nullptr ? &free_ : &g.holder->ready;
}

void group_lines::shelve(group& g) {
    if (g.head != nullptr) {
        shelf_of(g)->insert(g.place());
    }
}

void group_lines::unshelve(group& g) {
    if (g.head != nullptr) {
        shelf_of(g)->erase(g.place());
    }
}

// After a message of it has gone for good: a key that has nothing is forgotten, one with nothing lent is passed on if
// it is to be.
void group_lines::calm(group& g) {
    if (g.lent != 0) {
        return;
    }
    if (g.yielding) {
        set_holder(g, nullptr);
    }
    if (g.head == nullptr) {
        set_holder(g, nullptr);
        groups_.erase(g.of);
    }
}

// ---- Messages ----------------------------------------------------------------------------------

void group_lines::insert(group& g, queue_item&& item) {
    auto* n = new node{std::move(item), &g, nullptr, nullptr};
    node* before = g.tail;
    // New ones belong at the end; what comes back belongs near the head.
    if (before != nullptr && before->item.pos > n->item.pos) {
        before = nullptr;
        for (node* at = g.head; at != nullptr && at->item.pos < n->item.pos; at = at->next) {
            before = at;
        }
    }
    n->prev = before;
    n->next = before == nullptr ? g.head : before->next;
    (n->prev == nullptr ? g.head : n->prev->next) = n;
    (n->next == nullptr ? g.tail : n->next->prev) = n;
    if (n->item.deadline != 0) {
        deadlines_.emplace(n->item.deadline, n);
    }
    ++ready_;
    ready_bytes_ += bytes_of(n->item);
}

queue_item group_lines::remove(node& n) noexcept {
    group& g = *n.of;
    (n.prev == nullptr ? g.head : n.prev->next) = n.next;
    (n.next == nullptr ? g.tail : n.next->prev) = n.prev;
    if (n.item.deadline != 0) {
        deadlines_.erase({n.item.deadline, &n});
    }
    --ready_;
    ready_bytes_ -= bytes_of(n.item);
    queue_item item = std::move(n.item);
    delete &n;
    return item;
}

queue_item group_lines::remove_ready(node& n) {
    group& g = *n.of;
    unshelve(g);
    queue_item item = remove(n);
    shelve(g);
    calm(g);
    return item;
}

group_lines::group& group_lines::group_of(key k) {
    auto& slot = groups_[k];
    if (slot == nullptr) {
        slot = std::make_unique<group>();
        slot->of = k;
    }
    return *slot;
}

void group_lines::add(key k, queue_item&& item) {
    group& g = group_of(k);
    unshelve(g);
    insert(g, std::move(item));
    shelve(g);
}

std::optional<group_lines::taken> group_lines::lend_head(group& g, consumer_id to) {
    unshelve(g);
    if (consumer* c = find(to); g.holder != c) {
        set_holder(g, c);
    }
    queue_item item = remove(*g.head);
    ++g.lent;
    lent_.emplace(item.pos, lent_state{&g, false});
    shelve(g);
    return taken{to, std::move(item)};
}

std::optional<queue_item> group_lines::take_free() {
    if (free_.empty()) {
        return std::nullopt;
    }
    return std::move(lend_head(*free_.begin()->second, consumer_id{})->item);
}

bool group_lines::lent_is_done(position pos) {
    const auto at = lent_.find(pos);
    if (at == lent_.end()) {
        return false;
    }
    group& g = *at->second.of;
    unshelve(g);
    g.held_back -= at->second.held_back ? 1 : 0;
    lent_.erase(at);
    settle_one(g);
    return true;
}

// Something lent is out no more; the group is not on its shelf.
void group_lines::settle_one(group& g) {
    --g.lent;
    if (g.lent == 0 && g.yielding) {
        set_holder(g, nullptr);
    }
    shelve(g);
    calm(g);
}

void group_lines::give_back(queue_item&& item) {
    const auto at = lent_.find(item.pos);
    LINNET_ASSERT(at != lent_.end(), "position {} is not lent", item.pos);
    group& g = *at->second.of;
    unshelve(g);
    g.held_back -= at->second.held_back ? 1 : 0;
    lent_.erase(at);
    insert(g, std::move(item));
    settle_one(g);
}

void group_lines::hold_back(position pos) {
    const auto at = lent_.find(pos);
    LINNET_ASSERT(at != lent_.end(), "position {} is not lent", pos);
    if (!at->second.held_back) {
        group& g = *at->second.of;
        unshelve(g);
        at->second.held_back = true;
        ++g.held_back;
        shelve(g);
    }
}

void group_lines::hold(key k, position pos) {
    group& g = group_of(k);
    unshelve(g);
    ++g.lent;
    ++g.held_back;
    lent_.emplace(pos, lent_state{&g, true});
    shelve(g);
}

std::size_t group_lines::bytes() const noexcept {
    constexpr std::size_t tree_node = 6 * sizeof(void*);
    constexpr std::size_t hash_node = 4 * sizeof(void*);
    return ready_ * sizeof(node) + deadlines_.size() * tree_node + lent_.size() * (sizeof(lent_state) + hash_node) +
           groups_.size() * (sizeof(group) + tree_node + hash_node);
}

group_lines::node* group_lines::oldest_node() const noexcept {
    const group* g = nullptr;
    const auto look = [&g](const by_head& shelf) {
        if (!shelf.empty() && (g == nullptr || shelf.begin()->first < g->head->item.pos)) {
            g = shelf.begin()->second;
        }
    };
    look(free_);
    look(blocked_);
    for (const auto& c : consumers_) {
        look(c->ready);
    }
    return g == nullptr ? nullptr : g->head;
}

const queue_item* group_lines::oldest() const noexcept {
    const node* n = oldest_node();
    return n == nullptr ? nullptr : &n->item;
}

std::optional<queue_item> group_lines::take_oldest() {
    node* first = oldest_node();
    return first == nullptr ? std::nullopt : std::optional(remove_ready(*first));
}

std::optional<queue_item> group_lines::take_expired(mono_ns now) {
    if (deadlines_.empty() || deadlines_.begin()->first > now) {
        return std::nullopt;
    }
    return remove_ready(*deadlines_.begin()->second);
}

mono_ns group_lines::next_deadline() const noexcept { return deadlines_.empty() ? 0 : deadlines_.begin()->first; }

}  // namespace linnet::core
