#include "broker/store/backup_request.hpp"

#include "broker/store/disk.hpp"
#include "broker/store/preparation.hpp"
#include "broker/store/sealed_text.hpp"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <string_view>
#include <utility>

namespace linnet::store {

namespace {

constexpr std::string_view request_name = "/BACKUP";
constexpr std::string_view answer_name = "/BACKUP.cut";
constexpr std::size_t answer_bytes_max = std::size_t{64} << 20;
constexpr std::size_t digits = 16;

std::string cannot(int error, std::string what) { return to_text({error, std::move(what)}); }

// Root's files would keep the broker's own user out.
void give_to_owner_of(const std::string& folder, int file) {
    struct stat status {};
    if (::geteuid() == 0 && ::stat(folder.c_str(), &status) == 0) {
        // If this fails the broker does not answer, and that says so.
        [[maybe_unused]] const int given = ::fchown(file, status.st_uid, status.st_gid);
    }
}

std::string line_of(const log_cut& c) {
    return fmt::format("log {} {} {} {} {} {}\n", c.folder, c.log_number, c.segment_bytes, c.first, c.last, c.end);
}

std::optional<log_cut> cut_in(std::string_view line) {
    const auto words = words_of(line);
    if (words.size() != 7 || words[0] != "log") {
        return std::nullopt;
    }
    const auto number = number_in<std::uint32_t>(words[2]);
    const auto bytes = number_in<std::uint64_t>(words[3]);
    const auto first = number_in<std::uint64_t>(words[4]);
    const auto last = number_in<std::uint64_t>(words[5]);
    const auto end = number_in<std::uint64_t>(words[6]);
    if (!number || !bytes || *bytes == 0 || !first || !last || !end) {
        return std::nullopt;
    }
    return log_cut{.folder = std::string(words[1]),
                   .log_number = *number,
                   .segment_bytes = *bytes,
                   .first = *first,
                   .last = *last,
                   .end = *end};
}

}  // namespace

result<backup_request, std::string> backup_request::make(const std::string& data_folder) {
    const std::string path = data_folder + std::string(request_name);
    unique_fd file(open_at(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT, preparation::file_mode));
    if (!file) {
        return fail(cannot(-file.get(), "write to the data folder, at " + path));
    }
    give_to_owner_of(data_folder, file.get());
    if (const int error = lock_file(file.get()); error != 0) {
        return fail(error == EAGAIN || error == EACCES ? fmt::format("another backup of {} is under way", data_folder)
                                                       : cannot(error, "lock " + path));
    }
    const std::uint64_t number = random_id();
    const std::string text = fmt::format("{:016x}\n", number);
    // In one piece, for the broker may look at any time.
    if (number == 0 || ::pwrite(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
        return fail(cannot(errno, "write " + path));
    }
    return backup_request(data_folder, std::move(file), number);
}

result<std::optional<std::vector<log_cut>>, std::string> backup_request::answer() const {
    const std::string path = folder_ + std::string(answer_name);
    const auto text = read_text(path, answer_bytes_max);
    if (!text) {
        return fail(text.error());
    }
    const auto lines = *text ? lines_of(**text) : std::vector<std::string_view>{};
    if (lines.empty() || lines[0] != fmt::format("request {:016x}", number_)) {
        return std::nullopt;  // to an earlier one
    }
    std::vector<log_cut> cuts;
    bool good = is_sealed(**text);
    for (std::size_t i = 1; good && i + 1 < lines.size(); ++i) {
        auto cut = cut_in(lines[i]);
        good = cut.has_value();
        if (good) {
            cuts.push_back(*std::move(cut));
        }
    }
    if (!good) {
        return fail(fmt::format("{} makes no sense", path));
    }
    return cuts;
}

std::uint64_t backup_watch::asked() const {
    const unique_fd file(open_at(AT_FDCWD, (folder_ + std::string(request_name)).c_str(), O_RDONLY, 0));
    if (!file || !locked_elsewhere(file.get())) {
        return 0;
    }
    std::array<char, digits> text{};
    const auto n = ::pread(file.get(), text.data(), text.size(), 0);
    const bool whole = n == static_cast<ssize_t>(text.size());
    return whole ? number_in<std::uint64_t>({text.data(), text.size()}, 16).value_or(0) : 0;
}

result<void, std::string> backup_watch::answer(std::uint64_t request, std::span<const log_cut> cuts) const {
    std::string text = fmt::format("request {:016x}\n", request);
    for (const log_cut& c : cuts) {
        text += line_of(c);
    }
    return write_sealed(folder_ + std::string(answer_name), text);
}

void backup_watch::forget() const {
    // One that stays answers nobody else's request.
    static_cast<void>(::unlink((folder_ + std::string(answer_name)).c_str()));
}

}  // namespace linnet::store
