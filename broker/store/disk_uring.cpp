#include "broker/base/assert.hpp"
#include "broker/store/disk_engine.hpp"
#include "broker/store/preparation.hpp"

#include <fcntl.h>
#include <liburing.h>
#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <deque>
#include <utility>
#include <vector>

namespace linnet::store {

namespace {

enum class task_kind : std::uint8_t { unused, write, read, prepare };

struct task {
    task_kind kind = task_kind::unused;
    disk_file* file = nullptr;  // a transfer's
    std::uint64_t offset = 0;
    std::uint8_t* at = nullptr;
    std::size_t left = 0;
    std::uint64_t tag = 0;
    std::unique_ptr<preparation> job;
};

// One ring: what is submitted goes to the kernel with one call a turn, what is finished is read from shared memory,
// and the kernel itself writes the shard's eventfd. No flags: the recovering thread hands the ring on to the shard's,
// so it has no single issuer, and completions must come without our asking.
//
// Bounds: `depth` in the kernel's hands, so that its completion queue (twice as long) cannot overflow; what
//         is more waits here.
class uring_engine final : public disk_engine {
public:
    static constexpr unsigned depth = 64;

    explicit uring_engine(const folder_access& in) : in_(in) {}
    uring_engine(const uring_engine&) = delete;
    uring_engine& operator=(const uring_engine&) = delete;
    ~uring_engine() override;

    [[nodiscard]] int open();

    void write(disk_file& f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) override;
    void read(disk_file& f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) override;
    void prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) override;
    void submit() override;
    std::size_t poll(std::span<completion> into) override;
    void wait() override;
    int wake_through(int event_fd) override { return -::io_uring_register_eventfd(&ring_, event_fd); }

private:
    void add(task t);
    void start(std::uint32_t index);
    void reap();
    void took(std::uint32_t index, int result);
    void took(task& t, int result);
    void took_step(task& t, int result);
    void complete(task& t, int error);

    folder_access in_;
    bool open_ = false;
    bool closing_ = false;
    bool restarted_ = false;  // reaping has put something new into the ring
    io_uring ring_{};
    unsigned in_kernel_ = 0;  // and in the submission queue
    std::vector<task> tasks_;
    std::vector<std::uint32_t> unused_;
    std::deque<std::uint32_t> waiting_;  // for room in the ring
    std::deque<completion> finished_;
};

// The folder is registered so that the ring holds it open, and its lock with it: if this process is killed, until the
// last write that was under way has come to its end. Whoever comes next waits for that (wait_for_predecessor).
int uring_engine::open() {
    int error = -::io_uring_queue_init(depth, &ring_, 0);
    open_ = error == 0;
    if (open_) {
        error = -::io_uring_register_files(&ring_, &in_.fd, 1);
    }
    return error;
}

// Nobody wants the results any more, but the kernel still has the buffers.
uring_engine::~uring_engine() {
    if (!open_) {
        return;
    }
    closing_ = true;
    waiting_.clear();
    while (in_kernel_ > 0) {
        finished_.clear();
        wait();
    }
    for (task& t : tasks_) {
        if (t.kind != task_kind::prepare) {
            continue;
        }
        t.job->abandon();
        while (t.job->next() != preparation::step::done) {
            t.job->do_step();
        }
    }
    // Else the folder stays in use until the kernel gets round to it, and its file system cannot be unmounted.
    static_cast<void>(::io_uring_unregister_files(&ring_));
    ::io_uring_queue_exit(&ring_);
}

void uring_engine::write(disk_file& f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) {
    // The kernel only reads from it.
    auto* at = const_cast<std::uint8_t*>(from.data());
    ++f.under_way;
    add({task_kind::write, &f, offset, at, from.size(), tag, nullptr});
}

void uring_engine::read(disk_file& f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) {
    ++f.under_way;
    add({task_kind::read, &f, offset, into.data(), into.size(), tag, nullptr});
}

void uring_engine::prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) {
    add({task_kind::prepare, nullptr, 0, nullptr, 0, tag,
         std::make_unique<preparation>(in_, std::move(name), bytes, preparation::content::filled)});
}

void uring_engine::add(task t) {
    if (unused_.empty()) {
        unused_.push_back(static_cast<std::uint32_t>(tasks_.size()));
        tasks_.emplace_back();
    }
    const std::uint32_t index = unused_.back();
    unused_.pop_back();
    tasks_[index] = std::move(t);
    start(index);
}

void fill_in(io_uring_sqe* sqe, const preparation& p) {
    switch (p.next()) {
        case preparation::step::open:
            return ::io_uring_prep_openat(sqe, p.folder(), p.part(), p.open_flags(), preparation::file_mode);
        case preparation::step::allocate:
            return ::io_uring_prep_fallocate(sqe, p.file(), 0, 0, static_cast<off_t>(p.bytes()));
        case preparation::step::fill:
            return ::io_uring_prep_write(sqe, p.file(), p.piece().data(), static_cast<unsigned>(p.piece().size()),
                                         p.offset());
        case preparation::step::sync_file: return ::io_uring_prep_fsync(sqe, p.file(), 0);
        case preparation::step::rename:
            return ::io_uring_prep_renameat(sqe, p.folder(), p.part(), p.folder(), p.name(), RENAME_NOREPLACE);
        case preparation::step::sync_folder: return ::io_uring_prep_fsync(sqe, p.folder(), 0);
        case preparation::step::discard: return ::io_uring_prep_unlinkat(sqe, p.folder(), p.part(), 0);
        case preparation::step::done: return ::io_uring_prep_nop(sqe);
    }
}

void uring_engine::start(std::uint32_t index) {
    if (in_kernel_ == depth) {
        waiting_.push_back(index);
        return;
    }
    io_uring_sqe* sqe = ::io_uring_get_sqe(&ring_);
    LINNET_ASSERT(sqe != nullptr, "{} under way in a ring of {}", in_kernel_, depth);
    const task& t = tasks_[index];
    // The kernel carries at most 2 GiB at once, and says how far it came.
    const auto length = static_cast<unsigned>(std::min<std::size_t>(t.left, std::size_t{1} << 30));
    switch (t.kind) {
        case task_kind::write: ::io_uring_prep_write(sqe, t.file->fd, t.at, length, t.offset); break;
        case task_kind::read: ::io_uring_prep_read(sqe, t.file->fd, t.at, length, t.offset); break;
        case task_kind::prepare: fill_in(sqe, *t.job); break;
        case task_kind::unused: LINNET_ASSERT(false, "task {} is not in use", index);
    }
    ::io_uring_sqe_set_data64(sqe, index);
    ++in_kernel_;
}

void uring_engine::submit() {
    while (::io_uring_sq_ready(&ring_) > 0) {
        const int error = -::io_uring_submit(&ring_);
        if (error == EAGAIN || error == EBUSY || error == ENOMEM) {
            return;  // short of memory for a moment; poll() and wait() try again
        }
        LINNET_ASSERT(error <= 0 || error == EINTR, "io_uring_enter: errno {}", error);
    }
}

void uring_engine::reap() {
    io_uring_cqe* cqe = nullptr;
    while (::io_uring_peek_cqe(&ring_, &cqe) == 0) {
        const auto index = static_cast<std::uint32_t>(cqe->user_data);
        const int result = cqe->res;
        ::io_uring_cqe_seen(&ring_, cqe);
        --in_kernel_;
        took(index, result);
    }
    while (!waiting_.empty() && in_kernel_ < depth) {
        const std::uint32_t index = waiting_.front();
        waiting_.pop_front();
        start(index);
        restarted_ = true;
    }
    // What goes on by itself does not wait for the owner's next submit(). Nor does what the kernel had no memory for.
    if (std::exchange(restarted_, false) || ::io_uring_sq_ready(&ring_) > 0) {
        submit();
    }
}

void uring_engine::took(std::uint32_t index, int result) {
    task& t = tasks_[index];
    took(t, result);
    if (t.kind == task_kind::unused) {
        unused_.push_back(index);
    } else if (!closing_) {
        start(index);
        restarted_ = true;
    }
}

// Completes the task or moves it on.
void uring_engine::took(task& t, int result) {
    if (t.kind == task_kind::prepare) {
        return took_step(t, result);
    }
    if (result == -EINTR) {
        return;
    }
    if (result < 0) {
        return complete(t, -result);
    }
    const std::size_t moved = std::min(whole_blocks(static_cast<std::size_t>(result)), t.left);
    if (moved == 0 && t.left > 0) {
        return complete(t, t.kind == task_kind::read ? ENODATA : EIO);
    }
    t.at += moved;
    t.offset += moved;
    t.left -= moved;
    if (t.left == 0) {
        complete(t, 0);
    }
}

void uring_engine::took_step(task& t, int result) {
    if (t.job->next() == preparation::step::rename && result == -EINVAL) {
        result = -rename_new(t.job->folder(), t.job->part(), t.job->name());
    }
    t.job->took(result);
    if (t.job->next() == preparation::step::done) {
        complete(t, t.job->error());
    }
}

void uring_engine::complete(task& t, int error) {
    finished_.push_back({t.tag, error});
    if (t.file != nullptr) {
        --t.file->under_way;
    }
    t = {};
}

std::size_t uring_engine::poll(std::span<completion> into) {
    reap();
    const std::size_t n = std::min(into.size(), finished_.size());
    const auto end = finished_.begin() + static_cast<std::ptrdiff_t>(n);
    std::copy(finished_.begin(), end, into.begin());
    finished_.erase(finished_.begin(), end);
    return n;
}

void uring_engine::wait() {
    submit();
    reap();
    while (finished_.empty() && in_kernel_ > 0) {
        const int error = -::io_uring_submit_and_wait(&ring_, 1);
        if (error == EAGAIN || error == EBUSY || error == ENOMEM) {
            ::sched_yield();
        } else {
            LINNET_ASSERT(error <= 0 || error == EINTR, "io_uring_enter: errno {}", error);
        }
        reap();
    }
}

bool ask_kernel() {
    io_uring ring{};
    if (::io_uring_queue_init(1, &ring, 0) != 0) {
        return false;
    }
    // Of the operations needed the latest, of Linux 5.11, stands for all.
    io_uring_probe* known = ::io_uring_get_probe_ring(&ring);
    const bool usable = known != nullptr && ::io_uring_opcode_supported(known, IORING_OP_UNLINKAT) != 0;
    if (known != nullptr) {
        ::io_uring_free_probe(known);
    }
    ::io_uring_queue_exit(&ring);
    return usable;
}

}  // namespace

bool uring_usable() {
    static const bool usable = ask_kernel();
    return usable;
}

result<std::unique_ptr<disk_engine>, int> make_uring_engine(const folder_access& in) {
    auto engine = std::make_unique<uring_engine>(in);
    if (const int error = engine->open(); error != 0) {
        return fail(error);
    }
    return engine;
}

}  // namespace linnet::store
