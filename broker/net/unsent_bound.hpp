#pragma once

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace linnet::net {

// What the kernel takes of a connection's output beyond what is on its way (as far as the peer's window reaches). Left
// to itself it takes 4 MiB, in which a thousand peers that do not read have gigabytes of deliveries in memory that no
// budget sees, and whose messages wait here for acknowledgements.
inline constexpr int unsent_bytes_max = 128 * 1024;

inline void bound_unsent(int fd) noexcept {
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent_bytes_max, sizeof(unsent_bytes_max));
}
inline void lift_unsent_bound(int fd) noexcept {
    constexpr int none = -1;
    ::setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &none, sizeof(none));
}

}  // namespace linnet::net
