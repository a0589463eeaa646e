// Vhosts, users, permissions and policies.
#include "clients/cli/arguments.hpp"
#include "clients/cli/change.hpp"

#include <iostream>
#include <termios.h>
#include <unistd.h>

namespace linnet::cli {
namespace {

const word_spec user_word{"user", "The user's name"};
const word_spec vhost_word{"vhost", "The vhost's name"};
const word_spec policy_word{"policy", "The policy's name"};

// From a pipe as it is, from a terminal without showing it. Never from the command line, which others can read.
result<std::string> asked_password() {
    auto before = termios{};
    const bool at_terminal = ::tcgetattr(STDIN_FILENO, &before) == 0;
    if (at_terminal) {
        fmt::print(stderr, "Password: ");
        auto quiet = before;
        quiet.c_lflag &= ~static_cast<tcflag_t>(ECHO);
        ::tcsetattr(STDIN_FILENO, TCSANOW, &quiet);
    }
    auto password = std::string{};
    std::getline(std::cin, password);
    if (at_terminal) {
        ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
        fmt::print(stderr, "\n");
    }
    if (password.empty()) {
        return fail(exit_code::usage, "no password was given", "Type it, or write it to standard input.");
    }
    return password;
}

exit_code create_vhost(const invocation& call) {
    return with_api(call, [&](management& api, const target&) {
        auto body = json_value::object();
        if (call.has("description")) {
            body["description"] = call.value("description");
        }
        if (call.has("default-queue-type")) {
            body["default_queue_type"] = call.value("default-queue-type");
        }
        const auto name = call.word("vhost");
        return make(call, api, api_path({"vhosts", name}), body, fmt::format("vhost \"{}\"", name));
    });
}

exit_code delete_vhost(const invocation& call) {
    return with_api(call, [&](management& api, const target&) {
        const auto name = call.word("vhost");
        return unmake(call, api, api_path({"vhosts", name}), fmt::format("vhost \"{}\" and all that is in it", name));
    });
}

result<void> put_user(const invocation& call, management& api, json_value body) {
    const auto name = call.word("user");
    if (call.has("password-hash")) {
        body["password_hash"] = call.value("password-hash");
    } else {
        auto password = asked_password();
        if (!password) {
            return tl::unexpected{password.error()};
        }
        body["password"] = std::move(*password);
    }
    const auto what = fmt::format("user \"{}\"", name);
    if (call.has("dry-run")) {
        tell(call, fmt::format("would set {} with the tags \"{}\"", what, body.value("tags", "")));
        return {};
    }
    return make(call, api, api_path({"users", name}), body, what);
}

exit_code create_user(const invocation& call) {
    return with_api(call, [&](management& api, const target&) {
        return put_user(call, api, {{"tags", call.value("tags")}});
    });
}

// The API sets users whole: the tags that the user has go with the new password.
exit_code change_password(const invocation& call) {
    return with_api(call, [&](management& api, const target&) -> result<void> {
        const auto name = call.word("user");
        const auto found = api.get(api_path({"users", name}), fmt::format("user \"{}\"", name));
        if (!found) {
            return tl::unexpected{found.error()};
        }
        auto tags = std::string{};
        const auto known = found->value("tags", json_value::array());
        for (const auto& tag : known.is_array() ? known : json_value::array({known})) {
            tags += (tags.empty() ? "" : ",") + tag.get<std::string>();
        }
        return put_user(call, api, {{"tags", tags}});
    });
}

exit_code delete_user(const invocation& call) {
    return with_api(call, [&](management& api, const target&) {
        const auto name = call.word("user");
        return unmake(call, api, api_path({"users", name}), fmt::format("user \"{}\"", name));
    });
}

exit_code set_permission(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        const auto user = call.word("user");
        const auto body = json_value{{"configure", call.value("configure", ".*")},
                                     {"write", call.value("write", ".*")},
                                     {"read", call.value("read", ".*")}};
        return make(call, api, api_path({"permissions", at.vhost, user}), body,
                    fmt::format("what \"{}\" may do in vhost \"{}\"", user, at.vhost));
    });
}

exit_code clear_permission(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        const auto user = call.word("user");
        return unmake(call, api, api_path({"permissions", at.vhost, user}),
                      fmt::format("what \"{}\" may do in vhost \"{}\"", user, at.vhost));
    });
}

exit_code set_policy(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) -> result<void> {
        const auto name = call.word("policy");
        auto definition = arguments_of(call.words("definition"), "definition");
        const auto priority = number_of(call.value("priority", "0"), "priority");
        if (!definition || !priority) {
            return tl::unexpected{definition ? priority.error() : definition.error()};
        }
        const auto body = json_value{{"pattern", call.word("pattern")},
                                     {"definition", *definition},
                                     {"priority", *priority},
                                     {"apply-to", call.value("apply-to", "all")}};
        return make(call, api, api_path({"policies", at.vhost, name}), body, fmt::format("policy \"{}\"", name));
    });
}

exit_code clear_policy(const invocation& call) {
    return with_api(call, [&](management& api, const target& at) {
        const auto name = call.word("policy");
        return unmake(call, api, api_path({"policies", at.vhost, name}), fmt::format("policy \"{}\"", name));
    });
}

}  // namespace

std::vector<command_spec> access_commands() {
    using enum option_group;
    const auto hash = option_spec{"--password-hash", "HASH", "Instead of asking for the password: its hash"};
    return {
        {"vhost",
         "create",
         "Make a vhost",
         {broker, changes},
         {vhost_word},
         {{"--description", "TEXT", "What it is for"},
          {"--default-queue-type", "TYPE", "Of queues that say no type: classic, quorum or stream"}},
         create_vhost},
        {"vhost",
         "delete",
         "Delete a vhost and all that is in it",
         {broker, changes, danger},
         {vhost_word},
         {},
         delete_vhost},
        {"user",
         "create",
         "Make a user; the password comes from standard input",
         {broker, changes},
         {user_word},
         {{"--tags", "TAG,...", "administrator, monitoring, policymaker, management"}, hash},
         create_user},
        {"user",
         "password",
         "Give a user another password, from standard input",
         {broker, changes},
         {user_word},
         {hash},
         change_password},
        {"user", "delete", "Delete a user", {broker, changes, danger}, {user_word}, {}, delete_user},
        {"permission",
         "set",
         "Say what a user may do in the vhost",
         {broker, changes},
         {user_word},
         {{"--configure", "REGEX", "What it may make and delete (.*)"},
          {"--write", "REGEX", "What it may publish to (.*)"},
          {"--read", "REGEX", "What it may consume from (.*)"}},
         set_permission},
        {"permission",
         "clear",
         "Take a user's rights in the vhost away",
         {broker, changes, danger},
         {user_word},
         {},
         clear_permission},
        {"policy",
         "set",
         "Set a policy",
         {broker, changes},
         {policy_word,
          {"pattern", "A regular expression for the names"},
          {"definition", "NAME=VALUE, as max-length=1000", true, true}},
         {{"--priority", "N", "The highest that matches wins (0)"},
          {"--apply-to", "WHAT", "queues, exchanges or all (all)", {"all", "queues", "exchanges"}}},
         set_policy},
        {"policy", "clear", "Delete a policy", {broker, changes, danger}, {policy_word}, {}, clear_policy},
    };
}

}  // namespace linnet::cli
