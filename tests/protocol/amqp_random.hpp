// Random methods, tables and property blocks for property tests; the seed is printed when one fails.
//
// Owns:     the text that the made values view; keep the generator alive while they are used.
#pragma once

#include "protocol/amqp/methods.hpp"
#include "protocol/amqp/properties_builder.hpp"
#include "protocol/amqp/table_builder.hpp"

#include <cstdlib>
#include <deque>
#include <limits>
#include <random>
#include <string>

namespace linnet::amqp::test {

// LINNET_TEST_SEED reruns a failure; otherwise each run looks somewhere new.
inline std::uint64_t test_seed() {
    const char* given = std::getenv("LINNET_TEST_SEED");
    return given != nullptr ? std::strtoull(given, nullptr, 0) : std::random_device{}();
}

class random_source {
public:
    explicit random_source(std::uint64_t seed) : engine_{seed} {}

    std::size_t below(std::size_t limit) { return engine_() % limit; }
    bool coin() { return below(2) == 0; }

    // Often short, sometimes as long as it may be, any byte.
    std::string_view text(std::size_t longest) {
        const std::size_t size = coin() ? below(std::min<std::size_t>(longest, 20) + 1) : below(longest + 1);
        std::string made(size, '\0');
        for (char& c : made)
            c = static_cast<char>(engine_());
        return kept_.emplace_back(std::move(made));
    }

    template <class Int>
    Int integer() {
        switch (below(4)) {
            case 0: return 0;
            case 1: return std::numeric_limits<Int>::max();
            default: return static_cast<Int>(engine_());
        }
    }

    table_view table(std::size_t fields = 6, std::size_t depth = 4) {
        table_builder builder;
        fill(builder, below(fields + 1), depth);
        return table_view::trusted(wire::as_bytes(kept_.emplace_back(builder.take())));
    }

    void fill_field(bool& bit) { bit = coin(); }
    void fill_field(std::unsigned_integral auto& value) { value = integer<std::remove_reference_t<decltype(value)>>(); }
    void fill_field(std::string_view& value) { value = text(255); }
    void fill_field(long_string& value) { value.text = text(700); }
    void fill_field(table_view& value) { value = table(); }

    template <method Method>
    Method make() {
        Method m;
        std::apply([&](auto... member) { (fill_field(m.*member), ...); }, Method::fields);
        return m;
    }

    wire::bytes_view properties() {
        basic_properties_builder builder;
        for (std::size_t i = 0; i < property_count; ++i) {
            if (coin())
                continue;
            switch (const auto which = static_cast<property>(i); which) {
                case property::headers: builder.set_headers(table()); break;
                case property::delivery_mode: builder.set_delivery_mode(integer<std::uint8_t>()); break;
                case property::priority: builder.set_priority(integer<std::uint8_t>()); break;
                case property::timestamp: builder.set_timestamp(integer<std::uint64_t>()); break;
                case property::content_type:
                case property::content_encoding:
                case property::correlation_id:
                case property::reply_to:
                case property::expiration:
                case property::message_id:
                case property::type:
                case property::user_id:
                case property::app_id:
                case property::cluster_id: builder.set_text(which, text(255)); break;
            }
        }
        return wire::as_bytes(kept_.emplace_back(builder.encode()));
    }

private:
    void fill(table_builder& to, std::size_t fields, std::size_t depth) {
        for (std::size_t i = 0; i < fields; ++i) {
            const std::string_view name = text(40);
            switch (below(16)) {
                case 0: to.put(name, coin()); break;
                case 1: to.put(name, integer<std::int8_t>()); break;
                case 2: to.put(name, integer<std::uint8_t>()); break;
                case 3: to.put(name, integer<std::int16_t>()); break;
                case 4: to.put(name, integer<std::uint16_t>()); break;
                case 5: to.put(name, integer<std::int32_t>()); break;
                case 6: to.put(name, integer<std::uint32_t>()); break;
                case 7: to.put(name, integer<std::int64_t>()); break;
                case 8: to.put(name, 0.5F); break;
                case 9: to.put(name, -2.25); break;
                case 10: to.put(name, decimal_value{2, integer<std::uint32_t>()}); break;
                case 11: to.put(name, timestamp_value{integer<std::uint64_t>()}); break;
                case 12: to.put(name, nothing_value{}); break;
                case 13: to.put(name, byte_array_value{wire::as_bytes(text(50))}); break;
                case 14: to.put(name, text(50)); break;
                default:
                    if (depth == 0)
                        break;
                    if (coin()) {
                        to.begin_table(name);
                        fill(to, below(4), depth - 1);
                    } else {
                        to.begin_array(name).add(text(9)).add(integer<std::int64_t>());
                    }
                    to.end();
            }
        }
    }

    std::mt19937_64 engine_;
    std::deque<std::string> kept_;
};

inline bool same_field(const table_view& a, const table_view& b) {
    return wire::as_text(a.contents()) == wire::as_text(b.contents());
}
template <class Value>
bool same_field(const Value& a, const Value& b) {
    return a == b;
}

template <method Method>
bool same(const Method& a, const Method& b) {
    return std::apply([&](auto... member) { return (same_field(a.*member, b.*member) && ...); }, Method::fields);
}

// Calls check.operator()<Method>() for every method that there is.
template <class Check, method... Methods>
void for_each_method(method_list<Methods...>, Check&& check) {
    (check.template operator()<Methods>(), ...);
}
template <class Check>
void for_each_method(Check&& check) {
    for_each_method(all_methods{}, check);
}

template <method Method>
std::vector<std::uint8_t> encoded(const Method& m) {
    std::vector<std::uint8_t> out(encoded_size(m));
    if (encode(out.data(), m) != out.data() + out.size())
        std::abort();
    return out;
}

}  // namespace linnet::amqp::test
