#pragma once

#include "broker/base/result.hpp"

#include <cstdint>
#include <string>

namespace linnet::core {

// Why the core refused. Neutral: each session renders it in its protocol's own words and codes
// (AMQP: 404, 403, 406, 405, 530, 506, 541; MQTT: reason codes; HTTP: status).
enum class error_kind : std::uint8_t {
    not_found,            // no such vhost, exchange, queue, binding
    access_refused,       // rights, reserved names
    precondition_failed,  // inequivalent redeclaration, in use, not empty, bad argument
    resource_locked,      // exclusive to another session
    not_allowed,          // the operation makes no sense here
    command_invalid,      // e.g. an unknown exchange type
    quota_exceeded,       // there are as many of them as may be (AMQP: 406, as RabbitMQ says it)
    resource_error,       // there is no room for it
    not_implemented,
    internal,
};

// `text` is the sentence after RabbitMQ's "NOT_FOUND - ": clients' suites match on it.
struct error {
    error_kind kind;
    std::string text;
};

template <class T>
using outcome = result<T, error>;

}  // namespace linnet::core
