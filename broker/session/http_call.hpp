#pragma once

#include "broker/session/http_messaging.hpp"

#include <string>
#include <vector>

namespace linnet::session {

// What comes for a kept reply, told in order and each once: progress, then the answer or that there is none.
//
// Threads: its shard's. Owned by http_messaging from adopt() until drop().
class http_reply_watch {
public:
    http_reply_watch(http_messaging& home, core::vhost_id vhost, core::reply_token token, std::string user,
                     std::uint64_t tag)
        : home_(home), vhost_(vhost), token_(token), user_(std::move(user)), tag_(tag) {}
    http_reply_watch(const http_reply_watch&) = delete;
    http_reply_watch& operator=(const http_reply_watch&) = delete;
    virtual ~http_reply_watch() = default;

    void begin();
    // Nobody wants it any more.
    void end();
    void take(core::reply_news&& news);
    [[nodiscard]] std::uint64_t tag() const noexcept { return tag_; }

protected:
    [[nodiscard]] http_messaging& home() noexcept { return home_; }
    [[nodiscard]] core::vhost_id vhost() const noexcept { return vhost_; }
    [[nodiscard]] const core::reply_token& token() const noexcept { return token_; }
    // Its requester has the answer, or has gone and can never come for it: it need not be kept.
    void close_reply();

    virtual void on_progress(const core::reply_progress&) {}
    // Null: what came was damaged.
    virtual void on_answer(const core::message_ptr& m) = 0;
    virtual void on_gone() = 0;
    virtual void on_refused(const core::error& why) = 0;
    // The answer is still to come.
    virtual void on_pending() {}

private:
    void began(core::reply&& r);

    http_messaging& home_;
    const core::vhost_id vhost_;
    const core::reply_token token_;
    const std::string user_;
    const std::uint64_t tag_;
    bool asking_ = false;
    bool watching_ = false;
    bool ended_ = false;
    std::uint64_t told_ = 0;                // of progress
    std::vector<core::reply_news> before_;  // came before what was there already
};

}  // namespace linnet::session
