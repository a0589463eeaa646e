#pragma once

#include "broker/base/result.hpp"

#include <charconv>
#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

// Small files of "name value" lines that say what a folder is. Written whole or not at all; the last line says that
// the others are what was written.

namespace linnet::store {

// Puts it under that name, in place of what is there, for good; through a file of that name and ".part" beside it.
[[nodiscard]] result<void, std::string> write_sealed(const std::string& path, const std::string& lines);
// Everything up to so many bytes, of whatever kind; nothing where there is no such file.
[[nodiscard]] result<std::optional<std::string>, std::string> read_text(const std::string& path, std::size_t bytes_max);
// Whether `text` is as write_sealed() wrote it.
[[nodiscard]] bool is_sealed(std::string_view text);
// Without what separates them.
[[nodiscard]] std::vector<std::string_view> lines_of(std::string_view text);
[[nodiscard]] std::vector<std::string_view> words_of(std::string_view line);
// Of a name given twice the first.
[[nodiscard]] std::map<std::string_view, std::string_view> fields_of(std::string_view text);

template <class T>
[[nodiscard]] std::optional<T> number_in(std::string_view text, int base = 10) {
    T value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value, base);
    if (error != std::errc() || end != text.data() + text.size()) {
        return std::nullopt;
    }
    return value;
}

}  // namespace linnet::store
