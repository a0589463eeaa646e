#include "broker/store/backup.hpp"
#include "broker/store/backup_copy.hpp"
#include "broker/store/backup_manifest.hpp"
#include "broker/store/store_folder.hpp"
#include "broker/store/unfinished_folder.hpp"

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>
#include <utility>

namespace linnet::store {

namespace {

namespace fs = std::filesystem;

// Root restores for the user that the folder belongs to.
void give_to_owner(const std::string& folder) {
    struct stat status {};
    if (::geteuid() != 0 || ::stat(folder.c_str(), &status) != 0 || status.st_uid == 0) {
        return;
    }
    std::error_code error;
    for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
        // A file that stays root's is named by the broker that cannot open it.
        [[maybe_unused]] const int given = ::lchown(at->path().c_str(), status.st_uid, status.st_gid);
    }
}

backup_outcome<backup_report> restore_into(store_folder& folder, const std::string& from, backup_manifest& m,
                                           const backup_observer& observe) {
    const backup_plan p = plan_of(m);
    backup_report report{.made = m.made, .logs = p.size(), .files = m.files.size(), .bytes = bytes_of(p)};
    backup_copy work(from, folder.path(), observe);
    std::uint64_t needed = 0;
    for (const auto& f : m.files) {
        needed += f.size;
    }
    auto done = work.room_for(needed);
    if (done) {
        done = work.copy_all(p, m, copy_goal::data_folder);
    }
    // Without it the folder is no store; with it everything is there.
    if (done) {
        if (auto founded = folder.found(m.store); !founded) {
            done = backup_failed(backup_fault::target, founded.error());
        }
    }
    if (done) {
        done = finish_in(folder.path());
    }
    if (!done) {
        return fail(done.error());
    }
    give_to_owner(folder.path());
    return report;
}

}  // namespace

result<backup_report, backup_failure> restore(const std::string& from, const std::string& data_folder,
                                              const backup_observer& observe) {
    auto manifest = read_manifest(from);
    if (!manifest) {
        return backup_failed(backup_fault::damaged, manifest.error());
    }
    std::error_code ignored;  // then making it says why
    const bool was_there = fs::exists(data_folder, ignored);
    auto folder = store_folder::open_empty(data_folder, unfinished_mark);
    if (!folder) {
        return backup_failed(backup_fault::target, folder.error());
    }
    const auto mark = begin_in(data_folder);
    if (!mark) {
        return fail(mark.error());
    }
    clear_unfinished(data_folder);
    auto done = restore_into(*folder, from, *manifest, observe);
    if (!done) {
        clear_unfinished(data_folder);
        static_cast<void>(finish_in(data_folder));
    }
    if (!done && !was_there) {
        fs::remove_all(data_folder, ignored);
    }
    return done;
}

}  // namespace linnet::store
