#include "clients/cli/records.hpp"

#include "clients/cli/output.hpp"

#include <algorithm>
#include <charconv>
#include <numeric>

namespace linnet::cli {
namespace {

using cells = std::vector<std::string>;

std::string plain_text(const json_value& value) {
    if (value.is_null()) {
        return "";
    }
    if (value.is_string()) {
        return value.get<std::string>();
    }
    if (value.is_boolean()) {
        return value.get<bool>() ? "yes" : "no";
    }
    if (value.is_number_float()) {
        return fmt::format("{:.1f}", value.get<double>());
    }
    const bool is_empty = (value.is_object() || value.is_array()) && value.empty();
    return is_empty ? "" : value.dump(-1, ' ', false, json_value::error_handler_t::replace);
}

// Of a list of plain values, for people: "a, b".
std::string cell_text(const json_value& value) {
    const auto is_plain = [](const json_value& each) { return !each.is_structured(); };
    if (!value.is_array() || !std::all_of(value.begin(), value.end(), is_plain)) {
        return plain_text(value);
    }
    auto out = std::string{};
    for (const auto& each : value) {
        out += (out.empty() ? "" : ", ") + plain_text(each);
    }
    return out;
}

std::string dumped(const json_value& value, int indent = -1) {
    return value.dump(indent, ' ', false, json_value::error_handler_t::replace);
}

// What a reader sees: letters of more bytes than one count once.
std::size_t width_of(std::string_view text) {
    return static_cast<std::size_t>(
        std::count_if(text.begin(), text.end(), [](char c) { return (static_cast<unsigned char>(c) & 0xC0) != 0x80; }));
}

const column* named(const std::vector<column>& columns, std::string_view name) {
    const auto found = std::find_if(columns.begin(), columns.end(), [&](const column& c) { return c.name == name; });
    return found == columns.end() ? nullptr : &*found;
}

// A name of the table, or else a path of its own.
column column_of(const std::vector<column>& columns, const std::string& name) {
    const auto* known = named(columns, name);
    return known != nullptr ? *known : column{name, name};
}

std::vector<column> shown(const std::vector<column>& columns, const record_view& view) {
    auto out = std::vector<column>{};
    if (!view.columns.empty()) {
        for (const auto& name : view.columns) {
            out.push_back(column_of(columns, name));
        }
        return out;
    }
    std::copy_if(columns.begin(), columns.end(), std::back_inserter(out), [&](const column& c) {
        return !c.wide || view.form == record_form::wide || view.form == record_form::csv;
    });
    return out;
}

std::string padded(const std::string& text, std::size_t width, bool to_the_right) {
    const auto blanks = std::string(width - std::min(width, width_of(text)), ' ');
    return to_the_right ? blanks + text : text + blanks;
}

std::string line_of(const cells& row, const std::vector<std::size_t>& widths, const std::vector<bool>& numbers) {
    auto line = std::string{};
    for (std::size_t i = 0; i < row.size(); ++i) {
        line += (i == 0 ? "" : "  ") + padded(row[i], widths[i], numbers[i]);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    return line + '\n';
}

std::string render_table(const json_value& rows, const std::vector<column>& columns, const record_view& view) {
    auto header = cells{};
    auto numbers = std::vector<bool>{};
    for (const auto& each : columns) {
        header.push_back(each.name);
        numbers.push_back(std::any_of(rows.begin(), rows.end(),
                                      [&](const json_value& row) { return value_at(row, each.path).is_number(); }));
    }
    auto body = std::vector<cells>{};
    for (const auto& row : rows) {
        auto& line = body.emplace_back();
        for (const auto& each : columns) {
            line.push_back(for_terminal(cell_text(value_at(row, each.path))));
        }
    }
    auto widths = std::vector<std::size_t>{};
    for (std::size_t i = 0; i < columns.size(); ++i) {
        auto width = view.headers ? width_of(header[i]) : 0;
        for (const auto& line : body) {
            width = std::max(width, width_of(line[i]));
        }
        widths.push_back(width);
    }
    auto out = std::string{};
    if (view.headers) {
        const auto line = line_of(header, widths, numbers);
        out += view.bold ? fmt::format("\x1b[1m{}\x1b[0m\n", line.substr(0, line.size() - 1)) : line;
    }
    for (const auto& line : body) {
        out += line_of(line, widths, numbers);
    }
    return out;
}

// RFC 4180: quoted where a comma, a quote or a line break is in it.
std::string csv_cell(const std::string& text) {
    if (text.find_first_of(",\"\r\n") == std::string::npos) {
        return text;
    }
    auto out = std::string{"\""};
    for (char c : text) {
        out += c == '"' ? std::string{"\"\""} : std::string{c};
    }
    return out + '"';
}

std::string csv_line(const cells& row) {
    auto line = std::string{};
    for (std::size_t i = 0; i < row.size(); ++i) {
        line += (i == 0 ? "" : ",") + csv_cell(row[i]);
    }
    return line + "\r\n";
}

std::string render_csv(const json_value& rows, const std::vector<column>& columns, const record_view& view) {
    auto out = std::string{};
    auto header = cells{};
    for (const auto& each : columns) {
        header.push_back(each.name);
    }
    if (view.headers) {
        out += csv_line(header);
    }
    for (const auto& row : rows) {
        auto line = cells{};
        for (const auto& each : columns) {
            const auto value = value_at(row, each.path);
            line.push_back(value.is_boolean() || value.is_number() ? dumped(value) : plain_text(value));
        }
        out += csv_line(line);
    }
    return out;
}

// Texts in JSON's quotes, which YAML reads alike, save for those that nobody could take for anything else.
std::string yaml_scalar(const json_value& value) {
    if (value.is_string()) {
        const auto& text = value.get_ref<const std::string&>();
        const bool is_word = !text.empty() &&
                             std::all_of(text.begin(), text.end(),
                                         [](char c) {
                                             return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '_' ||
                                                    c == '-' || c == '.';
                                         }) &&
                             text.front() >= 'a' && text.front() <= 'z';
        for (const char* reserved : {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}) {
            if (text == reserved) {
                return dumped(value);
            }
        }
        return is_word ? text : dumped(value);
    }
    return dumped(value);
}

void append_yaml(std::string& out, const json_value& value, std::size_t indent) {
    const auto margin = std::string(indent, ' ');
    if (value.is_object()) {
        for (const auto& [name, each] : value.items()) {
            const bool nested = each.is_structured() && !each.empty();
            out += fmt::format("{}{}:{}", margin, yaml_scalar(json_value(name)), nested ? "\n" : " ");
            if (nested) {
                append_yaml(out, each, indent + 2);
            } else {
                out += yaml_scalar(each) + '\n';
            }
        }
        return;
    }
    for (const auto& each : value) {
        if (!each.is_structured() || each.empty()) {
            out += fmt::format("{}- {}\n", margin, yaml_scalar(each));
            continue;
        }
        auto nested = std::string{};
        append_yaml(nested, each, indent + 2);
        nested[indent] = '-';
        out += nested;
    }
}

std::string render_yaml(const json_value& value) {
    if (!value.is_structured() || value.empty()) {
        return yaml_scalar(value) + '\n';
    }
    auto out = std::string{};
    append_yaml(out, value, 0);
    return out;
}

// With --columns: an object of these alone, under their names.
json_value narrowed(const json_value& row, const std::vector<column>& columns, const record_view& view) {
    if (view.columns.empty()) {
        return row;
    }
    auto out = json_value::object();
    for (const auto& name : view.columns) {
        const auto each = column_of(columns, name);
        out[each.name] = value_at(row, each.path);
    }
    return out;
}

json_value narrowed_all(const json_value& rows, const std::vector<column>& columns, const record_view& view) {
    auto out = json_value::array();
    for (const auto& row : rows) {
        out.push_back(narrowed(row, columns, view));
    }
    return out;
}

// ---- Filters and order -----------------------------------------------------------------------

struct condition {
    std::string path;
    std::string relation;
    std::string value;
};

result<condition> condition_of(const std::string& text, const std::vector<column>& columns) {
    const auto at = text.find_first_of("=!~<>");
    const bool is_not = at != std::string::npos && text[at] == '!';
    if (at == std::string::npos || at == 0 || (is_not && text.substr(at, 2) != "!=")) {
        return fail(exit_code::usage,
                    fmt::format("--filter \"{}\" is not NAME=VALUE, NAME!=VALUE, NAME~TEXT, NAME>N or "
                                "NAME<N",
                                text));
    }
    const auto length = is_not ? std::size_t{2} : std::size_t{1};
    return condition{column_of(columns, text.substr(0, at)).path, text.substr(at, length), text.substr(at + length)};
}

std::optional<double> number_in(std::string_view text) {
    auto value = 0.0;
    const auto* end = text.data() + text.size();
    const auto [rest, error] = std::from_chars(text.data(), end, value);
    return error == std::errc{} && rest == end ? std::optional{value} : std::nullopt;
}

bool holds(const condition& c, const json_value& row) {
    const auto value = value_at(row, c.path);
    if (c.relation == "<" || c.relation == ">") {
        const auto bound = number_in(c.value);
        if (!value.is_number() || !bound) {
            return false;
        }
        return c.relation == "<" ? value.get<double>() < *bound : value.get<double>() > *bound;
    }
    const auto text = cell_text(value);
    if (c.relation == "~") {
        return text.find(c.value) != std::string::npos;
    }
    // As it is shown, or as JSON says it.
    const bool equal = text == c.value || (!value.is_string() && dumped(value) == c.value);
    return equal == (c.relation == "=");
}

// Numbers by their size, texts by their bytes, what is missing first.
int compared(const json_value& a, const json_value& b) {
    if (a.is_number() && b.is_number()) {
        const auto x = a.get<double>();
        const auto y = b.get<double>();
        return x < y ? -1 : x > y ? 1 : 0;
    }
    return plain_text(a).compare(plain_text(b));
}

}  // namespace

const std::vector<std::string>& record_form_names() {
    static const auto names = std::vector<std::string>{"table", "wide", "json", "jsonl", "csv", "yaml", "name"};
    return names;
}

record_form record_form_of(std::string_view name) {
    const auto& names = record_form_names();
    const auto found = std::find(names.begin(), names.end(), name);
    return static_cast<record_form>(found == names.end() ? 0 : found - names.begin());
}

json_value value_at(const json_value& row, std::string_view path) {
    if (!row.is_object()) {
        return {};
    }
    if (const auto whole = row.find(std::string{path}); whole != row.end()) {
        return *whole;
    }
    const auto dot = path.find('.');
    const auto first = row.find(std::string{path.substr(0, dot)});
    return dot == std::string_view::npos || first == row.end() ? json_value{} : value_at(*first, path.substr(dot + 1));
}

result<json_value> chosen(json_value rows, const std::vector<column>& columns, const record_view& view) {
    for (const auto& text : view.filters) {
        const auto one = condition_of(text, columns);
        if (!one) {
            return tl::unexpected{one.error()};
        }
        auto kept = json_value::array();
        std::copy_if(rows.begin(), rows.end(), std::back_inserter(kept),
                     [&](const json_value& row) { return holds(*one, row); });
        rows = std::move(kept);
    }
    // The last key first: a stable sort by the first one then keeps what the later ones have said.
    for (auto key = view.sort.rbegin(); key != view.sort.rend(); ++key) {
        const bool falling = key->starts_with('-');
        const auto path = column_of(columns, falling ? key->substr(1) : *key).path;
        std::stable_sort(rows.begin(), rows.end(), [&](const json_value& a, const json_value& b) {
            const int order = compared(value_at(a, path), value_at(b, path));
            return falling ? order > 0 : order < 0;
        });
    }
    return rows;
}

std::string render(const json_value& rows, const std::vector<column>& columns, const record_view& view) {
    switch (view.form) {
        case record_form::table:
        case record_form::wide: return render_table(rows, shown(columns, view), view);
        case record_form::csv: return render_csv(rows, shown(columns, view), view);
        case record_form::json: return dumped(narrowed_all(rows, columns, view), 2) + '\n';
        case record_form::yaml: return render_yaml(narrowed_all(rows, columns, view));
        case record_form::jsonl:
        case record_form::name: break;
    }
    auto out = std::string{};
    for (const auto& row : rows) {
        out += view.form == record_form::jsonl ? dumped(narrowed(row, columns, view))
                                               : plain_text(value_at(row, columns.front().path));
        out += '\n';
    }
    return out;
}

std::string render_object(const json_value& object, const std::vector<column>& columns, const record_view& view) {
    switch (view.form) {
        case record_form::json: return dumped(narrowed(object, columns, view), 2) + '\n';
        case record_form::yaml: return render_yaml(narrowed(object, columns, view));
        case record_form::jsonl:
        case record_form::csv:
        case record_form::name: return render(json_value::array({object}), columns, view);
        case record_form::table:
        case record_form::wide: break;
    }
    const auto each = shown(columns, view);
    auto width = std::size_t{0};
    for (const auto& c : each) {
        width = std::max(width, width_of(c.name));
    }
    auto out = std::string{};
    for (const auto& c : each) {
        auto line = padded(c.name, width + 2, false) + for_terminal(cell_text(value_at(object, c.path)));
        line.erase(line.find_last_not_of(' ') + 1);
        out += line + '\n';
    }
    return out;
}

}  // namespace linnet::cli
