#include "broker/admin/changes.hpp"

#include <utility>

namespace linnet::admin {

void administer(const call_ptr& c, change what, std::function<void()> then) {
    c->client.ask({}, core::administer{std::move(what)},
                  [c, then = std::move(then)](core::reply&& r) { r.result ? then() : c->fail(r.result.error()); });
}

void list_at_control(call_ptr c, std::function<void(core::shard&, row_list&)> rows) {
    row_source s;
    s.where = {core::control_shard};
    s.collect = [rows = std::move(rows)](core::shard& here, cursor&, row_list& to) {
        rows(here, to);
        return true;
    };
    answer_list(std::move(c), std::move(s));
}

void answer_from_control(call_ptr c, std::function<std::string(core::shard&)> write) {
    auto out = std::make_shared<std::string>();
    at_control(
        c->all, c->home(), [out, write = std::move(write)](core::shard& control) { *out = write(control); },
        [c, out] { out->empty() ? c->not_found() : c->json(std::move(*out)); });
}

}  // namespace linnet::admin
