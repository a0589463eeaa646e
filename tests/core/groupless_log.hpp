#pragma once

#include "broker/core/log.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

namespace linnet::core {

// A log that forgets which records belong together, and writes each as soon as it can: a crash may leave a part of a
// group. Tests of what relies on groups have to notice.
class groupless_log final : public durable_log {
public:
    explicit groupless_log(std::unique_ptr<durable_log> log) : log_(std::move(log)) {}

    appended append(std::uint8_t kind, std::uint8_t flags, parts payload) override {
        const auto done = log_->append(kind, static_cast<std::uint8_t>(flags & ~record_flags::more), payload);
        if ((flags & record_flags::more) != 0) {
            log_->flush();
        }
        return done;
    }
    void flush() override { log_->flush(); }
    bool poll() override { return log_->poll(); }
    [[nodiscard]] bool busy() const noexcept override { return log_->busy(); }
    void tick(mono_ns now) override { log_->tick(now); }
    void wake_through(int event_fd) override { log_->wake_through(event_fd); }
    [[nodiscard]] log_position end() const noexcept override { return log_->end(); }
    [[nodiscard]] log_position durable() const noexcept override { return log_->durable(); }
    [[nodiscard]] log_position begin() const noexcept override { return log_->begin(); }
    void read(std::span<const record_range> which, log_reader& into) override { log_->read(which, into); }
    void read_on(log_position from, std::uint32_t bytes_max, log_reader& into) override {
        log_->read_on(from, bytes_max, into);
    }
    void scan(log_position from, const std::function<bool(const log_record&)>& f) override { log_->scan(from, f); }
    void drop_before(log_position keep) override { log_->drop_before(keep); }
    [[nodiscard]] bool congested() const noexcept override { return log_->congested(); }
    [[nodiscard]] log_health health() const noexcept override { return log_->health(); }
    [[nodiscard]] std::string complaint() const override { return log_->complaint(); }
    [[nodiscard]] log_capabilities capabilities() const noexcept override { return log_->capabilities(); }
    [[nodiscard]] std::uint64_t epoch() const noexcept override { return log_->epoch(); }
    void release_owner() const noexcept override { log_->release_owner(); }
    bool close() override { return log_->close(); }

private:
    std::unique_ptr<durable_log> log_;
};

}  // namespace linnet::core
