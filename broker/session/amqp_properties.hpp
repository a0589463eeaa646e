#pragma once

#include "broker/core/delivery.hpp"
#include "broker/core/property_reader.hpp"

#include <string>

namespace linnet::session {

// AMQP 0-9-1's property blocks (flags and values, as they follow the body size in a content header) for
// the core. Blocks were checked when they were published; one that does not parse reads as empty.
class amqp_property_reader final : public core::property_reader {
public:
    [[nodiscard]] core::value_table headers(block b) const override;
    [[nodiscard]] std::optional<core::value> header(block b, std::string_view name) const override;
    [[nodiscard]] std::optional<core::death_log> deaths(block b) const override;
    [[nodiscard]] std::string expiration(block b) const override;
    [[nodiscard]] std::vector<std::string> carbon_copies(block b) const override;
    [[nodiscard]] std::string message_id(block b) const override;
};

// The one instance, stateless.
[[nodiscard]] const amqp_property_reader& amqp_reader() noexcept;

// The block that a consumer gets where the publisher's own will not do: with x-death and x-first-death-*
// for a message that was dead-lettered, with x-delivery-count for a redelivery that counts (quorum queues).
[[nodiscard]] std::string properties_with_history(const core::message& m, std::uint32_t delivery_count);

}  // namespace linnet::session
