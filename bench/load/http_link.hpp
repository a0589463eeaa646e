// One HTTP connection that publishes under load: requests go out as they stand ready, answers are counted by status.
//
// Answers come in the order of their requests, so each settles the oldest one. --confirm says how many requests are
// under way: one, or several in a pipeline.
//
// Threads, owns, bounds: as socket_link.
// Fails:    also when the server ends the connection, be it politely: a load is not to be thinned out unseen.
#pragma once

#include "bench/load/socket_link.hpp"
#include "protocol/http/response_parser.hpp"

namespace linnet::load {

class http_link final : public socket_link {
public:
    using socket_link::socket_link;

    // Set-up, before the first turn. One at most: answers name nobody.
    void add_producer(ready_messages messages, schedule_stagger stagger) {
        (void)socket_link::add_producer(std::move(messages), stagger, options_.confirm_window);
    }

    [[nodiscard]] answer_counts answers() const override { return answers_; }

private:
    std::size_t scan(const std::uint8_t* begin, const std::uint8_t* end, std::int64_t now_ns) override;
    // An answer that is not waited for is nobody's loss.
    void append_goodbye(std::vector<std::uint8_t>&) const override {}

    void on_answer(std::int64_t now_ns);

    http::response_parser parser_;
    unsigned code_ = 0;  // of the answer that is being read
    bool keep_alive_ = true;
    std::uint64_t answered_ = 0;
    answer_counts answers_;
};

}  // namespace linnet::load
