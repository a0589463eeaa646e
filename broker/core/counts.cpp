#include "broker/core/counts.hpp"

namespace linnet::core {

message_counts protocol_counts::messages() const noexcept {
    message_counts m;
    m.publish = received();
    m.confirm = confirmed;
    m.drop_unroutable = unroutable_dropped;
    m.return_unroutable = unroutable_returned;
    for (const auto& d : delivered) {
        m.deliver += d.consumed;
        m.deliver_no_ack += d.consumed_no_ack;
        m.get += d.got;
        m.get_no_ack += d.got_no_ack;
        m.get_empty += d.get_empty;
        m.redeliver += d.redelivered;
        m.ack += d.acknowledged;
    }
    return m;
}

protocol_counts& protocol_counts::operator+=(const protocol_counts& o) noexcept {
    received_confirm += o.received_confirm;
    confirmed += o.confirmed;
    unroutable_dropped += o.unroutable_dropped;
    unroutable_returned += o.unroutable_returned;
    for (std::size_t i = 0; i < delivered.size(); ++i) {
        delivered[i] += o.delivered[i];
    }
    sizes += o.sizes;
    octets += o.octets;
    connections_opened += o.connections_opened;
    connections_closed += o.connections_closed;
    channels_opened += o.channels_opened;
    channels_closed += o.channels_closed;
    return *this;
}

}  // namespace linnet::core
