#include "broker/store/unfinished_folder.hpp"

#include "broker/store/folder.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

namespace linnet::store {

namespace fs = std::filesystem;

backup_outcome<unique_fd> begin_in(const std::string& folder) {
    const std::string path = fmt::format("{}/{}", folder, unfinished_mark);
    unique_fd file(open_at(AT_FDCWD, path.c_str(), O_RDWR | O_CREAT, 0600));
    if (!file) {
        return backup_failed(backup_fault::target, to_text({-file.get(), "create " + path}));
    }
    if (lock_file(file.get()) != 0) {
        return backup_failed(backup_fault::busy, fmt::format("{} is being filled by another process", folder));
    }
    return file;
}

void clear_unfinished(const std::string& folder) {
    std::error_code error;
    std::vector<fs::path> gone;
    for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        const std::string name = at->path().filename();
        if (name != unfinished_mark && name != "LOCK" && name != "lost+found") {
            gone.push_back(at->path());
        }
    }
    for (const fs::path& path : gone) {
        fs::remove_all(path, error);
    }
}

backup_outcome<void> finish_in(const std::string& folder) {
    const std::string path = fmt::format("{}/{}", folder, unfinished_mark);
    if (::unlink(path.c_str()) != 0) {
        return backup_failed(backup_fault::target, to_text({errno, "remove " + path}));
    }
    if (auto synced = sync_folder(folder); !synced) {
        return backup_failed(backup_fault::target, synced.error());
    }
    return {};
}

}  // namespace linnet::store
