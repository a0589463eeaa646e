#pragma once

#include "broker/session/http_messaging.hpp"

#include <functional>
#include <memory>

namespace linnet::session {

// A consumer of a queue on behalf of an HTTP client. It lives in its shard's http_messaging until the core has let go
// of it, which may be after the client has gone: so the core never holds a sink that is no more.
//
// Threads: its shard's.
class http_consumer : public core::delivery_sink {
public:
    http_consumer(http_messaging& home, core::vhost_id vhost) : home_(home), vhost_(vhost) {}

    // Nobody wants it any more: what still comes goes back.
    void end();
    [[nodiscard]] bool ended() const noexcept { return ended_; }
    // The service ends: for its client it is as if the queue had gone.
    void close();
    [[nodiscard]] http_messaging& home() noexcept { return home_; }

    // core::delivery_sink
    void on_delivery(std::uint64_t tag, core::delivery&& d) final;
    void on_cancelled(std::uint64_t tag, core::cancel_reason why) final;
    void on_direct(core::message_ptr) final {}

protected:
    void ask(core::request_body what, http_messaging::on_answer then);
    // started() or refused() follows.
    void consume(core::consume what);
    [[nodiscard]] core::vhost_id vhost() const noexcept { return vhost_; }
    [[nodiscard]] core::shard& shard() noexcept { return home_.shard(); }
    void give_back(core::delivery&& d, core::settlement how = core::settlement::requeued);

    virtual void started(const core::consumer_info&) {}
    virtual void refused(const core::error& why) = 0;
    virtual void take(core::delivery&& d) = 0;
    virtual void cancelled() = 0;

private:
    void leave();

    http_messaging& home_;
    const core::vhost_id vhost_;
    core::queue_handle queue_{};
    core::consumer_id consumer_{};
    bool attached_ = false;
    bool ended_ = false;
    std::uint32_t asking_ = 0;
};

}  // namespace linnet::session
