#pragma once

#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

namespace linnet::test {

// A directory of its own for a test, gone at the end.
class temporary_directory {
public:
    temporary_directory() {
        auto name = (std::filesystem::temp_directory_path() / "linnet-test-XXXXXX").string();
        path_ = ::mkdtemp(name.data());
    }
    ~temporary_directory() {
        auto ignored = std::error_code{};
        std::filesystem::remove_all(path_, ignored);
    }
    temporary_directory(const temporary_directory&) = delete;
    temporary_directory& operator=(const temporary_directory&) = delete;

    [[nodiscard]] std::string path(std::string_view name = {}) const {
        return name.empty() ? path_ : path_ + '/' + std::string{name};
    }
    std::string write(std::string_view name, std::string_view text) const {
        const auto file = path(name);
        std::filesystem::create_directories(std::filesystem::path{file}.parent_path());
        std::ofstream{file, std::ios::binary} << text;
        return file;
    }

private:
    std::string path_;
};

}  // namespace linnet::test
