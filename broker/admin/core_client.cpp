#include "broker/admin/core_client.hpp"

#include <utility>

namespace linnet::admin {

core::session_handle core_client::handle() {
    if (!handle_) {
        handle_ = shard_.add_session(*this);
    }
    return handle_;
}

void core_client::ask(core::vhost_id vhost, core::request_body body, reply_handler then) {
    const auto cookie = ++last_;
    auto now = shard_.submit({vhost, handle(), cookie, std::move(body)});
    if (now) {
        then(std::move(*now));
    } else {
        replies_.emplace(cookie, std::move(then));
    }
}

void core_client::on_reply(core::reply&& r) {
    if (auto waiting = replies_.extract(r.cookie)) {
        waiting.mapped()(std::move(r));
    }
}

std::uint32_t core_client::publish(core::message_ptr m, const core::vhost_node& v, const core::shard::route& r,
                                   settled_handler then) {
    const auto sequence = ++last_;
    const auto done = shard_.publish(std::move(m), v, r, handle(), 0, sequence);
    if (done.pending) {
        settled_.emplace(sequence, std::move(then));
    } else {
        then(!done.rejected);
    }
    shard_.pump();
    return done.routed;
}

void core_client::on_publish_settled(std::uint64_t, std::uint64_t sequence, bool accepted) {
    if (auto waiting = settled_.extract(sequence)) {
        waiting.mapped()(accepted);
    }
}

void core_client::end() {
    if (handle_) {
        shard_.remove_session(std::exchange(handle_, {}));
    }
    replies_.clear();
    settled_.clear();
}

}  // namespace linnet::admin
