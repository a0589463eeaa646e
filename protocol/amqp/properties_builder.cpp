#include "protocol/amqp/properties_builder.hpp"

#include "protocol/wire/check.hpp"

namespace linnet::amqp {
namespace {

constexpr property property_at(std::size_t index) noexcept { return static_cast<property>(index); }

template <class Int>
void append(std::string& out, Int integer) {
    std::uint8_t encoded[sizeof(Int)];
    wire::store(encoded, integer);
    out.append(wire::as_text(encoded));
}

}  // namespace

basic_properties_builder::basic_properties_builder(const basic_properties_view& base) noexcept : flags_{base.flags()} {
    for (std::size_t i = 0; i < property_count; ++i)
        values_[i].borrowed = base.encoded(property_at(i));
}

basic_properties_builder& basic_properties_builder::remove(property which) noexcept {
    flags_ = static_cast<std::uint16_t>(flags_ & ~flag_of(which));
    return *this;
}

basic_properties_builder& basic_properties_builder::set_text(property which, std::string_view text) {
    LINNET_WIRE_CHECK(text.size() <= 0xFF);
    LINNET_WIRE_CHECK(which != property::headers && which != property::delivery_mode && which != property::priority &&
                      which != property::timestamp);
    const std::size_t offset = made_.size();
    made_.push_back(static_cast<char>(text.size()));
    made_.append(text);
    return set_made(which, offset);
}

basic_properties_builder& basic_properties_builder::set_headers(table_view headers) {
    const std::size_t offset = made_.size();
    append(made_, static_cast<std::uint32_t>(headers.contents().size()));
    made_.append(wire::as_text(headers.contents()));
    return set_made(property::headers, offset);
}

basic_properties_builder& basic_properties_builder::set_timestamp(std::uint64_t seconds) {
    const std::size_t offset = made_.size();
    append(made_, seconds);
    return set_made(property::timestamp, offset);
}

basic_properties_builder& basic_properties_builder::set_octet(property which, std::uint8_t octet) {
    const std::size_t offset = made_.size();
    append(made_, octet);
    return set_made(which, offset);
}

basic_properties_builder& basic_properties_builder::set_made(property which, std::size_t offset) {
    flags_ = static_cast<std::uint16_t>(flags_ | flag_of(which));
    values_[static_cast<std::size_t>(which)] = {.borrowed = {},
                                                .offset = static_cast<std::uint32_t>(offset),
                                                .size = static_cast<std::uint32_t>(made_.size() - offset),
                                                .is_made = true};
    return *this;
}

std::string_view basic_properties_builder::text_of(const value& each) const noexcept {
    return each.is_made ? std::string_view{made_}.substr(each.offset, each.size) : wire::as_text(each.borrowed);
}

std::size_t basic_properties_builder::encoded_size() const noexcept {
    std::size_t size = sizeof flags_;
    for (std::size_t i = 0; i < property_count; ++i) {
        if ((flags_ & flag_of(property_at(i))) != 0)
            size += text_of(values_[i]).size();
    }
    return size;
}

void basic_properties_builder::encode(std::string& out) const {
    out.reserve(out.size() + encoded_size());
    append(out, flags_);
    for (std::size_t i = 0; i < property_count; ++i) {
        if ((flags_ & flag_of(property_at(i))) != 0)
            out.append(text_of(values_[i]));
    }
}

std::string basic_properties_builder::encode() const {
    std::string block;
    encode(block);
    return block;
}

}  // namespace linnet::amqp
