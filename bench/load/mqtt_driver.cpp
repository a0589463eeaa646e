#include "bench/load/mqtt_driver.hpp"

#include "bench/load/mqtt_link.hpp"
#include "bench/load/mqtt_messages.hpp"

namespace linnet::load {

outcome<void> mqtt_driver::prepare(const plan&) {
    auto talk = mqtt_dialogue::connect(uri_, {.version = options_.version});
    if (!talk)
        return tl::unexpected{talk.error()};
    broker_ = talk->broker();
    talk->close();
    return {};
}

outcome<std::unique_ptr<link>> mqtt_driver::open(const plan& p, const connection_plan& which, worker_context at) {
    auto talk = mqtt_dialogue::connect(uri_, {.version = options_.version, .receive_maximum = options_.prefetch});
    if (!talk)
        return tl::unexpected{talk.error()};
    auto made = std::make_unique<mqtt_link>(options_, at);
    for (unsigned producer : which.producers) {
        made->add_producer(mqtt_messages(p, producer, options_), stagger_of(options_, p, producer),
                           talk->receive_maximum());
    }
    if (!which.subscriptions.empty()) {
        made->add_consumer(which.subscriptions.front());
        std::vector<std::string> filters;
        for (const subscription_plan& each : which.subscriptions)
            filters.push_back((options_.shared ? "$share/linnet-bench/" : "") + p.queues[each.queue]);
        if (auto done = talk->subscribe(filters, options_.qos); !done)
            return tl::unexpected{done.error()};
    }
    std::vector<std::uint8_t> unread;
    const int fd = talk->release(unread);
    made->take_over(fd, std::move(unread));
    return std::unique_ptr<link>{std::move(made)};
}

}  // namespace linnet::load
