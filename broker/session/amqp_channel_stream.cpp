// Streams on an AMQP channel: read by consumers with credit, and in no other way.

#include "broker/core/rabbit_text.hpp"
#include "broker/session/amqp_channel.hpp"

#include <fmt/format.h>

#include <algorithm>

namespace linnet::session {
namespace {

using amqp::reply_code;
using core::topology_view;

}  // namespace

bool amqp_channel::check_stream(const std::string& queue, std::string_view what) {
    const auto* q = topology_view::find_queue(session_.vhost(), queue);
    if (q == nullptr || q->spec.settings.type != core::queue_type::stream) {
        return true;
    }
    fail(reply_code::not_implemented,
         fmt::format("{} not supported by stream queues {}", what, in_vhost("queue", queue)));
    return false;
}

// What else is wrong with the arguments the core says.
bool amqp_channel::check_stream_consume(const std::string& queue, bool no_ack, const core::value_table& arguments) {
    const auto resource = in_vhost("queue", queue);
    if (no_ack) {
        return check_stream(queue, "automatic acknowledgement");
    }
    if (core::find(arguments, "x-priority") != nullptr) {
        fail(reply_code::precondition_failed,
             fmt::format("invalid arg 'x-priority' for {} of queue type rabbit_stream_queue", resource));
        return false;
    }
    if (prefetch_ == 0) {
        fail(reply_code::precondition_failed, fmt::format("consumer prefetch count is not set for '{}'", resource));
        return false;
    }
    if (prefetch_channel_ != 0) {
        fail(reply_code::not_implemented, fmt::format("{} does not support global qos", resource));
        return false;
    }
    return true;
}

// Null when its consumer has ended: then it says nothing to anybody.
const amqp_channel::consumer* amqp_channel::stream_of(const core::delivery& d) const noexcept {
    if (!core::is_stream(d.queue)) {
        return nullptr;
    }
    const auto c = std::ranges::find_if(
        consumers_, [&d](const consumer& one) { return one.used && one.queue == d.queue && one.id == d.consumer; });
    return c == consumers_.end() ? nullptr : &*c;
}

// A message cannot go back to where it has never left. True: the connection is being closed over it.
bool amqp_channel::holds_stream_delivery(std::uint64_t first, std::uint64_t last, std::string_view what) {
    return unacked_.any_of(first, last, [&](std::uint64_t, const unacked_window::slot& s) {
        const consumer* c = s.is == unacked_window::state::live ? stream_of(s.d) : nullptr;
        if (c != nullptr) {
            fail(reply_code::not_implemented,
                 fmt::format("{} not supported by stream queues {}", what, in_vhost("queue", c->queue_name)));
        }
        return c != nullptr;
    });
}

}  // namespace linnet::session
