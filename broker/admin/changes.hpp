#pragma once

#include "broker/admin/call.hpp"
#include "broker/admin/listing.hpp"
#include "broker/core/administer.hpp"
#include "broker/core/topology_editor.hpp"
#include "broker/core/topology_journal.hpp"

#include <functional>

namespace linnet::admin {

// What the control does for a request, on its own thread.
using change = std::function<core::outcome<core::administered>(core::topology_editor&, core::topology_journal&)>;

// Durable before `then` hears of it. A refusal is answered here.
void administer(const call_ptr& c, change what, std::function<void()> then);
// Lists what the control has: `rows` runs there.
void list_at_control(call_ptr c, std::function<void(core::shard& control, row_list& to)> rows);
// One thing from there: what `write` leaves empty is not there.
void answer_from_control(call_ptr c, std::function<std::string(core::shard& control)> write);

[[nodiscard]] inline core::outcome<core::administered> refuse(core::error_kind kind, std::string text) {
    return fail(core::error{kind, std::move(text)});
}

}  // namespace linnet::admin
