#include "broker/store/folder.hpp"

#include "broker/store/disk.hpp"
#include "broker/store/posix_file.hpp"

#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>
#include <utility>

namespace linnet::store {

namespace {

std::string cannot(int error, std::string what) { return to_text({error, std::move(what)}); }

}  // namespace

result<void, std::string> sync_folder(const std::string& path) {
    const std::string named = path.empty() ? "." : path;
    const unique_fd folder(::open(named.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    const int error = folder ? sync_file(folder.get()) : errno;
    if (error != 0) {
        return fail(cannot(error, "sync " + named));
    }
    return {};
}

result<void, std::string> make_folders(const std::filesystem::path& path) {
    std::error_code ignored;  // what cannot be looked at cannot be made either, and that says why
    if (path.empty() || std::filesystem::is_directory(path, ignored)) {
        return {};
    }
    if (auto above = make_folders(path.parent_path()); !above) {
        return above;
    }
    if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
        return fail(cannot(errno, "create " + path.string()));
    }
    return sync_folder(path.parent_path());
}

result<std::string, std::string> stranger_in(const std::string& path, std::span<const std::string_view> known) {
    std::error_code failed;
    for (std::filesystem::directory_iterator at(path, failed), end; !failed && at != end; at.increment(failed)) {
        std::string name = at->path().filename();
        if (std::ranges::find(known, name) == known.end()) {
            return name;
        }
    }
    if (failed) {
        return fail(cannot(failed.value(), "list " + path));
    }
    return std::string();
}

}  // namespace linnet::store
