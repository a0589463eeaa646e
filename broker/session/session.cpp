#include "broker/session/session.hpp"

#include <fmt/format.h>

namespace linnet::session {

std::string peer_info::name() const {
    return fmt::format("{}:{} -> {}:{}", peer_address, peer_port, local_address, local_port);
}

void describe_peer(host& h, core::connection_look& into) {
    const auto p = h.peer();
    into.name = p.name();
    into.peer_address = p.peer_address;
    into.peer_port = p.peer_port;
    into.local_address = p.local_address;
    into.local_port = p.local_port;
    into.tls = p.tls;
    into.waiting_bytes = h.out().pending();
    into.octets = h.octets();
}

void tell_octets(const host& h, core::octet_counts& told, core::protocol_counts& to) {
    auto fresh = h.octets();
    const auto now = fresh;
    to.octets += fresh -= told;
    told = now;
}

}  // namespace linnet::session
