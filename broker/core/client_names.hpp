#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string_view>

namespace linnet::core {

// What a client is called, whose it is, and what its queue is called: one block. The name of a queue that is made from
// the client's has that in it.
//
// Threads: one shard's.
// Bounds:  24 bytes, and the block.
class client_names {
public:
    [[nodiscard]] std::string_view name() const noexcept { return {text_.get() + name_from_, name_bytes_}; }
    [[nodiscard]] std::string_view queue() const noexcept { return {text_.get(), queue_bytes_}; }
    [[nodiscard]] std::string_view user() const noexcept { return {text_.get() + queue_bytes_, user_bytes_}; }

    // Each may be a view of what there is.
    void set(std::string_view name, std::string_view user, std::string_view queue) {
        const auto within = queue.find(name);
        const bool apart = within == std::string_view::npos;
        auto text = std::make_unique_for_overwrite<char[]>(queue.size() + user.size() + (apart ? name.size() : 0));
        auto* const rest = std::copy(user.begin(), user.end(), std::copy(queue.begin(), queue.end(), text.get()));
        if (apart) {
            std::copy(name.begin(), name.end(), rest);
        }
        name_from_ = static_cast<std::uint32_t>(apart ? queue.size() + user.size() : within);
        name_bytes_ = static_cast<std::uint32_t>(name.size());
        queue_bytes_ = static_cast<std::uint32_t>(queue.size());
        user_bytes_ = static_cast<std::uint32_t>(user.size());
        text_ = std::move(text);
    }
    void forget_queue() { set(name(), user(), {}); }

    // Of the block.
    [[nodiscard]] std::size_t bytes() const noexcept {
        return std::max<std::size_t>(std::size_t{queue_bytes_} + user_bytes_, std::size_t{name_from_} + name_bytes_);
    }

private:
    std::unique_ptr<char[]> text_;  // queue, user, and the name if the queue's has it not
    std::uint32_t name_from_ = 0;
    std::uint32_t name_bytes_ = 0;
    std::uint32_t queue_bytes_ = 0;
    std::uint32_t user_bytes_ = 0;
};

}  // namespace linnet::core
