// How many durable writes a second does a disk take, one after the other and eight under way, by each way of doing
// it? The first rows are what a log that grows its file, or only sets it aside, would pay; the others are ours.
//
// Writes go to the current folder, or to $LINNET_BENCH_DISK. Compare rows, not absolutes.

#include "broker/store/disk.hpp"
#include "broker/store/file_disk.hpp"
#include "broker/store/posix_file.hpp"

#include <benchmark/benchmark.h>

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <new>
#include <span>
#include <string>
#include <vector>

namespace {

using namespace linnet::store;

constexpr std::uint64_t file_bytes = std::uint64_t{64} << 20;

class folder {
public:
    folder() {
        const char* below = std::getenv("LINNET_BENCH_DISK");
        path_ = std::string(below == nullptr ? "." : below) + "/linnet-bench-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) {
            std::perror(path_.c_str());
            std::abort();
        }
    }
    folder(const folder&) = delete;
    folder& operator=(const folder&) = delete;
    ~folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

struct aligned_delete {
    void operator()(std::uint8_t* p) const { ::operator delete[](p, std::align_val_t{disk::block}); }
};
using buffer = std::unique_ptr<std::uint8_t[], aligned_delete>;

buffer make_buffer(std::size_t bytes) {
    buffer b(new (std::align_val_t{disk::block}) std::uint8_t[bytes]);
    std::fill_n(b.get(), bytes, std::uint8_t{1});
    return b;
}

void report(benchmark::State& state, std::size_t bytes) {
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(bytes));
}

enum class file_state : std::uint8_t { growing, set_aside };

// pwrite and fdatasync by hand: what we do not do.
void plain(benchmark::State& state, file_state s) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    const folder in;
    const unique_fd file(::open((in.path() + "/a").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600));
    const buffer from = make_buffer(bytes);
    std::uint64_t at = 0;
    for (auto unused : state) {
        if (at % file_bytes == 0) {
            state.PauseTiming();
            if (::ftruncate(file.get(), 0) != 0 ||
                (s == file_state::set_aside && ::fallocate(file.get(), 0, 0, file_bytes) != 0) ||
                sync_file(file.get()) != 0) {
                state.SkipWithError("cannot prepare the file");
                return;
            }
            state.ResumeTiming();
        }
        if (write_whole(file.get(), at % file_bytes, {from.get(), bytes}) != 0 || sync_data(file.get()) != 0) {
            state.SkipWithError("cannot write");
            return;
        }
        at += bytes;
    }
    report(state, bytes);
}

// Through the interface, over a file of zeros, so many under way.
void ours(benchmark::State& state, disk_means means) {
    const auto bytes = static_cast<std::size_t>(state.range(0));
    const auto count = static_cast<std::size_t>(state.range(1));
    std::vector<buffer> from;  // outlives the disk, which ends with writes under way
    for (std::size_t i = 0; i < count; ++i) {
        from.push_back(make_buffer(bytes));
    }
    const folder in;
    auto opened = open_file_disk(in.path(), means);
    if (!opened) {
        state.SkipWithError(to_text(opened.error()).c_str());
        return;
    }
    disk& d = **opened;
    state.SetLabel(d.describe());
    d.prepare("a", file_bytes, 0);
    d.submit();
    d.wait();
    completion done[64];
    if (d.poll(done) != 1 || done[0].error != 0) {
        state.SkipWithError("cannot prepare the file");
        return;
    }
    const file_id f = *d.open("a");
    std::uint64_t at = 0;
    const auto write = [&](std::uint64_t slot) {
        d.write(f, at, {from[slot].get(), bytes}, slot);
        at = (at + bytes) % file_bytes;
    };
    for (std::size_t i = 0; i < count; ++i) {
        write(i);
    }
    d.submit();
    std::size_t ready = 0;
    std::size_t next = 0;
    for (auto unused : state) {
        if (next == ready) {
            d.wait();
            ready = d.poll(done);
            next = 0;
        }
        if (done[next].error != 0) {
            state.SkipWithError("cannot write");
            return;
        }
        write(done[next].tag);
        if (++next == ready) {
            d.submit();
        }
    }
    report(state, bytes);
}

void sizes(benchmark::internal::Benchmark* b) { b->ArgNames({"bytes"})->Arg(4096)->Arg(65536); }
void sizes_and_depths(benchmark::internal::Benchmark* b) {
    b->ArgNames({"bytes", "under_way"})->ArgsProduct({{4096, 65536}, {1, 8}});
}

BENCHMARK_CAPTURE(plain, growing_fdatasync, file_state::growing)->Apply(sizes)->UseRealTime();
BENCHMARK_CAPTURE(plain, set_aside_fdatasync, file_state::set_aside)->Apply(sizes)->UseRealTime();
BENCHMARK_CAPTURE(ours, thread_buffered, disk_means{disk_method::thread, false})
    ->Apply(sizes_and_depths)
    ->UseRealTime();
BENCHMARK_CAPTURE(ours, thread_direct, disk_means{disk_method::thread, true})->Apply(sizes_and_depths)->UseRealTime();
BENCHMARK_CAPTURE(ours, ring_buffered, disk_means{disk_method::io_uring, false})
    ->Apply(sizes_and_depths)
    ->UseRealTime();
BENCHMARK_CAPTURE(ours, ring_direct, disk_means{disk_method::io_uring, true})->Apply(sizes_and_depths)->UseRealTime();

}  // namespace
