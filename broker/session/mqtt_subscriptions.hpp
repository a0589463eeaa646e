#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace linnet::session {

// What a client has asked for with one filter, as far as deliveries depend on it.
struct mqtt_subscription {
    std::string filter;
    std::uint32_t identifier = 0;  // 0: none
    std::uint8_t qos = 0;          // granted
    bool no_local = false;
    bool retain_as_published = false;
    bool live : 1 = false;     // bound to the connection itself; else to the session's queue
    bool binding : 1 = false;  // to the queue, which is not true yet of all that is published: not kept

    bool operator==(const mqtt_subscription&) const = default;
};

// All subscriptions of a session that match one message: it is delivered once [MQTT-3.3.4-2].
struct mqtt_match {
    bool any = false;
    bool live = false;    // one of them is bound to the connection
    bool queued = false;  // one of them is bound to the queue: what comes from elsewhere comes from there, too
    // One brings it to the queue as well, where that does not count: it is being bound, or it has No Local.
    bool uncounted = false;
    bool retain_as_published = false;
    std::uint8_t qos = 0;                    // the highest granted
    std::vector<std::uint32_t> identifiers;  // of all that have one

    void clear() noexcept {
        any = live = queued = uncounted = retain_as_published = false;
        qos = 0;
        identifiers.clear();
    }
};

// Which of a session's filters a topic matches: what comes to the session may be wanted by any of them, and each
// delivery has to know by which.
//
// A tree by levels, wildcards in it as levels like any other: a match visits at most three children a level and path.
//
// Threads: one shard's.
// Bounds:  a node a level of a filter; how deep filters are is the caller's to bound (the core's bindings do).
class mqtt_subscriptions {
public:
    // Replaces the one of the same filter [MQTT-3.8.4-3]; true when there was none.
    bool put(mqtt_subscription s);
    bool remove(std::string_view filter);
    void clear();
    [[nodiscard]] const mqtt_subscription* find(std::string_view filter) const;
    [[nodiscard]] std::size_t size() const noexcept { return size_; }
    [[nodiscard]] std::size_t filter_bytes() const noexcept { return filter_bytes_; }

    // Whether the client published the message itself: subscriptions with No Local are passed over then.
    enum class publisher : std::uint8_t { another, itself };
    // Replaces what `out` held.
    void match(std::string_view topic, publisher who, mqtt_match& out) const;

    template <class F>
    void for_each(F&& f) const {
        for (const auto& n : nodes_) {
            if (n.subscription != nullptr) {
                f(*n.subscription);
            }
        }
    }

private:
    using index = std::uint32_t;
    static constexpr index root = 0;
    static constexpr index none = 0;  // nobody's child

    struct node {
        std::string level;
        index parent = none;
        std::vector<index> children;  // by level
        std::unique_ptr<mqtt_subscription> subscription;
    };

    [[nodiscard]] std::size_t place_of(const node& parent, std::string_view level) const;
    [[nodiscard]] index child(index parent, std::string_view level) const;
    index add_child(index parent, std::string_view level);
    [[nodiscard]] index leaf_of(std::string_view filter) const;
    void prune(index at);
    void collect(index at, std::string_view rest, bool first, publisher who, mqtt_match& out) const;
    void take(index at, publisher who, mqtt_match& out) const;

    std::vector<node> nodes_;  // nothing while there has been no subscription
    std::vector<index> free_;
    std::size_t size_ = 0;
    std::size_t filter_bytes_ = 0;  // of all together
};

}  // namespace linnet::session
