#include "protocol/ws/message_reader.hpp"

#include "protocol/wire/check.hpp"
#include "protocol/wire/utf8.hpp"

#include <algorithm>
#include <utility>

namespace linnet::ws {
namespace {

// What the sender has left out at the end of each compressed message (RFC 7692, 7.2.2).
constexpr std::array<std::uint8_t, 4> deflate_tail{0x00, 0x00, 0xFF, 0xFF};

std::span<std::uint8_t> take(std::span<std::uint8_t>& input, std::size_t size) noexcept {
    const auto taken = input.first(size);
    input = input.subspan(size);
    return taken;
}

std::size_t at_most(std::uint64_t wanted, std::size_t available) noexcept {
    return wanted < available ? static_cast<std::size_t>(wanted) : available;
}

}  // namespace

struct message_reader::inflated {
    wire::bytes_view bytes;
    bool valid = true;        // false: the data is broken behind `bytes`
    bool frame_done = false;  // all of the frame's payload went into `bytes` and what was told before
    bool message_done = false;
};

message_reader::message_reader(const reader_settings& settings, std::span<std::uint8_t> inflate_space) noexcept
    : settings_{settings}, space_{inflate_space} {
    LINNET_WIRE_CHECK(!settings.deflate || !inflate_space.empty());
}

decoded<event> message_reader::next(std::span<std::uint8_t>& input) {
    for (;;) {
        switch (at_) {
            case place::header: {
                const std::size_t wanted = held_bytes_ == 0 ? take_header(input) : hold_header(input);
                if (wanted != 0)
                    return wire::need_more{wanted};
                break;
            }
            case place::control: return take_control(input);
            case place::plain: {
                if (remaining_ != 0 || final_)
                    return take_plain(input);
                at_ = place::header;  // an empty fragment in a message's middle says nothing
                break;
            }
            case place::compressed: {
                const auto told = take_compressed(input);
                if (!told.needs_more() || at_ == place::compressed)
                    return told;
                break;  // the frame is done and gave nothing
            }
            case place::closed: input = {}; return wire::need_more{};
            case place::failed: return refused{fault_};
        }
    }
}

// ---- Headers -----------------------------------------------------------------------------------

// Begins the frame, or fails, and returns 0; or holds what is there and says how many bytes that should become.
std::size_t message_reader::take_header(std::span<std::uint8_t>& input) {
    const auto header = decode_frame_header(input, rules());
    if (header) [[likely]] {
        input = input.subspan(header->size());
        begin_frame(*header);
        return 0;
    }
    if (header.is_malformed()) {
        (void)fail(header.reason());
        return 0;
    }
    const std::size_t wanted = header.bytes_needed() - input.size();
    std::copy(input.begin(), input.end(), held_.begin());
    held_bytes_ = static_cast<std::uint8_t>(input.size());
    input = {};
    return wanted;
}

// Octet by octet, until it is whole: a header cut in two is rare, and nothing behind it may be taken.
std::size_t message_reader::hold_header(std::span<std::uint8_t>& input) {
    std::size_t wanted = 1;
    while (!input.empty()) {
        held_[held_bytes_++] = take(input, 1).front();
        const auto header = decode_frame_header(wire::bytes_view{held_}.first(held_bytes_), rules());
        if (header.needs_more()) {
            wanted = header.bytes_needed() - held_bytes_;
            continue;
        }
        held_bytes_ = 0;
        if (header)
            begin_frame(*header);
        else
            (void)fail(header.reason());
        return 0;
    }
    return wanted;
}

void message_reader::begin_frame(const frame_header& header) {
    mask_ = header.mask;
    remaining_ = header.payload_bytes;
    code_ = header.code;
    if (is_control(header.code)) {
        at_ = place::control;
    } else if (const auto why = begin_data_frame(header)) {
        (void)fail(*why);
    }
}

std::optional<fault> message_reader::begin_data_frame(const frame_header& header) {
    if (header.payload_bytes > settings_.frame_bytes_max) [[unlikely]]
        return fault::frame_too_large;
    if (header.code != opcode::continuation) {
        type_ = header.code == opcode::text ? message_type::text : message_type::binary;
        compressed_ = header.compressed;
        first_ = true;
        has_payload_ = false;
        tail_done_ = 0;
        message_bytes_ = 0;
        utf8_.reset();
        if (compressed_ && !inflater_)
            inflater_ = std::make_unique<inflater>(settings_.peer_window_bits);
    }
    final_ = header.final;
    message_open_ = !header.final;
    at_ = compressed_ ? place::compressed : place::plain;
    if (compressed_)
        return std::nullopt;
    // message_bytes_ is below the limit, so this does not overflow.
    if (header.payload_bytes > settings_.message_bytes_max - message_bytes_) [[unlikely]]
        return fault::message_too_large;
    message_bytes_ += header.payload_bytes;
    return std::nullopt;
}

// ---- Control frames ----------------------------------------------------------------------------

decoded<event> message_reader::take_control(std::span<std::uint8_t>& input) noexcept {
    if (held_bytes_ == 0 && input.size() >= remaining_) [[likely]] {
        const auto payload = take(input, static_cast<std::size_t>(remaining_));
        unmask(payload);
        return control_event(payload);
    }
    const auto part = take(input, at_most(remaining_, input.size()));
    unmask(part);
    std::copy(part.begin(), part.end(), held_.begin() + held_bytes_);
    held_bytes_ = static_cast<std::uint8_t>(held_bytes_ + part.size());
    remaining_ -= part.size();
    if (remaining_ != 0)
        return wire::need_more{static_cast<std::size_t>(remaining_)};
    return control_event(wire::bytes_view{held_}.first(std::exchange(held_bytes_, std::uint8_t{0})));
}

decoded<event> message_reader::control_event(wire::bytes_view payload) noexcept {
    if (code_ == opcode::close)
        return close_event(payload);
    at_ = place::header;
    return event{.what = code_ == opcode::ping ? event::kind::ping : event::kind::pong, .payload = payload};
}

decoded<event> message_reader::close_event(wire::bytes_view payload) noexcept {
    event told{.what = event::kind::close};
    if (payload.size() == 1)
        return fail(fault::close_too_short);
    if (!payload.empty()) {
        told.code = static_cast<close_code>(wire::load<std::uint16_t>(payload.data()));
        told.payload = payload.subspan(2);
        if (!may_be_sent(told.code))
            return fail(fault::close_code_invalid);
        if (!wire::is_utf8(wire::as_text(told.payload)))
            return fail(fault::utf8_invalid);
    }
    at_ = place::closed;
    inflater_.reset();
    return told;
}

// ---- Data --------------------------------------------------------------------------------------

decoded<event> message_reader::take_plain(std::span<std::uint8_t>& input) noexcept {
    if (input.empty() && remaining_ != 0)
        return wire::need_more{at_most(remaining_, std::numeric_limits<std::size_t>::max())};
    const auto chunk = take(input, at_most(remaining_, input.size()));
    unmask(chunk);
    remaining_ -= chunk.size();
    const bool last = remaining_ == 0 && final_;
    if (remaining_ == 0)
        at_ = place::header;
    if (const auto why = check_text(chunk, last)) [[unlikely]]
        return fail(*why);
    return data_event(chunk, last);
}

decoded<event> message_reader::take_compressed(std::span<std::uint8_t>& input) {
    const inflated got = inflate_some(input);
    message_bytes_ += got.bytes.size();
    // In the order of the bytes, so that the same fault is found however they come: what was inflated, how much of
    // it there is, what is broken behind it.
    if (const auto why = check_text(got.bytes, false)) [[unlikely]]
        return fail(*why);
    if (message_bytes_ > settings_.message_bytes_max) [[unlikely]]
        return fail(fault::message_too_large);
    if (!got.valid) [[unlikely]]
        return fail(fault::deflate_invalid);
    if (got.frame_done)
        at_ = place::header;
    if (got.message_done) {
        if (has_payload_ && !inflater_->at_block_end()) [[unlikely]]
            return fail(fault::deflate_invalid);
        if (const auto why = check_text({}, true)) [[unlikely]]
            return fail(*why);
        // An idle connection holds no window unless it must.
        if (!settings_.peer_keeps_context)
            inflater_.reset();
    }
    if (got.bytes.empty() && !got.message_done)
        return wire::need_more{1};
    return data_event(got.bytes, got.message_done);
}

// Until the space is full, the input is used up or the message is done.
message_reader::inflated message_reader::inflate_some(std::span<std::uint8_t>& input) {
    // One byte beyond the limit is enough to know; the rest of a bomb is never inflated.
    const std::uint64_t allowed = settings_.message_bytes_max - message_bytes_;
    const auto out = space_.first(allowed < space_.size() ? static_cast<std::size_t>(allowed) + 1 : space_.size());
    const auto payload = inflate_payload(input, out);
    inflated got{.bytes = out.first(payload.produced), .valid = payload.valid};
    if (!got.valid || payload.produced == out.size() || remaining_ != 0)
        return got;
    if (final_ && has_payload_) {
        const auto tail = inflate_tail(out.subspan(payload.produced));
        got.bytes = out.first(payload.produced + tail.produced);
        got.valid = tail.valid;
        if (!got.valid || got.bytes.size() == out.size())
            return got;
    }
    got.frame_done = true;
    got.message_done = final_;
    return got;
}

inflater::progress message_reader::inflate_payload(std::span<std::uint8_t>& input, std::span<std::uint8_t> out) {
    const auto here = input.first(at_most(remaining_, input.size()));
    unmask(here.subspan(unmasked_ahead_));
    const auto step = inflater_->inflate(here, out);
    unmasked_ahead_ = here.size() - step.consumed;
    input = input.subspan(step.consumed);
    remaining_ -= step.consumed;
    has_payload_ = has_payload_ || step.consumed != 0;
    return step;
}

inflater::progress message_reader::inflate_tail(std::span<std::uint8_t> out) {
    const auto step = inflater_->inflate(wire::bytes_view{deflate_tail}.subspan(tail_done_), out);
    tail_done_ = static_cast<std::uint8_t>(tail_done_ + step.consumed);
    return step;
}

std::optional<fault> message_reader::check_text(wire::bytes_view chunk, bool last) noexcept {
    if (type_ == message_type::text && (!utf8_.feed(chunk) || (last && !utf8_.complete())))
        return fault::utf8_invalid;
    return std::nullopt;
}

decoded<event> message_reader::data_event(wire::bytes_view chunk, bool last) noexcept {
    return event{.what = event::kind::data,
                 .type = type_,
                 .first = std::exchange(first_, false),
                 .last = last,
                 .payload = chunk};
}

// ------------------------------------------------------------------------------------------------

refused message_reader::fail(fault why) noexcept {
    at_ = place::failed;
    fault_ = why;
    inflater_.reset();
    return refused{why};
}

void message_reader::unmask(std::span<std::uint8_t> bytes) noexcept {
    if (settings_.self == role::client)
        return;
    apply_mask(bytes, mask_);
    mask_ = mask_.after(bytes.size());
}

}  // namespace linnet::ws
