#include "clients/cli/transfer.hpp"

#include "clients/cli/pause.hpp"
#include "clients/cli/progress.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace linnet::cli {
namespace {

using clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

// The least that the broker is waited for: a disk may take its time, and so may a broker that is short of memory.
constexpr auto patience = 2'000ms;

// What has come and is not settled yet may be so much. A broker that had to lend us all of its messages at once would
// run out of memory, hold publishers back, us among them, and never hear our acknowledgements.
constexpr std::uint64_t under_way_bytes_max = 4 * 1024 * 1024;
constexpr std::uint64_t under_way_max = 1'000;
// What is asked for and has not come may be larger than all that has: these are lent without a bound to their bytes.
constexpr std::uint64_t asked_max = 64;

class carrying {
public:
    carrying(amqp_client& client, const transfer_plan& plan, std::uint64_t total)
        : client_{client}, plan_{plan}, left_{total}, bar_{plan.verb, total, plan.quiet} {}

    result<transfer_report> go() {
        ask();
        while (asked_ != 0 || !open_.empty()) {
            // Who asks hears of a message or that there is none: silence is no end.
            auto event = client_.next(std::max(patience, plan_.timeout));
            if (!event) {
                report_.broken = event.error();
                report_.unsettled = open_.size();
                return report_;
            }
            if (!*event) {
                break;
            }
            std::visit([this](auto& each) { on(each); }, **event);
            ask();
            bar_.show(report_.carried + report_.kept + report_.refused);
        }
        // What has no confirm by now has gone, perhaps; twice is better than never: with the connection's end it is in
        // the queue again, as is what stays.
        report_.unsettled = open_.size();
        report_.unanswered = asked_;
        if (const auto closed = client_.close(); !closed) {
            report_.broken = closed.error();
        }
        return report_;
    }

private:
    // Of each the size is known when it has come: until then it is taken to be as large as the largest one. So that
    // little is lent where that is wrong, no more are asked for at a time than have come.
    void ask() {
        while (left_ != 0) {
            const auto under_way = asked_ + open_.size();
            if (asked_ >= std::clamp(came_, std::uint64_t{1}, asked_max) || under_way >= under_way_max ||
                (under_way != 0 && open_bytes_ + (asked_ + 1) * largest_ > under_way_bytes_max)) {
                return;
            }
            client_.get(plan_.queue);
            ++asked_;
            --left_;
        }
    }

    void on(amqp_delivery& delivery) {
        --asked_;
        ++came_;
        const auto size = std::max<std::uint64_t>(delivery.message.body.size(), 1);
        largest_ = std::max(largest_, size);
        const auto to = plan_.choose(delivery);
        if (!to) {
            ++report_.kept;
        } else if (plan_.dry_run) {
            ++report_.carried;
        } else {
            keep_the_rate();
            open_[client_.publish(*to)] = {delivery.tag, looks_of(*to), size};
            open_bytes_ += size;
        }
    }

    // Another consumer has the rest.
    void on(const amqp_empty&) {
        --asked_;
        left_ = 0;
    }

    // A message that reaches no queue comes back, and then its confirm. Two that look alike are as good as one another.
    void on(const amqp_returned& returned) {
        const auto found = std::find_if(open_.begin(), open_.end(), [&](const auto& each) {
            return !each.second.returned && each.second.looks == looks_of(returned.message);
        });
        if (found != open_.end()) {
            found->second.returned = true;
            note(returned.why);
        }
    }

    void on(const amqp_confirm& confirm) {
        const auto last = open_.upper_bound(confirm.number);
        auto each = confirm.multiple ? open_.begin() : open_.find(confirm.number);
        while (each != open_.end() && each != last) {
            open_bytes_ -= each->second.bytes;
            settle(each->second, confirm.positive);
            each = open_.erase(each);
        }
    }

    struct underway {
        std::uint64_t tag = 0;
        std::size_t looks = 0;
        std::uint64_t bytes = 0;
        bool returned = false;
    };

    static std::size_t looks_of(const amqp_message& message) {
        return std::hash<std::string>{}(message.exchange + '\0' + message.routing_key + '\0' + message.body);
    }

    void settle(const underway& one, bool positive) {
        if (positive && !one.returned) {
            ++report_.carried;
            client_.ack(one.tag);
            return;
        }
        ++report_.refused;
        note("the broker refused the message");
    }

    void note(const std::string& why) {
        if (report_.why_refused.empty()) {
            report_.why_refused = why;
        }
    }

    void keep_the_rate() {
        if (plan_.rate_per_s <= 0) {
            return;
        }
        const auto due = began_ + std::chrono::duration_cast<clock::duration>(
                                      std::chrono::duration<double>(static_cast<double>(paced_++) / plan_.rate_per_s));
        // A broker must not wait for what has gathered while we sleep.
        if (due > clock::now()) {
            (void)client_.flush();
            pause(due - clock::now());
        }
    }

    amqp_client& client_;
    const transfer_plan& plan_;
    std::uint64_t left_;         // to be asked for yet
    std::uint64_t asked_ = 0;    // and not come yet
    std::uint64_t came_ = 0;     // in all
    std::uint64_t largest_ = 1;  // of them, in bytes
    progress bar_;
    transfer_report report_;
    std::map<std::uint64_t, underway> open_;  // by the number of the publish
    std::uint64_t open_bytes_ = 0;
    std::uint64_t paced_ = 0;
    const clock::time_point began_ = clock::now();
};

}  // namespace

result<transfer_report> carry(amqp_client& client, const transfer_plan& plan) {
    const auto there = client.count(plan.queue);
    if (!there) {
        return tl::unexpected{there.error()};
    }
    const auto total = plan.messages_max == 0 ? *there : std::min<std::uint64_t>(*there, plan.messages_max);
    if (total == 0) {
        return transfer_report{};
    }
    // What stays is held until the end, or it would come again and again.
    return client.confirm_publishes().and_then([&] { return carrying{client, plan, total}.go(); });
}

}  // namespace linnet::cli
