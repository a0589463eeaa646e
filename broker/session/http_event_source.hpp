#pragma once

#include "broker/session/http_messaging.hpp"

#include <string>
#include <utility>

namespace linnet::session {

// A stream of server-sent events: what all kinds have in common, that is heartbeats and order.
//
// Threads: its shard's. Owned by the HTTP session that it streams to.
class http_event_source : public http_source, private core::timer {
public:
    explicit http_event_source(http_messaging& home);

    progress write(http_body& to) final;
    // To be called when it has been handed over.
    void begin(http_stream s) { stream_ = std::move(s); }

protected:
    [[nodiscard]] virtual bool has_next() const noexcept = 0;
    virtual void write_next(http_body& to) = 0;
    void wake() { stream_.wake(); }
    // Goes out before what waits.
    [[nodiscard]] std::string& said() noexcept { return said_; }
    // What waits is the last of it.
    void finish();

private:
    void on_timer(mono_ns now) override;

    http_messaging& home_;
    http_stream stream_;
    std::string said_;
    bool finished_ = false;
};

// A message as an event. `name`: what all events are called; empty: the message's type, else its content type.
void append_message_event(std::string& out, std::string_view id, std::string_view name, const core::message& m,
                          const core::property_reader* reader);
[[nodiscard]] http_answer event_stream_head();

}  // namespace linnet::session
