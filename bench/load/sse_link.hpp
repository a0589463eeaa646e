// One reader of server-sent events under load.
//
// The head of the answer is read here again, for what it says of the body's form; behind it there are events without
// end. What they bring is either the payload as it stands or, where the broker could not tell that it is text, JSON
// with the payload in base64: both are read.
//
// A reader is paced (--consumer-rate) by what the server has put into one chunk, not by the event.
//
// Threads, owns, bounds, fails: as socket_link.
#pragma once

#include "bench/load/event_scan.hpp"
#include "bench/load/socket_link.hpp"
#include "protocol/http/response_parser.hpp"

namespace linnet::load {

class sse_link final : public socket_link {
public:
    using socket_link::socket_link;

    // Set-up, before the first turn: the one thing that it reads.
    void add_reader(const subscription_plan& which) { (void)add_subscription(which); }

private:
    std::size_t scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) override;
    void append_goodbye(std::vector<std::uint8_t>&) const override {}

    void on_event(const scanned_event& e, std::int64_t now_ns);

    http::response_parser parser_;
    event_scan events_;
};

}  // namespace linnet::load
