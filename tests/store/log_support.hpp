#pragma once

#include "broker/store/log_file.hpp"
#include "broker/store/segment.hpp"
#include "broker/store/simulated_disk.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// What the log's tests share: a log on a simulated disk, and records that say which they are.

namespace linnet::test {

using store::opened_log;
using store::recovery_report;
using store::simulated_disk;

inline store::log_options small_log() {
    store::log_options o;
    o.store_id = 0x5EEDED5704E1D123;
    o.log_number = 3;
    o.segment_bytes = 64 * 1024;
    return o;
}

struct kept_record {
    core::log_position at = 0;
    std::uint32_t bytes = 0;
    std::uint8_t kind = 0;
    std::uint8_t flags = 0;
    std::string payload;

    bool operator==(const kept_record&) const = default;
};

inline kept_record keep(const core::log_record& r) {
    return {.at = r.at,
            .bytes = r.bytes,
            .kind = r.kind,
            .flags = r.flags,
            .payload = {r.payload.begin(), r.payload.end()}};
}

struct reopened {
    std::unique_ptr<core::durable_log> log;  // null: refused, see `why`
    recovery_report report;
    std::vector<kept_record> records;
    std::string why;
};

inline reopened open(std::unique_ptr<store::disk> d, const store::log_options& o = small_log()) {
    reopened r;
    auto opened = store::open_log(
        std::move(d), o, [&](const core::log_record& one) { r.records.push_back(keep(one)); }, nullptr);
    if (!opened) {
        r.why = opened.error();
        return r;
    }
    r.log = std::move(opened->log);
    r.report = std::move(opened->report);
    return r;
}

inline reopened open(simulated_disk& medium, const store::log_options& o = small_log()) {
    return open(medium.attach(), o);
}

inline kept_record put(core::durable_log& log, std::string payload, std::uint8_t flags = 0, std::uint8_t kind = 1) {
    const std::span<const std::uint8_t> all{reinterpret_cast<const std::uint8_t*>(payload.data()), payload.size()};
    const std::array parts{all.first(payload.size() / 3), all.subspan(payload.size() / 3)};
    const auto a = log.append(kind, flags, parts);
    return {.at = a.at, .bytes = a.bytes, .kind = kind, .flags = flags, .payload = std::move(payload)};
}

// Bytes that differ from record to record and from place to place within one.
inline std::string text(std::size_t number, std::size_t bytes) {
    std::string s = std::to_string(number) + ":";
    std::uint64_t x = number * 0x9E3779B97F4A7C15 + 1;
    while (s.size() < bytes) {
        x = x * 6364136223846793005 + 1442695040888963407;
        s.push_back(static_cast<char>(x >> 56));
    }
    s.resize(std::max(bytes, std::size_t{1}));
    return s;
}

// Lets the medium finish what there is until the log has nothing more to do.
inline void settle(core::durable_log& log, simulated_disk& medium) {
    for (;;) {
        log.flush();
        medium.finish_all();
        if (!log.poll() && !log.busy() && medium.under_way() == 0)
            return;
    }
}

struct gathering final : core::log_reader {
    void on_record(std::size_t index, const core::log_record& r) override {
        EXPECT_EQ(index, shown.size());
        shown.push_back(keep(r));
    }
    void on_done() override { done = true; }

    std::vector<kept_record> shown;
    bool done = false;
};

}  // namespace linnet::test
