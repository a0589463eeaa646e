#include "protocol/mqtt/subscription_list.hpp"

#include "protocol/mqtt/topic.hpp"

namespace linnet::mqtt {
namespace {

// [MQTT-3.8.3-5], in 3.1.1 [MQTT-3-8.3-4]. MQTT 3.1 does not use the upper bits.
[[nodiscard]] verdict judge_options(std::uint8_t byte, bool is_shared, version spoken) noexcept {
    const unsigned reserved = spoken == version::v5 ? 0xC0 : spoken == version::v3_1_1 ? 0xFC : 0x00;
    if ((byte & reserved) != 0)
        return fault::subscription_options_reserved;
    if ((byte & 3) == 3)
        return fault::subscription_qos_invalid;
    if (spoken != version::v5)
        return std::nullopt;
    if ((byte >> 4 & 3) == 3)
        return fault::retain_handling_invalid;
    if (is_shared && (byte & 4) != 0)
        return fault::no_local_on_shared;
    return std::nullopt;
}

}  // namespace

template <class Item>
decoded<item_list<Item>> item_list<Item>::parse(wire::bytes_view payload, version spoken) noexcept {
    if (payload.empty())
        return refused{fault::topic_filters_missing};
    constexpr std::size_t options_bytes = std::is_same_v<Item, subscription> ? 1 : 0;
    for (wire::bytes_view rest = payload; !rest.empty();) {
        if (rest.size() < 2)
            return refused{fault::packet_truncated};
        const std::size_t text_bytes = wire::load<std::uint16_t>(rest.data());
        const std::size_t item_bytes = 2 + text_bytes + options_bytes;
        if (rest.size() < item_bytes)
            return refused{fault::packet_truncated};
        const auto filter = parse_topic_filter(wire::as_text(rest.subspan(2, text_bytes)));
        if (!filter)
            return refused{filter.reason()};
        if constexpr (options_bytes != 0) {
            if (const verdict bad = judge_options(rest[item_bytes - 1], filter->is_shared(), spoken))
                return refused{*bad};
        }
        rest = rest.subspan(item_bytes);
    }
    return item_list{payload};
}

template class item_list<subscription>;
template class item_list<std::string_view>;

}  // namespace linnet::mqtt
