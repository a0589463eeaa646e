#pragma once

#include "broker/core/delivery.hpp"
#include "broker/core/property_reader.hpp"

#include <cstdint>
#include <optional>
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
    [[nodiscard]] std::uint64_t message_id_hash(block b, std::uint64_t seed) const override;
    [[nodiscard]] core::neutral_properties read(block b, const core::message_traits& t) const override;
    [[nodiscard]] std::optional<core::requested_answers> answers_to(block b) const override;
    [[nodiscard]] std::string with_correlation(block b, std::string_view correlation) const override;
};

// The one instance, stateless.
[[nodiscard]] const amqp_property_reader& amqp_reader() noexcept;

// What another protocol's publisher said, as a block of ours. A text that AMQP has no room for becomes a header, a
// correlation that is no text x-correlation-id; headers of one name become an array; names beyond AMQP's 255 bytes
// cannot be said.
[[nodiscard]] std::string to_block(const core::neutral_properties& p);

// The block with this header in place of those of its name.
[[nodiscard]] std::string with_header(core::property_reader::block b, std::string_view name, std::string_view text);

// The block that a consumer gets where the publisher's own will not do: with x-death and x-first-death-*
// for a message that was dead-lettered, with x-delivery-count for a redelivery that counts (quorum queues), with
// x-stream-offset for one from a stream. `foreign` is what was said of a message that is not AMQP's own; null: nothing.
[[nodiscard]] std::string properties_with_history(const core::message& m, std::uint32_t delivery_count,
                                                  const core::neutral_properties* foreign = nullptr,
                                                  std::optional<core::position> stream_offset = {});

// The same for every message of a stream, as cheap as copying the block. Replaces what `out` held.
void properties_with_offset(const core::message& m, core::position offset, std::string& out,
                            const core::neutral_properties* foreign = nullptr);

}  // namespace linnet::session
