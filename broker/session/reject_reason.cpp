#include "broker/session/reject_reason.hpp"

#include "broker/core/death_log.hpp"
#include "broker/core/message_builder.hpp"
#include "broker/session/amqp_properties.hpp"
#include "broker/session/mqtt_properties.hpp"
#include "protocol/wire/bytes.hpp"
#include "protocol/wire/utf8.hpp"

#include <algorithm>
#include <memory>
#include <string>

namespace linnet::session {
namespace {

bool is_control(char c) noexcept { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; }

}  // namespace

bool is_reject_reason(std::string_view text) noexcept {
    return text.size() <= reject_reason_bytes_max && wire::is_utf8(text) && std::ranges::none_of(text, is_control);
}

core::message_ptr with_reject_reason(core::message_pool& pool, const core::message& m, std::string_view reason) {
    auto traits = m.traits();
    std::string block;
    if (traits.properties_of == core::protocol_tag::mqtt) {
        block = with_user_property(m.properties(), reject_reason_header, reason);
    } else {
        // What carries no properties of AMQP's carries none at all.
        const bool ours = traits.properties_of == core::protocol_tag::amqp091;
        block = with_header(ours ? m.properties() : core::property_reader::block{}, reject_reason_header, reason);
        traits.properties_of = core::protocol_tag::amqp091;
    }
    core::message_builder b;
    b.write_whole(pool, m.exchange(), m.routing_key(), wire::as_bytes(block), m.body(), traits);
    return b.finish(m.deaths() == nullptr ? nullptr : std::make_unique<core::death_log>(*m.deaths()));
}

}  // namespace linnet::session
