#pragma once

#include "broker/base/result.hpp"
#include "broker/store/store_folder.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::store {

// What a backup's file MANIFEST says: which store it is of, and every file with its length and checksum.
//
//     <folder>/<segment>   the segment's used part, as it lay in the data folder; the rest of it is zeros
//     MANIFEST             last of all: without it a folder is no backup
struct backup_manifest {
    static constexpr std::uint32_t format_major = 1;
    static constexpr std::uint32_t format_minor = 0;

    struct file {
        std::string folder;        // of the log: "meta", "0", "streams/0000000000000007"
        std::string name;          // of the segment
        std::uint64_t stored = 0;  // bytes in the backup
        std::uint64_t size = 0;    // of the segment
        std::uint32_t crc = 0;     // CRC-32C of the stored bytes
    };
    store_identity store;
    std::string made;         // when, for people
    std::vector<file> files;  // those of a folder together
};

[[nodiscard]] result<void, std::string> write_manifest(const std::string& folder, const backup_manifest& m);
// Fails: it is not there, of another format, or damaged; each in words.
[[nodiscard]] result<backup_manifest, std::string> read_manifest(const std::string& folder);

}  // namespace linnet::store
