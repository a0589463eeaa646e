#include "clients/cli/completion.hpp"

#include <fmt/format.h>

#include <functional>

namespace linnet::cli {
namespace {

// In single quotes nothing but a single quote is special.
std::string in_quotes(std::string_view text) {
    auto out = std::string{"'"};
    for (char c : text) {
        out += c == '\'' ? std::string{"'\\''"} : std::string{c};
    }
    return out + '\'';
}

// zsh's _describe splits at colons.
std::string zsh_item(std::string_view name, std::string_view help) {
    auto text = std::string{name} + ':';
    for (char c : help) {
        text += c == ':' ? std::string{"\\:"} : std::string{c};
    }
    return in_quotes(text);
}

// Visits every command with its path ("linnet", "linnet config", ...).
void each(const command_description& command, const std::string& path,
          const std::function<void(const std::string&, const command_description&)>& visit) {
    visit(path, command);
    for (const auto& sub : command.commands) {
        each(sub, path + ' ' + sub.name, visit);
    }
}

// The paths below the root as a case pattern; for a root without subcommands one that never matches.
std::string path_pattern(const command_description& root) {
    auto pattern = std::string{};
    each(root, root.name, [&](const std::string& path, const command_description&) {
        if (path != root.name) {
            pattern += (pattern.empty() ? "" : "|") + in_quotes(path);
        }
    });
    return pattern.empty() ? "''" : pattern;
}

std::string words_of(const command_description& command) {
    auto words = std::string{};
    const auto add = [&](const std::string& word) { words += (words.empty() ? "" : " ") + word; };
    for (const auto& sub : command.commands) {
        add(sub.name);
    }
    for (const auto& word : command.words) {
        add(word);
    }
    for (const auto& option : command.options) {
        for (const auto& name : option.names) {
            add(name);
        }
    }
    return words;
}

// Case arms "path option" -> choices of the option's value.
std::string choice_arms(const command_description& root, std::string_view format) {
    auto arms = std::string{};
    each(root, root.name, [&](const std::string& path, const command_description& command) {
        for (const auto& option : command.options) {
            if (option.choices.empty()) {
                continue;
            }
            auto pattern = std::string{};
            for (const auto& name : option.names) {
                pattern += (pattern.empty() ? "" : "|") + in_quotes(path + ' ' + name);
            }
            arms += fmt::format(fmt::runtime(format), pattern, fmt::join(option.choices, " "));
        }
    });
    return arms;
}

// Both shells find out in the same way at which command the cursor stands.
std::string bash_script(const command_description& root) {
    auto arms = std::string{};
    each(root, root.name, [&](const std::string& path, const command_description& command) {
        arms += fmt::format("        {}) words={} ;;\n", in_quotes(path), in_quotes(words_of(command)));
    });
    return fmt::format(R"(# bash completion for {0}: source it, or put it into /etc/bash_completion.d
_{0}() {{
    local current="${{COMP_WORDS[COMP_CWORD]}}" previous="${{COMP_WORDS[COMP_CWORD-1]}}" path={0} words='' i
    for ((i = 1; i < COMP_CWORD; i++)); do
        case "$path ${{COMP_WORDS[i]}}" in
            {1}) path="$path ${{COMP_WORDS[i]}}" ;;
        esac
    done
    case "$path" in
{2}    esac
    case "$path $previous" in
{3}    esac
    COMPREPLY=($(compgen -W "$words" -- "$current"))
}}
complete -o default -F _{0} {0}
)",
                       root.name, path_pattern(root), arms, choice_arms(root, "        {}) words='{}' ;;\n"));
}

std::string zsh_script(const command_description& root) {
    auto arms = std::string{};
    each(root, root.name, [&](const std::string& path, const command_description& command) {
        auto items = std::string{};
        for (const auto& sub : command.commands) {
            items += ' ' + zsh_item(sub.name, sub.help);
        }
        for (const auto& word : command.words) {
            items += ' ' + in_quotes(word);
        }
        for (const auto& option : command.options) {
            for (const auto& name : option.names) {
                items += ' ' + zsh_item(name, option.help);
            }
        }
        arms += fmt::format("        {}) items=({} ) ;;\n", in_quotes(path), items);
    });
    return fmt::format(R"(#compdef {0}
# zsh completion for {0}: put it as _{0} into a directory of $fpath
_{0}() {{
    local place={0} i
    local -a items
    for ((i = 2; i < CURRENT; i++)); do
        case "$place ${{words[i]}}" in
            {1}) place="$place ${{words[i]}}" ;;
        esac
    done
    case "$place ${{words[CURRENT-1]}}" in
{3}    esac
    case "$place" in
{2}    esac
    _describe {0} items
}}
compdef _{0} {0}
)",
                       root.name, path_pattern(root), arms,
                       choice_arms(root, "        {}) compadd -- {}; return ;;\n"));
}

std::string fish_option(const option_description& option) {
    auto out = std::string{};
    for (const auto& name : option.names) {
        out += name.starts_with("--") ? " -l " + in_quotes(name.substr(2)) : " -s " + in_quotes(name.substr(1));
    }
    if (!option.choices.empty()) {
        out += fmt::format(" -x -a {}", in_quotes(fmt::format("{}", fmt::join(option.choices, " "))));
    } else if (option.takes_value) {
        out += " -r";
    }
    return out + " -d " + in_quotes(option.help);
}

std::string fish_script(const command_description& root) {
    auto out = fmt::format(R"(# fish completion for {0}: put it as {0}.fish into ~/.config/fish/completions
function __{0}_at
    set -l place {0}
    set -l tokens (commandline -opc)
    for word in $tokens[2..-1]
        switch "$place $word"
            case {1}
                set place "$place $word"
        end
    end
    test "$place" = "$argv[1]"
end
complete -c {0} -f
)",
                           root.name, [&] {
                               auto cases = std::string{};
                               each(root, root.name, [&](const std::string& path, const command_description&) {
                                   cases += path == root.name ? "" : (cases.empty() ? "" : " ") + in_quotes(path);
                               });
                               return cases.empty() ? std::string{"''"} : cases;
                           }());
    each(root, root.name, [&](const std::string& path, const command_description& command) {
        const auto start = fmt::format("complete -c {} -n {}", root.name,
                                       in_quotes(fmt::format("__{}_at \"{}\"", root.name, path)));
        for (const auto& sub : command.commands) {
            out += fmt::format("{} -a {} -d {}\n", start, in_quotes(sub.name), in_quotes(sub.help));
        }
        for (const auto& word : command.words) {
            out += fmt::format("{} -a {}\n", start, in_quotes(word));
        }
        for (const auto& option : command.options) {
            out += start + fish_option(option) + '\n';
        }
    });
    return out;
}

}  // namespace

std::string completion_script(shell kind, const command_description& root) {
    switch (kind) {
        case shell::bash: return bash_script(root);
        case shell::zsh: return zsh_script(root);
        case shell::fish: return fish_script(root);
    }
    return {};
}

}  // namespace linnet::cli
