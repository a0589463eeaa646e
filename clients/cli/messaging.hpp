// Publishing and receiving by whatever protocol a URI names.
#pragma once

#include "clients/cli/failure.hpp"
#include "clients/cli/management.hpp"

#include <chrono>
#include <functional>
#include <string>
#include <vector>

namespace linnet::cli {

struct publishing {
    std::string exchange;
    std::string key;
    std::string topic;
    unsigned qos = 1;
    bool retain = false;
    bool quiet = false;
    json_value properties = json_value::object();  // as the management API writes them
    std::vector<std::string> bodies;
};

// Until the broker has all of them. A message that reaches no queue is a failure where the protocol tells.
[[nodiscard]] result<void> publish_to(const server_uri& uri, const publishing& what);

struct receiving {
    std::string queue;
    std::string exchange;
    std::string key;
    std::string topic;
    unsigned qos = 1;
    std::uint64_t count = 0;       // 0: without end
    std::chrono::seconds wait{0};  // 0: without end
};

struct received {
    json_value about;  // exchange, routing_key, topic, properties ...
    std::string body;
};

// A message counts as taken once show() has returned.
[[nodiscard]] result<void> receive_from(const server_uri& uri, const receiving& what,
                                        const std::function<void(const received&)>& show);

}  // namespace linnet::cli
