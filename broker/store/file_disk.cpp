#include "broker/store/file_disk.hpp"

#include "broker/base/assert.hpp"
#include "broker/store/disk_engine.hpp"
#include "broker/store/posix_file.hpp"
#include "broker/store/preparation.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <ctime>
#include <utility>
#include <vector>

namespace linnet::store {

namespace {

struct owned_file final : disk_file {
    std::string name;
    unique_fd descriptor;  // none: sealed, and not in use
    bool sealed = false;

    // `synced`: opened with O_DSYNC.
    void have(unique_fd one, bool synced) {
        descriptor = std::move(one);
        fd = descriptor.get();
        writes_sync = synced;
    }
};

// Of sealed files so many keep their descriptors beside those that are in use: what reads a long queue goes from one to
// the next, and some of them read side by side.
constexpr std::size_t sealed_open_max = 8;

auto failed(int error, std::string what) { return fail(disk_error{error, std::move(what)}); }

disk_result<void> succeeded(int error, std::string_view what) {
    if (error != 0) {
        return failed(error, std::string(what));
    }
    return {};
}

// A folder of real files. The engine, a ring or a thread, is made for the first operation under way: a log that
// nobody uses costs descriptors only.
class file_disk final : public disk {
public:
    file_disk(std::string path, unique_fd folder, const disk_means& means, bool direct, bool ring)
        : path_(std::move(path)), folder_(std::move(folder)), means_(means), direct_(direct), ring_(ring) {}
    ~file_disk() override;

    disk_result<std::vector<std::string>> list() override;
    disk_result<file_id> create(std::string_view name, std::uint64_t bytes) override;
    disk_result<file_id> open(std::string_view name) override;
    disk_result<std::uint64_t> size(file_id f) override;
    void close(file_id f) override;
    void seal(file_id f) override;
    disk_result<void> rename(std::string_view from, std::string_view to) override;
    disk_result<void> remove(std::string_view name) override;
    disk_result<void> sync_folder() override;
    disk_result<void> read_now(file_id f, std::uint64_t offset, std::span<std::uint8_t> into) override;
    disk_result<void> write_now(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from) override;
    disk_result<void> sync_now(file_id f) override;
    disk_result<std::uint64_t> free_bytes() override;

    void write(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) override;
    void read(file_id f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) override;
    void prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) override;
    void submit() override;
    std::size_t poll(std::span<completion> into) override;
    void wait() override;
    void wake_through(int event_fd) override;
    std::string describe() const override;

private:
    [[nodiscard]] owned_file& at(file_id f) const;
    // The same, with its descriptor; an errno when there is none to be had.
    [[nodiscard]] result<owned_file*, int> ready(file_id f);
    // A descriptor; -errno when there is none to be had, not even by closing others of ours.
    [[nodiscard]] int open_named(const std::string& name);
    [[nodiscard]] bool close_one_sealed();
    // Down to that many, but for those in use.
    void close_sealed(std::size_t leave);
    void unseal(file_id f);
    [[nodiscard]] std::string name_of(std::string_view name) const { return path_ + "/" + std::string(name); }
    [[nodiscard]] folder_access access() const { return {folder_.get(), direct_}; }
    [[nodiscard]] int start_engine();
    // The engine, unless there is none to be had: then the operation is completed with the reason.
    [[nodiscard]] disk_engine* engine_for(std::uint64_t tag);
    // The same of a file with its descriptor.
    [[nodiscard]] owned_file* file_for(file_id f, std::uint64_t tag);
    void refuse(std::uint64_t tag, int error);
    void ring_bell() const;

    // Constant.
    std::string path_;
    unique_fd folder_;
    disk_means means_;
    bool direct_;

    bool ring_;  // io_uring, as far as is known
    int event_fd_ = -1;
    std::vector<std::unique_ptr<owned_file>> files_;
    std::vector<file_id> sealed_open_;  // sealed ones that have a descriptor, the one unused the longest first
    std::vector<completion> refused_;
    std::unique_ptr<disk_engine> engine_;  // last: it ends first
};

// Lifted by our own word: the kernel takes its time to let go of a ring, which holds the folder open.
file_disk::~file_disk() {
    engine_.reset();
    if (!means_.read_only) {
        static_cast<void>(::flock(folder_.get(), LOCK_UN));
    }
}

owned_file& file_disk::at(file_id f) const {
    LINNET_ASSERT(f < files_.size() && files_[f] != nullptr, "file {} is not open", f);
    return *files_[f];
}

// ---- The folder ------------------------------------------------------------------------------------

struct folder_closer {
    void operator()(DIR* d) const noexcept { ::closedir(d); }
};

// Everything but folders. The descriptor is one's own: reading moves its position.
result<std::vector<std::string>, int> files_in(int folder) {
    const int fd = ::openat(folder, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const std::unique_ptr<DIR, folder_closer> opened(fd < 0 ? nullptr : ::fdopendir(fd));
    if (opened == nullptr) {
        const int error = errno;
        if (fd >= 0) {
            ::close(fd);
        }
        return fail(error);
    }
    std::vector<std::string> all;
    errno = 0;
    while (const dirent* entry = ::readdir(opened.get())) {
        struct stat status {};
        if (::fstatat(folder, entry->d_name, &status, AT_SYMLINK_NOFOLLOW) != 0) {
            return fail(int{errno});
        }
        if (!S_ISDIR(status.st_mode)) {
            all.emplace_back(entry->d_name);
        }
        errno = 0;
    }
    if (errno != 0) {
        return fail(int{errno});
    }
    std::ranges::sort(all);
    return all;
}

disk_result<std::vector<std::string>> file_disk::list() {
    auto all = files_in(folder_.get());
    if (!all) {
        return failed(all.error(), "list " + path_);
    }
    std::erase_if(*all, [](const std::string& name) { return name.ends_with(part_suffix); });
    return *std::move(all);
}

disk_result<file_id> file_disk::create(std::string_view name, std::uint64_t bytes) {
    preparation p(access(), std::string(name), bytes, preparation::content::set_aside);
    while (p.next() != preparation::step::sync_folder && p.next() != preparation::step::done) {
        p.do_step();
    }
    if (p.error() != 0) {
        return failed(p.error(), "create " + name_of(name));
    }
    return open(name);
}

int file_disk::open_named(const std::string& name) {
    const int access = means_.read_only ? O_RDONLY : O_RDWR;
    for (;;) {
        const int flags = access | (direct_ ? O_DIRECT : 0) | (ring_ ? O_DSYNC : 0);
        const int fd = open_at(folder_.get(), name.c_str(), flags, 0);
        if (fd == -EINVAL && means_.read_only && direct_) {
            direct_ = false;  // which could not be tried out
        } else if ((fd != -EMFILE && fd != -ENFILE) || !close_one_sealed()) {
            return fd;
        }
    }
}

disk_result<file_id> file_disk::open(std::string_view name) {
    auto f = std::make_unique<owned_file>();
    f->name = name;
    const int fd = open_named(f->name);
    if (fd < 0) {
        return failed(-fd, "open " + name_of(name));
    }
    f->have(unique_fd(fd), ring_);
    const auto unused = std::ranges::find_if(files_, [](const auto& file) { return file == nullptr; });
    const auto index = static_cast<file_id>(unused - files_.begin());
    if (unused == files_.end()) {
        files_.push_back(std::move(f));
    } else {
        *unused = std::move(f);
    }
    return index;
}

disk_result<std::uint64_t> file_disk::size(file_id f) {
    struct stat status {};
    const auto file = ready(f);
    const int error = !file ? file.error() : ::fstat((*file)->fd, &status) != 0 ? errno : 0;
    if (error != 0) {
        return failed(error, "ask for the size of a file in " + path_);
    }
    return static_cast<std::uint64_t>(status.st_size);
}

void file_disk::close(file_id f) {
    LINNET_ASSERT(at(f).under_way == 0, "{} of {} is in use", at(f).name, path_);
    std::erase(sealed_open_, f);
    files_[f].reset();
}

disk_result<void> file_disk::rename(std::string_view from, std::string_view to) {
    const int error = rename_new(folder_.get(), std::string(from).c_str(), std::string(to).c_str());
    for (const auto& file : files_) {
        if (error == 0 && file != nullptr && file->name == from) {
            file->name = to;
        }
    }
    return succeeded(error, "rename " + name_of(from) + " to " + std::string(to));
}

disk_result<void> file_disk::remove(std::string_view name) {
    return succeeded(::unlinkat(folder_.get(), std::string(name).c_str(), 0) == 0 ? 0 : errno,
                     "remove " + name_of(name));
}

// ---- Descriptors -----------------------------------------------------------------------------------

result<owned_file*, int> file_disk::ready(file_id f) {
    owned_file& file = at(f);
    if (file.fd < 0) {
        const int fd = open_named(file.name);
        if (fd < 0) {
            return fail(-fd);
        }
        file.have(unique_fd(fd), ring_);
    }
    if (file.sealed && (sealed_open_.empty() || sealed_open_.back() != f)) {
        std::erase(sealed_open_, f);
        close_sealed(sealed_open_max - 1);
        sealed_open_.push_back(f);
    }
    return &file;
}

bool file_disk::close_one_sealed() {
    const auto unused = std::ranges::find_if(sealed_open_, [this](file_id f) { return at(f).under_way == 0; });
    if (unused == sealed_open_.end()) {
        return false;
    }
    at(*unused).have({}, false);
    sealed_open_.erase(unused);
    return true;
}

void file_disk::close_sealed(std::size_t leave) {
    while (sealed_open_.size() > leave && close_one_sealed()) {}
}

void file_disk::seal(file_id f) {
    if (std::exchange(at(f).sealed, true)) {
        return;
    }
    sealed_open_.push_back(f);
    close_sealed(sealed_open_max);
}

void file_disk::unseal(file_id f) {
    if (std::exchange(at(f).sealed, false)) {
        std::erase(sealed_open_, f);
    }
}

disk_result<void> file_disk::sync_folder() { return succeeded(sync_file(folder_.get()), "sync " + path_); }

disk_result<void> file_disk::read_now(file_id f, std::uint64_t offset, std::span<std::uint8_t> into) {
    const auto file = ready(f);
    return succeeded(file ? read_whole((*file)->fd, offset, into) : file.error(), "read from " + path_);
}

disk_result<void> file_disk::write_now(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from) {
    const auto file = ready(f);
    int error = file ? write_whole((*file)->fd, offset, from) : file.error();
    if (error == 0) {
        error = (*file)->sync();
    }
    return succeeded(error, "write to " + path_);
}

// Also where our own writes need none: those before may have been made otherwise.
disk_result<void> file_disk::sync_now(file_id f) {
    const auto file = ready(f);
    return succeeded(file ? sync_data((*file)->fd) : file.error(), "sync a file of " + path_);
}

disk_result<std::uint64_t> file_disk::free_bytes() {
    struct statvfs status {};
    if (::fstatvfs(folder_.get(), &status) != 0) {
        return failed(errno, "ask for the free space of " + path_);
    }
    return std::uint64_t{status.f_bavail} * status.f_frsize;
}

// ---- Under way -------------------------------------------------------------------------------------

int file_disk::start_engine() {
    if (engine_ != nullptr) {
        return 0;
    }
    auto made = ring_ ? make_uring_engine(access()) : make_thread_engine(access());
    int error = made ? 0 : made.error();
    if (error == 0 && event_fd_ >= 0) {
        error = (*made)->wake_through(event_fd_);
    }
    if ((error == EMFILE || error == ENFILE) && close_one_sealed()) {
        return start_engine();
    }
    if (error != 0 && ring_ && means_.method == disk_method::automatic) {
        // A small ring could be had, this one not: older kernels count rings as locked memory.
        ring_ = false;
        return start_engine();
    }
    if (error == 0) {
        engine_ = *std::move(made);
    }
    return error;
}

disk_engine* file_disk::engine_for(std::uint64_t tag) {
    if (const int error = start_engine(); error != 0) {
        refuse(tag, error);
    }
    return engine_.get();
}

owned_file* file_disk::file_for(file_id f, std::uint64_t tag) {
    const auto file = ready(f);
    if (!file) {
        refuse(tag, file.error());
        return nullptr;
    }
    return *file;
}

void file_disk::refuse(std::uint64_t tag, int error) {
    refused_.push_back({tag, error});
    ring_bell();
}

void file_disk::ring_bell() const {
    if (event_fd_ >= 0) {
        const std::uint64_t one = 1;
        static_cast<void>(::write(event_fd_, &one, sizeof(one)));
    }
}

void file_disk::write(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) {
    disk_engine* const e = engine_for(tag);
    owned_file* const file = e != nullptr ? file_for(f, tag) : nullptr;
    if (file != nullptr) {
        unseal(f);
        e->write(*file, offset, from, tag);
    }
}

void file_disk::read(file_id f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) {
    disk_engine* const e = engine_for(tag);
    owned_file* const file = e != nullptr ? file_for(f, tag) : nullptr;
    if (file != nullptr) {
        e->read(*file, offset, into, tag);
    }
}

void file_disk::prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) {
    if (disk_engine* e = engine_for(tag); e != nullptr) {
        e->prepare(std::move(name), bytes, tag);
    }
}

void file_disk::submit() {
    if (engine_ != nullptr) {
        engine_->submit();
    }
}

std::size_t file_disk::poll(std::span<completion> into) {
    if (!refused_.empty()) [[unlikely]] {
        const std::size_t n = std::min(into.size(), refused_.size());
        std::copy_n(refused_.begin(), n, into.begin());
        refused_.erase(refused_.begin(), refused_.begin() + static_cast<std::ptrdiff_t>(n));
        return n;
    }
    return engine_ == nullptr ? 0 : engine_->poll(into);
}

void file_disk::wait() {
    if (refused_.empty() && engine_ != nullptr) {
        engine_->wait();
    }
}

void file_disk::wake_through(int event_fd) {
    event_fd_ = event_fd;
    if (engine_ == nullptr) {
        return;
    }
    // A ring that is at work already has been allowed everything else.
    const int error = engine_->wake_through(event_fd);
    LINNET_ASSERT(error == 0, "no eventfd for a ring: errno {}", error);
}

std::string file_disk::describe() const {
    std::string text = ring_ ? "io_uring, " : "thread, ";
    text += direct_ ? "O_DIRECT" : "buffered";
    return text + (ring_ ? " + O_DSYNC" : " + fdatasync");
}

// ---- Opening ---------------------------------------------------------------------------------------

// A process that is killed has ended before the writes that its ring had under way: one could still land in what the
// next process has read or written. The ring keeps the folder open until the last of them is through
// (uring_engine::open), and with it the lock that is waited for here. Where folders cannot be locked nothing is waited
// for. An errno.
int wait_for_predecessor(int folder) {
    constexpr timespec pause{0, 1'000'000};
    constexpr int pauses_max = 30'000;
    for (int pauses = 0; ::flock(folder, LOCK_EX | LOCK_NB) != 0; ++pauses) {
        if (errno != EWOULDBLOCK) {
            return 0;
        }
        if (pauses == pauses_max) {
            return EBUSY;
        }
        static_cast<void>(::nanosleep(&pause, nullptr));
    }
    return 0;
}

constexpr auto trial_name = "trial.part";

// Whether files here can be opened with these flags: makes one and removes it. An errno, 0: they can.
int try_file(int folder, int flags) {
    const unique_fd file(open_at(folder, trial_name, O_RDWR | O_CREAT | O_TRUNC | flags, preparation::file_mode));
    const int error = file ? 0 : -file.get();
    // The file may be there although it could not be opened so.
    static_cast<void>(::unlinkat(folder, trial_name, 0));
    return error;
}

// What a crash left of files that were not whole.
int remove_parts(int folder) {
    const auto all = files_in(folder);
    if (!all) {
        return all.error();
    }
    for (const std::string& name : *all) {
        if (name.ends_with(part_suffix) && ::unlinkat(folder, name.c_str(), 0) != 0) {
            return errno;
        }
    }
    return 0;
}

// Reading is to begin with the medium. Pages whose sync failed count as clean, so that the cache gives them up with all
// the others; what a killed process left is brought out first. Whether that succeeds is not asked here: what could not
// be written is either gone then, or still dirty and found out by the next sync.
int forget_cached(int folder) {
    const auto all = files_in(folder);
    if (!all) {
        return all.error();
    }
    for (const std::string& name : *all) {
        // Nothing else is waited for: what is no file of ours may be a pipe.
        const unique_fd file(open_at(folder, name.c_str(), O_RDONLY | O_NONBLOCK, 0));
        if (lacks_means(-file.get())) {
            return -file.get();
        }
        if (file) {
            static_cast<void>(sync_data(file.get()));
            static_cast<void>(::posix_fadvise(file.get(), 0, 0, POSIX_FADV_DONTNEED));
        }
    }
    return 0;
}

}  // namespace

int disk_file::sync() noexcept {
    if (writes_sync) {
        return 0;
    }
    if (const int before = sync_failed.load(std::memory_order_relaxed); before != 0) {
        return before;
    }
    const int error = sync_data(fd);
    if (error != 0) {
        sync_failed.store(error, std::memory_order_relaxed);
    }
    return error;
}

disk_result<std::unique_ptr<disk>> open_file_disk(const std::string& folder, const disk_means& means) {
    unique_fd opened(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!opened) {
        return failed(errno, "open " + folder);
    }
    if (means.read_only) {
        return std::make_unique<file_disk>(folder, std::move(opened), means, means.direct, false);
    }
    if (const int error = wait_for_predecessor(opened.get()); error != 0) {
        return failed(error, "wait for what another process still writes in " + folder);
    }
    if (const int error = remove_parts(opened.get()); error != 0) {
        return failed(error, "clear " + folder + " of unfinished files");
    }
    bool direct = means.direct;
    int error = try_file(opened.get(), direct ? O_DIRECT : 0);
    if (direct && error == EINVAL) {
        direct = false;
        error = try_file(opened.get(), 0);
    }
    if (error != 0) {
        return failed(error, "create files in " + folder);
    }
    if (error = direct ? 0 : forget_cached(opened.get()); error != 0) {
        return failed(error, "list " + folder);
    }
    const bool ring = means.method != disk_method::thread && uring_usable();
    if (means.method == disk_method::io_uring && !ring) {
        return failed(ENOSYS, "use io_uring for " + folder);
    }
    return std::make_unique<file_disk>(folder, std::move(opened), means, direct, ring);
}

disk_result<std::unique_ptr<disk>> open_disk(const std::string& folder, disk_method method) {
    return open_file_disk(folder, {.method = method, .direct = true});
}

}  // namespace linnet::store
