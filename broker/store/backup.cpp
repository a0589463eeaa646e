#include "broker/store/backup.hpp"

#include "broker/store/backup_copy.hpp"
#include "broker/store/backup_manifest.hpp"
#include "broker/store/backup_request.hpp"
#include "broker/store/folder.hpp"
#include "broker/store/store_folder.hpp"
#include "broker/store/store_lock.hpp"
#include "broker/store/unfinished_folder.hpp"

#include <fmt/format.h>

#include <fcntl.h>
#include <sys/stat.h>

#include <array>
#include <ctime>
#include <filesystem>
#include <optional>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace linnet::store {

namespace {

namespace fs = std::filesystem;

constexpr std::string_view part_of_backup = ".part";

// Words of a call that has words of its own.
template <class T>
backup_outcome<void> told(const result<T, std::string>& r, backup_fault why) {
    if (!r) {
        return backup_failed(why, r.error());
    }
    return {};
}

std::string now_as_text() {
    const std::time_t now = std::time(nullptr);
    std::tm parts{};
    ::gmtime_r(&now, &parts);
    std::array<char, 32> text{};
    return {text.data(), std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &parts)};
}

// Of the broker that serves the folder.
backup_outcome<backup_plan> ask_broker(const std::string& data_folder, const backup_request& request,
                                       const backup_observer& observe) {
    constexpr int patience = 1200;
    constexpr timespec moment{0, 50'000'000};
    for (int i = 0; i < patience; ++i) {
        const auto cuts = request.answer();
        if (!cuts) {
            return backup_failed(backup_fault::unreachable, cuts.error());
        }
        if (*cuts) {
            return plan_of(**cuts);
        }
        if (!observe({backup_phase::waiting, 0, 0})) {
            return backup_failed(backup_fault::stopped, "stopped while waiting for the broker");
        }
        ::nanosleep(&moment, nullptr);
    }
    return backup_failed(
        backup_fault::unreachable,
        fmt::format("{} is served by {}, which does not answer: it hangs, or is of an earlier version. A "
                    "backup can be made while it does not run",
                    data_folder, store_lock::holder_of(data_folder)));
}

std::string without_slash(const std::string& path) {
    const auto plain = fs::path(path).lexically_normal();
    return plain.has_filename() || !plain.has_parent_path() ? plain.string() : plain.parent_path().string();
}

bool lies_within(const std::string& path, const std::string& folder) {
    std::error_code error;
    const auto relative = fs::weakly_canonical(path, error).lexically_relative(fs::weakly_canonical(folder, error));
    return !relative.empty() && *relative.begin() != "..";
}

backup_outcome<void> check_target(const std::string& data_folder, const std::string& to) {
    struct stat status {};
    if (to.empty()) {
        return backup_failed(backup_fault::target, "a backup needs a folder to be made for it");
    }
    if (::lstat(to.c_str(), &status) == 0) {
        return backup_failed(backup_fault::target,
                             fmt::format("{} is there already: a backup makes its own folder", to));
    }
    if (lies_within(to, data_folder)) {
        return backup_failed(backup_fault::target, fmt::format("{} lies within the data folder", to));
    }
    return {};
}

// The folder with the other name, empty but for the mark. What an earlier backup left there goes.
backup_outcome<unique_fd> begin_part(const std::string& part) {
    struct stat status {};
    const bool there = ::lstat(part.c_str(), &status) == 0;
    if (there && ::lstat(fmt::format("{}/{}", part, unfinished_mark).c_str(), &status) != 0) {
        return backup_failed(backup_fault::target, fmt::format("{} is in the way, and no backup has left it", part));
    }
    if (auto made = make_folders(part); !made) {
        return backup_failed(backup_fault::target, made.error());
    }
    auto mark = begin_in(part);
    if (mark) {
        clear_unfinished(part);
    }
    return mark;
}

class backing_up {
public:
    backing_up(const std::string& data_folder, std::string to, const backup_observer& observe)
        : data_folder_(data_folder), to_(std::move(to)), part_(to_ + std::string(part_of_backup)), observe_(observe) {}

    backup_outcome<backup_report> run() {
        if (auto fits = check_target(data_folder_, to_); !fits) {
            return fail(fits.error());
        }
        const auto store = store_folder::identify(data_folder_);
        if (!store || !*store) {
            return backup_failed(store ? backup_fault::unfit : backup_fault::damaged,
                                 store ? fmt::format("{} is no data folder: it has no file STORE", data_folder_)
                                       : store.error());
        }
        manifest_.store = **store;
        manifest_.made = now_as_text();
        auto lock = store_lock::try_take(data_folder_);
        if (!lock) {
            return backup_failed(backup_fault::source, lock.error());
        }
        lock_ = *std::move(lock);
        auto mark = begin_part(part_);
        if (!mark) {
            return fail(mark.error());
        }
        auto done = fill();
        if (!done) {
            std::error_code left;
            fs::remove_all(part_, left);
        }
        return done;
    }

private:
    backup_outcome<backup_report> fill();
    backup_outcome<backup_plan> what_to_copy();
    backup_outcome<void> give_name() const;

    const std::string data_folder_;
    const std::string to_;
    const std::string part_;
    const backup_observer& observe_;
    backup_manifest manifest_;
    std::optional<store_lock> lock_;
    std::optional<backup_request> request_;
};

backup_outcome<backup_plan> backing_up::what_to_copy() {
    if (lock_) {
        return plan_at_rest(data_folder_, manifest_.store.logs);
    }
    auto request = backup_request::make(data_folder_);
    if (!request) {
        return backup_failed(backup_fault::busy, request.error());
    }
    request_.emplace(*std::move(request));
    return ask_broker(data_folder_, *request_, observe_);
}

backup_outcome<backup_report> backing_up::fill() {
    const auto p = what_to_copy();
    if (!p) {
        return fail(p.error());
    }
    backup_report report{.made = manifest_.made, .logs = p->size(), .online = !lock_};
    backup_copy work(data_folder_, part_, observe_);
    // Of a folder that nobody serves the used part is not known yet.
    auto done = request_ ? work.room_for(bytes_of(*p)) : backup_outcome<void>{};
    if (done) {
        done = work.copy_all(*p, manifest_, copy_goal::backup);
    }
    // From here on the broker may do with its segments what it likes.
    request_.reset();
    lock_.reset();
    if (!done) {
        return fail(done.error());
    }
    const auto records = work.check_all(*p, manifest_);
    if (!records) {
        return fail(records.error());
    }
    report.records = *records;
    report.files = manifest_.files.size();
    for (const auto& f : manifest_.files) {
        report.bytes += f.stored;
    }
    done = told(write_manifest(part_, manifest_), backup_fault::target);
    if (done) {
        done = give_name();
    }
    if (!done) {
        return fail(done.error());
    }
    return report;
}

backup_outcome<void> backing_up::give_name() const {
    if (const int error = rename_new(AT_FDCWD, part_.c_str(), to_.c_str()); error != 0) {
        return backup_failed(backup_fault::target, to_text({error, fmt::format("rename {} to {}", part_, to_)}));
    }
    // The name says that it is good: a mark that stays is of no account.
    static_cast<void>(finish_in(to_));
    return told(sync_folder(fs::path(to_).parent_path()), backup_fault::target);
}

}  // namespace

result<backup_report, backup_failure> back_up(const std::string& data_folder, const std::string& to,
                                              const backup_observer& observe) {
    return backing_up(data_folder, without_slash(to), observe).run();
}

}  // namespace linnet::store
