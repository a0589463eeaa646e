// Feeds bytes of any kind to the AMQP codec, as a server and as a client would.
//
// Beyond crashes it looks for disagreements: whatever decodes must encode to something that decodes to the
// same again, both readings of a property block must agree, and every view must be walkable to its end. A
// disagreement aborts, which libFuzzer reports like a crash.
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"
#include "protocol/amqp/properties_builder.hpp"
#include "protocol/amqp/table_builder.hpp"
#include "protocol/wire/utf8.hpp"

#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace linnet;

void require(bool condition) {
    if (!condition)
        std::abort();
}

// Looks at every value once. Recursion is bounded by the depth that parse() allows.
std::size_t walk(const amqp::table_view& table);

std::size_t walk(const amqp::field_value& value) {
    std::size_t seen = 1;
    if (const auto table = value.as_table())
        seen += walk(*table);
    if (const auto array = value.as_array()) {
        for (const amqp::field_value& each : *array)
            seen += walk(each);
    }
    if (const auto text = value.as_string())
        seen += wire::is_utf8(*text) ? 1 : 0;
    const bool has_number = value.as_int64() || value.as_double() || value.as_bool() || value.as_timestamp() ||
                            value.as_decimal();
    // Equivalence holds with itself for all but NaN.
    require(amqp::equivalent(value, value) || value.as_double());
    return seen + (has_number ? 1 : 0);
}

std::size_t walk(const amqp::table_view& table) {
    std::size_t seen = 0;
    amqp::table_builder copy;
    for (const amqp::field& each : table) {
        seen += walk(each.value);
        copy.put(each.name, each.value);
    }
    require(wire::as_text(copy.view().contents()) == wire::as_text(table.contents()));
    return seen;
}

struct check_method {
    template <amqp::method Method>
    void operator()(const Method& m) const {
        std::apply([&](auto... member) { (look_at(m.*member), ...); }, Method::fields);
        std::vector<std::uint8_t> first(amqp::encoded_size(m));
        require(amqp::encode(first.data(), m) == first.data() + first.size());
        const auto back = amqp::decode<Method>(first);
        require(back.has_value());
        std::vector<std::uint8_t> second(amqp::fields_size(*back));
        require(amqp::encode_fields(second.data(), *back) == second.data() + second.size());
        require(first == second);
    }

    template <class Value>
    static void look_at(const Value& value) {
        if constexpr (std::is_same_v<Value, amqp::table_view>)
            (void)walk(value);
    }
};

void check_header(wire::bytes_view payload) {
    const auto header = amqp::decode_content_header(payload);
    if (!header)
        return;
    const auto view = amqp::basic_properties_view::parse(header->properties);
    const auto summary = amqp::summarise_properties(header->properties);
    require(view.has_value() == summary.has_value());
    if (!view) {
        require(view.reason() == summary.reason());
        return;
    }
    require(view->flags() == summary->flags);
    require(view->delivery_mode().value_or(0) == summary->delivery_mode);
    require(view->priority().value_or(0) == summary->priority);
    require(view->expiration().value_or("") == summary->expiration);
    require(view->reply_to().value_or("") == summary->reply_to);
    require(view->user_id().value_or("") == summary->user_id);
    if (const auto headers = view->headers())
        (void)walk(*headers);

    const std::string rebuilt = amqp::basic_properties_builder{*view}.encode();
    const auto again = amqp::basic_properties_view::parse(wire::as_bytes(rebuilt));
    require(again && again->flags() == view->flags());
    require(amqp::basic_properties_builder{*again}.encode() == rebuilt);
}

void check_frame(const amqp::frame& frame) {
    switch (frame.type) {
        case amqp::frame_type::method:
            // The id is looked up, too, since an unknown one must not have a name.
            if (const auto id = amqp::decode_method_id(frame.payload)) {
                const auto failure = amqp::visit_method(frame.payload, check_method{});
                require(amqp::method_name(*id).empty() ==
                        (failure == amqp::fault::method_unknown || failure == amqp::fault::class_unknown));
            }
            break;
        case amqp::frame_type::header: check_header(frame.payload); break;
        case amqp::frame_type::body:
        case amqp::frame_type::heartbeat: break;
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    wire::bytes_view rest{data, size};
    (void)amqp::match_protocol_header(rest);
    // Raw, so that the fuzzer reaches tables and properties without a frame around them.
    if (const auto table = amqp::table_view::parse(rest))
        (void)walk(*table);
    check_header(rest);
    for (;;) {
        const auto found = amqp::decode_frame(rest, 4096);
        if (!found) {
            require(!found.needs_more() || found.bytes_needed() > rest.size());
            return 0;
        }
        check_frame(*found);
        rest = rest.subspan(found->size());
    }
}
