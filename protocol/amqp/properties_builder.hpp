// Re-encodes a property block with some properties set, replaced or removed.
//
// What is not touched is copied from the base block as it was encoded.
//
// Owns:     copies of the values that were set. Borrows the base block until encode().
// Bounds:   text of at most 255 bytes.
#pragma once

#include "protocol/amqp/content.hpp"

#include <string>

namespace linnet::amqp {

class basic_properties_builder {
public:
    basic_properties_builder() noexcept = default;
    explicit basic_properties_builder(const basic_properties_view& base) noexcept;

    basic_properties_builder& remove(property which) noexcept;

    // For the ten properties that are short strings.
    basic_properties_builder& set_text(property which, std::string_view text);
    basic_properties_builder& set_headers(table_view headers);
    basic_properties_builder& set_delivery_mode(std::uint8_t mode) { return set_octet(property::delivery_mode, mode); }
    basic_properties_builder& set_priority(std::uint8_t priority) { return set_octet(property::priority, priority); }
    basic_properties_builder& set_timestamp(std::uint64_t seconds);

    [[nodiscard]] std::size_t encoded_size() const noexcept;
    // Appends flags and values.
    void encode(std::string& out) const;
    [[nodiscard]] std::string encode() const;

private:
    // A value's bytes: in the base block, or in made_ if this builder encoded it.
    struct value {
        wire::bytes_view borrowed;
        std::uint32_t offset = 0;
        std::uint32_t size = 0;
        bool is_made = false;
    };

    basic_properties_builder& set_octet(property which, std::uint8_t octet);
    basic_properties_builder& set_made(property which, std::size_t offset);
    [[nodiscard]] std::string_view text_of(const value& each) const noexcept;

    std::array<value, property_count> values_{};
    std::uint16_t flags_ = 0;
    std::string made_;
};

}  // namespace linnet::amqp
