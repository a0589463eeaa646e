#pragma once

#include "broker/core/ids.hpp"
#include "broker/core/reply_handle.hpp"
#include "broker/core/text_hash.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>

namespace linnet::core {

// In which log a named client, the last values of a vhost or a reply handle live: a matter of their name, as long as
// the number of shards does not change. What recovery finds in another log stays there.
//
// Threads: note_...() before any shard runs; afterwards any, read only.
// Bounds:  an entry for each stray.
class homes {
public:
    explicit homes(std::uint16_t shards) noexcept : shards_(shards) {}

    [[nodiscard]] std::uint16_t of_client(vhost_id v, std::string_view name) const noexcept {
        if (!clients_.empty()) [[unlikely]] {
            if (const auto at = clients_.find(key_of(v, name)); at != clients_.end()) {
                return at->second;
            }
        }
        return by_hash(v, name);
    }
    [[nodiscard]] std::uint16_t of_retained(vhost_id v) const noexcept {
        const auto at = vhosts_.find(v.value);
        return at == vhosts_.end() ? by_hash(v, {}) : at->second;
    }

    [[nodiscard]] std::uint16_t of_reply(const reply_token& t) const noexcept {
        if (!replies_.empty()) [[unlikely]] {
            if (const auto at = replies_.find(t); at != replies_.end()) {
                return at->second;
            }
        }
        return t.home(shards_);
    }

    void note_client(vhost_id v, std::string_view name, std::uint16_t log) {
        if (by_hash(v, name) != log) {
            clients_[key_of(v, name)] = log;
        }
    }
    void note_retained(vhost_id v, std::uint16_t log) { vhosts_[v.value] = log; }
    void note_reply(const reply_token& t, std::uint16_t log) {
        if (t.home(shards_) != log) {
            replies_[t] = log;
        }
    }

private:
    [[nodiscard]] std::uint16_t by_hash(vhost_id v, std::string_view name) const noexcept {
        return static_cast<std::uint16_t>(stable_hash(name, v.value) % shards_);
    }
    [[nodiscard]] static std::string key_of(vhost_id v, std::string_view name) {
        return std::to_string(v.value).append(1, ':').append(name);
    }

    std::uint16_t shards_;
    std::unordered_map<std::string, std::uint16_t> clients_;
    std::unordered_map<std::uint32_t, std::uint16_t> vhosts_;
    std::unordered_map<reply_token, std::uint16_t, reply_token_hash> replies_;
};

}  // namespace linnet::core
