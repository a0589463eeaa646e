// Reads and writes any method from the list of its fields.
//
// A method is a plain struct whose members are in the specification's order, with
//
//     static constexpr method_id id = ...;
//     static constexpr std::string_view name = "queue.delete";
//     static constexpr auto fields = std::tuple{&queue_delete::queue, ...};
//
// A member's C++ type tells its wire type: bool = bit, std::uint8_t = octet, ... std::uint64_t = longlong,
// std::string_view = shortstr, long_string = longstr, table_view = table. Adjacent bits share octets, the
// first in the lowest bit. Everything below unrolls at compile time into straight reads and writes.
//
// Owns:     nothing; a decoded method views the bytes that it was decoded from.
// Fails:    method_truncated, method_overlong, and what a field table can fail with.
#pragma once

#include "protocol/amqp/fault.hpp"
#include "protocol/amqp/field_table.hpp"
#include "protocol/wire/check.hpp"
#include "protocol/wire/reader.hpp"
#include "protocol/wire/writer.hpp"

#include <concepts>
#include <tuple>

namespace linnet::amqp {

// A string with a length of four bytes; it may hold anything.
struct long_string {
    std::string_view text{};

    bool operator==(const long_string&) const = default;
};

// The specification's `long` and `longlong` are unsigned.
template <class T>
concept method = requires(const T& m) {
    { T::id } -> std::convertible_to<method_id>;
    { T::name } -> std::convertible_to<std::string_view>;
    T::fields;
};

namespace detail {

class field_reader {
public:
    explicit field_reader(wire::bytes_view arguments) noexcept : from_{arguments} {}

    void operator()(bool& bit) noexcept {
        if (bits_left_ == 0) {
            bits_ = from_.u8();
            bits_left_ = 8;
        }
        bit = (bits_ & 1) != 0;
        bits_ = static_cast<std::uint8_t>(bits_ >> 1);
        --bits_left_;
    }
    void operator()(std::uint8_t& value) noexcept { value = other().u8(); }
    void operator()(std::uint16_t& value) noexcept { value = other().u16(); }
    void operator()(std::uint32_t& value) noexcept { value = other().u32(); }
    void operator()(std::uint64_t& value) noexcept { value = other().u64(); }
    void operator()(std::string_view& value) noexcept { value = other().text_after_u8(); }
    void operator()(long_string& value) noexcept { value.text = other().text_after_u32(); }
    void operator()(table_view& value) noexcept {
        const wire::bytes_view contents = other().bytes_after_u32();
        const decoded<table_view> table = table_view::parse(contents);
        if (table) {
            value = *table;
        } else if (from_.ok()) {
            table_fault_ = table.reason();
            from_.fail();
        }
    }

    [[nodiscard]] bool ok() const noexcept { return from_.ok() && from_.at_end(); }
    [[nodiscard]] fault why() const noexcept { return from_.ok() ? fault::method_overlong : table_fault_; }

private:
    // Any field but a bit ends a run of bits.
    wire::reader& other() noexcept {
        bits_left_ = 0;
        return from_;
    }

    wire::reader from_;
    fault table_fault_ = fault::method_truncated;
    std::uint8_t bits_ = 0;
    std::uint8_t bits_left_ = 0;
};

class field_writer {
public:
    explicit field_writer(std::uint8_t* to) noexcept : at_{to} {}

    void operator()(bool bit) noexcept {
        if (bits_used_ == 8)
            end_bits();
        bits_ = static_cast<std::uint8_t>(bits_ | (bit ? 1U : 0U) << bits_used_++);
    }
    void operator()(std::unsigned_integral auto value) noexcept {
        end_bits();
        at_ = wire::store(at_, value);
    }
    void operator()(std::string_view value) noexcept {
        LINNET_WIRE_CHECK(value.size() <= 0xFF);
        end_bits();
        *at_++ = static_cast<std::uint8_t>(value.size());
        at_ = wire::put_bytes(at_, value.data(), value.size());
    }
    void operator()(const long_string& value) noexcept { after_u32(wire::as_bytes(value.text)); }
    void operator()(const table_view& value) noexcept { after_u32(value.contents()); }

    std::uint8_t* finish() noexcept {
        end_bits();
        return at_;
    }

private:
    void after_u32(wire::bytes_view bytes) noexcept {
        end_bits();
        at_ = wire::store(at_, static_cast<std::uint32_t>(bytes.size()));
        at_ = wire::put_bytes(at_, bytes.data(), bytes.size());
    }
    void end_bits() noexcept {
        if (bits_used_ == 0)
            return;
        *at_++ = bits_;
        bits_ = bits_used_ = 0;
    }

    std::uint8_t* at_;
    std::uint8_t bits_ = 0;
    std::uint8_t bits_used_ = 0;
};

class field_sizer {
public:
    void operator()(bool) noexcept {
        if (bits_used_ % 8 == 0)
            ++size_;
        ++bits_used_;
    }
    void operator()(std::unsigned_integral auto value) noexcept { add(sizeof value); }
    void operator()(std::string_view value) noexcept { add(1 + value.size()); }
    void operator()(const long_string& value) noexcept { add(4 + value.text.size()); }
    void operator()(const table_view& value) noexcept { add(4 + value.contents().size()); }

    [[nodiscard]] std::size_t size() const noexcept { return size_; }

private:
    void add(std::size_t bytes) noexcept {
        bits_used_ = 0;
        size_ += bytes;
    }

    std::size_t size_ = 0;
    unsigned bits_used_ = 0;
};

template <method Method, class Step>
void for_each_field(Method& m, Step& step) noexcept {
    std::apply([&](auto... member) { (step(m.*member), ...); }, Method::fields);
}
template <method Method, class Step>
void for_each_field(const Method& m, Step& step) noexcept {
    std::apply([&](auto... member) { (step(m.*member), ...); }, Method::fields);
}

}  // namespace detail

// `arguments`: the payload of a method frame behind the four bytes of its id.
template <method Method>
[[nodiscard]] decoded<Method> decode_fields(wire::bytes_view arguments) noexcept {
    Method m;
    detail::field_reader read{arguments};
    detail::for_each_field(m, read);
    if (!read.ok()) [[unlikely]]
        return refused{read.why()};
    return m;
}

// Without the four bytes of the id.
template <method Method>
[[nodiscard]] std::size_t fields_size(const Method& m) noexcept {
    detail::field_sizer size;
    detail::for_each_field(m, size);
    return size.size();
}

// Writes exactly fields_size(m) bytes. Short strings have at most 255 bytes: the caller's duty.
template <method Method>
std::uint8_t* encode_fields(std::uint8_t* to, const Method& m) noexcept {
    detail::field_writer write{to};
    detail::for_each_field(m, write);
    return write.finish();
}

}  // namespace linnet::amqp
