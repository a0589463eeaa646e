// The codec's part of a message's way allocates nothing. A program of its own: it replaces operator new.
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"
#include "tests/support/counted_new.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

namespace linnet::amqp {
namespace {

using test::allocations;

struct last_publish {
    basic_publish publish;

    template <method Method>
    void operator()(const Method& m) {
        if constexpr (std::is_same_v<Method, basic_publish>)
            publish = m;
    }
};

TEST(AmqpCodec, AllocatesNothingAMessage) {
    // delivery_mode 2, and headers with a nested table.
    constexpr std::array<std::uint8_t, 17> properties{0x30, 0, 0, 0, 0, 10, 1, 'n', 'F', 0, 0, 0, 3, 1, 'a', 'V', 2};
    std::array<std::uint8_t, 512> in{};
    std::array<std::uint8_t, 512> out{};
    const auto body = wire::as_bytes("sixteen bytes ..");
    const std::uint8_t* const end = put_content(
        in.data(), 1, basic_publish{.exchange = "orders", .routing_key = "eu.de"}, properties, body, 4096);

    const std::size_t before = allocations.load();
    std::size_t written = 0;
    for (std::uint64_t tag = 1; tag <= 1000; ++tag) {
        wire::bytes_view rest{in.data(), end};
        const auto first = decode_frame(rest, 4096);
        last_publish seen;
        const auto failure = visit_method(first->payload, seen);
        rest = rest.subspan(first->size());
        const auto second = decode_frame(rest, 4096);
        const auto header = decode_content_header(second->payload);
        const auto summary = summarise_properties(header->properties);
        rest = rest.subspan(second->size());
        const auto third = decode_frame(rest, 4096);
        if (failure || !summary || !summary->is_persistent() || !summary->headers.contains("n"))
            std::abort();
        const basic_deliver deliver{.consumer_tag = "c",
                                    .delivery_tag = tag,
                                    .exchange = seen.publish.exchange,
                                    .routing_key = seen.publish.routing_key};
        written += static_cast<std::size_t>(
            put_content(out.data(), 1, deliver, header->properties, third->payload, 4096) - out.data());
    }
    EXPECT_EQ(allocations.load() - before, 0U);
    EXPECT_GT(written, 0U);
    // The counter itself works. Called by name, since a new expression may be optimised away.
    ::operator delete(::operator new(1));
    EXPECT_GT(allocations.load(), before);
}

}  // namespace
}  // namespace linnet::amqp
