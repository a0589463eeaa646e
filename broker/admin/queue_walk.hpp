#pragma once

#include "broker/admin/listing.hpp"
#include "broker/admin/page_request.hpp"
#include "broker/core/topology.hpp"

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace linnet::core {
class topology_editor;
}

namespace linnet::admin {

// Finds a page of queues in the order of their vhosts' names and their own, through the order that the control keeps
// of them: by counting where all are wanted, else by looking at names alone. A piece a turn; what comes and goes
// between two pieces may be on the page or not, but nothing is on it twice.
//
// Threads: the control's while it goes on, then its owner's.
class queue_walk {
public:
    explicit queue_walk(const page_request& asked) noexcept : asked_(asked) {}
    queue_walk(const queue_walk&) = delete;
    queue_walk& operator=(const queue_walk&) = delete;

    // Of those vhosts that `shows` says. True: that was all.
    using vhost_filter = std::function<bool(const core::vhost_node&)>;
    [[nodiscard]] bool go_on(const core::topology_editor& editor, const vhost_filter& shows);

    // Of all that are shown, and of those whose names were asked for.
    [[nodiscard]] std::uint64_t total() const noexcept { return total_; }
    [[nodiscard]] std::uint64_t found() const noexcept { return found_; }
    // How many vhosts they are in.
    [[nodiscard]] std::uint64_t vhosts() const noexcept { return vhosts_; }
    [[nodiscard]] std::vector<row>& rows() noexcept { return rows_; }

private:
    struct step;
    void count(const step& s);
    [[nodiscard]] bool look_at_names(const step& s, std::uint32_t& budget);
    void take(const step& s, const core::queue_entry& q);

    // Constant after construction.
    const page_request& asked_;

    std::optional<std::string> vhost_;  // the last one looked at,
    std::optional<std::string> name_;   // and the last queue in it, if there may be more
    std::uint64_t total_ = 0;
    std::uint64_t found_ = 0;
    std::uint64_t vhosts_ = 0;
    std::vector<row> rows_;
};

}  // namespace linnet::admin
