#pragma once

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <string>

namespace linnet::store {

// A new folder, gone with its content at the end.
class temporary_folder {
public:
    explicit temporary_folder(const std::string& below = std::filesystem::temp_directory_path()) {
        path_ = below + "/linnet-store-XXXXXX";
        if (::mkdtemp(path_.data()) == nullptr) {
            ADD_FAILURE() << below << ": " << std::strerror(errno);
            std::abort();
        }
    }
    temporary_folder(const temporary_folder&) = delete;
    temporary_folder& operator=(const temporary_folder&) = delete;
    ~temporary_folder() { std::filesystem::remove_all(path_); }
    [[nodiscard]] const std::string& path() const { return path_; }

private:
    std::string path_;
};

}  // namespace linnet::store
