#pragma once

// The one place that says which Asio we stand on, so that a newer one is a day's work: Debian's standalone
// 1.22. One io_context a reactor, used by its thread alone: no locks, no strands.

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>

namespace linnet::net {

// With the executor's type in it: any_io_executor, the default, takes 48 bytes more in each socket and in each of its
// waits, and an indirect call.
using tcp_socket = asio::basic_stream_socket<asio::ip::tcp, asio::io_context::executor_type>;

}  // namespace linnet::net
