#pragma once

#include <cstdint>
#include <utility>

// Reference counts for the nodes of the topology: plain integers, because only the editor's thread counts.
// Readers hold plain pointers, kept alive by the version they were reached through.

namespace linnet::core {

// How many nodes this thread made and freed: what a path copy costs, and that nothing leaks.
struct node_census {
    std::uint64_t made = 0;
    std::uint64_t freed = 0;
    [[nodiscard]] std::uint64_t live() const noexcept { return made - freed; }
};
inline node_census& census_of_this_thread() noexcept {
    thread_local node_census census;
    return census;
}

// The base of every node. A copy is a new node with a count of its own.
struct counted {
    std::uint32_t references = 0;

    counted() noexcept { ++census_of_this_thread().made; }
    counted(const counted&) noexcept : counted() {}
    counted& operator=(const counted&) = delete;
    ~counted() { ++census_of_this_thread().freed; }
};

// A counted reference to a node.
//
// Threads: the editor's only, reads through get() excepted.
template <class Node>
class node_ref {
public:
    node_ref() = default;
    explicit node_ref(Node* n) noexcept : node_(n) { retain(); }
    node_ref(const node_ref& other) noexcept : node_(other.node_) { retain(); }
    node_ref(node_ref&& other) noexcept : node_(std::exchange(other.node_, nullptr)) {}
    node_ref& operator=(node_ref other) noexcept {
        std::swap(node_, other.node_);
        return *this;
    }
    ~node_ref() {
        if (node_ != nullptr && --node_->references == 0) {
            delete node_;
        }
    }

    [[nodiscard]] const Node* get() const noexcept { return node_; }
    const Node* operator->() const noexcept { return node_; }
    const Node& operator*() const noexcept { return *node_; }
    [[nodiscard]] explicit operator bool() const noexcept { return node_ != nullptr; }

    // For changing the node: itself when nobody else holds it, else a copy that takes its place here.
    // Right only when whatever leads here is owned alone too, hence always from the root down. Copying a
    // node retains its children, so that below a copy everything is copied as well, as far as one goes.
    [[nodiscard]] Node& own() {
        if (node_->references > 1) {
            *this = node_ref(new Node(*node_));
        }
        return *node_;
    }
    // Gives the reference up without dropping it, for keepers that count by hand.
    [[nodiscard]] Node* detach() noexcept { return std::exchange(node_, nullptr); }

private:
    void retain() noexcept {
        if (node_ != nullptr) {
            ++node_->references;
        }
    }

    Node* node_ = nullptr;
};

template <class Node, class... Args>
[[nodiscard]] node_ref<Node> make_node(Args&&... args) {
    return node_ref<Node>(new Node(std::forward<Args>(args)...));
}

}  // namespace linnet::core
