// An AMQP client of one channel for the commands that carry messages: publishes with confirms, consumes with
// acknowledgements.
//
// What is written gathers until the next wait for the broker's word.
//
// Threads:  one.
// Owns:     the connection.
// Fails:    69 without a broker, 77 when it refuses the login, 1 with its words when it refuses the rest.
#pragma once

#include "clients/cli/amqp_conversation.hpp"
#include "clients/cli/failure.hpp"

#include <memory>
#include <optional>
#include <variant>

namespace linnet::cli {

struct amqp_message {
    std::string exchange;
    std::string routing_key;
    std::string properties;  // the encoded block
    std::string body;
};

struct amqp_delivery {
    std::uint64_t tag = 0;
    bool redelivered = false;
    amqp_message message;
};

struct amqp_confirm {
    std::uint64_t number = 0;
    bool multiple = false;
    bool positive = true;
};

struct amqp_returned {
    std::string why;
    amqp_message message;
};

// There was no message for a get().
struct amqp_empty {};

using amqp_event = std::variant<amqp_delivery, amqp_confirm, amqp_returned, amqp_empty>;

class amqp_client {
public:
    // Logs in and opens the channel.
    [[nodiscard]] static result<std::unique_ptr<amqp_client>> open(const server_uri& uri,
                                                                   std::chrono::milliseconds timeout);
    // How many messages nobody has received. The queue must be there.
    [[nodiscard]] result<std::uint32_t> count(const std::string& queue);
    // A queue for this connection alone, with a name that the broker makes, bound to the exchange.
    [[nodiscard]] result<std::string> private_queue(const std::string& exchange, const std::string& key);
    [[nodiscard]] result<void> confirm_publishes();
    [[nodiscard]] result<void> consume(const std::string& queue, std::uint16_t prefetch);

    // Asks for one message: a delivery will come, or that there is none.
    void get(const std::string& queue);
    // Answers the number that its confirm will have, counted from 1.
    std::uint64_t publish(const amqp_message& message);
    void ack(std::uint64_t tag);
    // Writes what has gathered.
    [[nodiscard]] result<void> flush();
    // What the broker says next; nothing if it says nothing for so long.
    [[nodiscard]] result<std::optional<amqp_event>> next(std::chrono::milliseconds patience);
    // Fails if the broker may not have what was said last. What was received and not acked is in its queue again.
    [[nodiscard]] result<void> close();

private:
    amqp_client(const server_uri& uri, std::chrono::milliseconds timeout);

    template <class Reply, class Request, class Visit>
    [[nodiscard]] result<void> call(const Request& request, Visit&& visit);
    [[nodiscard]] tl::unexpected<failure> failed() const;
    [[nodiscard]] result<void> content(amqp_message& message);
    void fresh_deadline() { talk_.wait_until(std::chrono::steady_clock::now() + timeout_); }

    server_uri uri_;
    std::chrono::milliseconds timeout_;
    amqp_conversation talk_;
    std::vector<std::uint8_t> out_;
    std::uint64_t published_ = 0;
};

}  // namespace linnet::cli
