#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <type_traits>
#include <vector>

// What the records of a log are written with: little-endian integers, and texts behind their length.

namespace linnet::core {

class byte_writer {
public:
    template <class T>
    requires std::is_integral_v<T>
    void put(T number) {
        auto bits = static_cast<std::make_unsigned_t<T>>(number);
        for (std::size_t i = 0; i < sizeof(T); ++i) {
            bytes_.push_back(static_cast<std::uint8_t>(bits));
            bits = static_cast<decltype(bits)>(std::uint64_t{bits} >> 8U);
        }
    }
    void put_flag(bool on) { put(static_cast<std::uint8_t>(on)); }
    void put_text(std::string_view text) {
        put(static_cast<std::uint32_t>(text.size()));
        bytes_.insert(bytes_.end(), text.begin(), text.end());
    }

    [[nodiscard]] std::span<const std::uint8_t> bytes() const noexcept { return bytes_; }
    [[nodiscard]] std::size_t size() const noexcept { return bytes_.size(); }
    void clear() noexcept { bytes_.clear(); }

private:
    std::vector<std::uint8_t> bytes_;
};

// Never reads beyond the end. Failure is sticky: what is read after it is zero, so that a whole structure can be
// read in straight code and ok() asked once. Texts are views into the bytes.
class byte_reader {
public:
    explicit byte_reader(std::span<const std::uint8_t> bytes) noexcept : left_(bytes) {}

    template <class T>
    requires std::is_integral_v<T>
    [[nodiscard]] T get() noexcept {
        if (left_.size() < sizeof(T)) {
            fail();
            return 0;
        }
        std::uint64_t bits = 0;
        for (std::size_t i = sizeof(T); i-- > 0;) {
            bits = (bits << 8U) | left_[i];
        }
        left_ = left_.subspan(sizeof(T));
        return static_cast<T>(bits);
    }
    [[nodiscard]] bool get_flag() noexcept {
        const auto byte = get<std::uint8_t>();
        if (byte > 1) {
            fail();
        }
        return byte == 1;
    }
    [[nodiscard]] std::string_view get_text() noexcept {
        const auto size = get<std::uint32_t>();
        if (size > left_.size()) {
            fail();
            return {};
        }
        const std::string_view text(reinterpret_cast<const char*>(left_.data()), size);
        left_ = left_.subspan(size);
        return text;
    }
    // How many elements follow, each of at least `bytes_least`: so that no count makes us reserve more than there is.
    [[nodiscard]] std::uint32_t get_count(std::size_t bytes_least) noexcept {
        const auto count = get<std::uint32_t>();
        if (count > left_.size() / bytes_least) {
            fail();
            return 0;
        }
        return count;
    }

    void fail() noexcept {
        ok_ = false;
        left_ = {};
    }
    [[nodiscard]] bool ok() const noexcept { return ok_; }
    [[nodiscard]] bool at_end() const noexcept { return left_.empty(); }

private:
    std::span<const std::uint8_t> left_;
    bool ok_ = true;
};

}  // namespace linnet::core
