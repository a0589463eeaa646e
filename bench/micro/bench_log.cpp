// What does the durable log cost: a checksum, a record, a sync, a start? The log alone, without a broker around it.
//
// Files go below LINNET_BENCH_FOLDER (else the system's temporary folder): name the disk that is meant.

#include "broker/store/crc32c.hpp"
#include "broker/store/disk.hpp"
#include "broker/store/log_file.hpp"

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace linnet::store {
namespace {

using steady = std::chrono::steady_clock;

void checksum(benchmark::State& state) {
    const std::vector<std::uint8_t> bytes(static_cast<std::size_t>(state.range(0)), 0x5A);
    std::uint32_t crc = 0;
    for (auto _ : state) {
        crc = crc32c(crc, bytes);
    }
    benchmark::DoNotOptimize(crc);
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(checksum)->Arg(64)->Arg(256)->Arg(1024)->Arg(4096)->Arg(65536);

// A disk that is done at once and keeps nothing: what remains is the log's own work.
class no_disk final : public disk {
public:
    disk_result<std::vector<std::string>> list() override { return std::vector<std::string>{}; }
    disk_result<file_id> create(std::string_view, std::uint64_t) override { return file_id{0}; }
    disk_result<file_id> open(std::string_view) override { return file_id{0}; }
    disk_result<std::uint64_t> size(file_id) override { return std::uint64_t{0}; }
    void close(file_id) override {}
    void seal(file_id) override {}
    disk_result<void> rename(std::string_view, std::string_view) override { return {}; }
    disk_result<void> remove(std::string_view) override { return {}; }
    disk_result<void> sync_folder() override { return {}; }
    disk_result<void> read_now(file_id, std::uint64_t, std::span<std::uint8_t>) override { return {}; }
    disk_result<void> write_now(file_id, std::uint64_t, std::span<const std::uint8_t>) override { return {}; }
    disk_result<void> sync_now(file_id) override { return {}; }
    disk_result<std::uint64_t> free_bytes() override { return std::uint64_t{1} << 40; }
    void write(file_id, std::uint64_t, std::span<const std::uint8_t>, std::uint64_t tag) override { done(tag); }
    void read(file_id, std::uint64_t, std::span<std::uint8_t>, std::uint64_t tag) override { done(tag); }
    void prepare(std::string, std::uint64_t, std::uint64_t tag) override { done(tag); }
    void submit() override {}
    std::size_t poll(std::span<completion> into) override {
        const std::size_t n = std::min(into.size(), done_.size());
        std::copy_n(done_.begin(), n, into.begin());
        done_.erase(done_.begin(), done_.begin() + static_cast<std::ptrdiff_t>(n));
        return n;
    }
    void wait() override {}
    void wake_through(int) override {}
    std::string describe() const override { return "none"; }

private:
    void done(std::uint64_t tag) { done_.push_back({.tag = tag, .error = 0}); }
    std::vector<completion> done_;
};

opened_log open_or_die(std::unique_ptr<disk> d) {
    log_options o;
    o.store_id = 1;
    auto opened = open_log(
        std::move(d), o, [](const core::log_record&) {}, nullptr);
    if (!opened) {
        std::fprintf(stderr, "%s\n", opened.error().c_str());
        std::exit(1);
    }
    return std::move(*opened);
}

void append(core::durable_log& log, std::span<const std::uint8_t> payload) {
    const std::array parts{payload.first(20), payload.subspan(20)};
    benchmark::DoNotOptimize(log.append(1, 0, parts));
}

// Copying, CRC, batches, commits; a turn is 64 records.
void format_a_record(benchmark::State& state) {
    auto opened = open_or_die(std::make_unique<no_disk>());
    const std::vector<std::uint8_t> payload(static_cast<std::size_t>(state.range(0)), 0x5A);
    std::size_t in_turn = 0;
    for (auto _ : state) {
        append(*opened.log, payload);
        if (++in_turn % 64 == 0) {
            opened.log->flush();
            opened.log->poll();
            opened.log->drop_before(opened.log->durable());
        }
    }
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(format_a_record)->Arg(64)->Arg(256)->Arg(1024)->Arg(16384);

// A folder of its own on the disk that is meant, gone at the end.
class scratch {
public:
    scratch() {
        const char* given = std::getenv("LINNET_BENCH_FOLDER");
        const std::filesystem::path parent = given != nullptr ? given : std::filesystem::temp_directory_path();
        path_ = parent / ("linnet-bench-log-" + std::to_string(std::random_device{}()));
        std::filesystem::create_directories(path_);
    }
    scratch(const scratch&) = delete;
    scratch& operator=(const scratch&) = delete;
    ~scratch() { std::filesystem::remove_all(path_); }

    [[nodiscard]] std::unique_ptr<disk> open() const {
        auto d = open_disk(path_.string(), disk_method::automatic);
        if (!d) {
            std::fprintf(stderr, "%s\n", to_text(d.error()).c_str());
            std::exit(1);
        }
        return std::move(*d);
    }

private:
    std::filesystem::path path_;
};

// What this process has had written to disks.
std::uint64_t written_bytes() {
    std::ifstream io("/proc/self/io");
    std::string key;
    std::uint64_t value = 0;
    while (io >> key >> value) {
        if (key == "write_bytes:") {
            return value;
        }
    }
    return 0;
}

// Beside the bytes that were asked for; a file system in memory counts none.
void count_written(benchmark::State& state, std::uint64_t before, std::uint64_t payload) {
    state.counters["written_for_each"] = static_cast<double>(written_bytes() - before) / static_cast<double>(payload);
}

void count_waiting(benchmark::State& state, std::vector<double>& took) {
    std::sort(took.begin(), took.end());
    state.counters["p50_us"] = took[took.size() / 2];
    state.counters["p99_us"] = took[took.size() * 99 / 100];
}

void turn(core::durable_log& log) {
    log.flush();
    if (!log.poll()) {
        std::this_thread::yield();
    }
}

// Everything that can be had with confirms: a turn is 64 records of 256 bytes, as much in memory as may be.
void append_from_many(benchmark::State& state) {
    const scratch folder;
    auto opened = open_or_die(folder.open());
    core::durable_log& log = *opened.log;
    const std::vector<std::uint8_t> payload(256, 0x5A);
    std::size_t in_turn = 0;
    const std::uint64_t before = written_bytes();
    for (auto _ : state) {
        append(log, payload);
        if (++in_turn % 64 != 0) {
            continue;
        }
        do {
            turn(log);
        } while (log.congested());
        log.drop_before(log.durable());
    }
    while (log.durable() != log.end() && log.health() == core::log_health::good) {
        turn(log);
    }
    count_written(state, before, static_cast<std::uint64_t>(state.iterations()) * 256);
    state.SetItemsProcessed(state.iterations());
    state.SetBytesProcessed(state.iterations() * 256);
}
BENCHMARK(append_from_many)->MinTime(3)->UseRealTime();

// So many a second, each at its time: how long it waits for its confirm, which is how late its turn is and the sync.
void append_paced(benchmark::State& state) {
    const scratch folder;
    auto opened = open_or_die(folder.open());
    core::durable_log& log = *opened.log;
    const std::vector<std::uint8_t> payload(256, 0x5A);
    struct waiting {
        core::log_position until;
        steady::time_point since;
    };
    std::deque<waiting> unconfirmed;
    std::vector<double> took;
    const auto gap = std::chrono::nanoseconds(1'000'000'000 / state.range(0));
    const std::uint64_t before = written_bytes();
    auto due = steady::now();
    const auto tend = [&] {
        turn(log);
        log.drop_before(log.durable());
        for (const auto now = steady::now(); !unconfirmed.empty() && unconfirmed.front().until <= log.durable();) {
            took.push_back(std::chrono::duration<double, std::micro>(now - unconfirmed.front().since).count());
            unconfirmed.pop_front();
        }
    };
    for (auto _ : state) {
        for (due += gap; steady::now() < due;) {
            tend();
        }
        append(log, payload);
        unconfirmed.push_back({log.end(), due});
    }
    while (!unconfirmed.empty() && log.health() == core::log_health::good) {
        tend();
    }
    count_waiting(state, took);
    count_written(state, before, took.size() * 256);
}
BENCHMARK(append_paced)->Arg(50'000)->Iterations(250'000);

// One publisher that waits for each confirm: a sync each.
void append_one_by_one(benchmark::State& state) {
    const scratch folder;
    auto opened = open_or_die(folder.open());
    core::durable_log& log = *opened.log;
    const std::vector<std::uint8_t> payload(256, 0x5A);
    std::vector<double> took;
    for (auto _ : state) {
        const auto begin = steady::now();
        append(log, payload);
        const core::log_position mine = log.end();
        while (log.durable() < mine && log.health() == core::log_health::good) {
            turn(log);
        }
        took.push_back(std::chrono::duration<double, std::micro>(steady::now() - begin).count());
    }
    state.SetItemsProcessed(state.iterations());
    count_waiting(state, took);
}
BENCHMARK(append_one_by_one)->MinTime(3)->UseRealTime();

// Opening a log of 256 MiB, every record shown.
void recover(benchmark::State& state) {
    const scratch folder;
    const auto size = static_cast<std::size_t>(state.range(0));
    {
        auto opened = open_or_die(folder.open());
        const std::vector<std::uint8_t> payload(size, 0x5A);
        while (opened.log->end() < std::uint64_t{320} << 20) {
            append(*opened.log, payload);
            if (opened.log->congested()) {
                turn(*opened.log);
            }
        }
        opened.log->close();
    }
    std::uint64_t records = 0;
    std::uint64_t bytes = 0;
    for (auto _ : state) {
        auto opened = open_or_die(folder.open());
        records += opened.report.records;
        bytes += opened.report.bytes;
        state.PauseTiming();
        opened.log->close();
        opened.log.reset();
        state.ResumeTiming();
    }
    state.SetItemsProcessed(static_cast<std::int64_t>(records));
    state.SetBytesProcessed(static_cast<std::int64_t>(bytes));
}
BENCHMARK(recover)->Arg(256)->Arg(4096)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace linnet::store
