// Drives any HTTP server that takes messages by POST and gives them as server-sent events: Linnet's /v1 or, by
// --post-to and --events-at, RabbitMQ's management API, nchan's locations, a URL that only answers.
//
// Queues are declared through the management API, which Linnet and RabbitMQ have in common: transient unless messages
// are persistent, deleted before and after the run. Topics, and other servers' paths, need no declaration.
#pragma once

#include "bench/load/driver.hpp"
#include "bench/load/http_dialogue.hpp"
#include "bench/load/options.hpp"

namespace linnet::load {

class http_driver final : public driver {
public:
    // `o` must outlive the driver and its links.
    http_driver(broker_uri uri, const options& o) : uri_{std::move(uri)}, options_{o} {}

    [[nodiscard]] outcome<void> prepare(const plan& p) override;
    [[nodiscard]] outcome<std::unique_ptr<link>> open(const plan& p, const connection_plan& which,
                                                      worker_context at) override;
    void clean_up(const plan& p) noexcept override;
    [[nodiscard]] const std::string& broker() const noexcept override { return broker_; }

private:
    [[nodiscard]] bool declares() const noexcept;
    [[nodiscard]] outcome<void> learn_name(http_dialogue& talk);
    [[nodiscard]] outcome<void> remove(http_dialogue& talk, const plan& p);
    [[nodiscard]] outcome<void> declare(http_dialogue& talk, const plan& p);
    [[nodiscard]] outcome<void> bind(http_dialogue& talk, const plan& p);
    [[nodiscard]] std::string queue_json() const;
    [[nodiscard]] outcome<std::unique_ptr<link>> open_producer(const plan& p, unsigned producer, worker_context at);
    [[nodiscard]] outcome<std::unique_ptr<link>> open_reader(const plan& p, const subscription_plan& which,
                                                             worker_context at);

    broker_uri uri_;
    const options& options_;
    std::string broker_;
};

}  // namespace linnet::load
