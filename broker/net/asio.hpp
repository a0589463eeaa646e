#pragma once

// The one place that says which Asio we stand on, so that a newer one is a day's work: Debian's standalone
// 1.22. One io_context a reactor, used by its thread alone: no locks, no strands.

#include <asio/io_context.hpp>
#include <asio/ip/tcp.hpp>
#include <asio/posix/stream_descriptor.hpp>
