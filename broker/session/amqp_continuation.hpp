#pragma once

#include "protocol/amqp/methods.hpp"

#include <cstdint>
#include <string>

namespace linnet::session {

// What a channel goes on with when the core's answer comes; small, because it is kept by value.
struct amqp_continuation {
    enum class kind : std::uint8_t {
        nothing,
        simple_ok,
        declare_queue,
        delete_queue,
        purge,
        consume,
        cancel,
        get,
        commit,
        find_reply_queue,
    };
    kind what = kind::nothing;
    bool no_wait = false;
    std::uint16_t channel = 0;
    std::uint32_t consumer = 0;
    amqp::method_id method = 0;  // the one to answer, and the one to name in an error
    std::string name;            // of the queue or consumer, where the answer repeats it
};

}  // namespace linnet::session
