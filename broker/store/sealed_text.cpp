#include "broker/store/sealed_text.hpp"

#include "broker/core/text_hash.hpp"
#include "broker/store/disk.hpp"
#include "broker/store/folder.hpp"
#include "broker/store/posix_file.hpp"
#include "broker/store/preparation.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <utility>

namespace linnet::store {

namespace {

std::string cannot(int error, std::string what) { return to_text({error, std::move(what)}); }

std::string seal(std::string_view lines) { return fmt::format("check {:016x}\n", core::stable_hash(lines)); }

int write_file(const std::string& path, std::string_view text) {
    const unique_fd file(open_at(AT_FDCWD, path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, preparation::file_mode));
    if (!file) {
        return -file.get();
    }
    for (std::size_t at = 0; at < text.size();) {
        const auto n = ::pwrite(file.get(), text.data() + at, text.size() - at, static_cast<off_t>(at));
        if (n < 0 && errno != EINTR) {
            return errno;
        }
        at += static_cast<std::size_t>(std::max<ssize_t>(n, 0));
    }
    return sync_file(file.get());
}

std::vector<std::string_view> split(std::string_view text, char at) {
    std::vector<std::string_view> parts;
    while (!text.empty()) {
        parts.push_back(text.substr(0, text.find(at)));
        text.remove_prefix(std::min(parts.back().size() + 1, text.size()));
    }
    return parts;
}

}  // namespace

result<void, std::string> write_sealed(const std::string& path, const std::string& lines) {
    const std::string unfinished = path + std::string(part_suffix);
    int error = write_file(unfinished, lines + seal(lines));
    if (error == 0 && ::rename(unfinished.c_str(), path.c_str()) != 0) {
        error = errno;
    }
    if (error != 0) {
        return fail(cannot(error, "write " + path));
    }
    return sync_folder(std::filesystem::path(path).parent_path());
}

result<std::optional<std::string>, std::string> read_text(const std::string& path, std::size_t bytes_max) {
    const unique_fd file(open_at(AT_FDCWD, path.c_str(), O_RDONLY, 0));
    if (file.get() == -ENOENT) {
        return std::nullopt;
    }
    int error = file ? 0 : -file.get();
    constexpr std::size_t piece = 64 * 1024;
    std::string text;
    while (error == 0 && text.size() < bytes_max) {
        const std::size_t before = text.size();
        text.resize(std::min(before + piece, bytes_max));
        const auto n = ::pread(file.get(), text.data() + before, text.size() - before, static_cast<off_t>(before));
        error = n < 0 && errno != EINTR ? errno : 0;
        const bool again = n < 0 && error == 0;
        text.resize(before + static_cast<std::size_t>(std::max<ssize_t>(n, 0)));
        if (text.size() == before && !again) {
            break;
        }
    }
    if (error != 0) {
        return fail(cannot(error, "read " + path));
    }
    return text;
}

bool is_sealed(std::string_view text) {
    const std::size_t check = text.rfind("check ");
    return check != std::string_view::npos && text.substr(check) == seal(text.substr(0, check));
}

std::vector<std::string_view> lines_of(std::string_view text) { return split(text, '\n'); }
std::vector<std::string_view> words_of(std::string_view line) { return split(line, ' '); }

std::map<std::string_view, std::string_view> fields_of(std::string_view text) {
    std::map<std::string_view, std::string_view> fields;
    for (const std::string_view line : lines_of(text)) {
        const std::size_t space = line.find(' ');
        if (space != std::string_view::npos) {
            fields.emplace(line.substr(0, space), line.substr(space + 1));
        }
    }
    return fields;
}

}  // namespace linnet::store
