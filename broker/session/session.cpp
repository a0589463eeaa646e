#include "broker/session/session.hpp"

#include <fmt/format.h>

namespace linnet::session {

std::string peer_info::name() const {
    return fmt::format("{}:{} -> {}:{}", peer_address, peer_port, local_address, local_port);
}

}  // namespace linnet::session
