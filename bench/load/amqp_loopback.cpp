// AMQP's part of the small peer.
#include "bench/load/loopback_server.hpp"
#include "protocol/amqp/encode.hpp"
#include "protocol/amqp/frame.hpp"
#include "protocol/amqp/methods.hpp"

#include <array>
#include <map>

namespace linnet::load {
namespace {

constexpr std::uint32_t frame_max = 131072;

class amqp_loopback final : public loopback_server {
public:
    using loopback_server::loopback_server;

private:
    // What a channel that publishes is in the middle of.
    struct publishing {
        bool confirms = false;
        std::uint64_t number = 0;
        std::uint64_t confirmed = 0;
        message current;
        std::uint64_t body_size = 0;
    };

    struct amqp_connection final : connection {
        using connection::connection;

        bool greeted = false;
        std::map<std::uint16_t, publishing> channels{};
    };

    struct consumer {
        amqp_connection* on;
        std::uint16_t channel;
        std::string tag;
        std::uint64_t delivered = 0;
    };

    struct queue {
        std::vector<consumer> consumers;
        std::size_t next = 0;
    };

    std::unique_ptr<connection> make_connection(int fd) override { return std::make_unique<amqp_connection>(fd); }
    std::size_t delivery_trailer() const noexcept override { return 1; }

    std::size_t on_input(connection& from) override {
        auto& c = static_cast<amqp_connection&>(from);
        std::size_t at = 0;
        if (!c.greeted && c.in.size() >= amqp::protocol_header.size()) {
            c.greeted = true;
            at = amqp::protocol_header.size();
            reply(c, 0, amqp::connection_start{0, 9, {}, amqp::long_string{"PLAIN"}, amqp::long_string{"en_US"}});
        }
        while (c.greeted) {
            const auto frame = amqp::decode_frame(wire::bytes_view{c.in}.subspan(at), 0);
            if (!frame)
                break;
            on_frame(c, *frame);
            at += frame->size();
        }
        confirm(c);
        return at;
    }

    template <class Method>
    void reply(amqp_connection& c, std::uint16_t channel, const Method& m) {
        amqp::append_method(c.out, channel, m);
    }

    void on_frame(amqp_connection& c, const amqp::frame& f) {
        if (f.type == amqp::frame_type::method) {
            on_method(c, f.channel, wire::load<amqp::method_id>(f.payload.data()), f.payload.subspan(4));
        } else if (f.type == amqp::frame_type::header) {
            publishing& p = c.channels[f.channel];
            const auto header = amqp::decode_content_header(f.payload);
            p.body_size = header->body_size;
            p.current.properties.assign(header->properties.begin(), header->properties.end());
            p.current.body.clear();
            if (p.body_size == 0)
                complete(p);
        } else if (f.type == amqp::frame_type::body) {
            publishing& p = c.channels[f.channel];
            p.current.body.insert(p.current.body.end(), f.payload.begin(), f.payload.end());
            if (p.current.body.size() == p.body_size)
                complete(p);
        }
    }

    void complete(publishing& p) {
        ++p.number;
        published(p.current);
    }

    void on_method(amqp_connection& c, std::uint16_t channel, amqp::method_id id, wire::bytes_view arguments) {
        switch (id) {
            case amqp::basic_publish::id: {
                const auto m = amqp::decode<amqp::basic_publish>(arguments);
                c.channels[channel].current.exchange = m->exchange;
                c.channels[channel].current.key = m->routing_key;
                return;
            }
            case amqp::connection_start_ok::id: return reply(c, 0, amqp::connection_tune{2047, frame_max, 0});
            case amqp::connection_open::id: return reply(c, 0, amqp::connection_open_ok{});
            case amqp::connection_close::id: return reply(c, 0, amqp::connection_close_ok{});
            case amqp::channel_open::id: return reply(c, channel, amqp::channel_open_ok{});
            case amqp::channel_close::id: return reply(c, channel, amqp::channel_close_ok{});
            case amqp::exchange_declare::id: return reply(c, channel, amqp::exchange_declare_ok{});
            case amqp::exchange_delete::id: return reply(c, channel, amqp::exchange_delete_ok{});
            case amqp::basic_qos::id: return reply(c, channel, amqp::basic_qos_ok{});
            case amqp::confirm_select::id:
                c.channels[channel].confirms = true;
                return reply(c, channel, amqp::confirm_select_ok{});
            case amqp::queue_declare::id: {
                const auto m = amqp::decode<amqp::queue_declare>(arguments);
                queues_[std::string{m->queue}];
                return reply(c, channel, amqp::queue_declare_ok{m->queue, 0, 0});
            }
            case amqp::queue_bind::id: {
                const auto m = amqp::decode<amqp::queue_bind>(arguments);
                if (!m->no_wait)
                    reply(c, channel, amqp::queue_bind_ok{});
                return;
            }
            case amqp::queue_delete::id: {
                const auto m = amqp::decode<amqp::queue_delete>(arguments);
                queues_.erase(std::string{m->queue});
                return reply(c, channel, amqp::queue_delete_ok{});
            }
            case amqp::basic_consume::id: {
                const auto m = amqp::decode<amqp::basic_consume>(arguments);
                queues_[std::string{m->queue}].consumers.push_back({&c, channel, std::string{m->consumer_tag}});
                return reply(c, channel, amqp::basic_consume_ok{m->consumer_tag});
            }
            default: return;  // acknowledgements and tune-ok need no answer
        }
    }

    void route(const message& m) override {
        if (m.exchange.empty()) {
            const auto found = queues_.find(m.key);
            if (found != queues_.end())
                enqueue(found->second, m);
            return;
        }
        for (auto& [name, each] : queues_)
            enqueue(each, m);
    }

    void enqueue(queue& q, const message& m) {
        if (q.consumers.empty())
            return;
        consumer& to = q.consumers[q.next++ % q.consumers.size()];
        const amqp::basic_deliver method{to.tag, ++to.delivered, false, m.exchange, m.key};
        amqp::append_content(to.on->out, to.channel, method, m.properties, m.body, frame_max);
    }

    // One acknowledgement for all that a read brought.
    void confirm(amqp_connection& c) {
        for (auto& [number, channel] : c.channels) {
            if (!channel.confirms || channel.confirmed == channel.number)
                continue;
            channel.confirmed = channel.number;
            reply(c, number, amqp::basic_ack{channel.number, true});
        }
    }

    std::vector<std::uint8_t> sample_delivery(connection& c) override {
        std::vector<std::uint8_t> out;
        for (const auto& [name, q] : queues_) {
            for (const consumer& to : q.consumers) {
                if (to.on != &c)
                    continue;
                const std::array<std::uint8_t, stamp_bytes> body{};
                amqp::append_content(out, to.channel, amqp::basic_deliver{to.tag, 1, false, "", name},
                                     amqp::no_properties, body, frame_max);
                return out;
            }
        }
        return out;
    }

    void forget(connection& c) override {
        for (auto& [name, q] : queues_)
            std::erase_if(q.consumers, [&](const consumer& k) { return k.on == &c; });
    }

    std::map<std::string, queue> queues_;
};

}  // namespace

std::unique_ptr<loopback_server> make_amqp_loopback(loopback_peer::role r, loopback_peer::mischief m) {
    return std::make_unique<amqp_loopback>(r, m);
}

}  // namespace linnet::load
