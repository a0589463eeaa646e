#include "broker/core/value_codec.hpp"

#include <bit>
#include <string>

namespace linnet::core {

namespace {

constexpr std::size_t value_bytes_least = 1;
constexpr std::size_t entry_bytes_least = 5;  // a key's length and a type

void encode_value(byte_writer& out, const value& v);

void encode_entries(byte_writer& out, const value_table& table) {
    out.put(static_cast<std::uint32_t>(table.size()));
    for (const auto& entry : table) {
        out.put_text(entry.first);
        encode_value(out, entry.second);
    }
}

void encode_value(byte_writer& out, const value& v) {
    out.put(static_cast<std::uint8_t>(v.type));
    switch (v.type) {
        case value_type::nothing: return;
        case value_type::boolean: out.put_flag(std::get<bool>(v.data)); return;
        case value_type::int8:
        case value_type::uint8:
        case value_type::int16:
        case value_type::uint16:
        case value_type::int32:
        case value_type::uint32:
        case value_type::int64:
        case value_type::uint64:
        case value_type::timestamp: out.put(std::get<std::int64_t>(v.data)); return;
        case value_type::decimal:
            out.put(v.decimal_scale);
            out.put(std::get<std::int64_t>(v.data));
            return;
        case value_type::float32:
        case value_type::float64: out.put(std::bit_cast<std::uint64_t>(std::get<double>(v.data))); return;
        case value_type::string:
        case value_type::bytes: out.put_text(std::get<std::string>(v.data)); return;
        case value_type::array: {
            const auto& items = std::get<value_array>(v.data);
            out.put(static_cast<std::uint32_t>(items.size()));
            for (const auto& item : items) {
                encode_value(out, item);
            }
            return;
        }
        case value_type::table: encode_entries(out, std::get<value_table>(v.data)); return;
    }
}

class value_decoder {
public:
    explicit value_decoder(byte_reader& in) : in_(in) {}

    [[nodiscard]] value_table entries(unsigned depth) {
        value_table table;
        const auto count = in_.get_count(entry_bytes_least);
        for (std::uint32_t i = 0; i < count && in_.ok(); ++i) {
            std::string key(in_.get_text());
            table.emplace_back(std::move(key), one(depth));
        }
        return table;
    }

private:
    [[nodiscard]] value one(unsigned depth) {
        value v;
        const auto type = in_.get<std::uint8_t>();
        if (type > static_cast<std::uint8_t>(value_type::table) || depth > value_depth_max) {
            in_.fail();
            return v;
        }
        v.type = static_cast<value_type>(type);
        switch (v.type) {
            case value_type::nothing: break;
            case value_type::boolean: v.data = in_.get_flag(); break;
            case value_type::int8:
            case value_type::uint8:
            case value_type::int16:
            case value_type::uint16:
            case value_type::int32:
            case value_type::uint32:
            case value_type::int64:
            case value_type::uint64:
            case value_type::timestamp: v.data = in_.get<std::int64_t>(); break;
            case value_type::decimal:
                v.decimal_scale = in_.get<std::uint8_t>();
                v.data = in_.get<std::int64_t>();
                break;
            case value_type::float32:
            case value_type::float64: v.data = std::bit_cast<double>(in_.get<std::uint64_t>()); break;
            case value_type::string:
            case value_type::bytes: v.data = std::string(in_.get_text()); break;
            case value_type::array: v.data = items(depth + 1); break;
            case value_type::table: v.data = entries(depth + 1); break;
        }
        return v;
    }
    [[nodiscard]] value_array items(unsigned depth) {
        value_array array;
        const auto count = in_.get_count(value_bytes_least);
        for (std::uint32_t i = 0; i < count && in_.ok(); ++i) {
            array.push_back(one(depth));
        }
        return array;
    }

    byte_reader& in_;
};

}  // namespace

void encode(byte_writer& out, const value_table& table) { encode_entries(out, table); }

value_table decode_table(byte_reader& in) { return value_decoder(in).entries(0); }

}  // namespace linnet::core
