#pragma once

#include "broker/base/result.hpp"
#include "broker/store/posix_file.hpp"
#include "broker/store/store_cut.hpp"

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

// How a backup and the broker that serves the data folder come to terms, by two files in it:
//
//     BACKUP        locked by the backup for as long as it copies; holds the number of its request
//     BACKUP.cut    the broker's answer: the number, and where each log is cut
//
// A lock, since the kernel lifts it when the backup ends, however it ends: nothing keeps the broker from dropping
// segments for longer than somebody copies them. And files, since whoever may read the data folder, and nobody else, is
// to be able to make a backup, without a port, a password or a broker that listens already.

namespace linnet::store {

// The backup's side.
//
// Fails: in words for people.
class backup_request {
public:
    // Asks. It stands until this is gone.
    [[nodiscard]] static result<backup_request, std::string> make(const std::string& data_folder);
    // Once the broker has answered.
    [[nodiscard]] result<std::optional<std::vector<log_cut>>, std::string> answer() const;

private:
    backup_request(std::string folder, unique_fd file, std::uint64_t number)
        : folder_(std::move(folder)), file_(std::move(file)), number_(number) {}
    std::string folder_;
    unique_fd file_;
    std::uint64_t number_;
};

// The broker's side.
//
// Threads: one.
class backup_watch {
public:
    explicit backup_watch(std::string data_folder) : folder_(std::move(data_folder)) {}

    // The request that stands; 0: none.
    [[nodiscard]] std::uint64_t asked() const;
    [[nodiscard]] result<void, std::string> answer(std::uint64_t request, std::span<const log_cut> cuts) const;
    // The answer goes, nobody needs it any more.
    void forget() const;

private:
    std::string folder_;
};

}  // namespace linnet::store
