#pragma once

#include "broker/core/counted.hpp"
#include "broker/core/ids.hpp"
#include "broker/core/operation.hpp"
#include "broker/core/persistent_map.hpp"
#include "broker/core/value.hpp"

#include <cstdint>
#include <string>
#include <string_view>

namespace linnet::core {

// How a headers exchange compares, from the binding's x-match.
enum class header_match : std::uint8_t { all, any, all_with_x, any_with_x };

// What makes two bindings the same one. Arguments are sorted by key.
struct binding_identity {
    std::string_view source;
    std::string_view destination;
    bind_destination kind = bind_destination::queue;
    std::string_view key;
    bool hide_dollar = false;
    const value_table* arguments = nullptr;

    [[nodiscard]] std::uint64_t hash() const noexcept;
};

// One binding, as its exchange and its destination both hold it. Immutable but for its count; the texts lie
// in one block, because there may be millions.
struct binding_node : counted {
    std::uint64_t hash;
    queue_handle queue;  // the destination, when it is one, or a subscriber
    bind_destination kind;
    // MQTT: a leading wildcard matches no key that begins with '$'.
    bool hide_dollar;
    bool durable = false;  // both ends are; set before the node is shared
    header_match match;
    std::uint32_t weight;  // consistent hash
    value_table arguments;

    binding_node(const binding_identity& what, queue_handle to, header_match how, std::uint32_t share);

    [[nodiscard]] std::string_view source() const noexcept { return view(0, source_bytes_); }
    [[nodiscard]] std::string_view destination() const noexcept { return view(source_bytes_, destination_bytes_); }
    [[nodiscard]] std::string_view key() const noexcept {
        return view(source_bytes_ + destination_bytes_, text_.size());
    }
    [[nodiscard]] binding_identity identity() const noexcept {
        return {source(), destination(), kind, key(), hide_dollar, &arguments};
    }
    [[nodiscard]] bool is(const binding_identity& other) const noexcept;
    [[nodiscard]] bool same(const binding_node& other) const noexcept { return is(other.identity()); }

private:
    [[nodiscard]] std::string_view view(std::size_t from, std::size_t bytes) const noexcept {
        return std::string_view(text_).substr(from, bytes);
    }
    std::string text_;  // source, destination, key
    std::uint32_t source_bytes_;
    std::uint32_t destination_bytes_;
};

using binding_set = persistent_map<binding_node>;

}  // namespace linnet::core
