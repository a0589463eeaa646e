#include "broker/session/http_consumer.hpp"

#include <utility>

namespace linnet::session {

void http_consumer::end() {
    if (!std::exchange(ended_, true)) {
        leave();
    }
}

void http_consumer::close() {
    if (!ended_) {
        cancelled();
        end();
    }
}

void http_consumer::leave() {
    if (std::exchange(attached_, false)) {
        shard().forget_consumer(queue_, consumer_, *this);
    }
    if (asking_ == 0) {
        home_.drop(*this);
    }
}

void http_consumer::ask(core::request_body what, http_messaging::on_answer then) {
    ++asking_;
    home_.ask(vhost_, std::move(what), [this, f = std::move(then)](core::reply&& r) {
        --asking_;
        f(std::move(r));
        if (ended_ && asking_ == 0) {
            leave();
        }
    });
}

void http_consumer::consume(core::consume what) {
    what.sink = this;
    ask(std::move(what), [this](core::reply&& r) {
        if (!r.result) {
            if (!ended_) {
                refused(r.result.error());
            }
            return;
        }
        const auto& info = std::get<core::consumer_info>(*r.result);
        queue_ = info.queue;
        consumer_ = info.consumer;
        attached_ = true;
        if (!ended_) {
            started(info);
        }
    });
}

void http_consumer::on_delivery(std::uint64_t, core::delivery&& d) {
    if (ended_) {
        give_back(std::move(d), core::settlement::bounced);
    } else {
        take(std::move(d));
    }
}

void http_consumer::on_cancelled(std::uint64_t, core::cancel_reason) {
    attached_ = false;
    if (!ended_) {
        cancelled();
    }
}

void http_consumer::give_back(core::delivery&& d, core::settlement how) {
    if (!d.no_ack) {
        if (how == core::settlement::accepted && d.msg->traits().identified) {
            shard().note_accepted(vhost_, d);
        }
        shard().settle({&d, 1}, how);
    }
}

}  // namespace linnet::session
