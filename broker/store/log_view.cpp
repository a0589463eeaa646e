#include "broker/store/log_view.hpp"

#include "broker/base/assert.hpp"

#include <algorithm>
#include <cerrno>

namespace linnet::store {

disk_result<std::vector<std::string>> log_view::list() {
    std::vector<std::string> names;
    for (const file_extent& f : files_) {
        names.push_back(f.name);
    }
    return names;
}

disk_result<file_id> log_view::create(std::string_view name, std::uint64_t) {
    return fail(disk_error{EROFS, "create " + std::string(name)});
}

disk_result<file_id> log_view::open(std::string_view name) {
    const auto known = std::ranges::find(files_, name, &file_extent::name);
    if (known == files_.end()) {
        return fail(disk_error{ENOENT, "open " + std::string(name)});
    }
    auto opened = under_.open(name);
    if (!opened) {
        return opened;
    }
    const auto there = under_.size(*opened);
    if (!there || *there < known->stored) {
        under_.close(*opened);
        return fail(there ? disk_error{ENODATA, "read all of " + known->name} : there.error());
    }
    open_[*opened] = &*known;
    return opened;
}

disk_result<std::uint64_t> log_view::size(file_id f) { return open_.at(f)->size; }

void log_view::close(file_id f) {
    open_.erase(f);
    under_.close(f);
}

disk_result<void> log_view::read_now(file_id f, std::uint64_t offset, std::span<std::uint8_t> into) {
    const std::uint64_t stored = open_.at(f)->stored;
    const auto counts = static_cast<std::size_t>(
        std::min<std::uint64_t>(stored - std::min(offset, stored), into.size()));
    const std::size_t blocks = (counts + block - 1) / block * block;
    if (blocks != 0) {
        if (auto read = under_.read_now(f, offset, into.first(blocks)); !read) {
            return read;
        }
    }
    std::ranges::fill(into.subspan(counts), std::uint8_t{0});
    return {};
}

void log_view::write(file_id, std::uint64_t, std::span<const std::uint8_t>, std::uint64_t) {
    LINNET_ASSERT(false, "{} is written to", describe());
}
void log_view::read(file_id f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) {
    const auto read = read_now(f, offset, into);
    done_.push_back({.tag = tag, .error = read ? 0 : read.error().code});
}
std::size_t log_view::poll(std::span<completion> into) {
    const std::size_t count = std::min(into.size(), done_.size());
    std::copy_n(done_.begin(), count, into.begin());
    done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(count));
    return count;
}
void log_view::prepare(std::string name, std::uint64_t, std::uint64_t) {
    LINNET_ASSERT(false, "{} is to be made in {}", name, describe());
}

}  // namespace linnet::store
