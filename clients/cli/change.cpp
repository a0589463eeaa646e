#include "clients/cli/change.hpp"

namespace linnet::cli {

result<void> make(const invocation& call, management& api, const std::string& path, const json_value& body,
                  const std::string& what) {
    if (call.has("dry-run")) {
        tell(call, fmt::format("would set {} to {}", what, body.dump()));
        return {};
    }
    return api.put(path, body, what).map([&](bool made) {
        tell(call, fmt::format("{} {}", what, made ? "is made" : "is set"));
    });
}

result<void> unmake(const invocation& call, management& api, const std::string& path, const std::string& what,
                    const std::string& reason) {
    if (call.has("dry-run")) {
        tell(call, fmt::format("would delete {}", what));
        return {};
    }
    return confirmed(call, fmt::format("delete {}", what))
        .and_then([&] { return api.remove(path, what, reason); })
        .map([&] { tell(call, fmt::format("{} is gone", what)); });
}

}  // namespace linnet::cli
