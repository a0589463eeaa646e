// A cursor over a packet's body that judges what it reads.
//
// Failure is sticky, as wire::reader's: a decoder reads the whole body in straight code and asks why() once.
// The first fault stays.
//
// Owns:     nothing. Views that it returns live as long as the bytes.
#pragma once

#include "protocol/mqtt/property_block.hpp"
#include "protocol/mqtt/topic.hpp"
#include "protocol/mqtt/varint.hpp"
#include "protocol/wire/reader.hpp"

namespace linnet::mqtt::detail {

class body_reader {
public:
    explicit body_reader(wire::bytes_view body) noexcept : from_{body} {}

    [[nodiscard]] bool at_end() const noexcept { return from_.at_end(); }
    [[nodiscard]] std::size_t remaining() const noexcept { return from_.remaining(); }

    std::uint8_t u8() noexcept { return from_.u8(); }
    std::uint16_t u16() noexcept { return from_.u16(); }
    wire::bytes_view binary() noexcept { return from_.bytes(from_.u16()); }

    std::string_view text() noexcept {
        const std::string_view found = wire::as_text(binary());
        note(judge_string(found));
        return found;
    }

    std::uint16_t packet_id() noexcept {
        const std::uint16_t id = u16();
        require(id != 0, fault::packet_id_zero);
        return id;
    }

    reason_code reason(packet_type type, role sender) noexcept {
        const auto code = static_cast<reason_code>(u8());
        require(is_legal(code, type, sender), fault::reason_code_illegal);
        return code;
    }

    // With the length in front of them.
    property_block properties(const property_rules& rules) noexcept {
        const auto size = decode_varint(from_.rest());
        if (!size || !size->is_minimal()) {
            note(size ? fault::varint_not_minimal : size.needs_more() ? fault::packet_truncated : size.reason());
            return {};
        }
        (void)from_.bytes(size->bytes);
        require(size->value <= from_.remaining(), fault::property_length_wrong);
        const auto block = property_block::parse(from_.bytes(size->value), rules);
        if (!block) {
            note(block.reason());
            return {};
        }
        return *block;
    }

    wire::bytes_view rest() noexcept { return from_.bytes(from_.remaining()); }

    // Of a rule that what was read breaks. Nothing where the bytes were not there to read.
    void require(bool kept, fault otherwise) noexcept {
        if (!kept)
            note(otherwise);
    }
    void note(verdict bad) noexcept {
        if (!bad || bad_ || !from_.ok())
            return;
        bad_ = bad;
        from_.fail();
    }

    // After the last field.
    [[nodiscard]] verdict why() const noexcept {
        if (bad_)
            return bad_;
        if (!from_.ok())
            return fault::packet_truncated;
        return from_.at_end() ? verdict{} : verdict{fault::packet_overlong};
    }

    template <class Packet>
    [[nodiscard]] decoded<Packet> finish(const Packet& packet) const noexcept {
        if (const verdict bad = why())
            return refused{*bad};
        return packet;
    }

private:
    wire::reader from_;
    verdict bad_{};
};

}  // namespace linnet::mqtt::detail
