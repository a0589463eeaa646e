#pragma once

#include "broker/admin/call.hpp"
#include "broker/core/looks.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace linnet::admin {

// Which connection a session is, for whoever shows consumers or owners: their queues know no more than a handle.
//
// Threads: one shard's at a time, as a tour's.
class connection_book {
public:
    struct entry {
        std::string name;
        std::string user;
        std::string peer_address;
        std::uint16_t peer_port = 0;
    };

    core::session_handle owner{};  // of an exclusive queue

    // Asks the shards of those sessions; `then` runs at home and keeps the book alive.
    void fill(const call_ptr& c, std::vector<core::session_handle> who,
              std::function<void(const connection_book&)> then);

    // A session that has gone meanwhile has no name any more.
    [[nodiscard]] const entry& find(core::session_handle h) const;
    void write_consumer(json_writer& w, const services& s, const core::consumer_look& look, std::string_view queue,
                        std::string_view vhost) const;
    void write_owner(json_writer& w) const;

private:
    using key = std::tuple<std::uint16_t, std::uint32_t, std::uint32_t>;
    [[nodiscard]] static key key_of(core::session_handle h) { return {h.shard.value, h.slot, h.generation}; }
    std::map<key, entry> entries_;
};

}  // namespace linnet::admin
