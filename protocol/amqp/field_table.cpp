#include "protocol/amqp/field_table.hpp"

#include <array>
#include <bit>

namespace linnet::amqp {
namespace {

constexpr std::size_t unknown_type = ~std::size_t{0};

// The bytes behind the letter that a value always has. Strings and containers: their length.
constexpr std::size_t fixed_bytes(std::uint8_t letter) noexcept {
    switch (letter) {
        case 'V': return 0;
        case 't':
        case 'b':
        case 'B': return 1;
        case 's':
        case 'u': return 2;
        case 'I':
        case 'i':
        case 'f':
        case 'S':
        case 'x':
        case 'F':
        case 'A': return 4;
        case 'D': return 5;
        case 'l':
        case 'L':
        case 'T':
        case 'd': return 8;
        default: return unknown_type;
    }
}

constexpr bool is_container(std::uint8_t letter) noexcept { return letter == 'F' || letter == 'A'; }
constexpr bool has_length(std::uint8_t letter) noexcept {
    return letter == 'S' || letter == 'x' || is_container(letter);
}

// Walks values depth first. The stack holds where each open container ends and what it is.
class validator {
public:
    explicit validator(wire::bytes_view contents) noexcept : at_{contents.data()} {
        open_[0] = {contents.data() + contents.size(), 'F'};
    }

    decoded<table_view> run(wire::bytes_view contents) noexcept {
        while (depth_ > 0) {
            if (at_ == innermost().end) {
                --depth_;
            } else if (!(innermost().letter == 'F' ? skip_name() && take_value() : take_value())) {
                return refused{why_};
            }
        }
        return table_view::trusted(contents);
    }

private:
    struct container {
        const std::uint8_t* end;
        std::uint8_t letter;
    };

    const container& innermost() const noexcept { return open_[depth_ - 1]; }
    std::size_t remaining() const noexcept { return static_cast<std::size_t>(innermost().end - at_); }

    bool refuse(fault why) noexcept {
        why_ = why;
        return false;
    }

    bool skip(std::size_t bytes) noexcept {
        if (bytes > remaining())
            return refuse(fault::table_truncated);
        at_ += bytes;
        return true;
    }

    bool skip_name() noexcept { return skip(std::size_t{1} + *at_); }

    bool take_value() noexcept {
        if (remaining() == 0)
            return refuse(fault::table_truncated);
        const std::uint8_t letter = *at_++;
        const std::size_t bytes = fixed_bytes(letter);
        if (bytes == unknown_type)
            return refuse(fault::field_type_unknown);
        if (!skip(bytes))
            return false;
        if (!has_length(letter))
            return true;
        const std::size_t length = wire::load<std::uint32_t>(at_ - 4);
        return is_container(letter) ? enter(letter, length) : skip(length);
    }

    bool enter(std::uint8_t letter, std::size_t length) noexcept {
        if (length > remaining())
            return refuse(fault::table_truncated);
        if (depth_ == open_.size())
            return refuse(fault::table_too_deep);
        open_[depth_++] = {at_ + length, letter};
        return true;
    }

    const std::uint8_t* at_;
    std::array<container, table_depth_max> open_;
    std::size_t depth_ = 1;
    fault why_{};
};

template <class Signed>
std::int64_t signed_at(const std::uint8_t* from) noexcept {
    return static_cast<Signed>(wire::load<std::make_unsigned_t<Signed>>(from));
}

template <class Unsigned>
std::int64_t unsigned_at(const std::uint8_t* from) noexcept {
    return std::int64_t{wire::load<Unsigned>(from)};
}

}  // namespace

std::size_t detail::checked_value_bytes(const std::uint8_t* letter) noexcept {
    const std::size_t fixed = 1 + fixed_bytes(*letter);
    return has_length(*letter) ? fixed + wire::load<std::uint32_t>(letter + 1) : fixed;
}

decoded<table_view> table_view::parse(wire::bytes_view contents) noexcept {
    if (contents.empty())
        return table_view{};
    return validator{contents}.run(contents);
}

std::optional<field_value> table_view::find(std::string_view name) const noexcept {
    for (const field& each : *this) {
        if (each.name == name)
            return each.value;
    }
    return std::nullopt;
}

std::optional<bool> field_value::as_bool() const noexcept {
    if (type() != field_type::boolean)
        return std::nullopt;
    return value()[0] != 0;
}

std::optional<std::int64_t> field_value::as_int64() const noexcept {
    const std::uint8_t* from = encoded_.data() + 1;
    switch (encoded_[0]) {
        case 'b': return signed_at<std::int8_t>(from);
        case 'B': return unsigned_at<std::uint8_t>(from);
        case 's': return signed_at<std::int16_t>(from);
        case 'u': return unsigned_at<std::uint16_t>(from);
        case 'I': return signed_at<std::int32_t>(from);
        case 'i': return unsigned_at<std::uint32_t>(from);
        case 'l':
        case 'L': return signed_at<std::int64_t>(from);
        default: return std::nullopt;
    }
}

std::optional<double> field_value::as_double() const noexcept {
    if (type() == field_type::float32)
        return std::bit_cast<float>(wire::load<std::uint32_t>(value().data()));
    if (type() == field_type::float64)
        return std::bit_cast<double>(wire::load<std::uint64_t>(value().data()));
    return std::nullopt;
}

std::optional<decimal_value> field_value::as_decimal() const noexcept {
    if (type() != field_type::decimal)
        return std::nullopt;
    return decimal_value{value()[0], wire::load<std::uint32_t>(value().data() + 1)};
}

std::optional<std::uint64_t> field_value::as_timestamp() const noexcept {
    if (type() != field_type::timestamp)
        return std::nullopt;
    return wire::load<std::uint64_t>(value().data());
}

std::optional<std::string_view> field_value::as_string() const noexcept {
    if (type() != field_type::long_string && type() != field_type::byte_array)
        return std::nullopt;
    return wire::as_text(after_length());
}

std::optional<table_view> field_value::as_table() const noexcept {
    if (type() != field_type::table)
        return std::nullopt;
    return table_view::trusted(after_length());
}

std::optional<array_view> field_value::as_array() const noexcept {
    if (type() != field_type::array)
        return std::nullopt;
    return array_view::trusted(after_length());
}

bool equivalent(const field_value& a, const field_value& b) noexcept {
    const auto integer = [](const field_value& value) {
        // A timestamp above 2^63 keeps its bits: no integer type can be equal to it by accident, since
        // the sign of the others is compared, too.
        const auto seconds = value.as_timestamp();
        if (!seconds)
            return value.as_int64();
        return *seconds >> 63 == 0 ? std::optional{static_cast<std::int64_t>(*seconds)} : std::nullopt;
    };
    if (const auto x = integer(a), y = integer(b); x || y)
        return x == y;
    if (const auto x = a.as_double(), y = b.as_double(); x || y)
        return x == y;
    if (const auto x = a.as_string(), y = b.as_string(); x || y)
        return x == y;
    if (const auto x = a.as_bool(), y = b.as_bool(); x || y)
        return x == y;
    return wire::as_text(a.encoded()) == wire::as_text(b.encoded());
}

}  // namespace linnet::amqp
