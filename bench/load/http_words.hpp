// What the requests of an HTTP load are made of: whom they name, and where they go.
#pragma once

#include "bench/load/options.hpp"
#include "bench/load/plan.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

namespace linnet::load {

[[nodiscard]] std::string host_of(const broker_uri& uri);
// Basic, for the Authorization field.
[[nodiscard]] std::string authorization_of(const broker_uri& uri);

// "/api/queues/%2F/jobs": all but the first as segments, percent-encoded.
[[nodiscard]] std::string path_of(std::string_view prefix, std::initializer_list<std::string_view> segments);

// Where a message for `key` is posted to: as --post-to has it, through the plan's exchange if it has one.
[[nodiscard]] std::string publish_target(const options& o, const broker_uri& uri, const plan& p, std::string_view key);
// Where the events of `name` are: as --events-at and --reads have it.
[[nodiscard]] std::string events_target(const options& o, const broker_uri& uri, std::string_view name);

}  // namespace linnet::load
