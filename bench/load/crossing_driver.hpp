// Publishes through one protocol and consumes through the other: two drivers, each with its half of the plan.
//
// What AMQP publishes to the topic exchange, MQTT's subscribers of the same name get; what MQTT publishes, AMQP
// finds in queues that are bound to it. Names are topic and routing key at once, so neither / nor . is in them.
//
// Fails:    as the two drivers do.
#pragma once

#include "bench/load/driver.hpp"

namespace linnet::load {

class crossing_driver final : public driver {
public:
    crossing_driver(std::unique_ptr<driver> publishing, std::unique_ptr<driver> consuming)
        : publishing_{std::move(publishing)}, consuming_{std::move(consuming)} {}

    [[nodiscard]] outcome<void> prepare(const plan& p) override {
        return consuming_->prepare(p).and_then([&] { return publishing_->prepare(without_queues(p)); });
    }
    [[nodiscard]] outcome<std::unique_ptr<link>> open(const plan& p, const connection_plan& which,
                                                      worker_context at) override {
        return (which.producers.empty() ? consuming_ : publishing_)->open(p, which, at);
    }
    void clean_up(const plan& p) noexcept override { consuming_->clean_up(p); }
    [[nodiscard]] const std::string& broker() const noexcept override { return consuming_->broker(); }

private:
    // Queues are the consumer's: nobody would empty those that the publishing side declared.
    [[nodiscard]] static plan without_queues(plan p) {
        p.queues.clear();
        p.bindings.clear();
        return p;
    }

    std::unique_ptr<driver> publishing_;
    std::unique_ptr<driver> consuming_;
};

}  // namespace linnet::load
