#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace linnet::session {

class name_pool;

// A name that many sessions have in common, such as a user's: each holds a pointer, and the pool has it once. Empty
// ones are nowhere.
//
// Threads: its pool's.
class shared_name {
public:
    shared_name() = default;
    shared_name(const shared_name&) = delete;
    shared_name& operator=(const shared_name&) = delete;
    shared_name(shared_name&& other) noexcept : held_(std::exchange(other.held_, nullptr)) {}
    shared_name& operator=(shared_name&& other) noexcept {
        std::swap(held_, other.held_);
        return *this;
    }
    ~shared_name();

    [[nodiscard]] std::string_view text() const noexcept {
        return held_ == nullptr ? std::string_view{} : std::string_view(held_->text);
    }

private:
    friend class name_pool;
    struct held {
        name_pool& pool;
        const std::string text;
        std::uint32_t references = 0;
    };
    explicit shared_name(held& h) noexcept : held_(&h) { ++h.references; }

    held* held_ = nullptr;
};

// The names that a shard's sessions have in common.
//
// Threads: one shard's. Outlives what it has handed out.
// Bounds:  the names in use, once each.
class name_pool {
public:
    [[nodiscard]] shared_name get(std::string_view text);
    [[nodiscard]] std::size_t size() const noexcept { return names_.size(); }

private:
    friend class shared_name;

    std::unordered_map<std::string_view, std::unique_ptr<shared_name::held>> names_;  // by the text within
};

}  // namespace linnet::session
