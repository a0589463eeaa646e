// The slow part of an HTTP conversation: one request, one answer, on a blocking socket.
//
// Threads:  one at a time.
// Owns:     the socket until release().
// Bounds:   as blocking_socket; an answer's body by answer_bytes_max.
// Fails:    with what is wrong with the answer, or the system's words.
#pragma once

#include "bench/load/blocking_socket.hpp"
#include "bench/load/broker_uri.hpp"
#include "protocol/http/method.hpp"

#include <string>
#include <string_view>

namespace linnet::load {

class http_dialogue {
public:
    static constexpr std::uint64_t answer_bytes_max = 1U << 20;

    [[nodiscard]] static outcome<http_dialogue> connect(const broker_uri& uri);

    struct answer {
        unsigned code = 0;
        std::string server;  // the field of that name
        std::string body;

        [[nodiscard]] bool is_good() const noexcept { return code >= 200 && code < 300; }
    };
    // `body`: JSON.
    [[nodiscard]] outcome<answer> ask(http::method how, std::string_view target, std::string_view body = {});

    // Asks for the events that are there and waits until they begin; the answer's head is left unread with them.
    [[nodiscard]] outcome<void> open_events(std::string_view target);

    void close() noexcept { socket_.close(); }
    // Gives the socket away, with the bytes that were read and not taken.
    [[nodiscard]] int release(std::vector<std::uint8_t>& unread) { return socket_.release(unread); }

private:
    http_dialogue(blocking_socket socket, const broker_uri& uri);

    void send(http::method how, std::string_view target, std::string_view accept, std::string_view body);

    blocking_socket socket_;
    std::string host_;
    std::string authorization_;
};

}  // namespace linnet::load
