#include "protocol/mqtt/property_block.hpp"

#include "protocol/mqtt/topic.hpp"
#include "protocol/mqtt/varint.hpp"

namespace linnet::mqtt {
namespace {

// A property's value must lie within the block: a shortage is the length's fault.
template <bool JudgesStrings>
class value_reader {
public:
    value_reader(const std::uint8_t* at, const std::uint8_t* end) noexcept : at_{at}, end_{end} {}

    [[nodiscard]] const std::uint8_t* position() const noexcept { return at_; }
    [[nodiscard]] verdict bad() const noexcept { return bad_; }

    template <class Int>
    std::uint32_t integer() noexcept {
        if (remaining() < sizeof(Int))
            return fail(fault::property_length_wrong);
        const Int value = wire::load<Int>(at_);
        at_ += sizeof(Int);
        return value;
    }
    std::uint32_t varint() noexcept {
        const auto found = decode_varint({at_, remaining()});
        if (!found)
            return fail(found.needs_more() ? fault::property_length_wrong : found.reason());
        if (!found->is_minimal())
            return fail(fault::varint_not_minimal);
        at_ += found->bytes;
        return found->value;
    }
    std::string_view binary() noexcept {
        const std::size_t size = integer<std::uint16_t>();
        if (bad_ || size > remaining()) {
            (void)fail(fault::property_length_wrong);
            return {};
        }
        const std::string_view found = wire::as_text({at_, size});
        at_ += size;
        return found;
    }
    std::string_view text() noexcept {
        const std::string_view found = binary();
        if (JudgesStrings && !bad_)
            bad_ = judge_string(found);
        return found;
    }

private:
    [[nodiscard]] std::size_t remaining() const noexcept { return static_cast<std::size_t>(end_ - at_); }
    std::uint32_t fail(fault why) noexcept {
        if (!bad_)
            bad_ = why;
        return 0;
    }

    const std::uint8_t* at_;
    const std::uint8_t* end_;
    verdict bad_{};
};

constexpr property_set switches{property::payload_format_indicator,
                                property::request_problem_information,
                                property::request_response_information,
                                property::maximum_qos,
                                property::retain_available,
                                property::wildcard_subscription_available,
                                property::subscription_identifier_available,
                                property::shared_subscription_available};
// [MQTT-3.3.2-8] for the alias; 3.1.2.11.3, 3.1.2.11.4 and 3.8.2.1.2 for the others.
constexpr property_set never_zero{property::receive_maximum, property::maximum_packet_size, property::topic_alias,
                                  property::subscription_identifier};

[[nodiscard]] verdict judge_value(const property_value& p) noexcept {
    if ((switches.contains(p.id) && p.number > 1) || (never_zero.contains(p.id) && p.number == 0))
        return fault::property_value_illegal;
    // [MQTT-3.3.2-14] Somebody will publish to it.
    if (p.id == property::response_topic && (p.text.empty() || has_wildcards(p.text)))
        return fault::response_topic_invalid;
    return std::nullopt;
}

[[nodiscard]] verdict judge_place(property id, property_set seen, const property_rules& rules) noexcept {
    if (!rules.allowed.contains(id))
        return fault::property_not_allowed;
    if (seen.contains(id) && !rules.repeatable.contains(id))
        return fault::property_repeated;
    return std::nullopt;
}

template <bool JudgesStrings>
[[nodiscard]] verdict read(const std::uint8_t*& at, const std::uint8_t* end, property_value& found) noexcept {
    // An identifier is a variable byte integer, but none of more than one byte is defined.
    found = {.id = static_cast<property>(*at)};
    value_reader<JudgesStrings> from{at + 1, end};
    switch (type_of(found.id)) {
        case property_type::byte: found.number = from.template integer<std::uint8_t>(); break;
        case property_type::u16: found.number = from.template integer<std::uint16_t>(); break;
        case property_type::u32: found.number = from.template integer<std::uint32_t>(); break;
        case property_type::varint: found.number = from.varint(); break;
        case property_type::text: found.text = from.text(); break;
        case property_type::binary: found.text = from.binary(); break;
        case property_type::text_pair:
            // [MQTT-1.5.7-1] Both are strings like any other.
            found.text = from.text();
            if (!from.bad())
                found.value = from.text();
            break;
        case property_type::none: return fault::property_unknown;
    }
    at = from.position();
    return from.bad();
}

}  // namespace

verdict detail::read_property(const std::uint8_t*& at, const std::uint8_t* end, property_value& found) noexcept {
    return read<true>(at, end, found);
}

verdict detail::reread_property(const std::uint8_t*& at, const std::uint8_t* end, property_value& found) noexcept {
    return read<false>(at, end, found);
}

decoded<property_block> property_block::parse(wire::bytes_view bytes, const property_rules& rules) noexcept {
    property_block block;
    block.bytes_ = bytes;
    const std::uint8_t* const end = bytes.data() + bytes.size();
    for (const std::uint8_t* at = bytes.data(); at != end;) {
        property_value found;
        verdict bad = detail::read_property(at, end, found);
        if (!bad)
            bad = judge_place(found.id, block.present_, rules);
        if (!bad)
            bad = judge_value(found);
        if (bad)
            return refused{*bad};
        block.present_.add(found.id);
    }
    return block;
}

property_block property_block::trusted(wire::bytes_view bytes) noexcept {
    property_block block;
    block.bytes_ = bytes;
    for (const property_value& each : block)
        block.present_.add(each.id);
    return block;
}

property_value property_block::find(property id) const noexcept {
    return *std::find_if(begin(), end(), [id](const property_value& each) { return each.id == id; });
}

}  // namespace linnet::mqtt
