#pragma once

#include "broker/admin/services.hpp"
#include "broker/session/http_handler.hpp"

namespace linnet::admin {

// What Prometheus scrapes, in RabbitMQ's names, so that its dashboards show this broker, and in ours (linnet_) for what
// it does not have:
//
//     /metrics                     sums; no label grows with what clients do
//     /metrics/per-object          the same, with queues one by one
//     /metrics/detailed            ?family=queue_coarse_metrics&vhost=...: only those
//     /metrics/memory-breakdown
//
// Counters are counted where things happen and never fall, whatever comes and goes.
//
// Threads: its shard's; a scrape goes round all shards, a piece a turn.
// Bounds:  the sums' text by a constant; the others' by the queues that they list.
class metrics_handler final : public session::http_handler {
public:
    metrics_handler(services& s, core::shard& home) noexcept : all_(s), home_(home) {}

    void on_request(const session::http_request& r, session::http_responder to) override;

private:
    services& all_;
    core::shard& home_;
};

}  // namespace linnet::admin
