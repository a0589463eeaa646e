#include "protocol/amqp/content.hpp"

namespace linnet::amqp {

decoded<property_summary> summarise_any_properties(wire::bytes_view block) noexcept {
    property_summary summary;
    const auto failure = detail::scan_properties(block, [&](property which, wire::bytes_view value) {
        summary.flags = static_cast<std::uint16_t>(summary.flags | flag_of(which));
        switch (which) {
            case property::headers: summary.headers = table_view::trusted(value.subspan(4)); break;
            case property::delivery_mode: summary.delivery_mode = value[0]; break;
            case property::priority: summary.priority = value[0]; break;
            case property::reply_to: summary.reply_to = detail::short_string(value); break;
            case property::expiration: summary.expiration = detail::short_string(value); break;
            case property::user_id: summary.user_id = detail::short_string(value); break;
            case property::content_type:
            case property::content_encoding:
            case property::correlation_id:
            case property::message_id:
            case property::timestamp:
            case property::type:
            case property::app_id:
            case property::cluster_id: break;
        }
    });
    if (failure)
        return refused{*failure};
    return summary;
}

decoded<basic_properties_view> basic_properties_view::parse(wire::bytes_view block) noexcept {
    basic_properties_view view;
    view.block_ = block;
    const auto failure = detail::scan_properties(block, [&](property which, wire::bytes_view value) {
        view.flags_ = static_cast<std::uint16_t>(view.flags_ | flag_of(which));
        view.offsets_[static_cast<std::size_t>(which)] = static_cast<std::uint32_t>(value.data() - block.data());
    });
    if (failure)
        return refused{*failure};
    return view;
}

wire::bytes_view basic_properties_view::encoded(property which) const noexcept {
    if (!has(which))
        return {};
    const wire::bytes_view from = block_.subspan(offsets_[static_cast<std::size_t>(which)]);
    return from.first(detail::property_bytes(which, from));
}

std::optional<table_view> basic_properties_view::headers() const noexcept {
    if (!has(property::headers))
        return std::nullopt;
    return table_view::trusted(encoded(property::headers).subspan(4));
}

std::optional<std::uint64_t> basic_properties_view::timestamp() const noexcept {
    if (!has(property::timestamp))
        return std::nullopt;
    return wire::load<std::uint64_t>(encoded(property::timestamp).data());
}

std::optional<std::string_view> basic_properties_view::text(property which) const noexcept {
    if (!has(which))
        return std::nullopt;
    return detail::short_string(encoded(which));
}

std::optional<std::uint8_t> basic_properties_view::octet(property which) const noexcept {
    if (!has(which))
        return std::nullopt;
    return encoded(which)[0];
}

}  // namespace linnet::amqp
