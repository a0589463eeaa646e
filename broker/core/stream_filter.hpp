#pragma once

#include "broker/core/binding_node.hpp"
#include "broker/core/error.hpp"
#include "broker/core/value.hpp"

#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::core {

// Which messages of a stream a consumer wants, by their headers.
//
// `x-stream-filter` (a text or an array of them) asks for messages whose x-stream-filter-value is one of these, and
// `x-stream-match-unfiltered` for those that have none as well: as RabbitMQ's, but exact, where that sifts whole chunks
// and leaves the rest to the client. `x-stream-filter-headers` is a table that is matched as a headers exchange
// matches a binding, x-match included. Both together: both must hold.
class stream_filter {
public:
    // Null: everything is wanted.
    [[nodiscard]] static outcome<std::unique_ptr<stream_filter>> parse(const value_table& arguments,
                                                                       std::string_view resource);

    [[nodiscard]] bool wants(const value_table& headers) const;

private:
    [[nodiscard]] bool wants_value(const value_table& headers) const;

    bool by_value_ = false;
    bool unfiltered_ = false;
    bool by_headers_ = false;
    header_match how_ = header_match::all;
    std::vector<std::string> values_;
    value_table headers_;
};

}  // namespace linnet::core
