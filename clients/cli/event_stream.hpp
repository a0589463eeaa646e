// Server-sent events over HTTP, as a client: what is published to a topic while somebody listens.
#pragma once

#include "clients/cli/failure.hpp"
#include "clients/cli/stream.hpp"
#include "protocol/http/response_parser.hpp"

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::cli {

struct server_event {
    std::string id;
    std::string name;  // without the mark of what came in base64
    std::string data;  // decoded
};

// Cuts the text of an event stream into events, however it comes in pieces.
class event_reader {
public:
    // Appends the events that are whole by now.
    void add(std::string_view text, std::vector<server_event>& into);

private:
    void end_line(std::vector<server_event>& into);
    void take_field(std::string_view line);

    std::string line_;
    bool after_return_ = false;
    std::string id_;  // holds for later events, too
    std::string name_;
    std::string data_;
    bool has_data_ = false;
};

// Threads:  one.
// Fails:    unreachable or auth, with what the server said.
class event_stream {
public:
    // `target` is the path and query, as it is sent.
    [[nodiscard]] static result<std::unique_ptr<event_stream>> open(const server_uri& uri, const std::string& target,
                                                                    std::chrono::milliseconds timeout);
    // Nothing: none has come for so long.
    [[nodiscard]] result<std::optional<server_event>> next(std::chrono::milliseconds patience);

private:
    explicit event_stream(server_uri at, deadline until) : at_{std::move(at)}, connection_{until} {}
    [[nodiscard]] result<void> ask(const std::string& target);
    [[nodiscard]] failure broken(std::string why) const;
    // Some more of the response; false: the deadline has passed.
    [[nodiscard]] result<bool> read_on();
    [[nodiscard]] result<void> take_input();

    server_uri at_;
    stream connection_;
    http::response_parser parser_;
    std::string input_;
    unsigned code_ = 0;
    std::string refusal_;
    event_reader reader_;
    std::vector<server_event> come_;  // the oldest last
};

}  // namespace linnet::cli
