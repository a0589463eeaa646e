#pragma once

#include "broker/app/config.hpp"

#include <cstdint>
#include <string>

namespace linnet::app {

// How many bytes this process can really have: the least of the machine's memory and the limits of every
// cgroup (version 2 or 1) around it. A share of the machine's memory would get a container killed.
// `root` stands in for "/" in tests. 0 when nothing can be read.
[[nodiscard]] std::uint64_t memory_available_bytes(const std::string& root = "/");

[[nodiscard]] std::uint64_t resolve(const memory_amount& amount, std::uint64_t available_bytes) noexcept;

}  // namespace linnet::app
