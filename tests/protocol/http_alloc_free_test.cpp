// A connection that stays allocates nothing for a request and its response. A program of its own: it replaces
// operator new.
#include "protocol/http/request_parser.hpp"
#include "protocol/http/response_writer.hpp"
#include "protocol/http/sse.hpp"
#include "tests/support/counted_new.hpp"

#include <gtest/gtest.h>

namespace linnet::http {
namespace {

using test::allocations;

constexpr std::string_view requests = "POST /v1/%2F/q/orders%20of%20today HTTP/1.1\r\nHost: localhost:15672\r\n"
                                      "Content-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello"
                                      "PUT /v1/%2F/t/a/b?after=3 HTTP/1.1\r\nHost: localhost:15672\r\n"
                                      "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n3;x=y\r\ncde\r\n0\r\nT: t\r\n\r\n";

// Returns how many requests there were.
std::size_t serve(request_parser& parser, std::string& out) {
    out.clear();
    std::size_t served = 0;
    wire::bytes_view input = wire::as_bytes(requests);
    for (auto step = parser.next(input); step.what != request_event::need_more; step = parser.next(input)) {
        input = input.subspan(step.taken);
        if (step.what != request_event::end)
            continue;
        ++served;
        response_writer{out, reply_to::request(parser.request()), status::created, "Sun, 06 Nov 1994 08:49:37 GMT"}
            .field("Content-Type", "application/json")
            .body("{}");
        append_message(out, {"1-2", "order", "text/plain", "two\nlines"});
    }
    return served;
}

TEST(HttpCodec, AllocatesNothingARequest) {
    request_parser parser;
    std::string out;
    ASSERT_EQ(serve(parser, out), 2U);  // makes room
    const std::size_t before = allocations.load();
    std::size_t served = 0;
    for (int round = 0; round < 100; ++round)
        served += serve(parser, out);
    EXPECT_EQ(allocations.load() - before, 0U);
    EXPECT_EQ(served, 200U);
    // The counter itself works. Called by name, since a new expression may be optimised away.
    ::operator delete(::operator new(1));
    EXPECT_EQ(allocations.load() - before, 1U);
}

}  // namespace
}  // namespace linnet::http
