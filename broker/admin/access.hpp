#pragma once

#include "broker/core/error.hpp"
#include "broker/core/publish_access.hpp"
#include "broker/core/topology.hpp"
#include "broker/session/http_handler.hpp"

#include <cstdint>
#include <string>
#include <string_view>

// Who may do what here: RabbitMQ's rules. Tags say which kind of thing; rights in a vhost say where.

namespace linnet::admin {

// What a path asks of its user's tags. Each includes those before it, but that monitoring and policymaker do not
// include each other.
enum class need : std::uint8_t {
    login,          // who it is, nothing more
    management,     // any of the tags
    vhost,          // ... and rights in the vhost that the path names; monitoring sees all
    policies,       // ... policymaker
    monitoring,     //
    administrator,  //
};

[[nodiscard]] bool administers(const session::http_user& u);
[[nodiscard]] bool monitors(const session::http_user& u);

// Empty: yes. Else why not, in RabbitMQ's words. `vhost`: the one that the path names, if it names one that exists.
[[nodiscard]] std::string_view refusal(need what, const session::http_user& user, core::topology_view view,
                                       const core::vhost_node* vhost);

// May the user see what lies in that vhost, in lists?
[[nodiscard]] bool sees(const session::http_user& user, core::topology_view view, core::vhost_id vhost);

// A right on a thing, as over AMQP; the text is AMQP's refusal.
[[nodiscard]] core::outcome<void> may(core::right r, const session::http_user& user, core::topology_view view,
                                      const core::vhost_node& vhost, std::string_view kind, std::string_view name);

// What AMQP asks of who makes a thing that passes messages on to the exchange that `argument` names, besides
// `configure`: to read what is made, and to write there. Without such an argument, nothing.
[[nodiscard]] core::outcome<void> may_pass_on(const session::http_user& user, core::topology_view view,
                                              const core::vhost_node& vhost, std::string_view kind,
                                              std::string_view name, const core::value_table& arguments,
                                              std::string_view argument);
// Rights on keys, where the exchange is a topic exchange and there are any. Good if there is no such exchange.
[[nodiscard]] core::outcome<void> may_read_topic(const session::http_user& user, core::topology_view view,
                                                 const core::vhost_node& vhost, std::string_view exchange,
                                                 std::string_view key);

// What AMQP says to who may not publish there.
[[nodiscard]] core::error refusal_to_publish(core::publish_bar why, std::string_view user,
                                             const core::vhost_node& vhost, std::string_view exchange,
                                             std::string_view key);

}  // namespace linnet::admin
