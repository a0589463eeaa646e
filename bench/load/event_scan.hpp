// Finds events in a stream of server-sent events (the HTML standard, section 9.2.6) and shows where each begins.
//
// Scanned, not decoded: of an event only its name and the beginning of its first line of data are kept, which is all
// that a stamp takes. The rest is stepped over a line at a time, whatever its size, and nothing is gathered. Lines end
// with LF or CR LF; a CR alone, which the standard has as well, ends none here.
//
// Owns:     the beginnings of one line, one name and one piece of data.
// Bounds:   kept_bytes of each.
// Fails:    cannot: fields that nobody knows are stepped over, as the standard says.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace linnet::load {

struct scanned_event {
    std::string_view name;  // empty: none
    std::string_view data;  // its first line, as far as it is kept
};

class event_scan {
public:
    static constexpr std::size_t kept_bytes = 160;

    // `piece`: what comes next, cut anywhere. Calls on_event(scanned_event) for each event that ends in it.
    template <class OnEvent>
    void feed(std::string_view piece, OnEvent on_event) {
        while (!piece.empty()) {
            const auto* end = static_cast<const char*>(std::memchr(piece.data(), '\n', piece.size()));
            if (end == nullptr) {
                line_.append(piece);
                return;
            }
            std::string_view line = piece.substr(0, static_cast<std::size_t>(end - piece.data()));
            piece.remove_prefix(line.size() + 1);
            if (!line_.empty()) {
                line_.append(line);
                line = line_.text();
            }
            if (take_line(line))
                on_event(scanned_event{name_.text(), data_.text()});
            if (ended_)
                start_over();
            line_.clear();
        }
    }

private:
    class kept {
    public:
        void append(std::string_view text) noexcept {
            const std::size_t fits = std::min(text.size(), kept_bytes - size_);
            std::memcpy(bytes_.data() + size_, text.data(), fits);
            size_ += fits;
        }
        void assign(std::string_view text) noexcept {
            clear();
            append(text);
        }
        void clear() noexcept { size_ = 0; }
        [[nodiscard]] bool empty() const noexcept { return size_ == 0; }
        [[nodiscard]] std::string_view text() const noexcept { return {bytes_.data(), size_}; }

    private:
        std::array<char, kept_bytes> bytes_;
        std::size_t size_ = 0;
    };

    // Whether it ends an event that has data.
    bool take_line(std::string_view line) noexcept {
        if (line.ends_with('\r'))
            line.remove_suffix(1);
        ended_ = line.empty();
        if (ended_)
            return has_data_;
        const std::size_t colon = line.find(':');
        std::string_view value = colon == line.npos ? std::string_view{} : line.substr(colon + 1);
        if (value.starts_with(' '))
            value.remove_prefix(1);
        const std::string_view field = line.substr(0, colon);
        if (field == "data" && !has_data_) {
            has_data_ = true;
            data_.assign(value);
        } else if (field == "event") {
            name_.assign(value);
        }
        return false;
    }
    void start_over() noexcept {
        has_data_ = false;
        data_.clear();
        name_.clear();
    }

    kept line_;  // what has come of a line that has not ended yet
    kept name_;
    kept data_;
    bool has_data_ = false;
    bool ended_ = false;
};

}  // namespace linnet::load
