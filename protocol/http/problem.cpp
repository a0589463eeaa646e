#include "protocol/http/problem.hpp"

#include "protocol/http/json_text.hpp"

namespace linnet::http {
namespace {

void append_member(std::string& out, std::string_view name, std::string_view value) {
    if (value.empty())
        return;
    out += ",\"";
    out += name;
    out += "\":";
    append_json_string(out, value);
}

}  // namespace

std::string problem_json(const problem& p) {
    std::string json = "{\"status\":" + std::to_string(number_of(p.code));
    append_member(json, "type", p.type);
    append_member(json, "title", p.title.empty() ? reason_of(p.code) : p.title);
    append_member(json, "detail", p.detail);
    append_member(json, "instance", p.instance);
    json += '}';
    return json;
}

void append_problem(std::string& out, reply_to to, const problem& p, std::string_view date,
                    std::span<const field> more) {
    response_writer writer{out, to, p.code, date};
    writer.field("Content-Type", problem_content_type).field("Cache-Control", "no-store");
    for (const field& each : more)
        writer.field(each.name, each.value);
    writer.body(problem_json(p));
}

void append_problem(std::string& out, const request& r, fault why, std::string_view date) {
    append_problem(out, reply_to::refused(r), {.code = status_of(why), .detail = describe(why)}, date);
}

}  // namespace linnet::http
