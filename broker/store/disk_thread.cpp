#include "broker/base/assert.hpp"
#include "broker/store/disk_engine.hpp"
#include "broker/store/posix_file.hpp"
#include "broker/store/preparation.hpp"

#include <unistd.h>

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <mutex>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace linnet::store {

namespace {

struct transfer {
    disk_file* file = nullptr;
    std::uint64_t offset = 0;
    std::span<const std::uint8_t> from;  // a write's
    std::span<std::uint8_t> into;        // a read's
    std::uint64_t tag = 0;
    int error = 0;
};

struct preparing {
    std::unique_ptr<preparation> job;
    std::uint64_t tag = 0;
};

struct outcome {
    completion done;
    disk_file* file = nullptr;  // a transfer's
};

// What goes from the owner to the thread at once.
struct batch {
    std::vector<transfer> writes;
    std::vector<transfer> reads;
    std::deque<preparing> preparations;

    [[nodiscard]] bool empty() const { return writes.empty() && reads.empty() && preparations.empty(); }
    void append(batch&& more) {
        std::ranges::move(more.writes, std::back_inserter(writes));
        std::ranges::move(more.reads, std::back_inserter(reads));
        std::ranges::move(more.preparations, std::back_inserter(preparations));
        more = {};
    }
};

// One thread that takes all that it finds, writes it, and syncs each file once: under load the writes that come
// during one sync share the next. Preparations get on by one step between batches.
class thread_engine final : public disk_engine {
public:
    explicit thread_engine(const folder_access& in) : in_(in), worker_([this] { run(); }) {}
    thread_engine(const thread_engine&) = delete;
    thread_engine& operator=(const thread_engine&) = delete;
    ~thread_engine() override {
        {
            const std::lock_guard lock(mutex_);
            ending_ = true;
        }
        work_.notify_one();
        worker_.join();
    }

    void write(disk_file& f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) override {
        ++f.under_way;
        gathered_.writes.push_back({&f, offset, from, {}, tag, 0});
    }
    void read(disk_file& f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) override {
        ++f.under_way;
        gathered_.reads.push_back({&f, offset, {}, into, tag, 0});
    }
    void prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) override {
        gathered_.preparations.push_back(
            {std::make_unique<preparation>(in_, std::move(name), bytes, preparation::content::filled), tag});
    }
    void submit() override;
    std::size_t poll(std::span<completion> into) override;
    void wait() override;
    int wake_through(int event_fd) override {
        const std::lock_guard lock(mutex_);
        event_fd_ = event_fd;
        if (!finished_.empty()) {
            ring();
        }
        return 0;
    }

private:
    void run();
    [[nodiscard]] std::optional<batch> take(bool block);
    void carry_out(batch& b);
    void get_on(std::deque<preparing>& all);
    void publish(std::span<const outcome> done);
    void ring() const noexcept;

    // Constant.
    folder_access in_;
    // The owner only.
    batch gathered_;
    // Shared, without the mutex.
    std::atomic<bool> any_finished_ = false;  // so that poll() takes no lock for nothing
    // Shared, under the mutex.
    std::mutex mutex_;
    std::condition_variable work_;
    std::condition_variable done_;
    batch submitted_;
    std::deque<outcome> finished_;
    int event_fd_ = -1;
    bool ending_ = false;
    // Last, for it uses all the others.
    std::thread worker_;
};

void thread_engine::submit() {
    if (gathered_.empty()) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        submitted_.append(std::move(gathered_));
    }
    gathered_ = {};
    work_.notify_one();
}

std::size_t thread_engine::poll(std::span<completion> into) {
    if (!any_finished_.load(std::memory_order_acquire)) {
        return 0;
    }
    const std::lock_guard lock(mutex_);
    const std::size_t n = std::min(into.size(), finished_.size());
    for (completion& c : into.first(n)) {
        const outcome& o = finished_.front();
        c = o.done;
        if (o.file != nullptr) {
            --o.file->under_way;
        }
        finished_.pop_front();
    }
    any_finished_.store(!finished_.empty(), std::memory_order_relaxed);
    return n;
}

void thread_engine::wait() {
    submit();
    std::unique_lock lock(mutex_);
    done_.wait(lock, [this] { return !finished_.empty(); });
}

// Nothing: the end. Empty: nothing at the moment.
std::optional<batch> thread_engine::take(bool block) {
    std::unique_lock lock(mutex_);
    if (block) {
        work_.wait(lock, [this] { return ending_ || !submitted_.empty(); });
    }
    if (ending_ && submitted_.writes.empty()) {
        return std::nullopt;
    }
    return std::exchange(submitted_, {});
}

void thread_engine::run() {
    std::deque<preparing> preparations;
    while (auto b = take(preparations.empty())) {
        carry_out(*b);
        std::ranges::move(b->preparations, std::back_inserter(preparations));
        get_on(preparations);
    }
    for (preparing& p : preparations) {
        p.job->abandon();
        while (p.job->next() != preparation::step::done) {
            p.job->do_step();
        }
    }
}

void thread_engine::carry_out(batch& b) {
    std::vector<disk_file*> written;
    for (transfer& t : b.writes) {
        t.error = write_whole(t.file->fd, t.offset, t.from);
        if (std::ranges::find(written, t.file) == written.end()) {
            written.push_back(t.file);
        }
    }
    for (disk_file* f : written) {
        if (const int error = f->sync(); error != 0) {
            for (transfer& t : b.writes) {
                t.error = t.file == f && t.error == 0 ? error : t.error;
            }
        }
    }
    std::vector<outcome> done;
    for (const transfer& t : b.writes) {
        done.push_back({{t.tag, t.error}, t.file});
    }
    publish(std::exchange(done, {}));
    for (const transfer& t : b.reads) {
        done.push_back({{t.tag, read_whole(t.file->fd, t.offset, t.into)}, t.file});
    }
    publish(done);
}

void thread_engine::get_on(std::deque<preparing>& all) {
    if (all.empty()) {
        return;
    }
    preparing& first = all.front();
    first.job->do_step();
    if (first.job->next() == preparation::step::done) {
        const outcome done{{first.tag, first.job->error()}, nullptr};
        all.pop_front();
        publish({&done, 1});
    }
}

void thread_engine::publish(std::span<const outcome> done) {
    if (done.empty()) {
        return;
    }
    {
        const std::lock_guard lock(mutex_);
        finished_.insert(finished_.end(), done.begin(), done.end());
        any_finished_.store(true, std::memory_order_release);
        ring();
    }
    done_.notify_one();
}

void thread_engine::ring() const noexcept {
    if (event_fd_ >= 0) {
        const std::uint64_t one = 1;
        // Cannot fail in a way that matters: a full counter wakes as well.
        static_cast<void>(::write(event_fd_, &one, sizeof(one)));
    }
}

}  // namespace

result<std::unique_ptr<disk_engine>, int> make_thread_engine(const folder_access& in) {
    try {
        return std::make_unique<thread_engine>(in);
    } catch (const std::system_error& e) {
        return fail(e.code().value());
    }
}

}  // namespace linnet::store
