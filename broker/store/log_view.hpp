#pragma once

#include "broker/store/disk.hpp"

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::store {

// A file of which only the beginning counts: behind `stored` bytes it reads as zeros, up to `size`.
struct file_extent {
    std::string name;
    std::uint64_t stored = 0;
    std::uint64_t size = 0;
};

// Some files of a folder, as if there were no others and nobody wrote to them: a log as it was when it was cut, or as
// it will be once a backup has been restored. Recovery can be run on it, whose mending stays without effect.
//
// Threads: one. Borrows the disk.
// Fails:   as the disk below. A read is over when it returns, and its completion waits for poll().
class log_view final : public disk {
public:
    log_view(disk& under, std::vector<file_extent> files) : under_(under), files_(std::move(files)) {}

    [[nodiscard]] disk_result<std::vector<std::string>> list() override;
    [[nodiscard]] disk_result<file_id> create(std::string_view name, std::uint64_t bytes) override;
    [[nodiscard]] disk_result<file_id> open(std::string_view name) override;
    [[nodiscard]] disk_result<std::uint64_t> size(file_id f) override;
    void close(file_id f) override;
    void seal(file_id f) override { under_.seal(f); }
    [[nodiscard]] disk_result<void> rename(std::string_view, std::string_view) override { return {}; }
    [[nodiscard]] disk_result<void> remove(std::string_view) override { return {}; }
    [[nodiscard]] disk_result<void> sync_folder() override { return {}; }
    [[nodiscard]] disk_result<void> read_now(file_id f, std::uint64_t offset, std::span<std::uint8_t> into) override;
    [[nodiscard]] disk_result<void> write_now(file_id, std::uint64_t, std::span<const std::uint8_t>) override {
        return {};
    }
    [[nodiscard]] disk_result<void> sync_now(file_id) override { return {}; }
    [[nodiscard]] disk_result<std::uint64_t> free_bytes() override { return under_.free_bytes(); }

    void write(file_id f, std::uint64_t offset, std::span<const std::uint8_t> from, std::uint64_t tag) override;
    void read(file_id f, std::uint64_t offset, std::span<std::uint8_t> into, std::uint64_t tag) override;
    void prepare(std::string name, std::uint64_t bytes, std::uint64_t tag) override;
    void submit() override {}
    std::size_t poll(std::span<completion> into) override;
    void wait() override {}
    void wake_through(int) override {}
    [[nodiscard]] std::string describe() const override { return "a view of " + under_.describe(); }

private:
    disk& under_;
    const std::vector<file_extent> files_;
    std::map<file_id, const file_extent*> open_;
    std::vector<completion> done_;
};

}  // namespace linnet::store
