#pragma once

#include "broker/base/result.hpp"
#include "broker/store/posix_file.hpp"

#include <optional>
#include <string>

namespace linnet::store {

// That one process at a time works in a data folder: a lock on its file LOCK, which the kernel lifts when the
// process ends, however it ends. The file stays; to remove it would let two processes lock two files.
//
// Fails: in words for people, with the pid of whoever holds it.
class store_lock {
public:
    [[nodiscard]] static result<store_lock, std::string> take(const std::string& folder);
    // None while another process has it.
    [[nodiscard]] static result<std::optional<store_lock>, std::string> try_take(const std::string& folder);
    // Who has it, as far as can be told.
    [[nodiscard]] static std::string holder_of(const std::string& folder);

private:
    explicit store_lock(unique_fd file) : file_(std::move(file)) {}
    unique_fd file_;
};

}  // namespace linnet::store
