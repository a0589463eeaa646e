#include "broker/store/log_copy.hpp"

#include "broker/store/aligned_buffer.hpp"
#include "broker/store/crc32c.hpp"
#include "broker/store/log_view.hpp"
#include "broker/store/recovery.hpp"
#include "broker/store/segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <utility>

namespace linnet::store {

namespace {

constexpr std::uint64_t piece_bytes = std::uint64_t{1} << 20;

bool all_zero(std::span<const std::uint8_t> bytes) {
    return std::ranges::all_of(bytes, [](std::uint8_t b) { return b == 0; });
}

std::uint64_t up_to_block(std::uint64_t bytes) { return (bytes + disk::block - 1) / disk::block * disk::block; }

// A file that is open for as long as this lives.
class opened_file {
public:
    static disk_result<opened_file> open(disk& d, const std::string& name) {
        const auto f = d.open(name);
        if (!f) {
            return fail(f.error());
        }
        return opened_file(d, *f);
    }
    opened_file(disk& d, file_id f) : disk_(&d), file_(f) {}
    opened_file(opened_file&& other) noexcept : disk_(std::exchange(other.disk_, nullptr)), file_(other.file_) {}
    opened_file& operator=(opened_file&&) = delete;
    ~opened_file() {
        if (disk_ != nullptr) {
            disk_->close(file_);
        }
    }
    [[nodiscard]] file_id get() const { return file_; }

private:
    disk* disk_;
    file_id file_;
};

copy_error at(copy_side side, disk_error why) { return {side, std::move(why)}; }

}  // namespace

std::vector<file_extent> files_of(const log_cut& c) {
    const segment_geometry g{.bytes = c.segment_bytes};
    std::vector<file_extent> files;
    for (std::uint64_t n = c.first; n <= c.last; ++n) {
        const std::uint64_t stored = n == g.number(c.end) ? g.offset(c.end) : c.segment_bytes;
        files.push_back({.name = segment_name(c.log_number, n), .stored = stored, .size = c.segment_bytes});
    }
    return files;
}

std::optional<std::uint32_t> log_number_in(std::string_view segment) {
    constexpr std::string_view before = "log-";
    const std::size_t dash = segment.rfind('-');
    std::uint32_t number = 0;
    if (!segment.starts_with(before) || dash == std::string_view::npos || dash < before.size()) {
        return std::nullopt;
    }
    const char* const end = segment.data() + dash;
    const auto read = std::from_chars(segment.data() + before.size(), end, number);
    if (read.ec != std::errc() || read.ptr != end || !number_of_segment(segment, number)) {
        return std::nullopt;
    }
    return number;
}

disk_result<std::vector<file_extent>> files_in(disk& folder) {
    auto names = folder.list();
    if (!names) {
        return fail(std::move(names).error());
    }
    std::vector<file_extent> files;
    for (const std::string& name : *names) {
        if (!log_number_in(name)) {
            continue;
        }
        const auto file = opened_file::open(folder, name);
        if (!file) {
            return fail(file.error());
        }
        const auto size = folder.size(file->get());
        if (!size) {
            return fail(size.error());
        }
        files.push_back({.name = name, .stored = *size, .size = *size});
    }
    return files;
}

disk_result<std::uint64_t> used_bytes(disk& from, const std::string& name) {
    const auto file = opened_file::open(from, name);
    const auto size = file ? from.size(file->get()) : fail(file.error());
    if (!size) {
        return fail(size.error());
    }
    aligned_buffer buffer{piece_bytes};
    for (std::uint64_t end = up_to_block(*size); end > 0;) {
        const std::uint64_t begin = (end - 1) / piece_bytes * piece_bytes;
        const auto piece = buffer.first(end - begin);
        if (const auto read = from.read_now(file->get(), begin, piece); !read) {
            return fail(read.error());
        }
        const auto last = std::find_if(piece.rbegin(), piece.rend(), [](std::uint8_t b) { return b != 0; });
        if (last != piece.rend()) {
            return up_to_block(begin + static_cast<std::uint64_t>(piece.rend() - last));
        }
        end = begin;
    }
    return 0;
}

result<std::uint32_t, copy_error> copy_file(disk& from, disk& to, const copy_order& what,
                                            const copy_observer& observe) {
    const auto source = opened_file::open(from, what.name);
    if (!source) {
        return fail(at(copy_side::source, source.error()));
    }
    const auto made = to.create(what.name, what.size);
    if (!made) {
        return fail(at(copy_side::target, made.error()));
    }
    const opened_file target(to, *made);
    aligned_buffer buffer{piece_bytes};
    std::uint32_t crc = 0;
    for (std::uint64_t offset = 0; offset < what.bytes; offset += piece_bytes) {
        const auto piece = buffer.first(std::min(piece_bytes, what.bytes - offset));
        if (auto read = from.read_now(source->get(), offset, piece); !read) {
            return fail(at(copy_side::source, std::move(read).error()));
        }
        crc = crc32c(crc, piece);
        if (auto written = all_zero(piece) ? disk_result<void>{} : to.write_now(target.get(), offset, piece);
            !written) {
            return fail(at(copy_side::target, std::move(written).error()));
        }
        if (!observe(piece.size())) {
            return fail(at(copy_side::stopped, {}));
        }
    }
    return crc;
}

result<checked_log, std::string> check_log(disk& folder, const std::vector<file_extent>& files, const log_options& o,
                                           core::log_position end) {
    log_view view(folder, files);
    checked_log checked;
    const auto found = recover(
        view, o, [&](const core::log_record&) { ++checked.records; }, nullptr);
    if (!found) {
        return fail(found.error());
    }
    // What a start cuts off is a group or a record that was just being written.
    if (!files.empty() && found->end + found->report.cut_bytes < end) {
        return fail(fmt::format("the records end at position {}, and were stored up to {}", found->end, end));
    }
    return checked;
}

}  // namespace linnet::store
