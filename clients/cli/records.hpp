// Rows of what a broker has, in the form that was asked for.
//
// Rows stay the JSON that the API gave. A column is a way into it: "message_stats.publish_details.rate". json and
// jsonl give whole rows unless columns are chosen; the other forms give columns.
#pragma once

#include "clients/cli/failure.hpp"
#include "clients/cli/management.hpp"

#include <string>
#include <vector>

namespace linnet::cli {

enum class record_form : std::uint8_t { table, wide, json, jsonl, csv, yaml, name };

// The names that -o takes.
[[nodiscard]] const std::vector<std::string>& record_form_names();
[[nodiscard]] record_form record_form_of(std::string_view name);

struct column {
    std::string name;
    std::string path;
    bool wide = false;  // shown with -o wide, or by --columns
};

struct record_view {
    record_form form = record_form::table;
    std::vector<std::string> columns{};  // names or paths; empty: the usual ones
    bool headers = true;
    std::vector<std::string> sort{};  // names or paths, - in front for falling
    std::vector<std::string> filters{};
    bool bold = false;  // the header, on a terminal
};

// The value at the end of a path; null where there is none. A dot in a name of the row itself is found, too.
[[nodiscard]] json_value value_at(const json_value& row, std::string_view path);

// Keeps and orders rows as `view` says. NAME=VALUE is equal, NAME!=VALUE is not, NAME~TEXT contains, NAME>N and
// NAME<N compare numbers.
[[nodiscard]] result<json_value> chosen(json_value rows, const std::vector<column>& columns, const record_view& view);

// `rows`: an array of objects. The first column is what -o name prints.
[[nodiscard]] std::string render(const json_value& rows, const std::vector<column>& columns, const record_view& view);

// One object: a line for each of its values. Of the forms for rows, `table` and `wide` are such lines.
[[nodiscard]] std::string render_object(const json_value& object, const std::vector<column>& columns,
                                        const record_view& view);

}  // namespace linnet::cli
