#include "broker/store/backup_manifest.hpp"

#include "broker/store/disk.hpp"
#include "broker/store/log_copy.hpp"
#include "broker/store/sealed_text.hpp"
#include "broker/store/segment.hpp"

#include <fmt/format.h>

#include <algorithm>
#include <optional>

namespace linnet::store {

namespace {

constexpr std::string_view manifest_name = "/MANIFEST";
constexpr std::string_view first_line = "Linnet backup\n";
constexpr std::size_t manifest_bytes_max = std::size_t{256} << 20;

bool all_of(std::string_view text, std::string_view allowed) {
    return !text.empty() && text.find_first_not_of(allowed) == std::string_view::npos;
}

// Nothing that would lead out of the folder, whoever has written the manifest.
bool is_log_folder(std::string_view folder) {
    constexpr std::string_view streams = "streams/";
    return folder == "meta" || all_of(folder, "0123456789") ||
           (folder.starts_with(streams) && all_of(folder.substr(streams.size()), "0123456789abcdef"));
}

bool makes_sense(const backup_manifest::file& f) {
    return is_log_folder(f.folder) && log_number_in(f.name) && f.size >= min_segment_bytes &&
           f.size % disk::block == 0 && f.stored <= f.size && f.stored % disk::block == 0;
}

std::optional<backup_manifest::file> file_in(std::string_view line) {
    const auto words = words_of(line);
    if (words.size() != 5 || words[0] != "file") {
        return std::nullopt;
    }
    const auto slash = std::min(words[1].rfind('/'), words[1].size());
    const auto stored = number_in<std::uint64_t>(words[2]);
    const auto size = number_in<std::uint64_t>(words[3]);
    const auto crc = number_in<std::uint32_t>(words[4], 16);
    if (slash == words[1].size() || !stored || !size || !crc) {
        return std::nullopt;
    }
    backup_manifest::file f{.folder = std::string(words[1].substr(0, slash)),
                            .name = std::string(words[1].substr(slash + 1)),
                            .stored = *stored,
                            .size = *size,
                            .crc = *crc};
    return makes_sense(f) ? std::optional(std::move(f)) : std::nullopt;
}

}  // namespace

result<void, std::string> write_manifest(const std::string& folder, const backup_manifest& m) {
    std::string text = fmt::format("{}format {}.{}\nmade {}\nstore {:016x}\nlogs {}\n", first_line,
                                   backup_manifest::format_major, backup_manifest::format_minor, m.made, m.store.id,
                                   m.store.logs);
    for (const auto& f : m.files) {
        text += fmt::format("file {}/{} {} {} {:08x}\n", f.folder, f.name, f.stored, f.size, f.crc);
    }
    return write_sealed(folder + std::string(manifest_name), text);
}

result<backup_manifest, std::string> read_manifest(const std::string& folder) {
    const std::string path = folder + std::string(manifest_name);
    const auto text = read_text(path, manifest_bytes_max);
    if (!text) {
        return fail(text.error());
    }
    if (!*text || !(*text)->starts_with(first_line)) {
        return fail(fmt::format("{} is no backup: {}", folder,
                                *text ? "its MANIFEST is something else's" : "it has no file MANIFEST"));
    }
    const auto fields = fields_of(**text);
    const auto field = [&](std::string_view name) {
        const auto at = fields.find(name);
        return at == fields.end() ? std::string_view() : at->second;
    };
    const std::string_view format = field("format");
    const auto major = number_in<std::uint32_t>(format.substr(0, format.find('.')));
    if (major && *major != backup_manifest::format_major) {
        return fail(fmt::format("{} is a backup of format {}, and this version reads format {}", folder, format,
                                backup_manifest::format_major));
    }
    const auto id = number_in<std::uint64_t>(field("store"), 16);
    const auto logs = number_in<std::uint32_t>(field("logs"));
    bool good = is_sealed(**text) && major && id && *id != 0 && logs && *logs != 0 && *logs <= store_folder::logs_max;
    backup_manifest m;
    for (const std::string_view line : lines_of(**text)) {
        if (!good || !line.starts_with("file ")) {
            continue;
        }
        auto f = file_in(line);
        good = f.has_value();
        if (good) {
            m.files.push_back(*std::move(f));
        }
    }
    if (!good) {
        return fail(fmt::format("{} is damaged", path));
    }
    m.store = {*id, *logs};
    m.made = field("made");
    return m;
}

}  // namespace linnet::store
