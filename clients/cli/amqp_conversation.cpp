#include "clients/cli/amqp_conversation.hpp"

#include "protocol/amqp/table_builder.hpp"

#include <algorithm>
#include <array>

namespace linnet::cli {
namespace {

constexpr std::uint32_t greeting_bytes_max = 64 * 1024;  // before a frame size is agreed upon

}  // namespace

bool amqp_conversation::send_start_ok() {
    auto properties = amqp::table_builder{};
    properties.put("product", "linnet").put("version", LINNET_VERSION);
    // With authentication_failure_close a refusal is a connection.close that says why, and not a silent end.
    properties.begin_table("capabilities")
        .put("authentication_failure_close", true)
        .put("publisher_confirms", true)
        .put("basic.nack", true)
        .put("consumer_cancel_notify", true)
        .end();
    const auto response = fmt::format("{0}{1}{0}{2}", '\0', uri_.user.value_or("guest"),
                                      uri_.password.value_or("guest"));
    auto ok = amqp::connection_start_ok{};
    ok.client_properties = properties.view();
    ok.mechanism = "PLAIN";
    ok.response = {response};
    ok.locale = "en_US";
    return send(0, ok);
}

bool amqp_conversation::leave() {
    auto close = amqp::connection_close{};
    close.code = static_cast<std::uint16_t>(amqp::reply_code::success);
    close.text = "Goodbye";
    if (!send(0, close)) {
        return false;
    }
    // Until the broker has seen the close it goes on with what it was at, and it has seen nothing that we said for
    // certain: whoever ends the connection here takes back what was said last.
    for (auto frame = amqp::frame{}; next_frame(frame);) {
        const auto id = amqp::decode_method_id(frame.payload);
        if (frame.type == amqp::frame_type::method && id &&
            (*id == amqp::connection_close_ok::id || *id == amqp::connection_close::id ||
             *id == amqp::channel_close::id)) {
            return is<amqp::connection_close_ok>(frame, [](const auto&) {});
        }
    }
    return false;
}

bool amqp_conversation::has_frame() const {
    return amqp::decode_frame(wire::bytes_view{input_}.subspan(taken_), 0).has_value();
}

bool amqp_conversation::next_frame(amqp::frame& found) {
    for (;;) {
        input_.erase(input_.begin(), input_.begin() + static_cast<std::ptrdiff_t>(taken_));
        taken_ = 0;
        const auto frame = amqp::decode_frame(input_, std::max(frame_max_, greeting_bytes_max));
        if (frame.needs_more()) {
            if (!read_more()) {
                return false;
            }
            continue;
        }
        if (frame.is_malformed()) {
            return refuse(input_[0] == 'A' ? "the server speaks another version of AMQP"
                                           : fmt::format("this is not AMQP 0-9-1: {}", amqp::describe(frame.reason())));
        }
        taken_ = frame->size();
        if (frame->type != amqp::frame_type::heartbeat) {
            found = *frame;
            return true;
        }
    }
}

bool amqp_conversation::read_more() {
    auto part = std::array<std::uint8_t, 16 * 1024>{};
    auto size = std::size_t{0};
    if (!check(stream_.read(part, size))) {
        return false;
    }
    if (size == 0) {
        return refuse("the server closed the connection");
    }
    input_.insert(input_.end(), part.begin(), part.begin() + static_cast<std::ptrdiff_t>(size));
    return true;
}

}  // namespace linnet::cli
