#pragma once

#include "broker/base/result.hpp"
#include "broker/store/store_lock.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace linnet::store {

// What a store says of itself.
struct store_identity {
    std::uint64_t id = 0;  // random, of this store alone
    std::uint32_t logs = 0;
};

// The data folder: locked while this lives, and known to be a store of this format.
//
//     LOCK        who works here
//     STORE       format, identity and number of logs; written whole or not at all
//     <log>/      a folder of segments each
//
// Everything is for its owner's eyes only: folders 0700, files 0600.
//
// Fails: in words for people. Never makes a store of a folder that holds something else.
class store_folder {
public:
    // Of the file formats altogether. Another major number is not for us; a later minor one has only added to STORE
    // what may be ignored.
    static constexpr std::uint32_t format_major = 1;
    static constexpr std::uint32_t format_minor = 0;
    static constexpr std::uint32_t logs_max = 4096;

    // Opens the store, or makes a new one with so many logs where there is nothing.
    [[nodiscard]] static result<store_folder, std::string> open(const std::string& path, std::uint32_t logs_if_new);

    // Locks a folder where there is no store yet, nor anything else: one is about to be put together there, and is one
    // once it has been founded. With a file of the name `mark` in it it may hold anything but a store: what an earlier
    // attempt has left.
    [[nodiscard]] static result<store_folder, std::string> open_empty(const std::string& path, std::string_view mark);
    [[nodiscard]] result<void, std::string> found(const store_identity& as) { return write(as.id, as.logs); }
    // Without a lock; nothing where there is no store.
    [[nodiscard]] static result<std::optional<store_identity>, std::string> identify(const std::string& path);

    [[nodiscard]] const std::string& path() const noexcept { return path_; }
    // Random, of this store alone.
    [[nodiscard]] std::uint64_t id() const noexcept { return id_; }
    // A broker with fewer shards serves them all the same; one with more needs more of them.
    [[nodiscard]] std::uint32_t logs() const noexcept { return logs_; }
    // From now on there are so many; the new ones are empty. Fewer than there are: nothing changes.
    [[nodiscard]] result<void, std::string> grow(std::uint32_t logs);
    [[nodiscard]] bool is_new() const noexcept { return is_new_; }

    // The path of a folder within, which is there for good when this returns.
    [[nodiscard]] result<std::string, std::string> subfolder(std::string_view name) const;

private:
    store_folder(std::string path, store_lock lock) : path_(std::move(path)), lock_(std::move(lock)) {}
    [[nodiscard]] result<void, std::string> make(std::uint32_t logs);
    [[nodiscard]] result<void, std::string> write(std::uint64_t id, std::uint32_t logs);

    std::string path_;
    store_lock lock_;
    std::uint64_t id_ = 0;
    std::uint32_t logs_ = 0;
    bool is_new_ = false;
};

}  // namespace linnet::store
