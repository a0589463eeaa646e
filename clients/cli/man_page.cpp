#include "clients/cli/man_page.hpp"

#include <fmt/format.h>

namespace linnet::cli {
namespace {

// A backslash begins troff's escapes, a dot or an apostrophe at the beginning of a line its requests, and a plain -
// becomes a hyphen, which nobody can paste into a shell.
std::string escaped(std::string_view text) {
    auto out = std::string{};
    for (char c : text) {
        if (out.empty() && (c == '.' || c == '\'')) {
            out += "\\&";
        }
        out += c == '\\' ? std::string{"\\e"} : c == '-' ? std::string{"\\-"} : std::string{c};
    }
    return out;
}

std::string joined(const std::vector<std::string>& words, const char* separator) {
    auto out = std::string{};
    for (const auto& word : words) {
        out += (out.empty() ? "" : separator) + word;
    }
    return out;
}

void append_options(std::string& out, const command_description& command) {
    for (const auto& option : command.options) {
        const auto value = option.takes_value ? option.placeholder.empty() ? "VALUE" : option.placeholder : "";
        out += fmt::format(".TP\n\\fB{}\\fR{}{}\n{}", escaped(joined(option.names, ", ")), value.empty() ? "" : " ",
                           value.empty() ? "" : fmt::format("\\fI{}\\fR", escaped(value)), escaped(option.help));
        if (!option.choices.empty()) {
            out += fmt::format(": {}", escaped(joined(option.choices, ", ")));
        }
        out += '\n';
    }
}

void append_command(std::string& out, const command_description& command, const std::string& path) {
    const auto whole = path + ' ' + command.name;
    if (!command.commands.empty()) {
        for (const auto& sub : command.commands) {
            append_command(out, sub, whole);
        }
        return;
    }
    auto words = std::string{};
    for (const auto& each : command.arguments) {
        words += fmt::format(" \\fI{}\\fR", escaped(each));
    }
    out += fmt::format(".SS \"{}{}\"\n{}.\n", escaped(whole), words, escaped(command.help));
    append_options(out, command);
}

}  // namespace

std::string man_page(const command_description& root, const std::string& version) {
    auto out = fmt::format(".TH LINNET 1 \"\" \"{}\" \"Linnet\"\n.SH NAME\nlinnet \\- {}\n", escaped(version),
                           escaped(root.help));
    out += ".SH SYNOPSIS\n.B linnet\n.I NOUN VERB\n[options]\n.SH COMMANDS\n";
    for (const auto& command : root.commands) {
        append_command(out, command, root.name);
    }
    out += ".SH ENVIRONMENT\n.TP\n\\fBLINNET_URL\\fR, \\fBRABBITMQ_URL\\fR, \\fBAMQP_URL\\fR, \\fBCLOUDAMQP_URL\\fR\n"
           "The broker, where neither \\-\\-url nor \\-\\-context says which.\n.TP\n\\fBNO_COLOR\\fR\n"
           "Set: no colour, no bars, nothing is drawn anew.\n"
           ".SH FILES\n.TP\n\\fI$XDG_CONFIG_HOME/linnet/contexts.json\\fR\nThe contexts, with their passwords.\n"
           ".SH EXIT STATUS\n0 done; 1 not done, or what was asked for is not so; 3 done in part; 64 wrong usage; "
           "65 bad data; 69 broker not reachable; 74 a file cannot be read or written; 77 not allowed; "
           "78 wrong configuration.\n";
    return out;
}

}  // namespace linnet::cli
