#pragma once

#include "broker/base/clock.hpp"
#include "broker/base/thread_owner.hpp"
#include "broker/core/log.hpp"

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <vector>

namespace linnet::store {

// A log whose records live in memory and end with the process: for a broker without a disk, and for tests, which may
// hold durability back and play a full or a failed disk.
//
// It behaves as the file log does in everything but survival: positions have the same gaps for headers, segments are
// dropped whole, durable() moves at the poll() that follows a flush(), records are shown by poll() and never from
// within read().
//
// Threads: one.
// Bounds:  none but drop_before().
class memory_log final : public core::durable_log {
public:
    explicit memory_log(std::uint64_t segment_bytes = std::uint64_t{64} << 20);

    appended append(std::uint8_t kind, std::uint8_t flags, parts payload) override;
    void flush() override;
    bool poll() override;
    [[nodiscard]] bool busy() const noexcept override;
    void tick(mono_ns /*now*/) override {}
    void wake_through(int event_fd) override { wake_fd_ = event_fd; }

    [[nodiscard]] core::log_position end() const noexcept override { return end_; }
    [[nodiscard]] core::log_position durable() const noexcept override { return durable_; }
    [[nodiscard]] core::log_position begin() const noexcept override { return begin_; }

    void read(std::span<const core::record_range> which, core::log_reader& into) override;
    void read_on(core::log_position from, std::uint32_t bytes_max, core::log_reader& into) override;
    void scan(core::log_position from, const std::function<bool(const core::log_record&)>& f) override;
    void drop_before(core::log_position keep) override;

    [[nodiscard]] bool congested() const noexcept override { return congested_; }
    [[nodiscard]] core::log_health health() const noexcept override { return health_; }
    [[nodiscard]] std::string complaint() const override { return complaint_; }
    [[nodiscard]] core::log_capabilities capabilities() const noexcept override;
    [[nodiscard]] std::uint64_t epoch() const noexcept override { return 1; }
    void release_owner() const noexcept override { owner_.release(); }
    bool close() override;

    // ---- For tests -----------------------------------------------------------------------------
    // From now on nothing becomes durable ...
    void hold() noexcept { held_ = true; }
    // ... until everything that has been flushed may, at the next poll().
    void release();
    // Plays a disk that is full, or failed: then nothing becomes durable any more.
    void set_health(core::log_health h, std::string complaint);
    void set_congested(bool yes) noexcept { congested_ = yes; }
    // Reading that record back finds its bytes damaged.
    void damage(core::log_position at);

private:
    struct stored {
        core::log_position at = 0;
        std::uint8_t kind = 0;
        std::uint8_t flags = 0;
        std::uint32_t size = 0;
        std::vector<std::uint8_t> bytes;
    };
    struct request {
        core::log_reader* into = nullptr;
        std::vector<core::log_position> which;
        core::log_position from = 0;  // of read_on(), when `which` is empty
        core::log_position until = 0;
    };
    using records = std::deque<stored>;

    [[nodiscard]] records::const_iterator first_from(core::log_position at) const;
    [[nodiscard]] bool may_move() const noexcept;
    void serve(const request& r);
    void trim();
    void wake() const;

    // Constant after construction.
    const std::uint64_t segment_bytes_;
    int wake_fd_ = -1;  // borrowed

    records records_;
    core::log_position begin_;
    core::log_position end_;
    core::log_position flushed_;
    core::log_position durable_;
    std::vector<request> asked_;
    core::log_health health_ = core::log_health::good;
    std::string complaint_;
    bool held_ = false;
    bool congested_ = false;
    thread_owner owner_;
};

}  // namespace linnet::store
