#include "broker/admin/api_handler.hpp"
#include "broker/admin/changes.hpp"
#include "broker/admin/tour.hpp"
#include "broker/core/broker.hpp"
#include "broker/core/topology_walk.hpp"

#include <array>
#include <utility>

// /api/definitions: everything that the broker is told to have, out as one document and in again.
//
// What comes in adds to what is there, all of it in one change of the control, or nothing.

namespace linnet::admin {
namespace {

std::vector<core::definition> all_of(core::shard& control) {
    std::vector<core::definition> all;
    core::describe(control.parts().editor(), [&](const core::definition& d) { all.push_back(d); });
    for (const auto& [name, u] : control.parts().keeper()->users()) {
        all.emplace_back(u);
    }
    for (const auto& [key, p] : control.parts().keeper()->parameters()) {
        all.emplace_back(p);
    }
    return all;
}

void give(call_ptr c, const std::string& vhost) {
    auto all = std::make_shared<std::vector<core::definition>>();
    at_control(
        c->all, c->home(), [all](core::shard& control) { *all = all_of(control); },
        [c, all, vhost] {
            session::http_answer a{.fields = {{"Content-Type", "application/json"}}};
            if (const auto name = c->find("download")) {
                a.fields.emplace_back("Content-Disposition", "attachment; filename=" + *name);
            }
            a.body = c->all.write_definitions(std::move(*all), vhost);
            c->answer(std::move(a));
        });
}

void give_all(call_ptr c) { give(std::move(c), {}); }
void give_vhost(call_ptr c) {
    const auto name = c->names[0];
    c->here().topology().find_vhost(name) == nullptr ? c->not_found() : give(std::move(c), name);
}

// ---- In ----------------------------------------------------------------------------------------

// A form's part that is named "file" (multipart/form-data): what lies between its head and the next boundary.
std::string_view file_in_form(std::string_view form, std::string_view content_type) {
    const auto at = content_type.find("boundary=");
    if (at == std::string_view::npos) {
        return {};
    }
    auto boundary = content_type.substr(at + 9);
    boundary = boundary.substr(0, boundary.find(';'));
    if (boundary.size() >= 2 && boundary.front() == '"' && boundary.back() == '"') {
        boundary = boundary.substr(1, boundary.size() - 2);
    }
    const auto line = "--" + std::string(boundary);
    for (auto from = form.find(line); from != std::string_view::npos;) {
        const auto next = form.find(line, from + line.size());
        const auto part = form.substr(from + line.size(),
                                      next == std::string_view::npos ? next : next - from - line.size());
        const auto head = part.substr(0, part.find("\r\n\r\n"));
        if (head.find("name=\"file\"") != std::string_view::npos && head.size() < part.size()) {
            auto text = part.substr(head.size() + 4);
            return text.ends_with("\r\n") ? text.substr(0, text.size() - 2) : text;
        }
        from = next;
    }
    return {};
}

void take(call_ptr c, const std::string& vhost) {
    const bool form = c->content_type.starts_with("multipart/form-data");
    const auto text = form ? file_in_form(c->body, c->content_type) : std::string_view(c->body);
    auto brought = c->all.import_definitions(text, vhost.empty() ? "/" : vhost);
    if (!brought) {
        c->bad_request(brought.error());
        return;
    }
    c->client.ask({}, std::move(*brought), [c](core::reply&& r) {
        if (!r.result) {
            c->fail(r.result.error());
            return;
        }
        on_every_shard(
            c->all, c->home(), [&all = c->all](core::shard& here) { all.rights_changed(here.id(), {}); },
            [c] { c->no_content(); });
    });
}

void take_all(call_ptr c) { take(std::move(c), {}); }
void take_vhost(call_ptr c) {
    const auto name = c->names[0];
    c->here().topology().find_vhost(name) == nullptr ? c->not_found() : take(std::move(c), name);
}

constexpr std::array routes{
    route{.pattern = "definitions",
          .reads = need::administrator,
          .get = give_all,
          .writes = need::administrator,
          .post = take_all},
    route{.pattern = "definitions/?",
          .reads = need::administrator,
          .get = give_vhost,
          .writes = need::administrator,
          .post = take_vhost},
};

}  // namespace

std::span<const route> definition_routes() noexcept { return routes; }

}  // namespace linnet::admin
