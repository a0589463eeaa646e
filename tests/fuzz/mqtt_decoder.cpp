// Feeds bytes of any kind to the MQTT codec, as a server and as a client would.
//
// The first byte says who listens: which version is spoken, and by whom. Beyond crashes it looks for
// disagreements: decode(encode(decode(x))) == decode(x) for every packet, every list and block can be walked to its
// end, and what becomes a topic, a key or a pattern obeys the rules that the others rely on. A disagreement
// aborts, which libFuzzer reports like a crash.
#include "protocol/mqtt/decode.hpp"
#include "protocol/mqtt/publish_image.hpp"
#include "protocol/mqtt/topic_key.hpp"
#include "tests/protocol/mqtt_fields.hpp"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

namespace {

using namespace linnet;
using mqtt::dialect;
using mqtt::role;
using mqtt::version;

void require(bool condition) {
    if (!condition)
        std::abort();
}

void check_fault(mqtt::fault why) {
    require(why <= mqtt::last_fault && mqtt::is_failure(mqtt::reason_code_of(why)) && !mqtt::describe(why).empty());
}

// Rebuilt property by property it is the same block.
void walk(const mqtt::property_block& block) {
    std::string copy;
    for (const mqtt::property_value& each : block) {
        require(block.contains(each.id));
        mqtt::append_property(copy, each);
    }
    require(copy == wire::as_text(block.bytes()));
    require(mqtt::property_block::trusted(block.bytes()).present() == block.present());
    std::string forwarded;
    mqtt::append_forwardable(forwarded, block);
    const auto again = mqtt::property_block::trusted(wire::as_bytes(forwarded));
    require(mqtt::is_forwardable(again) && !again.contains(mqtt::property::topic_alias));
}

void check_topic(std::string_view topic) {
    const std::string key = mqtt::topic_to_key(topic);
    require(key.find_first_of("*#") == std::string::npos);
    require(std::count(key.begin(), key.end(), '.') == std::count(topic.begin(), topic.end(), '/'));
    require(mqtt::key_to_topic(key) == topic);
    require(mqtt::filter_to_pattern(topic) == key);
    require(mqtt::filter_matches(topic, topic));
}

void check_filter(std::string_view text) {
    const auto filter = mqtt::parse_topic_filter(text);
    require(filter.has_value());
    const std::string pattern = mqtt::filter_to_pattern(filter->filter);
    const auto wild = [](std::string_view in, std::string_view which) {
        return std::count_if(in.begin(), in.end(), [&](char c) { return which.find(c) != std::string_view::npos; });
    };
    require(wild(pattern, "*#") == wild(filter->filter, "+#"));
    require(mqtt::filter_matches(filter->filter, filter->filter) ||
            filter->filter.find_first_of("+#") != std::string_view::npos);
}

void look_at(const mqtt::connect& c) {
    if (c.will) {
        walk(c.will->properties);
        check_topic(c.will->topic);
    }
}
void look_at(const mqtt::publish& p) {
    if (!p.topic.empty())
        check_topic(p.topic);
}
void look_at(const mqtt::subscribe& s) {
    std::string copy;
    for (const mqtt::subscription& each : s.subscriptions) {
        check_filter(each.filter);
        mqtt::append_filter(copy, each.filter);
        copy += '?';
    }
    require(copy.size() == s.subscriptions.bytes().size());
}
void look_at(const mqtt::unsubscribe& u) {
    std::string copy;
    for (const std::string_view each : u.filters) {
        check_filter(each);
        mqtt::append_filter(copy, each);
    }
    require(copy == wire::as_text(u.filters.bytes()));
}
template <class Packet>
void look_at(const Packet&) {}

// The version in which its own CONNECT says that it goes on.
struct check_packet {
    dialect spoken;
    version* next;

    template <mqtt::packet Packet>
    void operator()(const Packet& p) const {
        if constexpr (requires { p.properties; })
            walk(p.properties);
        look_at(p);
        dialect own = spoken;
        if constexpr (std::is_same_v<Packet, mqtt::connect>)
            *next = own.spoken = p.spoken;
        std::vector<std::uint8_t> out;
        mqtt::append_packet(out, p, own.spoken);
        require(out.size() == mqtt::encoded_size(p, own.spoken));
        const auto frame = mqtt::decode_frame(out, own);
        require(frame.has_value() && frame->size() == out.size());
        const auto back = mqtt::decode<Packet>(*frame, own);
        require(back.has_value());
        require(mqtt::test::fields(*back) == mqtt::test::fields(p));
    }
};

void check_stream(wire::bytes_view rest, dialect spoken) {
    for (;;) {
        const auto frame = mqtt::decode_frame(rest, spoken, 1 << 20);
        if (!frame) {
            if (frame.needs_more())
                require(frame.bytes_needed() > rest.size());
            else
                check_fault(frame.reason());
            return;
        }
        if (frame->type() == mqtt::packet_type::connect)
            (void)mqtt::version_to_refuse_in(frame->body);
        version next = spoken.spoken;
        if (const auto bad = mqtt::visit_packet(*frame, spoken, check_packet{spoken, &next})) {
            check_fault(*bad);
            return;
        }
        spoken.spoken = next;
        rest = rest.subspan(frame->size());
    }
}

// Without a packet around them, so that the fuzzer reaches them at once.
void check_texts(wire::bytes_view input) {
    const std::string_view text = wire::as_text(input);
    if (const auto filter = mqtt::parse_topic_filter(text))
        check_filter(text);
    if (!text.empty() && text.size() <= mqtt::string_bytes_max && !mqtt::judge_topic_name(text))
        check_topic(text);
    if (const auto topic = mqtt::key_to_topic(text)) {
        require(!mqtt::judge_topic_name(*topic));
        // A bare wildcard is read as its escape; otherwise the key comes back as it was.
        if (text.find_first_of("*#") == std::string_view::npos)
            require(mqtt::topic_to_key(*topic) == text);
    }
    if (const auto topic = mqtt::key_to_topic(text, mqtt::name_mode::rabbitmq))
        require(!mqtt::judge_topic_name(*topic));
    if (const auto block = mqtt::property_block::parse(input, mqtt::rules_of(mqtt::packet_type::publish)))
        walk(*block);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    if (size == 0)
        return 0;
    constexpr version versions[] = {version::unknown, version::v3_1, version::v3_1_1, version::v5};
    const wire::bytes_view rest{data + 1, size - 1};
    const unsigned listener = data[0];
    if ((listener & 8) != 0)
        check_texts(rest);
    else
        check_stream(rest, {versions[listener & 3], (listener & 4) != 0 ? role::server : role::client});
    return 0;
}
