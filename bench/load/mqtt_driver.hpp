// Drives any MQTT broker: the plan's queues are topics, and a connection with subscriptions is one consumer of them.
//
// Sessions are clean and end with their connections, so there is nothing to declare and nothing to clean up.
#pragma once

#include "bench/load/driver.hpp"
#include "bench/load/mqtt_dialogue.hpp"
#include "bench/load/options.hpp"

namespace linnet::load {

class mqtt_driver final : public driver {
public:
    // `o` must outlive the driver and its links.
    mqtt_driver(broker_uri uri, const options& o) : uri_{std::move(uri)}, options_{o} {}

    [[nodiscard]] outcome<void> prepare(const plan& p) override;
    [[nodiscard]] outcome<std::unique_ptr<link>> open(const plan& p, const connection_plan& which,
                                                      worker_context at) override;
    void clean_up(const plan&) noexcept override {}
    [[nodiscard]] const std::string& broker() const noexcept override { return broker_; }

private:
    broker_uri uri_;
    const options& options_;
    std::string broker_;
};

}  // namespace linnet::load
