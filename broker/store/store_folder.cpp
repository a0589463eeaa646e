#include "broker/store/store_folder.hpp"

#include "broker/store/disk.hpp"
#include "broker/store/folder.hpp"
#include "broker/store/sealed_text.hpp"

#include <fmt/format.h>

#include <array>
#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>

namespace linnet::store {

namespace {

constexpr std::string_view store_name = "STORE";
// What may lie in a folder that is to become a store.
constexpr std::array<std::string_view, 3> harmless{"LOCK", "STORE.part", "lost+found"};
constexpr std::string_view first_line = "Linnet store\n";
constexpr std::size_t store_bytes_max = 4096;

}  // namespace

result<store_folder, std::string> store_folder::open(const std::string& path, std::uint32_t logs_if_new) {
    if (const auto made = make_folders(path); !made) {
        return fail(made.error());
    }
    auto lock = store_lock::take(path);
    if (!lock) {
        return fail(std::move(lock).error());
    }
    store_folder store(path, *std::move(lock));
    const auto found = identify(path);
    if (!found) {
        return fail(found.error());
    }
    if (*found) {
        store.id_ = (*found)->id;
        store.logs_ = (*found)->logs;
    } else if (const auto made = store.make(logs_if_new); !made) {
        return fail(made.error());
    }
    return store;
}

result<store_folder, std::string> store_folder::open_empty(const std::string& path, std::string_view mark) {
    if (const auto made = make_folders(path); !made) {
        return fail(made.error());
    }
    auto lock = store_lock::take(path);
    if (!lock) {
        return fail(std::move(lock).error());
    }
    const auto stranger = stranger_in(path, harmless);
    const auto store = identify(path);
    if (!stranger || !store) {
        return fail(stranger ? store.error() : stranger.error());
    }
    std::error_code ignored;  // what cannot be looked at is not there
    const bool marked = std::filesystem::exists(fmt::format("{}/{}", path, mark), ignored) && !*store;
    if (!stranger->empty() && !marked) {
        return fail(
            fmt::format("{} is not empty: it holds {}. Name an empty folder, or one that is missing", path, *stranger));
    }
    return store_folder(path, *std::move(lock));
}

result<void, std::string> store_folder::make(std::uint32_t logs) {
    const auto stranger = stranger_in(path_, harmless);
    if (!stranger) {
        return fail(stranger.error());
    }
    if (!stranger->empty()) {
        return fail(
            fmt::format("{} is neither empty nor a store: it holds {}, and no file {}. Name an empty folder, or "
                        "one that is missing",
                        path_, *stranger, store_name));
    }
    const std::uint64_t id = random_id();
    if (id == 0) {
        return fail(to_text({errno, "get random numbers"}));
    }
    is_new_ = true;
    return write(id, logs);
}

result<void, std::string> store_folder::grow(std::uint32_t logs) {
    if (logs <= logs_) {
        return {};
    }
    return write(id_, logs);
}

result<void, std::string> store_folder::write(std::uint64_t id, std::uint32_t logs) {
    const std::string lines = fmt::format("{}format {}.{}\nid {:016x}\nlogs {}\n", first_line, format_major,
                                          format_minor, id, logs);
    if (auto written = write_sealed(fmt::format("{}/{}", path_, store_name), lines); !written) {
        return written;
    }
    id_ = id;
    logs_ = logs;
    return {};
}

result<std::optional<store_identity>, std::string> store_folder::identify(const std::string& path) {
    const auto read = read_text(fmt::format("{}/{}", path, store_name), store_bytes_max);
    if (!read) {
        return fail(read.error());
    }
    if (!*read) {
        return std::nullopt;
    }
    const std::string_view text = **read;
    const auto damaged = [&](std::string_view what) {
        return fail(
            fmt::format("{}/{} {}: restore it from a backup, for without it the logs cannot be told from others", path,
                        store_name, what));
    };
    if (!text.starts_with(first_line)) {
        return damaged("is not a store's");
    }
    const auto fields = fields_of(text.substr(first_line.size()));
    const auto field = [&](std::string_view name) {
        const auto at = fields.find(name);
        return at == fields.end() ? std::string_view() : at->second;
    };
    // The format comes first: of another one nothing else is known.
    const std::string_view format = field("format");
    const auto major = number_in<std::uint32_t>(format.substr(0, format.find('.')));
    if (major && *major != format_major) {
        return fail(fmt::format("{} is a store of format {}, and this is a broker for format {}: use the version of "
                                "linnetd that made it, or one that says it reads it",
                                path, format, format_major));
    }
    const auto id = number_in<std::uint64_t>(field("id"), 16);
    const auto logs = number_in<std::uint32_t>(field("logs"));
    if (!is_sealed(text)) {
        return damaged("is damaged");
    }
    if (!major || !id || *id == 0 || !logs || *logs == 0 || *logs > logs_max) {
        return damaged("makes no sense");
    }
    return store_identity{*id, *logs};
}

result<std::string, std::string> store_folder::subfolder(std::string_view name) const {
    std::string path = fmt::format("{}/{}", path_, name);
    if (const auto made = make_folders(path); !made) {
        return fail(made.error());
    }
    return path;
}

}  // namespace linnet::store
