// Drives any AMQP 0-9-1 broker: declares what the plan asks for and opens its connections.
//
// Queues are transient unless messages are persistent. What the run declares it deletes before and after, so
// runs do not see one another's messages.
#pragma once

#include "bench/load/amqp_dialogue.hpp"
#include "bench/load/driver.hpp"
#include "bench/load/options.hpp"

namespace linnet::load {

class amqp_driver final : public driver {
public:
    // `o` must outlive the driver and its links.
    amqp_driver(broker_uri uri, const options& o) : uri_{std::move(uri)}, options_{o} {}

    [[nodiscard]] outcome<void> prepare(const plan& p) override;
    [[nodiscard]] outcome<std::unique_ptr<link>> open(const plan& p, const connection_plan& which,
                                                      worker_context at) override;
    void clean_up(const plan& p) noexcept override;
    [[nodiscard]] const std::string& broker() const noexcept override { return broker_; }

private:
    [[nodiscard]] outcome<void> declare_exchange(amqp_dialogue& talk, const plan& p);
    [[nodiscard]] outcome<void> declare_queues(amqp_dialogue& talk, const plan& p);
    [[nodiscard]] outcome<void> bind(amqp_dialogue& talk, const plan& p);
    [[nodiscard]] outcome<void> remove(amqp_dialogue& talk, const plan& p);
    [[nodiscard]] outcome<void> subscribe(amqp_dialogue& talk, const plan& p, const subscription_plan& each,
                                          std::uint16_t channel, unsigned tag);

    broker_uri uri_;
    const options& options_;
    std::string broker_;
};

}  // namespace linnet::load
