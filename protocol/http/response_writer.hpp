// Writes responses: the head field by field, then the body in one piece, in chunks, or not at all.
//
//     response_writer to{out, reply_to::request(r), status::ok, date};
//     to.field("Content-Type", "application/json").body(text);
//
// What goes out cannot be broken from inside: control characters in a value become spaces, a name that is no token
// is left out with its value, and the fields that say where the message ends are the writer's alone.
//
// Owns:     nothing; it appends to the text that it was given.
// Fails:    cannot. A head that is begun and not ended is our own bug; debug builds catch it.
#pragma once

#include "protocol/http/request.hpp"
#include "protocol/wire/bytes.hpp"

namespace linnet::http {

// What the request decides about the form of its response.
struct reply_to {
    bool head_only = false;
    bool keep_alive = true;
    unsigned minor_version = 1;

    [[nodiscard]] static reply_to request(const http::request& r) noexcept {
        return {r.method == method::head, r.keep_alive, r.minor_version};
    }
    // What was refused by the parser is answered so, and the connection closed.
    [[nodiscard]] static reply_to refused(const http::request& r) noexcept {
        return {r.method == method::head, false, r.minor_version};
    }
};

// What follows a head that has promised a body of unknown length.
enum class stream_form : std::uint8_t { nothing, chunks, until_close };

class response_writer {
public:
    // `date`: as http_date() writes it; empty for none.
    response_writer(std::string& out, reply_to to, status code, std::string_view date);
    response_writer(const response_writer&) = delete;
    response_writer& operator=(const response_writer&) = delete;
    ~response_writer();

    response_writer& field(std::string_view name, std::string_view value);
    response_writer& field(std::string_view name, std::uint64_t value);
    // The connection closes behind this response, whatever the client would like.
    response_writer& close() noexcept {
        to_.keep_alive = false;
        return *this;
    }

    // Each of these ends the head. The whole response, with a length:
    void body(std::string_view content);
    void no_body() { body({}); }
    // The head alone: `bytes` of body must follow, if this says true. For bodies that are sent by reference.
    [[nodiscard]] bool length(std::uint64_t bytes);
    // A body of unknown length: append_chunk() and last_chunk, or bytes as they are and then a close.
    [[nodiscard]] stream_form stream();

private:
    void end_head();
    [[nodiscard]] bool may_have_body() const noexcept { return !to_.head_only && !is_bodiless(number_of(status_)); }

    std::string& out_;
    reply_to to_;
    status status_;
    bool ended_ = false;
};

// One chunk; nothing for no bytes, since an empty chunk would be the last one.
void append_chunk(std::string& out, std::string_view bytes);
// The two halves around a chunk of that many bytes, which is sent by reference.
void append_chunk_head(std::string& out, std::size_t bytes);
inline constexpr std::string_view chunk_end = "\r\n";
inline constexpr std::string_view last_chunk = "0\r\n\r\n";

inline constexpr std::string_view continue_response = "HTTP/1.1 100 Continue\r\n\r\n";

// A name and a value on a line of their own, made safe as above; false when the name is no token.
bool append_field(std::string& out, std::string_view name, std::string_view value);

// 101: from here on the connection speaks `protocol`. What that needs beside it (Sec-WebSocket-Accept) is in `more`.
void append_upgrade(std::string& out, std::string_view protocol, std::string_view date, std::span<const field> more);

}  // namespace linnet::http
